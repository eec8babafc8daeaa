package plan

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// watched is a watch over a model that takes 10 ms alone and 12 among others, and 6 by all threads.
func watched() (w *Watch, log *bytes.Buffer, gauge prometheus.Gauge) {
	surface := Surface{
		{Setting{"default", 1, 1, 1}, 10 * ms, 11 * ms, 9}, {Setting{"default", 1, 2, 1}, 12 * ms, 13 * ms, 9},
		{Setting{"default", 2, 1, 1}, 6 * ms, 7 * ms, 9}, {Setting{"int8", 1, 1, 1}, ms, ms, 9},
	}
	log, gauge = &bytes.Buffer{}, prometheus.NewGauge(prometheus.GaugeOpts{Name: "ratio"})
	p := Plan{Surface: surface, Choice: Choice{Throughput: surface[1], Idle: &surface[2]}}
	return NewWatch(p, slog.New(slog.NewTextHandler(log, nil)), gauge), log, gauge
}

// runs lets runs of a kind take place for a while, each after the other.
func (w *Watch) runs(during time.Duration, wide bool, took time.Duration) {
	for end := time.Now().Add(during); time.Now().Before(end); {
		time.Sleep(took)
		w.See(wide, 1, took)
	}
}

func TestDriftIsSaidOnceWhenItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log, gauge := watched()
		says := func(when string, drifted bool, lines int) {
			t.Helper()
			if r := w.Reality(); r.Drifted != drifted || drifted == (r.Warning() == "") {
				t.Errorf("%s: got drifted %v, warning %q; want %v", when, r.Drifted, r.Warning(), drifted)
			}
			if n := strings.Count(log.String(), "\n"); n != lines {
				t.Errorf("%s: got %d log lines, want %d:\n%s", when, n, lines, log)
			}
		}
		w.runs(time.Minute, false, 11*ms)
		w.runs(time.Minute, true, 6*ms)
		says("as planned", false, 0)
		if got := value(t, gauge); got != 1 {
			t.Errorf("as planned: the gauge says %v, want 1", got)
		}
		w.runs(time.Minute, false, 14*ms)
		says("a sixth slower", false, 0)
		w.runs(20*time.Second, false, 18*ms)
		says("half slower for 20 s", false, 0)
		w.runs(10*time.Second, false, 12*ms)
		w.runs(20*time.Second, false, 18*ms)
		says("and again", false, 0)
		w.runs(15*time.Second, false, 18*ms)
		says("half slower for 35 s", true, 1)
		if got := value(t, gauge); math.Abs(got-1.5) > 0.01 {
			t.Errorf("half slower: the gauge says %v, want 1.5", got)
		}
		w.runs(time.Minute, false, 20*ms)
		says("slower still", true, 1)
		w.runs(20*time.Second, false, 12*ms)
		says("as planned for 20 s", true, 1)
		w.runs(15*time.Second, false, 12*ms)
		says("as planned for 35 s", false, 2)
		w.runs(40*time.Second, true, 3*ms)
		says("twice as fast", true, 3)
		w.Replan(w.plan)
		says("measured anew", false, 3)
	})
}

func TestAHiccupIsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log, _ := watched()
		for range 20 {
			w.runs(10*time.Second, false, 11*ms)
			w.See(false, 1, 10*time.Second)
		}
		for i := range 200 { // a slow line needs minutes to forget
			time.Sleep(time.Second)
			took := 11 * ms
			if i == 50 {
				took = 10 * time.Second
			}
			w.See(false, 1, took)
		}
		if r := w.Reality(); r.Drifted || log.Len() > 0 {
			t.Errorf("got drifted %v and %q, want neither", r.Drifted, log)
		}
	})
}

func TestRealityTellsMeanAndP99(t *testing.T) {
	w, _, _ := watched()
	for i := range 300 {
		took := 10 * ms
		if i%50 == 0 {
			took = 40 * ms
		}
		w.See(false, 1, took)
	}
	w.See(true, 1, 6*ms)
	w.See(true, 4, 60*ms) // was not measured: counted, not compared
	r := w.Reality()
	if r.Narrow.Runs != 300 || r.Narrow.P99 != 40*ms || r.Narrow.Mean < 10*ms || r.Narrow.Mean > 13*ms {
		t.Errorf("by one thread got %+v, want 300 runs, p99 40 ms and a mean just above 10 ms", r.Narrow)
	}
	if r.Wide.Runs != 2 || r.Wide.P99 != 60*ms {
		t.Errorf("by all threads got %+v, want 2 runs and p99 60 ms", r.Wide)
	}
	if r.Ratio < 1 || r.Ratio > 1.2 {
		t.Errorf("got ratio %v, want near 1", r.Ratio)
	}
}

func value(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}
