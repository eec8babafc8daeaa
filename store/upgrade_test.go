package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// formerID is what ids were until schema version 4: the hash of the whole key.
func formerID(k inspection.FrameKey) string {
	sum := sha256.Sum256([]byte(k.String()))
	return hex.EncodeToString(sum[:16])
}

func upgradeKey(seq int) inspection.FrameKey {
	return inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "01JOLD", Seq: uint64(seq)}
}

const upgradeRows = 30

// firstSchema makes a data directory with a database of schema version 1: rows 1 to 29 are frames, of which every fifth
// failed and was disposed of, so that it changed again; row 30 is announced and has not come.
func firstSchema(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lock, err := layout(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	db, err := openPool(filepath.Join(dir, databaseFile), Config{}.withDefaults(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	sources, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sources, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	judge := func(n int, role, verdict string) {
		exec(`INSERT INTO judgements (result, role, verdict, source, reason, detail, defects, model_name, model_version, model_digest,
			recipe_name, recipe_revision, recipe_digest, node) VALUES (?1, ?2, ?3, 'model', '', '', '[{"id":1,"class":"open","called":true,"verdict":"FAIL"}]',
			'm', '1', 'd', 'r', 1, 'd', 'n')`, n, role, verdict)
	}
	revision := 0
	for n := 1; n <= upgradeRows; n++ {
		verdict, k := "PASS", upgradeKey(n)
		switch {
		case n == upgradeRows:
			verdict = "UNDETERMINED"
		case n%5 == 0:
			verdict = "FAIL"
		}
		revision++
		exec(`INSERT INTO results (n, id, line, station, camera, session, seq, stub, serial, lot, effective_verdict, effective_source, received, recorded, revision)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'lot', ?10, 'model', ?11, 0, ?12)`,
			n, formerID(k), k.Line, k.Station, k.Camera, k.Session, n, n == upgradeRows, fmt.Sprint("SN", n), verdict, n/2+1, revision)
		if n < upgradeRows {
			judge(n, "primary", verdict)
		}
		if verdict == "FAIL" {
			exec("INSERT INTO called_defects VALUES ('open', ?1, ?2)", n/2+1, formerID(k))
		}
	}
	for n := 5; n < upgradeRows; n += 5 {
		revision++
		judge(n, "late", "FAIL")
		exec("UPDATE results SET revision = ?2 WHERE n = ?1", n, revision)
	}
	exec("INSERT INTO announced (result, verdict, source, reason, at) VALUES (?1, 'UNDETERMINED', 'camera', 'DEADLINE', 1)", upgradeRows)
	exec("UPDATE changes SET revision = ?1", revision)
	exec("INSERT INTO tallies SELECT simulated, effective_verdict, image_state, count(*), sum(image_size) FROM results GROUP BY 1, 2, 3")
	return dir
}

func openUpgraded(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestUpgradeKeepsEveryResult: a database of the first schema has after its migration what it had before: every result
// under its id and under its key, with its judgements in their order, in every list and in a watch.
func TestUpgradeKeepsEveryResult(t *testing.T) {
	s := openUpgraded(t, firstSchema(t))
	for n := 1; n <= upgradeRows; n++ {
		k := upgradeKey(n)
		want := []inspection.Role{inspection.RolePrimary}
		switch {
		case n == upgradeRows:
			want = nil
		case n%5 == 0:
			want = append(want, inspection.RoleLate)
		}
		for _, id := range []inspection.ResultID{k.ID(), inspection.ResultID(formerID(k))} {
			r, err := s.Get(t.Context(), id)
			var roles []inspection.Role
			for _, j := range r.Judgements {
				roles = append(roles, j.Role)
			}
			if err != nil || r.Frame.Key != k || string(r.ID) != formerID(k) || !slices.Equal(roles, want) {
				t.Errorf("frame %d by id %s: got %s of %s with judgements %v, %v; want %v", n, id, r.ID, r.Frame.Key, roles, err, want)
			}
		}
		if _, err := s.Lookup(t.Context(), k); (err != nil) != (n == upgradeRows) {
			t.Errorf("look frame %d up: %v", n, err)
		}
	}
	for name, c := range map[string]struct {
		q    inspection.Query
		want int
	}{
		"all": {inspection.Query{}, upgradeRows}, "lot": {inspection.Query{Lot: "lot"}, upgradeRows}, "session": {inspection.Query{Session: "01JOLD"}, upgradeRows},
		"class": {inspection.Query{DefectClass: "open"}, 5}, "serial": {inspection.Query{Serial: "SN7"}, 1},
		"verdict": {inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail}}, 5}, "model": {inspection.Query{Model: "m", Lot: "lot"}, upgradeRows - 1},
	} {
		p, err := s.List(t.Context(), c.q)
		if err != nil || len(p.Results) != c.want {
			t.Errorf("%s: got %d results, %v; want %d", name, len(p.Results), err, c.want)
		}
	}
	if wrong, err := recount(t.Context(), s); err != nil || wrong != "" {
		t.Errorf("sums and rows differ (%v):\n%s", err, wrong)
	}
	if got := watched(t, s, inspection.Query{}, upgradeRows+1); !slices.IsSorted(got) || got[0] != 1 || got[upgradeRows-1] != upgradeRows+5 {
		t.Errorf("a watch from the beginning gives revisions %v, want all of 1 to %d that still stand", got, upgradeRows+5)
	}
}

// watched commits one more frame and returns the revisions that a watch from the beginning sends up to it.
func watched(t *testing.T, s *Store, q inspection.Query, want int) (revisions []uint64) {
	t.Helper()
	if err := s.Commit(t.Context(), []inspection.Entry{upgradeEntry(upgradeKey(1000))}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := errors.New("enough")
	err := s.Watch(ctx, "0", q, func(r inspection.Result, _ string) error {
		if revisions = append(revisions, r.Revision); len(revisions) == want {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("watch: %d changes of %d, then %v", len(revisions), want, err)
	}
	return revisions
}

func upgradeEntry(k inspection.FrameKey) inspection.Entry {
	return inspection.Entry{
		Key: k, Frame: &inspection.Frame{Key: k, Serial: "new"}, Received: time.UnixMicro(50),
		Image: inspection.ImageInfo{Size: 5, XXH128: strings.Repeat("0f", 16), SHA256: strings.Repeat("0f", 32)},
		Judgement: &inspection.Judgement{
			Verdict: inspection.Pass, Source: inspection.SourceModel, Model: inspection.ModelRef{Name: "m", Version: "2", Digest: "d2"},
		},
	}
}

// TestUpgradeJoinsOldAndNew: a camera that sends again what a node of the first schema recorded gets no second result, a
// frame whose key that node knew fills its row in, and a session that goes on goes on.
func TestUpgradeJoinsOldAndNew(t *testing.T) {
	dir := firstSchema(t)
	s := openUpgraded(t, dir)
	again, fills, next := upgradeKey(7), upgradeKey(upgradeRows), upgradeKey(upgradeRows+1)
	late := inspection.Judgement{Role: inspection.RoleLate, Verdict: inspection.Fail, Source: inspection.SourceModel, Model: inspection.ModelRef{Digest: "x"}}
	if err := s.Commit(t.Context(), []inspection.Entry{
		upgradeEntry(again), upgradeEntry(fills), upgradeEntry(next), {Key: upgradeKey(8), Judgement: &late},
		{Drop: &inspection.Drop{Key: next, First: 1, Last: upgradeRows + 2}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.mark(t.Context(), []mark{{id: fills.ID(), from: inspection.ImagePending, to: inspection.ImageKept, ref: "x"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key        inspection.FrameKey
		id         string
		judgements int
		state      inspection.ImageState
	}{
		{again, formerID(again), 2, inspection.ImageShed}, {fills, formerID(fills), 1, inspection.ImageKept},
		{next, string(next.ID()), 1, inspection.ImagePending}, {upgradeKey(8), formerID(upgradeKey(8)), 2, inspection.ImageShed},
	} {
		r, err := s.Lookup(t.Context(), c.key)
		if err != nil || string(r.ID) != c.id || len(r.Judgements) != c.judgements || r.Image.State != c.state {
			t.Errorf("%s: got id %s, %d judgements, image %s, %v; want %+v", c.key, r.ID, len(r.Judgements), r.Image.State, err, c)
		}
	}
	page, err := s.List(t.Context(), inspection.Query{Session: "01JOLD", Limit: 1000})
	if err != nil || len(page.Results) != upgradeRows+2 {
		t.Errorf("got %d results, %v; want one for each of %d frames", len(page.Results), err, upgradeRows+2)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var verdict string
	if err := db.QueryRow("SELECT group_concat(integrity_check) FROM pragma_integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
}

// TestUpgradeKeepsImages: the check for files without a row knows a file by either id of its frame.
func TestUpgradeKeepsImages(t *testing.T) {
	s := openUpgraded(t, firstSchema(t))
	im, err := NewImages(t.Context(), ImagesConfig{}, s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = im.Close() }()
	fills := upgradeKey(upgradeRows)
	e := upgradeEntry(fills)
	if err := s.Commit(t.Context(), []inspection.Entry{e}); err != nil {
		t.Fatal(err)
	}
	ref := imagePath(fills.ID(), e.Received, e.Image.Format)
	if err := os.MkdirAll(filepath.Dir(filepath.Join(im.dir, ref)), 0o750); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(filepath.Dir(ref), "stray.bin")
	for _, name := range []string{ref, stray} {
		if err := os.WriteFile(filepath.Join(im.dir, name), []byte("image"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.mark(t.Context(), []mark{{id: fills.ID(), from: inspection.ImagePending, to: inspection.ImageKept, ref: ref}}); err != nil {
		t.Fatal(err)
	}
	removed, err := im.checkOrphans(t.Context(), time.Now().Add(time.Hour))
	if _, serr := os.Stat(filepath.Join(im.dir, ref)); err != nil || serr != nil || removed == 0 {
		t.Errorf("%d files removed, %v, the frame's own image: %v; want the stray one gone and the image there", removed, err, serr)
	}
}
