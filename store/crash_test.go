package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// crashDirEnv turns the test binary into the process that is killed.
const crashDirEnv = "ASSAY_STORE_CRASH_DIR"

// crashChild commits groups and hands images over until it is killed. It prints the first and last seq of a group once it
// is on disk, and nothing before.
func crashChild(dir string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return fail(err)
	}
	im, err := store.NewImages(ctx, store.ImagesConfig{SyncEvery: 2 * time.Millisecond}, s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return fail(err)
	}
	first, err := strconv.ParseUint(os.Getenv("ASSAY_STORE_CRASH_FIRST"), 10, 64)
	if err != nil {
		return fail(err)
	}
	for seq := first; ; {
		n := 1 + rand.Uint64N(8)
		var group []inspection.Entry
		for i := range n {
			e := storetest.Entry(seq+i, inspection.Fail)
			e.Image.Size, e.Image.XXH128 = 3000, xxh128(picture(seq+i, 3000))
			group = append(group, e, inspection.Entry{Key: e.Key, Announcement: &inspection.Announcement{Verdict: inspection.Fail, Source: inspection.SourceModel, At: e.Received}})
		}
		if err := s.Commit(ctx, group); err != nil {
			return fail(err)
		}
		if _, err := fmt.Printf("%d %d\n", seq, seq+n-1); err != nil {
			return fail(err)
		}
		for _, e := range group {
			if e.Frame != nil && os.Getenv("ASSAY_STORE_CRASH_IMAGES") != "off" {
				im.Keep(store.Picture{ID: e.Key.ID(), Key: e.Key, Received: e.Received, Verdict: inspection.Fail, Info: e.Image,
					Data: inspection.NewBuffer(nil, picture(e.Key.Seq, 3000))})
			}
		}
		seq += n
	}
}

// TestKilledAtAnyMomentLosesNothing kills a process that commits, again and again on one data directory: all that it had
// acknowledged is there, groups are whole, the database is sound, and no row says kept of bytes that are not there.
// SIGKILL leaves the page cache alone, so this is about order and atomicity; that each commit waits for the disk is
// TestEveryCommitIsSynced's.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acked := [][2]uint64{}
	next := uint64(1)
	for round := range 6 {
		groups := runAndKill(t, dir, next)
		acked = append(acked, groups...)
		if len(groups) == 0 {
			t.Fatalf("round %d: killed before a single commit", round)
		}
		next = groups[len(groups)-1][1] + 1000 // beyond whatever was on its way
		checkAfterCrash(t, dir, acked)
	}
	t.Logf("%d groups were acknowledged over 6 kills", len(acked))
}

func runAndKill(t *testing.T, dir string, first uint64) (groups [][2]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, fmt.Sprintf("ASSAY_STORE_CRASH_FIRST=%d", first))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	kill := (<-chan time.Time)(nil)
	for lines.Scan() {
		var g [2]uint64
		if _, err := fmt.Sscan(lines.Text(), &g[0], &g[1]); err != nil {
			break // cut off by the kill: not acknowledged
		}
		groups = append(groups, g)
		if kill == nil {
			kill = time.After(time.Duration(20+rand.IntN(150)) * time.Millisecond)
			go func() { // the moment must not depend on when a line comes
				<-kill
				_ = cmd.Process.Kill()
			}()
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	return groups
}

func checkAfterCrash(t *testing.T, dir string, acked [][2]uint64) {
	t.Helper()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{})
	for _, g := range acked {
		for seq := g[0]; seq <= g[1]; seq++ {
			r, err := s.Lookup(t.Context(), storetest.Key(seq))
			if err != nil {
				t.Errorf("frame %d was acknowledged: %v", seq, err)
				continue
			}
			if len(r.Judgements) != 1 || len(r.Announced) != 1 || r.Effective.Verdict != inspection.Fail {
				t.Errorf("frame %d: got %d judgements, %d announcements, %s; want one of each and FAIL", seq, len(r.Judgements), len(r.Announced), r.Effective.Verdict)
			}
			if r.Image.State == inspection.ImagePending {
				t.Errorf("frame %d: its image is still pending after a restart", seq)
			}
		}
	}
	noKeptWithoutBytes(t, s, im)
	if err := im.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	sound(t, dir)
}

// sound runs SQLite's own checks over a data directory that is not in use.
func sound(t *testing.T, dir string) {
	t.Helper()
	withDB(t, dir, func(db *sql.DB) {
		var verdict string
		if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity check: got %q, %v; want ok", verdict, err)
		}
		var half int
		if err := db.QueryRow("SELECT count(*) FROM results r WHERE NOT EXISTS (SELECT 1 FROM judgements j WHERE j.result = r.n)").Scan(&half); err != nil || half != 0 {
			t.Errorf("%d results without a judgement, %v: groups must be whole", half, err)
		}
		var broken int
		if err := db.QueryRow("SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken); err != nil || broken != 0 {
			t.Errorf("%d broken references, %v", broken, err)
		}
	})
}
