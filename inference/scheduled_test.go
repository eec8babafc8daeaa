package inference

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

// Who can no longer be in time is told so at that moment: when it comes, or in the queue, and not at its deadline.
func TestTooLateIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 10})
		quiet(t, err)
		s := &fakeSession{sizes: []int{1}, takes: 100 * ms, device: CPU}
		quiet(t, b.SetCurve(s, schedule.Curve{{Size: 1, Expected: 100 * ms, P99: 100 * ms}}))
		var wg sync.WaitGroup
		hold(b, s, &wg)
		for _, c := range []struct {
			name       string
			left, told time.Duration
			bytes      int
		}{
			{"hopeless when it comes", 99 * ms, 0, 0},
			{"hopeless when it comes, for its decoding", 110 * ms, 0, 2_000_000},
			{"hopeless before the worker is free", 150 * ms, 50*ms + 1, 0},
		} {
			task := &fakeTask{number: 1}
			start := time.Now()
			wg.Go(func() {
				err := b.Do(context.Background(), s, Order{Class: inspection.ClassBulk, Deadline: start.Add(c.left), Source: schedule.Source{Format: inspection.FormatJPEG}, Bytes: c.bytes}, task)
				if took := time.Since(start); !errors.Is(err, inspection.ErrDeadline) || took != c.told || task.fills > 0 {
					t.Errorf("%s: got %v after %v and %d fills, want ErrDeadline after %v", c.name, err, took, task.fills, c.told)
				}
			})
		}
		wg.Wait()
		if got := valueOf(t, b.metrics.dropped.WithLabelValues("bulk")); got != 3 {
			t.Errorf("got %v counted as dropped early, want 3", got)
		}
		if got := valueOf(t, b.metrics.depth); got != 0 {
			t.Errorf("got a queue of %v, want it empty", got)
		}
		b.Close()
	})
}

func TestWorkersTeachTheQueueAndSessionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 10})
		quiet(t, err)
		defer b.Close()
		s := newWide(20*ms, 11*ms)
		do := func(left time.Duration) error {
			return b.Do(context.Background(), s, Order{Deadline: time.Now().Add(left)}, &fakeTask{number: 1})
		}
		synctest.Wait()     // workers look at the queue once when they start, and hold a thread for it
		quiet(t, do(50*ms)) // by all threads: of one thread's speed nothing is known
		if c, ok := b.Curve(s); ok {
			t.Errorf("got curve %v from a run by all threads", c)
		}
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				time.Sleep(time.Duration(i) * ms) // while the first is filled
				quiet(t, b.Do(context.Background(), s, Order{}, &fakeTask{number: 1, takes: 2 * ms}))
			})
		}
		both.Wait()
		if c, ok := b.Curve(s); !ok || c[0].Expected != 20*ms {
			t.Errorf("got curve %v, %t; want 20 ms for one", c, ok)
		}
		quiet(t, do(11*ms)) // in time by all threads alone
		if err := do(10 * ms); !errors.Is(err, inspection.ErrDeadline) {
			t.Errorf("10 ms for what takes 11 at least: got %v, want ErrDeadline", err)
		}
		b.Forget(s)
		quiet(t, do(11*ms))
	})
}

func TestAPlanTeachesTheQueue(t *testing.T) {
	b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 10})
	quiet(t, err)
	defer b.Close()
	point := func(threads, callers, batch int, median time.Duration) plan.Point {
		return plan.Point{Setting: plan.Setting{Variant: "a", Threads: threads, Callers: callers, Batch: batch}, Median: median, P99: median + ms}
	}
	idle := point(2, 1, 1, 3*ms)
	p := &planned{Session: &fakeSession{sizes: []int{1, 2}}, plan: plan.Plan{
		Surface: plan.Surface{point(1, 2, 2, 9*ms), point(1, 2, 1, 5*ms), idle}, Choice: plan.Choice{Throughput: point(1, 2, 2, 9*ms), Idle: &idle},
	}}
	quiet(t, p.teach(b))
	c, ok := b.Curve(p)
	if !ok || len(c) != 2 || c[0].Size != 1 || c[0].Expected != 5*ms || c[0].P99 < 6*ms || c[1].Size != 2 || c[1].Expected != 9*ms {
		t.Errorf("got curve %v, %t; want what the plan measured with every thread at work", c, ok)
	}
	p.plan.Surface = p.plan.Surface[:1]
	if err := p.teach(b); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a plan without the smallest batch: got %v, want ErrInvalid", err)
	}
}

func valueOf(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	quiet(t, m.Write(&out))
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}
