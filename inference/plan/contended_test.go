package plan

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestFiguresTakenBesideOtherProgramsAreBelievedForADay(t *testing.T) {
	for _, c := range []struct {
		share     float64 // of its time in which a run has the processor
		contended bool
	}{{1, false}, {0.9, false}, {0.8, true}, {0.5, true}} {
		synctest.Test(t, func(t *testing.T) {
			var used time.Duration
			b := &bench{law: perSample(20*ms, 11*ms)}
			law := b.law
			b.law = func(s Setting) time.Duration {
				d := law(s)
				if b.runs[s] == 1 {
					used += time.Duration(c.share * float64(s.Callers*s.Threads) * 3 * float64(d))
				} else {
					used += time.Duration(c.share * float64(s.Callers*s.Threads) * float64(d))
				}
				return d
			}
			p, err := New(Config{Dir: t.TempDir(), Processor: func() time.Duration { return used }}, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Measure(t.Context(), someKey, twoCores(), b)
			if err != nil {
				t.Fatal(err)
			}
			if got.Contended != c.contended {
				t.Errorf("runs had the processor for %v of their time: contended %v, want %v", c.share, got.Contended, c.contended)
			}
			time.Sleep(23 * time.Hour)
			if _, ok := p.Lookup(someKey); !ok {
				t.Error("after 23 hours the plan is not found")
			}
			time.Sleep(2 * time.Hour)
			if _, ok := p.Lookup(someKey); ok == c.contended {
				t.Errorf("after 25 hours: found %v, want %v", ok, !c.contended)
			}
		})
	}
}

func TestProcessorTimeGrows(t *testing.T) {
	before := ProcessorTime()
	for deadline := time.Now().Add(10 * time.Second); ProcessorTime() == before; {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s of work it still says %v", before)
		}
	}
}
