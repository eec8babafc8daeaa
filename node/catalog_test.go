package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
)

// fakeEngine stands for the engine where a test must hold a load, or see what is pinned.
type fakeEngine struct {
	prepare func(ctx context.Context, r *inspection.Recipe) error // nil: succeeds at once
	release func(r *inspection.Recipe)                            // sees each Release

	prepareOn func(r *inspection.Recipe) error // as prepare
	hold      func(ctx context.Context) error  // as prepare
	held      int                              // versions held, by the test's goroutine alone

	mu   sync.Mutex
	pins map[int]int // by revision
}

func (e *fakeEngine) Prepare(ctx context.Context, r *inspection.Recipe) (inspection.ModelRef, error) {
	if e.prepare != nil {
		if err := e.prepare(ctx, r); err != nil {
			return inspection.ModelRef{}, err
		}
	}
	e.pin(r, 1)
	return inspection.ModelRef{Name: r.Model.Name, Version: "1", Digest: "d"}, nil
}

func (e *fakeEngine) Release(r *inspection.Recipe, _ inspection.ModelRef) {
	if e.release != nil {
		e.release(r)
	}
	e.pin(r, -1)
}

func (e *fakeEngine) PrepareOn(_ context.Context, r *inspection.Recipe, version string) (inspection.ModelRef, error) {
	if e.prepareOn != nil {
		if err := e.prepareOn(r); err != nil {
			return inspection.ModelRef{}, err
		}
	}
	e.pin(r, 1)
	return inspection.ModelRef{Name: r.Model.Name, Version: version, Digest: "d" + version}, nil
}

func (e *fakeEngine) Hold(ctx context.Context, name, version string) (inspection.ModelRef, func(), error) {
	if e.hold != nil {
		if err := e.hold(ctx); err != nil {
			return inspection.ModelRef{}, nil, err
		}
	}
	e.held++
	return inspection.ModelRef{Name: name, Version: version, Digest: "d" + version}, func() { e.held-- }, nil
}

func (e *fakeEngine) Models() []inference.Status { return nil }

func (e *fakeEngine) Profile(context.Context, string, string, bool) (inference.Profile, error) {
	return inference.Profile{}, inspection.ErrUnknownModel
}

func (e *fakeEngine) pin(r *inspection.Recipe, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pins[r.Revision] += n
}

func (e *fakeEngine) pinned(revision int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pins[revision]
}

// shop is a catalog over a real store and a real folder.
type shop struct {
	*catalog
	t      *testing.T
	engine *fakeEngine
	dir    string
}

func newShop(t *testing.T, linger time.Duration) *shop {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{t: t, engine: &fakeEngine{pins: map[int]int{}}, dir: t.TempDir()}
	if s.catalog, err = newCatalog(s.engine, nil, st, s.dir, log); err != nil {
		t.Fatal(err)
	}
	s.linger = linger
	return s
}

// write puts a revision of the recipe x into the folder. Budgets of one length after the other would make files that differ
// in neither size nor, at this pace, time.
func (s *shop) write(budget string) {
	s.t.Helper()
	text := "name: x\nmodel: m\nclasses: {\"*\": {reject_at: 0.5}}\nbudget: " + budget + "\n"
	path := filepath.Join(s.dir, "x.yaml")
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

// revision is what a frame would be resolved to now; 0 where it would not be judged.
func (s *shop) revision() int {
	r, _, err := s.Resolve("x")
	if err != nil {
		return 0
	}
	return r.Revision
}

// start runs the catalog until the test, or stop, ends it.
func (s *shop) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.run(ctx, 2*time.Millisecond)
		close(done)
	}()
	stop = func() { cancel(); <-done }
	s.t.Cleanup(stop)
	return stop
}

