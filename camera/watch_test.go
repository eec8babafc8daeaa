package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// watchBench is a Watch, a hand on its folder and a clock that moves one second a look.
type watchBench struct {
	*testing.T
	*Watch
	dir string
	now time.Time
	log bytes.Buffer
}

func newWatchBench(t *testing.T, cfg WatchConfig) *watchBench {
	t.Helper()
	b := &watchBench{T: t, dir: cfg.Dir, now: time.Unix(1_000_000, 0)}
	if b.dir == "" {
		b.dir = t.TempDir()
		cfg.Dir = b.dir
	}
	w, err := NewWatch(cfg, slog.New(slog.NewTextHandler(&b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b.Watch = w
	return b
}

// write writes a file; age is how long ago it was changed, so that no test hangs on the file system's clock.
func (b *watchBench) write(name string, data []byte, age time.Duration) {
	b.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.Fatal(err)
	}
	at := time.Unix(2_000_000, 0).Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		b.Fatal(err)
	}
}

// step is one look, a second after the one before, and what it brings.
func (b *watchBench) step() (shots []Shot, bad []error) {
	b.Helper()
	b.now = b.now.Add(time.Second)
	b.look(b.now)
	for len(b.ready) > 0 {
		name := b.ready[0]
		b.ready = b.ready[1:]
		shot, taken, err := b.take(name, b.now)
		if err != nil {
			bad = append(bad, err)
		} else if taken {
			shots = append(shots, shot)
		}
	}
	return shots, bad
}

func (b *watchBench) want(names ...string) []Shot {
	b.Helper()
	shots, bad := b.step()
	wantNames(b, shots, names...)
	if bad != nil {
		b.Errorf("bad shots: %v, want none", bad)
	}
	if len(shots) != len(names) {
		b.FailNow()
	}
	return shots
}

// there lists the files under a sub-folder ("" is the folder itself).
func (b *watchBench) there(sub string) string {
	b.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, sub))
	if err != nil {
		b.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

func (b *watchBench) wantThere(sub, want string) {
	b.Helper()
	if got := b.there(sub); got != want {
		b.Errorf("folder %q holds %q, want %q", sub, got, want)
	}
}

func (b *watchBench) settle(shot Shot, recorded bool) {
	b.Helper()
	if err := b.Settle(shot, recorded); err != nil {
		b.Fatal(err)
	}
}

func TestWatchTakesAWholeFileAtTheSecondLook(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	data := aJPEG(t, 1)
	b.write("P-17.jpg", data, time.Hour)
	b.write("a.txt", data, 0)
	b.write(".P-18.jpg", data, 0)
	b.want()
	shot := b.want("P-17.jpg")[0]
	if got := shot.Frame.Image.Data.Bytes(); !bytes.Equal(got, data) {
		t.Errorf("%d bytes that are not the file's %d", len(got), len(data))
	}
	if want := time.Unix(2_000_000, 0).Add(-time.Hour); shot.Frame.Serial != "P-17" || !shot.Frame.CapturedAt.Equal(want) {
		t.Errorf("serial %q, captured at %v; want P-17, %v", shot.Frame.Serial, shot.Frame.CapturedAt, want)
	}
	b.want() // a shot that is out is not offered again
	b.wantThere("", ".P-18.jpg P-17.jpg a.txt")
	b.settle(shot, true)
	b.wantThere("", ".P-18.jpg a.txt")
	b.wantThere(ProcessedDir, "P-17.jpg")
	b.want()
	wantError(t, b.Settle(shot, true), inspection.ErrInvalid, "P-17.jpg", "settled already")
}

func TestWatchWaitsForAWriter(t *testing.T) {
	for name, data := range map[string][]byte{"a.jpg": aJPEG(t, 1), "a.png": aPNG(t, 1)} {
		b := newWatchBench(t, WatchConfig{GiveUp: time.Hour})
		for cut := 0; cut < len(data); cut += 1 + len(data)/40 {
			b.write(name, data[:cut], 0)
			b.want()
			b.want() // stable, and not whole
			b.want()
		}
		// A program that sets the size first and then fills the file.
		b.write(name, append(bytes.Clone(data[:len(data)/2]), make([]byte, len(data)-len(data)/2)...), 0)
		b.want()
		b.want()
		b.write(name, data, time.Second)
		b.want()
		b.want(name)
	}
}

func TestWatchNeedsTwoLooksThatAgree(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	for i := range 5 { // whole each time, and each time written anew
		b.write("a.jpg", aJPEG(t, uint64(i)), time.Duration(i)*time.Minute)
		b.want()
	}
	b.want("a.jpg")
}

func TestWatchTakesNothingThatChangedSinceTheLook(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("a.jpg", aJPEG(t, 1), time.Hour)
	b.write("b.jpg", aJPEG(t, 1), time.Hour)
	b.want()
	b.look(b.now)
	b.write("a.jpg", aJPEG(t, 2), 0)
	if err := os.Remove(filepath.Join(b.dir, "b.jpg")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.jpg", "b.jpg"} {
		if _, taken, err := b.take(name, b.now); taken || err != nil {
			t.Errorf("%s was taken: %t, error %v; want it left to later looks", name, taken, err)
		}
	}
	b.want()
	b.want("a.jpg")
}

func TestWatchTakesPaddedJPEG(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("a.jpg", append(aJPEG(t, 1), 0, 0, 0), 0)
	b.want()
	b.want("a.jpg")
}

func TestWatchTakesTheOldestFirst(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	for name, age := range map[string]time.Duration{"c.jpg": 3 * time.Hour, "a10.jpg": time.Hour, "a9.jpg": time.Hour, "b.jpg": 2 * time.Hour} {
		b.write(name, aJPEG(t, 1), age)
	}
	b.want()
	b.want("c.jpg", "b.jpg", "a9.jpg", "a10.jpg")
}

func TestWatchGivesUpAndSaysWhy(t *testing.T) {
	b := newWatchBench(t, WatchConfig{GiveUp: 5 * time.Second, MaxBytes: 2000})
	b.write("cut.jpg", aJPEG(t, 1)[:200], 0)
	b.write("text.png", []byte("no picture at all"), 0)
	for range 3 {
		b.want()
	}
	b.write("cut.jpg", aJPEG(t, 1)[:300], 0) // it goes on: the time counts from here
	b.write("large.jpg", make([]byte, 2001), 0)
	b.want()
	_, bad := b.step()
	if len(bad) != 1 {
		t.Fatalf("errors %v, want one: a file over the limit fails as soon as it is stable", bad)
	}
	wantError(t, bad[0], ErrShot, "large.jpg", "2001 bytes", "MaxBytes")
	_, bad = b.step() // text.png since 5 s
	if len(bad) != 1 {
		t.Fatalf("errors %v, want one about text.png", bad)
	}
	wantError(t, bad[0], inspection.ErrImage, "text.png", "neither JPEG nor PNG", "5s")
	b.want()
	b.want()
	_, bad = b.step() // cut.jpg, since 5 s the same
	if len(bad) != 1 {
		t.Fatalf("errors %v, want one about cut.jpg", bad)
	}
	wantError(t, bad[0], ErrShot, "cut.jpg", "no end mark")
	b.wantThere("", "")
	b.wantThere(FailedDir, "cut.jpg cut.jpg.txt large.jpg large.jpg.txt text.png text.png.txt")
	why, err := os.ReadFile(filepath.Join(b.dir, FailedDir, "cut.jpg.txt"))
	if err != nil || !strings.Contains(string(why), "no end mark") {
		t.Errorf("cut.jpg.txt says %q, error %v; want why it failed", why, err)
	}
	b.want()
}

func TestWatchKeepsFilesOfOneNameApart(t *testing.T) {
	b := newWatchBench(t, WatchConfig{GiveUp: time.Second})
	for i := range 4 {
		b.write("latest.jpg", aJPEG(t, uint64(i)), time.Duration(min(i, 2))*time.Hour) // the last two have one time
		b.want()
		b.settle(b.want("latest.jpg")[0], true)
	}
	b.wantThere(ProcessedDir, "latest.19700124T013320.000000Z-2.jpg latest.19700124T013320.000000Z.jpg latest.19700124T023320.000000Z.jpg latest.jpg")
	for i, name := range []string{"latest.jpg", "latest.19700124T023320.000000Z.jpg", "latest.19700124T013320.000000Z.jpg", "latest.19700124T013320.000000Z-2.jpg"} {
		if got, err := os.ReadFile(filepath.Join(b.dir, ProcessedDir, name)); err != nil || !bytes.Equal(got, aJPEG(t, uint64(i))) {
			t.Errorf("%s does not hold picture %d (error %v)", name, i, err)
		}
	}
	for range 2 {
		b.write("bad.jpg", []byte("bad"), 0)
		b.step()
		b.step()
	}
	b.wantThere(FailedDir, "bad.19700124T033320.000000Z.jpg bad.19700124T033320.000000Z.jpg.txt bad.jpg bad.jpg.txt")
	// A text whose picture somebody took away is not written over.
	b.write(FailedDir+"/gone.jpg.txt", []byte("kept"), 0)
	b.write("gone.jpg", []byte("bad"), 0)
	b.step()
	b.step()
	if got, err := os.ReadFile(filepath.Join(b.dir, FailedDir, "gone.jpg.txt")); string(got) != "kept" {
		t.Errorf("gone.jpg.txt of before says %q (error %v), want it kept", got, err)
	}
}

func TestWatchLosesNoPictureThatIsWrittenOver(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("latest.jpg", aJPEG(t, 1), time.Hour)
	b.want()
	first := b.want("latest.jpg")[0]
	b.write("latest.jpg", aJPEG(t, 2), 0) // while the first is with a node
	b.settle(first, true)
	b.wantThere("", "latest.jpg") // nobody has seen this one
	if !strings.Contains(b.log.String(), "written over") {
		t.Errorf("the log does not say that a file was written over:\n%s", &b.log)
	}
	b.want()
	second := b.want("latest.jpg")[0]
	if got := second.Frame.Image.Data.Bytes(); !bytes.Equal(got, aJPEG(t, 2)) {
		t.Error("the second shot does not hold the second picture")
	}
	b.settle(second, true)
	b.wantThere(ProcessedDir, "latest.jpg")
}

// A writer may rename a new picture into place between the last look at a file and its move.
func TestWatchPutsBackWhatItMovedUnseen(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("latest.jpg", aJPEG(t, 1), time.Hour)
	b.want()
	b.want("latest.jpg")
	old := b.flights[1]
	b.write("latest.jpg", aJPEG(t, 2), 0)
	moved := filepath.Join(b.dir, ProcessedDir, "latest.jpg")
	if err := os.Rename(filepath.Join(b.dir, "latest.jpg"), moved); err != nil {
		t.Fatal(err)
	}
	if to, err := b.verify(moved, old); err != nil || to != "" {
		t.Errorf("verify gives %q, %v; want no place: the picture went back", to, err)
	}
	b.wantThere(ProcessedDir, "")
	b.want()
	b.want("latest.jpg")
}

func TestWatchFindsAgainWhatWasNotSettled(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	for i, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
		b.write(name, aJPEG(t, uint64(i)), time.Hour)
	}
	b.want()
	shots := b.want("a.jpg", "b.jpg", "c.jpg")
	b.settle(shots[0], true)
	b.settle(shots[1], false) // given up by the stream: it stays, and this watch does not offer it again
	b.want()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := newWatchBench(t, WatchConfig{Dir: b.dir})
	again.want()
	again.want("b.jpg", "c.jpg")
	b.settle(shots[2], true) // settling goes on after Close
	b.wantThere(ProcessedDir, "a.jpg c.jpg")
	b.wantThere("", "b.jpg")
}

