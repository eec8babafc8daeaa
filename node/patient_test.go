package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/inspection/recipe"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// seen is an engine that says which model a frame came with.
type seen struct{}

func (seen) Inspect(_ context.Context, job inspection.Job) (inspection.Judgement, error) {
	return inspection.Judgement{Verdict: inspection.Fail, Source: inspection.SourceModel, Model: job.Model}, nil
}

type judged struct {
	j   inspection.Judgement
	err error
}

// inspect gives a frame, as the door resolves it now, to an engine that waits for its model.
func (s *shop) inspect(deadline time.Time) <-chan judged {
	s.t.Helper()
	r, model, _ := s.Resolve("x")
	if r == nil {
		s.t.Fatal("there is no recipe x")
	}
	out := make(chan judged, 1)
	go func() {
		j, err := patient{seen{}, s.catalog}.Inspect(context.Background(), inspection.Job{Recipe: r, Model: model, Deadline: deadline})
		out <- judged{j, err}
	}()
	return out
}

func TestAFrameWaitsForTheModelThatIsLoaded(t *testing.T) {
	s := newShop(t, time.Hour)
	loading, loaded := make(chan bool), make(chan error)
	s.engine.prepare = func(context.Context, *inspection.Recipe) error {
		loading <- true
		return <-loaded
	}
	s.write("1s")
	s.start()
	<-loading
	if got := <-s.inspect(time.Now().Add(time.Millisecond)); !errors.Is(got.err, inspection.ErrNotReady) {
		t.Errorf("a frame without the time to wait: %+v, want ErrNotReady", got)
	}
	waits := s.inspect(time.Now().Add(time.Hour))
	loaded <- nil
	if got := <-waits; got.err != nil || got.j.Model.Version != "1" {
		t.Errorf("a frame that could wait: %+v, want a judgement by model version 1", got)
	}
}

func TestNoFrameWaitsForAModelThatCannotBeLoaded(t *testing.T) {
	s := newShop(t, time.Hour)
	loading, loaded := make(chan bool), make(chan error)
	s.engine.prepare = func(context.Context, *inspection.Recipe) error {
		loading <- true
		return <-loaded
	}
	s.write("1s")
	s.start()
	<-loading
	waits := s.inspect(time.Time{})
	loaded <- fmt.Errorf("%w: no memory", inspection.ErrInvalid)
	if got := <-waits; !errors.Is(got.err, inspection.ErrNotReady) || errors.Is(got.err, inspection.ErrInvalid) || !strings.Contains(got.err.Error(), "no memory") {
		t.Errorf("a frame that waited: %+v, want NOT_READY with the load's words", got)
	}
	if got := <-s.inspect(time.Now().Add(time.Hour)); !errors.Is(got.err, inspection.ErrNotReady) || errors.Is(got.err, inspection.ErrInvalid) || !strings.Contains(got.err.Error(), "no memory") {
		t.Errorf("a frame afterwards: %+v, want the load's error at once", got)
	}
}

func TestNoFrameWaitsForANodeThatStops(t *testing.T) {
	s := newShop(t, time.Hour)
	loading := make(chan bool)
	s.engine.prepare = func(ctx context.Context, _ *inspection.Recipe) error {
		loading <- true
		<-ctx.Done()
		return ctx.Err()
	}
	s.write("1s")
	stop := s.start()
	<-loading
	waits := s.inspect(time.Time{})
	stop()
	if got := <-waits; !errors.Is(got.err, inspection.ErrNotReady) {
		t.Errorf("got %+v, want ErrNotReady", got)
	}
}

func TestARecipeThatNeverJudgedGoesWithItsFile(t *testing.T) {
	s := newShop(t, time.Hour)
	s.engine.prepare = func(context.Context, *inspection.Recipe) error { return errors.New("no memory") }
	s.write("1s")
	s.start()
	s.until("it is a reason", func() bool { return len(s.unready()) == 1 && len(s.Recipes()) == 1 && s.Recipes()[0].Message != "" })
	if err := os.Remove(filepath.Join(s.dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	s.until("it is gone", func() bool { return len(s.Recipes()) == 0 })
	if w := s.warnings(); len(w) != 0 {
		t.Errorf("warns of %q, want nothing", w)
	}
	s.write("1s")
	s.until("its file brings it back", func() bool { return len(s.Recipes()) == 1 })
}

func TestAFileThatIsRefusedIsAProblem(t *testing.T) {
	s := newShop(t, time.Hour)
	if err := os.WriteFile(filepath.Join(s.dir, "y.yaml"), []byte("name: 7\nmodel\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.until("it is listed", func() bool { p := s.Problems(); return len(p) == 1 && strings.Contains(p[0], "y.yaml") })
	if w := s.warnings(); len(w) != 1 || w[0] != s.Problems()[0] {
		t.Errorf("warns of %q, want the same as the problems", w)
	}
}

// slow holds the first scan up where it imports a recipe.
type slow struct {
	recipe.Revisions
	at, on chan bool
}

func (s slow) Import(ctx context.Context, name, digest string, yaml []byte, templates []inspection.Template) (int, error) {
	s.at <- true
	<-s.on
	return s.Revisions.Import(ctx, name, digest, yaml, templates)
}

// A camera that waits for the node while it starts is greeted when the recipes are known, however long that takes.
func TestTheFirstWelcomeKnowsTheRecipes(t *testing.T) {
	dir := t.TempDir()
	cfg := Default()
	cfg.Node.DataDir, cfg.Recipes.Dir = filepath.Join(dir, "data"), filepath.Join(dir, "recipes")
	cfg.Listen.GRPC, cfg.Listen.HTTP = "127.0.0.1:0", "127.0.0.1:0"
	if err := os.Mkdir(cfg.Recipes.Dir, 0o750); err != nil {
		t.Fatal(err)
	}
	text := "name: x\nmodel: m\nclasses: {\"*\": {reject_at: 0.5}}\nbudget: 1s\n"
	if err := os.WriteFile(filepath.Join(cfg.Recipes.Dir, "x.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	n, err := New(t.Context(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	gate := slow{revisions{n.store}, make(chan bool), make(chan bool)}
	if n.catalog.folder, err = recipe.OpenFolder(cfg.Recipes.Dir, gate, log); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(n.Run(ctx), n.Close(context.Background())) }()
	<-gate.at

	conn, err := grpc.NewClient(n.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	type greeting struct {
		welcome *assayv1.Welcome
		err     error
	}
	greeted := make(chan greeting, 1)
	go func() {
		rpc, err := assayv1.NewInspectionServiceClient(conn).Inspect(ctx, grpc.WaitForReady(true))
		if err != nil {
			greeted <- greeting{err: err}
			return
		}
		hello := &assayv1.Hello{Line: "l", Station: "s", Camera: "c", Session: "01JNQ3E5Z9A0B1C2D3E4F5G6H7", Recipe: "x"}
		if err := rpc.Send(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: hello}}); err != nil {
			greeted <- greeting{err: err}
			return
		}
		m, err := rpc.Recv()
		greeted <- greeting{m.GetWelcome(), err}
	}()
	select {
	case g := <-greeted:
		t.Errorf("while the recipes are read: %v, %v; want no word", g.welcome, g.err)
		close(gate.on)
	case <-time.After(200 * time.Millisecond): // only a node that greets too early is that quick
		close(gate.on)
		g := <-greeted
		if g.err != nil || len(g.welcome.GetRecipes()) != 1 || g.welcome.GetRecipes()[0].GetName() != "x" {
			t.Errorf("the welcome is %v, %v; want one with recipe x", g.welcome, g.err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
