//go:build gocv_specific_modules

package inference_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// counting counts what an engine opens.
type counting struct {
	inference.Runtime
	opened []inference.Opening
}

func (c *counting) Open(ctx context.Context, m *models.Model, o inference.Opening) (inference.Session, error) {
	c.opened = append(c.opened, o)
	return c.Runtime.Open(ctx, m, o)
}

func planningEngine(t *testing.T, rt inference.Runtime, dir string) *inference.Engine {
	t.Helper()
	e, err := inference.New(inference.Config{
		Threads: 2, Queue: 64, Planning: inference.Planning{Measure: 30 * time.Second, Dir: dir, Library: "test 1"},
	}, rt, shippedModels(t), "node-a", slog.New(slog.NewTextHandler(t.Output(), nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// The real model is measured when it is loaded, and a second start uses what the first one kept. No figure is asserted:
// what is faster here is for this machine to say.
func TestARealModelIsMeasuredOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plans")
	rt := &counting{Runtime: newORT(t)}
	e := planningEngine(t, rt, dir)
	judge := ready(t, e, pairRecipe(t))
	for seq := range uint64(4) {
		if _, err := e.Inspect(t.Context(), judge(jobOf(seq+1, asJPEG(t, board(true))))); err != nil {
			t.Fatal(err)
		}
	}
	p, err := e.Profile(t.Context(), "pcb-pair", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Plan.Surface) == 0 || p.Plan.Key.Device != inference.CPU || p.Plan.Key.Library != "test 1" || p.Plan.Cached || !p.Loaded || p.Waits {
		t.Errorf("got %+v, want a plan that was measured now, on the CPU, and runs", p)
	}
	if n := p.Reality.Narrow.Runs + p.Reality.Wide.Runs; n != 4 {
		t.Errorf("the watch saw %d runs, want the 4 frames", n)
	}
	if p.Plan.Choice.Idle == nil && p.Reality.Wide.Runs > 0 {
		t.Error("frames were run by all threads, though that is not planned")
	}
	for _, q := range p.Plan.Surface {
		if q.Median <= 0 || q.P99 < q.Median || q.Runs < 3 {
			t.Errorf("got the point %+v, want its times", q)
		}
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Plan.Complete != (len(kept) == 1) {
		t.Fatalf("complete %v, and kept are %v", p.Plan.Complete, kept)
	}
	if !p.Plan.Complete {
		t.Skip("this machine was too busy to measure all in 30 s, so there is nothing to find again")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	rt.opened = nil
	again := planningEngine(t, rt, dir)
	ready(t, again, pairRecipe(t))
	q, err := again.Profile(t.Context(), "pcb-pair", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if !q.Plan.Cached || !q.Plan.Measured.Equal(p.Plan.Measured) {
		t.Errorf("the second start has a plan of %v, cached %v; want that of %v", q.Plan.Measured, q.Plan.Cached, p.Plan.Measured)
	}
	if len(rt.opened) != 1 || (rt.opened[0].Wide == 2) != (p.Plan.Choice.Idle != nil) {
		t.Errorf("the second start opened %+v, want the model once, as chosen: %+v", rt.opened, p.Plan.Choice)
	}
	fresh, err := again.Profile(t.Context(), "pcb-pair", "1", true)
	if err != nil {
		t.Fatal(err)
	}
	if !fresh.Plan.Measured.After(p.Plan.Measured) || fresh.Plan.Cached {
		t.Errorf("measured again: got the plan of %v, want one of now", fresh.Plan.Measured)
	}
}

// looking notes how many runs of its sessions saw nothing, and how many something.
type looking struct {
	inference.Runtime
	blank, drawn atomic.Int64
}

func (l *looking) Open(ctx context.Context, m *models.Model, o inference.Opening) (inference.Session, error) {
	s, err := l.Runtime.Open(ctx, m, o)
	return lookingSession{s, l}, err
}

type lookingSession struct {
	inference.Session
	look *looking
}

func (s lookingSession) Lease(size int) (inference.Batch, error) {
	b, err := s.Session.Lease(size)
	return lookingBatch{b.(inference.WideBatch), s.look}, err
}

type lookingBatch struct {
	inference.WideBatch
	look *looking
}

func (b lookingBatch) see() {
	if in := b.Inputs()[0]; bytes.Count(in, []byte{0}) == len(in) {
		b.look.blank.Add(1)
		return
	}
	b.look.drawn.Add(1)
}

func (b lookingBatch) Run() ([]decode.Output, error) { b.see(); return b.WideBatch.Run() }

func (b lookingBatch) RunWide() ([]decode.Output, error) { b.see(); return b.WideBatch.RunWide() }

func TestAModelIsMeasuredOnItsGoldenSet(t *testing.T) {
	rt := &looking{Runtime: newORT(t)}
	e := newEngine(t, rt, shippedModels(t))
	if _, err := e.Profile(t.Context(), "pcb-pair", "", false); err != nil {
		t.Fatal(err)
	}
	if blank, drawn := rt.blank.Load(), rt.drawn.Load(); blank > 0 || drawn == 0 {
		t.Errorf("%d runs saw nothing and %d a picture, want a picture in all", blank, drawn)
	}
}

func TestProfileMeasuresWhatIsNotLoaded(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t)) // which measures nothing by itself
	p, err := e.Profile(t.Context(), "pcb-pair", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Plan.Surface) == 0 || p.Loaded {
		t.Errorf("got %d points, loaded %v; want some, and it is not loaded", len(p.Plan.Surface), p.Loaded)
	}
	if len(e.Models()) != 0 {
		t.Errorf("profiling left %+v", e.Models())
	}
	if _, err := e.Profile(t.Context(), "nobody", "", false); !errors.Is(err, inspection.ErrUnknownModel) {
		t.Errorf("got %v, want ErrUnknownModel", err)
	}
	_ = e.Close()
	if _, err := e.Profile(t.Context(), "pcb-pair", "", false); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

// A graph that is listed and does not run must not keep the good one from judging.
func TestABadVariantLeavesTheFirstGraph(t *testing.T) {
	good, err := shippedModels(t).Get("pcb-pair", "")
	if err != nil {
		t.Fatal(err)
	}
	graph, err := good.Graph()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	version := filepath.Join(dir, "pcb-pair", "1")
	if err := os.MkdirAll(version, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"model.onnx": string(graph), "model.int8.onnx": "noise",
		"model.yaml": string(models.Without(good.Text(), "golden", "variants")) + "\nvariants: [{name: int8, file: model.int8.onnx}]\n",
	} {
		if err := os.WriteFile(filepath.Join(version, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := models.Open(models.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	e, err := inference.New(inference.Config{Threads: 1, Planning: inference.Planning{Measure: time.Second}}, newORT(t), repo, "n", slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	judge := ready(t, e, pairRecipe(t))
	if _, err := e.Inspect(t.Context(), judge(jobOf(1, asJPEG(t, board(true))))); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "is not measured") || !strings.Contains(log.String(), "graph int8") {
		t.Errorf("the log does not name the bad graph:\n%s", &log)
	}
}