func (s *shop) until(what string, is func() bool) {
	s.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

func TestTheRevisionBeforeStaysWhileTheNextOneIsLoaded(t *testing.T) {
	s := newShop(t, time.Hour)
	loading, loaded := make(chan int), make(chan error)
	s.engine.prepare = func(ctx context.Context, r *inspection.Recipe) error {
		select {
		case loading <- r.Revision:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case err := <-loaded:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.write("1s")
	s.start()
	if got := <-loading; got != 1 || s.revision() != 0 {
		t.Errorf("loading revision %d, in force %d; want 1 and none", got, s.revision())
	}
	if r, _, err := s.Resolve("x"); r == nil || !errors.Is(err, inspection.ErrNotReady) {
		t.Errorf("while the first is loaded: recipe %v, %v; want it with ErrNotReady, for its fallback", r, err)
	}
	loaded <- nil
	s.until("revision 1 is in force", func() bool { return s.revision() == 1 })
	s.write("20s")
	if got := <-loading; got != 2 || s.revision() != 1 {
		t.Errorf("loading revision %d, in force %d; want 2 and 1", got, s.revision())
	}
	loaded <- errors.New("no memory")
	s.until("it says why", func() bool {
		return strings.Contains(s.Recipes()[0].Message, "revision 2 cannot judge: no memory; revision 1 stays in force")
	})
	s.write("300s")
	if got := <-loading; got != 3 || s.revision() != 1 || s.engine.pinned(1) != 1 {
		t.Errorf("loading revision %d, in force %d with %d pins; want 3, and 1 with 1", got, s.revision(), s.engine.pinned(1))
	}
	loaded <- nil
	s.until("revision 3 is in force", func() bool { return s.revision() == 3 })
	if got := s.Recipes()[0]; got.Message != "" || got.Imported.IsZero() {
		t.Errorf("revision 3 says %q and was imported at %v", got.Message, got.Imported)
	}
	if s.engine.pinned(1) != 1 {
		t.Error("revision 1 was let go at once: frames that came in under it are still on their way to the engine")
	}
}

func TestAReplacedRevisionIsLetGoAfterTheNextIsInForce(t *testing.T) {
	s := newShop(t, time.Millisecond)
	s.engine.release = func(r *inspection.Recipe) {
		if now := s.revision(); now <= r.Revision {
			t.Errorf("revision %d was let go while %d was in force", r.Revision, now)
		}
	}
	s.write("1s")
	s.start()
	for i, budget := range []string{"20s", "300s", "1s"} { // going back is a revision of its own
		s.until("the revision is in force", func() bool { return s.revision() == i+1 })
		s.write(budget)
	}
	s.until("the last revision alone is prepared", func() bool {
		return s.revision() == 4 && s.engine.pinned(1) == 0 && s.engine.pinned(2) == 0 && s.engine.pinned(3) == 0
	})
	if got := s.engine.pinned(4); got != 1 {
		t.Errorf("revision 4 has %d pins, want 1", got)
	}
}

func TestARevisionThatIsReadyTooLateIsLetGo(t *testing.T) {
	s := newShop(t, time.Hour)
	loading, loaded := make(chan bool), make(chan bool)
	s.engine.prepare = func(context.Context, *inspection.Recipe) error {
		loading <- true
		<-loaded
		return nil
	}
	s.write("1s")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		s.run(ctx, 0)
		close(done)
	}()
	<-loading
	cancel()
	loaded <- true
	<-done
	if s.revision() != 0 || s.engine.pinned(1) != 0 {
		t.Errorf("in force %d with %d pins, want none: the node was told to stop", s.revision(), s.engine.pinned(1))
	}
}

func TestADirectoryThatCannotBeReadIsSaid(t *testing.T) {
	s := newShop(t, time.Hour)
	if err := os.Remove(s.dir); err != nil {
		t.Fatal(err)
	}
	stop := s.start()
	s.until("it is a reason", func() bool { return strings.Contains(strings.Join(s.unready(), ";"), "recipes.dir cannot be read") })
	if err := os.Mkdir(s.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	s.write("1s")
	s.until("revision 1 is in force", func() bool { return s.revision() == 1 })
	if len(s.unready())+len(s.warnings()) != 0 {
		t.Errorf("not ready for %q, warns of %q", s.unready(), s.warnings())
	}
	stop()

	// The same store beside a directory that is away: what was in force comes back.
	away := &shop{t: t, engine: s.engine, dir: s.dir}
	var err error
	if away.catalog, err = newCatalog(s.engine, nil, s.store, s.dir, s.log); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	away.start()
	away.until("revision 1 is restored", func() bool { return away.revision() == 1 })
	if w := strings.Join(away.warnings(), ";"); !strings.Contains(w, "restored from the store") || !strings.Contains(w, "recipes.dir could not be read") {
		t.Errorf("warns of %q, want that it was restored and why", w)
	}
}
