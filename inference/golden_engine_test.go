//go:build gocv_specific_modules

package inference

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// oracle is a device whose model finds one thing of score 0.9 in every picture, but for the way to run that is off.
type oracle struct {
	off func(size int, wide bool) bool

	mu           sync.Mutex
	ran          map[string]int // "1", "4", "1 wide": runs after the warm-up, of which there is none here
	open, leased int
}

func (o *oracle) Open(context.Context, *models.Model, Opening) (Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open++
	return &oracleSession{o}, nil
}

type oracleSession struct{ *oracle }

func (s *oracleSession) BatchSizes() []int   { return []int{1, 4} }
func (s *oracleSession) Device() string      { return CPU }
func (s *oracleSession) Fallbacks() []string { return nil }

func (s *oracleSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	return nil
}

func (s *oracleSession) Lease(size int) (Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leased++
	return &oracleBatch{oracle: s.oracle, size: size, input: make([]byte, size*8*8*4)}, nil
}

type oracleBatch struct {
	*oracle
	size  int
	input []byte
}

func (b *oracleBatch) Inputs() [][]byte                  { return [][]byte{b.input} }
func (b *oracleBatch) Run() ([]decode.Output, error)     { return b.run(false) }
func (b *oracleBatch) RunWide() ([]decode.Output, error) { return b.run(true) }

func (b *oracleBatch) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leased--
}

func (b *oracleBatch) run(wide bool) ([]decode.Output, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	way := map[int]string{1: "1", 4: "4"}[b.size]
	if wide {
		way += " wide"
	}
	b.ran[way]++
	scores := decode.Output{Name: "s", Shape: []int64{int64(b.size), 1, 1}}
	boxes := decode.Output{Name: "b", Shape: []int64{int64(b.size), 1, 4}}
	for at := range b.size {
		score := float32(0.9)
		if b.off != nil && b.off(b.size, wide) && at == b.size-1 { // the last sample alone
			score = 0.8
		}
		scores.Data = append(scores.Data, score)
		boxes.Data = append(boxes.Data, 0.25, 0.25, 0.75, 0.75)
	}
	return []decode.Output{scores, boxes}, nil
}

// oracleModels is a repository of a model with two golden pictures.
func oracleModels(t *testing.T) *models.Repository {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	manifest := `task: detect
inputs: [{name: x, layout: NCHW, width: 8, height: 8, color: gray, resize: none}]
output: {decoder: ssd, tensors: {scores: s, boxes: b}}
labels: [spot]
batch_sizes: [1, 4]
golden:
  pictures:
    - {image: golden/a.png, expect: [{class: spot, score: 0.9, box: [2, 2, 6, 6]}]}
    - {image: golden/b.png, expect: [{class: spot, score: 0.9, box: [2, 2, 6, 6]}]}
`
	repo, err := models.Open(models.Root{Name: "here", FS: fstest.MapFS{
		"oracle/1/model.onnx": {Data: []byte("g")}, "oracle/1/model.yaml": {Data: []byte(manifest)},
		"oracle/1/golden/a.png": {Data: picture.Bytes()}, "oracle/1/golden/b.png": {Data: picture.Bytes()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// A version that gives other answers in any of the ways in which it would run does not become ready, and says by how much.
func TestAVersionIsReadyOnlyWithItsGoldenAnswers(t *testing.T) {
	r := &inspection.Recipe{
		Name: "r", Digest: "d", Model: inspection.ModelSelector{Name: "oracle"}, ReportAt: 0.1, Fallback: inspection.Fail,
		Classes: map[string]inspection.ClassRule{"*": {ReviewAt: 0.5, RejectAt: 0.5}},
	}
	for _, c := range []struct {
		name string
		off  func(size int, wide bool) bool
		want bool
	}{
		{"as expected", nil, true},
		{"off in the smallest batch", func(size int, wide bool) bool { return size == 1 && !wide }, false},
		{"off in the largest batch", func(size int, wide bool) bool { return size == 4 && !wide }, false},
		{"off with all threads", func(size int, wide bool) bool { return size == 1 && wide }, false},
		{"off with all threads in the largest batch", func(size int, wide bool) bool { return size == 4 && wide }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &oracle{off: c.off, ran: map[string]int{}}
			e, err := New(Config{Threads: 2}, o, oracleModels(t), "n", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			ref, err := e.Prepare(t.Context(), r)
			state := e.Models()[0]
			if c.want {
				if err != nil || state.State != StateReady || o.open != 1 {
					t.Errorf("got %v, %s, %d sessions open; want ready", err, state.State, o.open)
				}
				e.Release(r, ref)
			} else {
				says := "golden/a.png: spot at [2.0 2.0 6.0 6.0] score 0.800, want 0.900 +- 0.02"
				if c.want = o.off(4, false) || o.off(4, true); c.want { // whose last sample is picture b's
					says = strings.Replace(says, "a.png", "b.png", 1)
				}
				if !errors.Is(err, inspection.ErrGolden) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "graph default on cpu") {
					t.Errorf("got %v, want ErrGolden that says %s", err, says)
				}
				if state.State != StateFailed || !strings.Contains(state.Message, says) {
					t.Errorf("got %s, %q; want failed, and why", state.State, state.Message)
				}
			}
			if o.open != 0 || o.leased != 0 {
				t.Errorf("%d sessions are open, %d batches leased; want none", o.open, o.leased)
			}
			if want := map[string]int{"1": 2, "1 wide": 2, "4": 1, "4 wide": 1}; len(o.ran) != len(want) || o.ran["1"] != 2 || o.ran["1 wide"] != 2 || o.ran["4"] != 1 || o.ran["4 wide"] != 1 {
				t.Errorf("ran %v, want %v", o.ran, want)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A model that is held for nobody is checked as one for a recipe is, and shared with the recipes that come for it.
func TestAHeldVersionIsCheckedAndShared(t *testing.T) {
	o := &oracle{ran: map[string]int{}}
	e, err := New(Config{Threads: 1}, o, oracleModels(t), "n", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ref, release, err := e.Hold(t.Context(), "oracle", "1")
	if err != nil || ref.Version != "1" || o.ran["1"] != 2 {
		t.Fatalf("got %v, %v after %v", ref, err, o.ran)
	}
	r := &inspection.Recipe{Name: "r", Digest: "d", Model: inspection.ModelSelector{Name: "oracle", Version: "9"}, ReportAt: 0.1, Classes: map[string]inspection.ClassRule{"*": {ReviewAt: 0.5, RejectAt: 0.5}}}
	if got, err := e.PrepareOn(t.Context(), r, "1"); err != nil || got != ref || o.open != 1 {
		t.Errorf("prepared on it: got %v, %v with %d sessions; want the one that is open", got, err, o.open)
	}
	release()
	if o.open != 1 {
		t.Error("released with a recipe on it, the model was unloaded")
	}
	e.Release(r, ref)
	if o.open != 0 || len(e.Models()) != 0 {
		t.Errorf("%d sessions are open, states %v; want none", o.open, e.Models())
	}
	o.off = func(int, bool) bool { return true }
	if _, _, err := e.Hold(t.Context(), "oracle", "1"); !errors.Is(err, inspection.ErrGolden) || o.open != 0 {
		t.Errorf("off: got %v with %d sessions open, want ErrGolden and none", err, o.open)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Hold(t.Context(), "oracle", "1"); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}
