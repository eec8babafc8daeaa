package ort

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

func newRuntime(t testing.TB, c Config) *Runtime {
	t.Helper()
	r, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("these tests need ONNX Runtime: %v", err)
	}
	return r
}

func shipped(t testing.TB) *models.Model {
	t.Helper()
	repo, err := models.Open(models.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Get("pcb-pair", "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// altered is a model like m with another manifest.
func altered(m *models.Model, change func(*models.Manifest)) *models.Model {
	c := *m
	change(&c.Manifest)
	return &c
}

// withGraph is a model with m's manifest and another graph.
func withGraph(t testing.TB, m *models.Model, graph []byte) *models.Model {
	t.Helper()
	repo, err := models.Open(models.Root{Name: "test", FS: fstest.MapFS{
		"pcb-pair/1/model.onnx": {Data: graph}, "pcb-pair/1/model.yaml": {Data: models.Without(m.Text(), "golden", "variants")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := repo.Get("pcb-pair", "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t testing.TB, r *Runtime, m *models.Model) *Session {
	t.Helper()
	s, err := r.Open(context.Background(), m, inference.Opening{Leases: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*Session)
}

func lease(t testing.TB, s inference.Session, size int) inference.Batch {
	t.Helper()
	b, err := s.Lease(size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sample fills a sample of the batch with pixels that only its number decides.
func fillSample(b inference.Batch, size, at int, number uint64) {
	slab := b.Inputs()[0]
	n := len(slab) / size
	values := unsafe.Slice((*float32)(unsafe.Pointer(&slab[at*n])), n/4)
	rng := rand.New(rand.NewPCG(number, 0))
	for i := range values {
		values[i] = float32(rng.IntN(2))
	}
}

// part returns one sample's values of an output.
func part(o decode.Output, at int) []float32 {
	n := len(o.Data) / int(o.Shape[0])
	return o.Data[at*n : (at+1)*n]
}

func TestEveryPlaceOfABatchAnswersAlike(t *testing.T) {
	s := open(t, newRuntime(t, Config{}), shipped(t))
	if got := s.BatchSizes(); len(got) != 4 || got[3] != 8 {
		t.Fatalf("got batch sizes %v, want [1 2 4 8]", got)
	}
	single := map[uint64][][]float32{}
	for number := range uint64(8) {
		b := lease(t, s, 1)
		fillSample(b, 1, 0, number)
		outs, err := b.Run()
		if err != nil {
			t.Fatal(err)
		}
		if len(outs) != 2 || outs[0].Name != "boxes" || outs[1].Name != "scores" {
			t.Fatalf("got outputs %v, want boxes and scores", outs)
		}
		for _, o := range outs {
			single[number] = append(single[number], append([]float32(nil), part(o, 0)...))
		}
		b.Release()
	}
	for _, size := range []int{2, 4, 8} {
		b := lease(t, s, size)
		for at := range size {
			fillSample(b, size, at, uint64(7-at))
		}
		outs, err := b.Run()
		if err != nil {
			t.Fatal(err)
		}
		for at := range size {
			for k, o := range outs {
				for i, v := range part(o, at) {
					if want := single[uint64(7-at)][k][i]; math.Abs(float64(v-want)) > 1e-3 {
						t.Fatalf("batch of %d, place %d, %s[%d]: got %v, alone it was %v", size, at, o.Name, i, v, want)
					}
				}
			}
		}
		b.Release()
	}
}

func TestCallersShareASession(t *testing.T) {
	s := open(t, newRuntime(t, Config{}), shipped(t))
	b := lease(t, s, 1)
	fillSample(b, 1, 0, 1)
	outs, err := b.Run()
	if err != nil {
		t.Fatal(err)
	}
	want := append([]float32(nil), outs[1].Data...)
	b.Release()
	var wg sync.WaitGroup
	for caller := range 4 { // more than memory was kept for
		wg.Go(func() {
			for range 5 {
				b, err := s.Lease(1)
				if err != nil {
					t.Error(err)
					return
				}
				number := uint64(caller % 2)
				fillSample(b, 1, 0, number)
				outs, err := b.Run()
				if err != nil {
					t.Error(err)
				} else if same := floatsEqual(outs[1].Data, want); same != (number == 1) {
					t.Errorf("caller %d got another caller's answer", caller)
				}
				b.Release()
			}
		})
	}
	wg.Wait()
}

func floatsEqual(a, b []float32) bool {
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-5 {
			return false
		}
	}
	return len(a) == len(b)
}

func TestCloseWaitsForTheLastLease(t *testing.T) {
	r := newRuntime(t, Config{})
	s, err := r.Open(context.Background(), shipped(t), inference.Opening{Leases: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, second := lease(t, s, 1), lease(t, s, 2)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lease(1); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("lease after close: got %v, want ErrClosed", err)
	}
	second.Release()
	if _, err := b.Run(); err != nil {
		t.Errorf("a lease from before close cannot run any more: %v", err)
	}
	b.Release()
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(context.Background(), shipped(t), inference.Opening{Leases: 1}); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("open after close: got %v, want ErrClosed", err)
	}
}

func TestLeaseOfAnUnknownSize(t *testing.T) {
	s := open(t, newRuntime(t, Config{}), altered(shipped(t), func(m *models.Manifest) { m.BatchSizes = []int{1} }))
	if _, err := s.Lease(3); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestMissingProviderFallsBack(t *testing.T) {
	m := altered(shipped(t), func(m *models.Manifest) {
		m.BatchSizes = []int{1}
		m.Providers = []models.Provider{{Name: "tensorrt"}, {Name: "cuda", Device: "77"}, {Name: "openvino", Device: "NPU"}}
	})
	reg := prometheus.NewRegistry()
	r, err := New(Config{}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, r, m)
	if s.Device() != "cpu" || len(s.Fallbacks()) != 3 || !strings.HasPrefix(s.Fallbacks()[1], "cuda:77: ") {
		t.Errorf("got device %s and fallbacks %q, want cpu and three", s.Device(), s.Fallbacks())
	}
	if n := series(t, reg); n != 3 {
		t.Errorf("got %d warnings in the metrics, want 3", n)
	}
	b := lease(t, s, 1)
	if _, err := b.Run(); err != nil {
		t.Error(err)
	}
	b.Release()
	_ = s.Close()
	if n := series(t, reg); n != 0 {
		t.Errorf("a closed model leaves %d warnings in the metrics", n)
	}

	if _, err := newRuntime(t, Config{RefuseFallback: true}).Open(context.Background(), m, inference.Opening{Leases: 1}); !errors.Is(err, inspection.ErrUnavailable) || !strings.Contains(err.Error(), "tensorrt:0") {
		t.Errorf("with fallbacks refused: got %v, want ErrUnavailable that names tensorrt:0", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	r, good := newRuntime(t, Config{}), shipped(t)
	graph, err := good.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*models.Model{
		"noise":         withGraph(t, good, []byte("this is not a graph at all")),
		"half a graph":  withGraph(t, good, graph[:len(graph)/2]),
		"external data": withGraph(t, good, append(append([]byte(nil), graph...), field(7, field(5, []byte{14 << 3, 1}))...)),
		"a loop over one picture": withGraph(t, good, append(append([]byte(nil), graph...), // its metadata, and the manifest has batches
			field(14, append(field(1, []byte("args")), field(2, []byte("{'nms': True}"))...))...)),
		"another input": altered(good, func(m *models.Manifest) {
			m.Inputs = append([]models.Input(nil), m.Inputs...)
			m.Inputs[0].Width = 320
		}),
	} {
		if s, err := r.Open(context.Background(), m, inference.Opening{Leases: 1}); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, %v; want ErrInvalid", name, s, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Open(ctx, good, inference.Opening{Leases: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
}

// field writes a length-delimited protobuf field.
func field(number uint64, body []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|2), uint64(len(body))), body...)
}

// series counts the series in a registry.
func series(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.Metric)
	}
	return n
}