func TestWatchSettlesAgainAfterAnError(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("a.jpg", aJPEG(t, 1), 0)
	b.want()
	shot := b.want("a.jpg")[0]
	processed := filepath.Join(b.dir, ProcessedDir)
	if err := os.Remove(processed); err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Settle(shot, true), fs.ErrNotExist, "a.jpg", "sent again")
	if err := os.Mkdir(processed, 0o755); err != nil {
		t.Fatal(err)
	}
	b.settle(shot, true)
	b.wantThere(ProcessedDir, "a.jpg")
}

func TestWatchSettlesFromManyGoroutines(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	const n = 50
	var out sync.WaitGroup
	for i := range n {
		b.write(fmt.Sprintf("%d.jpg", i%5), aJPEG(t, uint64(i)), time.Hour)
		if i%5 < 4 {
			continue
		}
		b.want()
		for _, shot := range b.want("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg") {
			out.Go(func() {
				if err := b.Settle(shot, true); err != nil {
					t.Error(err)
				}
			})
		}
		if i%10 == 9 { // every other round is settled while the next look runs
			out.Wait()
			continue
		}
		b.look(b.now)
		out.Wait()
	}
	if got := len(strings.Fields(b.there(ProcessedDir))); got != n {
		t.Errorf("%d files in processed/, want all %d", got, n)
	}
}

