package ort

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

func TestAllThreadsGiveTheAnswerOfOne(t *testing.T) {
	s, err := newRuntime(t, Config{}).Open(context.Background(), shipped(t), inference.Opening{Leases: 1, Wide: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, size := range []int{1, 2} {
		b, ok := lease(t, s, size).(inference.WideBatch)
		if !ok {
			t.Fatal("a session that was opened with Wide leases no WideBatch")
		}
		for at := range size {
			fillSample(b, size, at, uint64(at))
		}
		outs, err := b.Run()
		if err != nil {
			t.Fatal(err)
		}
		var narrow [][]float32
		for i, o := range outs {
			narrow = append(narrow, append([]float32(nil), o.Data...))
			clear(outs[i].Data) // so that what the other run leaves undone is seen
		}
		if outs, err = b.RunWide(); err != nil {
			t.Fatal(err)
		}
		for i, o := range outs {
			if !floatsEqual(o.Data, narrow[i]) {
				t.Errorf("batch of %d: output %s differs between one thread and two", size, o.Name)
			}
		}
		b.Release()
	}
}

func TestWithoutWideThereIsNoWideBatch(t *testing.T) {
	b := lease(t, open(t, newRuntime(t, Config{}), shipped(t)), 1)
	defer b.Release()
	if _, ok := b.(inference.WideBatch); ok {
		t.Error("got a WideBatch from a session that has no second network")
	}
}

func TestWarmUpsTakeTheirTurn(t *testing.T) {
	var turns []int
	o := inference.Opening{Leases: 1, Wide: 2, Warm: func(_ context.Context, threads int, run func() error) error {
		turns = append(turns, threads)
		return run()
	}}
	s, err := newRuntime(t, Config{}).Open(context.Background(), shipped(t), o)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if want := []int{1, 1, 1, 2, 1, 1, 1}; !reflect.DeepEqual(turns, want) {
		t.Errorf("warmed up with threads %v, want %v: a batch of 2, its picture alone, each size by one, the smallest by all", turns, want)
	}
	full := errors.New("no turn")
	o.Warm = func(context.Context, int, func() error) error { return full }
	if _, err := newRuntime(t, Config{}).Open(context.Background(), shipped(t), o); !errors.Is(err, full) {
		t.Errorf("got %v, want what Warm said", err)
	}
}

func TestAVariantIsAnotherGraph(t *testing.T) {
	good := shipped(t)
	graph, err := good.Graph()
	if err != nil {
		t.Fatal(err)
	}
	text := models.Without(good.Text(), "golden", "variants")
	repo, err := models.Open(models.Root{Name: "test", FS: fstest.MapFS{
		"pair/1/model.onnx": {Data: graph}, "pair/1/again.onnx": {Data: graph}, "pair/1/noise.onnx": {Data: []byte("noise")},
		"pair/1/model.yaml": {Data: append(text, "\nvariants: [{name: again, file: again.onnx}, {name: noise, file: noise.onnx}]\n"...)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Get("pair", "")
	if err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, Config{})
	s, err := r.Open(context.Background(), m, inference.Opening{Variant: "again"})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	for _, variant := range []string{"noise", "int8"} {
		if _, err := r.Open(context.Background(), m, inference.Opening{Variant: variant}); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "graph "+variant) {
			t.Errorf("variant %s: got %v, want ErrInvalid that names the graph", variant, err)
		}
	}
}

// Threads that spin on after a run by all take a core from the runs that come next.
func TestNobodySpinsAfterAWideRun(t *testing.T) {
	s, err := newRuntime(t, Config{}).Open(context.Background(), shipped(t), inference.Opening{Leases: 1, Wide: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	b := lease(t, s, 1).(inference.WideBatch)
	defer b.Release()
	const pause = 10 * time.Millisecond
	least := time.Hour
	for range 10 { // whatever else the process does, it does not do it each time
		if _, err := b.RunWide(); err != nil {
			t.Fatal(err)
		}
		before := cpuTime(t)
		time.Sleep(pause) // nothing to wait for: what is measured is that nothing happens
		least = min(least, cpuTime(t)-before)
	}
	if least > pause/4 {
		t.Errorf("in %v after a run by two threads the process used %v of CPU, want next to none", pause, least)
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
