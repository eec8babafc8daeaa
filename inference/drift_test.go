package inference

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
)

// The runs of a planned session are held against its plan, and the model's status says when they are off.
func TestAModelThatRunsSlowerThanMeasuredSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := plan.Point{Setting: plan.Setting{Variant: "default", Threads: 1, Callers: 1, Batch: 1}, Median: 10 * ms, P99: 10 * ms, Runs: 9}
		all := plan.Point{Setting: plan.Setting{Variant: "default", Threads: 2, Callers: 1, Batch: 1}, Median: 6 * ms, P99: 6 * ms, Runs: 9}
		p := plan.Plan{Surface: plan.Surface{one, all}, Choice: plan.Choice{Throughput: one, Idle: &all}}
		device := newWide(10*ms, 6*ms)
		s := &planned{Session: device, plan: p, watch: plan.NewWatch(p, slog.New(slog.DiscardHandler), prometheus.NewGauge(prometheus.GaugeOpts{Name: "ratio"}))}
		ref := inspection.ModelRef{Name: "m", Version: "1", Digest: "d"}
		e := &Engine{loaded: map[string]*loaded{"d": {ref: ref, session: s}}, states: map[string]*Status{"d": {Model: ref, State: StateReady}}}
		b, err := startBatcher(BatcherConfig{Workers: 2, Queue: 4})
		quiet(t, err)
		defer b.Close()
		frames := func(n int) {
			t.Helper()
			for range n {
				if err := b.Do(context.Background(), s, Order{}, &fakeTask{number: 1}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * ms)
			}
		}
		frames(400)
		if got := e.Models()[0].Drift; got != "" {
			t.Errorf("as measured: says %q, want nothing", got)
		}
		if r := s.watch.Reality(); r.Wide.Runs != 400 || r.Wide.P99 != 6*ms {
			t.Errorf("got %+v, want 400 runs by all threads of 6 ms", r)
		}
		device.wideTakes = 9 * ms
		frames(500)
		if got := e.Models()[0].Drift; !strings.Contains(got, "1.50 times what was measured") || !strings.Contains(got, "assay models profile") {
			t.Errorf("half slower for 50 s: says %q, want the ratio and the next step", got)
		}
	})
}
