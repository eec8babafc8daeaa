package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/server"
)

const spots = "task: detect\ninputs: [{name: x, layout: NCHW, width: 8, height: 8, color: gray, resize: none}]\noutput: {decoder: ssd, tensors: {scores: s, boxes: b}}\nlabels: [spot]\n"

// stocked is a shop whose repository holds two versions of the model m, of which the first is active.
func stocked(t *testing.T) *shop {
	t.Helper()
	fsys := fstest.MapFS{"m/active": {Data: []byte("1")}}
	for _, v := range []string{"1", "2"} {
		fsys["m/"+v+"/model.onnx"], fsys["m/"+v+"/model.yaml"] = &fstest.MapFile{Data: []byte("g" + v)}, &fstest.MapFile{Data: []byte(spots)}
	}
	dir := t.TempDir()
	repo, err := models.OpenWritable(models.Writable{Dir: filepath.Join(dir, "models"), Record: filepath.Join(dir, recordFile), MaxBytes: 1 << 20}, models.Root{Name: "here", FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t, time.Hour)
	s.models = repo
	return s
}

// recipe writes a recipe of its own name into the folder.
func (s *shop) recipe(name string) {
	s.t.Helper()
	text := "name: " + name + "\nmodel: m\nclasses: {\"*\": {reject_at: 0.5}}\nbudget: 1s\n"
	if err := os.WriteFile(filepath.Join(s.dir, name+".yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) version(name string) string {
	_, m, err := s.Resolve(name)
	if err != nil {
		return ""
	}
	return m.Version
}

var toTwo = server.Activation{Model: "m", To: "2", By: "ann"}

func TestAnActivationSwitchesEveryRecipeThatFollows(t *testing.T) {
	s := stocked(t)
	s.recipe("a")
	s.recipe("b")
	s.start()
	s.until("both judge", func() bool { return s.version("a") == "1" && s.version("b") == "1" })
	if _, changed, err := s.Activate(t.Context(), toTwo); err != nil || !changed || s.version("a") != "2" || s.version("b") != "2" {
		t.Errorf("got %v, %v; a on %s, b on %s", changed, err, s.version("a"), s.version("b"))
	}
	if got := s.engine.pinned(1); got != 4 { // both versions of both: the one before lingers
		t.Errorf("%d pins, want 4", got)
	}
}

// A version that does not fit one recipe is let go for the others too, and all stay as they are.
func TestAnActivationThatFailsForOneRecipeIsUndoneForAll(t *testing.T) {
	s := stocked(t)
	for _, name := range []string{"a", "b", "c"} {
		s.recipe(name)
	}
	s.start()
	s.until("all judge", func() bool { return s.version("a") == "1" && s.version("b") == "1" && s.version("c") == "1" })
	tried := 0
	s.engine.prepareOn = func(r *inspection.Recipe) error {
		if tried++; tried == 3 {
			return errors.New("it does not fit")
		}
		return nil
	}
	_, _, err := s.Activate(t.Context(), toTwo)
	if err == nil || !strings.Contains(err.Error(), "it does not fit; version 1 stays active") {
		t.Errorf("got %v, want why and what stays", err)
	}
	if got := s.engine.pinned(1); got != 3 || s.version("a")+s.version("b")+s.version("c") != "111" || len(s.Activations("m")) != 0 || s.engine.held != 0 {
		t.Errorf("%d pins, %d held, versions %s %s %s, record %v; want as before", got, s.engine.held, s.version("a"), s.version("b"), s.version("c"), s.Activations("m"))
	}
}

// A recipe that cannot judge, for a reason of its own, keeps nobody from a new version; one that an activation mends judges.
func TestARecipeThatCannotJudgeHoldsUpNoOther(t *testing.T) {
	s := stocked(t)
	s.engine.prepare = func(_ context.Context, r *inspection.Recipe) error {
		if r.Name != "a" {
			return errors.New("no template")
		}
		return nil
	}
	for _, name := range []string{"a", "bad", "mended"} {
		s.recipe(name)
	}
	s.start()
	s.until("all were tried", func() bool {
		return s.version("a") == "1" && len(s.unready()) == 2 && !strings.Contains(strings.Join(s.unready(), ""), "being loaded")
	})
	s.engine.prepareOn = func(r *inspection.Recipe) error {
		if r.Name == "bad" {
			return errors.New("no template")
		}
		return nil
	}
	if _, _, err := s.Activate(t.Context(), toTwo); err != nil {
		t.Fatal(err)
	}
	if s.version("a") != "2" || s.version("bad") != "" || s.version("mended") != "2" {
		t.Errorf("a on %q, bad on %q, mended on %q; want 2, none, 2", s.version("a"), s.version("bad"), s.version("mended"))
	}
}

// A node that is told to stop gives up an activation that is under way, and begins none.
func TestAnActivationEndsWithTheNode(t *testing.T) {
	s := stocked(t)
	s.recipe("a")
	stop := s.start()
	s.until("it judges", func() bool { return s.version("a") == "1" })
	loading := make(chan struct{})
	s.engine.hold = func(ctx context.Context) error {
		close(loading)
		<-ctx.Done()
		return ctx.Err()
	}
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.Activate(context.Background(), toTwo)
		failed <- err
	}()
	<-loading
	stop()
	if err := <-failed; !errors.Is(err, context.Canceled) || len(s.Activations("m")) != 0 {
		t.Errorf("got %v, record %v; want it given up", err, s.Activations("m"))
	}
	if _, _, err := s.Activate(t.Context(), toTwo); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("after the end: got %v, want ErrClosed", err)
	}
}

// A revision that is being loaded for the version before is not overtaken: it is in force first, and follows the switch.
func TestARevisionUnderWayFollowsTheSwitch(t *testing.T) {
	s := stocked(t)
	loading, loaded := make(chan struct{}), make(chan struct{})
	s.engine.prepare = func(context.Context, *inspection.Recipe) error {
		hasty, cancel := context.WithCancel(t.Context())
		cancel()
		for range 30 { // a turn that is free would be taken by half of them
			if done, err := s.begin(hasty); err == nil {
				t.Error("an activation may overtake the revision")
				done()
			}
		}
		loading <- struct{}{}
		<-loaded
		return nil
	}
	s.recipe("a")
	s.start()
	<-loading
	done := make(chan error, 1)
	go func() {
		_, _, err := s.Activate(t.Context(), toTwo)
		done <- err
	}()
	loaded <- struct{}{}
	if err := <-done; err != nil || s.version("a") != "2" {
		t.Errorf("got %v, a on %q; want 2", err, s.version("a"))
	}
}

// The only version of a model is removed although it is active, unless a recipe names the model.
func TestTheOnlyVersionIsRemovedWhereNoRecipeNamesTheModel(t *testing.T) {
	for _, named := range []bool{true, false} {
		dir := t.TempDir()
		at := filepath.Join(dir, "models", "m", "1")
		if err := os.MkdirAll(at, 0o750); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"model.onnx": "g", "model.yaml": spots} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		repo, err := models.OpenWritable(models.Writable{Dir: filepath.Join(dir, "models"), Record: filepath.Join(dir, recordFile), MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		s := newShop(t, time.Hour)
		s.models = repo
		if named {
			s.recipe("a")
		}
		s.start()
		if named {
			s.until("it judges", func() bool { return s.version("a") == "1" })
		}
		err = s.RemoveModel(t.Context(), "m", "1")
		_, gone := repo.Get("m", "1")
		if named && (!errors.Is(err, inspection.ErrRefused) || !strings.Contains(err.Error(), `recipe "a" names m: activate another one first`) || gone != nil) {
			t.Errorf("named: got %v, %v; want ErrRefused that names the recipe", err, gone)
		}
		if !named && (err != nil || !errors.Is(gone, inspection.ErrUnknownModel)) {
			t.Errorf("not named: got %v, %v; want it removed", err, gone)
		}
	}
}