func TestWatchOutlivesItsFolder(t *testing.T) {
	b := newWatchBench(t, WatchConfig{})
	b.write("a.jpg", aJPEG(t, 1), 0)
	b.want()
	away := b.dir + ".away"
	if err := os.Rename(b.dir, away); err != nil {
		t.Fatal(err)
	}
	b.want()
	b.want()
	if got := strings.Count(b.log.String(), "cannot be read"); got != 1 {
		t.Errorf("the log says %d times that the folder cannot be read, want once:\n%s", got, &b.log)
	}
	if err := os.Rename(away, b.dir); err != nil {
		t.Fatal(err)
	}
	b.want("a.jpg")
	if !strings.Contains(b.log.String(), "can be read again") {
		t.Errorf("the log does not say that the folder is back:\n%s", &b.log)
	}
}

func TestWatchNextWaitsAndEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newWatchBench(t, WatchConfig{Dir: dir, Poll: time.Second, GiveUp: 10 * time.Second})
		start := time.Now()
		time.AfterFunc(2500*time.Millisecond, func() {
			b.write("a.jpg", aJPEG(t, 1), 0)
			b.write("b.jpg", aJPEG(t, 1)[:100], 0)
		})
		shot, err := b.Next(t.Context())
		if err != nil || shot.Name != "a.jpg" {
			t.Fatalf("Next gives %q, %v; want a.jpg", shot.Name, err)
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("a file written at 2.5 s was taken at %v, want at the second look, 4s", got)
		}
		shot, err = b.Next(t.Context())
		if !errors.Is(err, ErrShot) || shot.Name != "b.jpg" || shot.Frame.Serial != "b" {
			t.Errorf("Next gives %q of serial %q, %v; want b.jpg of b and ErrShot", shot.Name, shot.Frame.Serial, err)
		}
		if got := time.Since(start); got != 13*time.Second {
			t.Errorf("the watch gave up at %v, want 10 s after it saw the file at 3 s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := b.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next after the context's end: %v, want its error", err)
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if _, err := b.Next(t.Context()); !errors.Is(err, inspection.ErrClosed) {
			t.Errorf("Next after Close: %v, want ErrClosed", err)
		}
	})
}

func TestWatchThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string][]byte{ProcessedDir: nil}), ProcessedDir)
	for _, c := range []struct {
		cfg   WatchConfig
		kind  error
		words []string
	}{
		{WatchConfig{}, inspection.ErrInvalid, []string{"Dir"}},
		{WatchConfig{Dir: "no/such/place"}, fs.ErrNotExist, []string{"no/such/place"}},
		{WatchConfig{Dir: filepath.Dir(file)}, syscall.ENOTDIR, []string{ProcessedDir, "give this user the right"}},
		{WatchConfig{Dir: t.TempDir(), Poll: -1}, inspection.ErrInvalid, []string{"Poll"}},
		{WatchConfig{Dir: t.TempDir(), GiveUp: -1}, inspection.ErrInvalid, []string{"GiveUp"}},
		{WatchConfig{Dir: t.TempDir(), MaxBytes: -1}, inspection.ErrInvalid, []string{"MaxBytes"}},
	} {
		_, err := NewWatch(c.cfg, slog.New(slog.DiscardHandler))
		wantError(t, err, c.kind, c.words...)
	}
}
