package benchmarks

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
)

// drive is raw.Loop.Drive with servers that sleep.
func (q *queue) drive(servers int, service time.Duration) []bool {
	q.begin, q.good = time.Now(), make([]bool, len(q.table))
	var work sync.WaitGroup
	for range servers {
		work.Go(func() {
			for frame, ok := q.take(); ok; frame, ok = q.take() {
				time.Sleep(service)
				q.done(frame)
			}
		})
	}
	work.Wait()
	return q.good
}

// TestQueueKeepsThePolicy holds the queue, served by workers that sleep exactly as long as the simulation's servers, to the
// simulation, which is written apart from it.
func TestQueueKeepsThePolicy(t *testing.T) {
	const service = 9 * time.Millisecond
	bursts, err := load.Bursts(0.9*2/service.Seconds(), 6, 20*time.Second, 7)
	if err != nil {
		t.Fatal(err)
	}
	bursts.Budgets(tightShare, tight, loose, 8)
	flood, err := load.Poisson(1.5*2/service.Seconds(), 10*time.Second, 9)
	if err != nil {
		t.Fatal(err)
	}
	flood.Budgets(tightShare, tight, loose, 10)
	for _, p := range policies() {
		for name, table := range map[string]load.Schedule{"bursts": bursts, "flood": flood} {
			synctest.Test(t, func(t *testing.T) {
				want := shareOf(p.simulate(table, 2, service))
				got := shareOf((&queue{policy: p, table: table, service: service}).drive(2, service))
				// Workers that become free at the same instant take in either order, so single frames may differ.
				if math.Abs(got-want) > 0.003 {
					t.Errorf("%s, %s: %.4f in time, the simulation has %.4f", p.name, name, got, want)
				}
			})
		}
	}
}

// TestQueueTakesItsDeadline has frames without a budget of their own.
func TestQueueTakesItsDeadline(t *testing.T) {
	const ms = time.Millisecond
	table := load.Schedule{{At: 5 * ms}, {At: 5 * ms}, {At: 5 * ms}, {At: 5 * ms}, {At: 90 * ms}}
	for _, tc := range []struct {
		name              string
		service, estimate time.Duration
		want              []bool
	}{
		{"as thought", 20 * ms, 20 * ms, []bool{true, true, false, false, true}},          // the third would end 60 ms after it came
		{"slower than thought", 30 * ms, 1 * ms, []bool{true, false, false, false, true}}, // the second runs, and is late
		{"faster than thought", 10 * ms, 51 * ms, []bool{false, false, false, false, false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{policy: edfDrop(), table: table, deadline: 50 * ms, service: tc.estimate}
			if got := q.drive(1, tc.service); !slices.Equal(got, tc.want) {
				t.Errorf("%s: in time %v, want %v", tc.name, got, tc.want)
			}
		})
	}
}

func TestBesidesDividesByTheQueue(t *testing.T) {
	var b besides
	b.add(pair{figure: 0.45, before: 90, after: 95}, 0.5, 96)
	b.add(pair{figure: 0.5, before: 100, after: 101}, 1, 150)                // raw moved while the queue ran
	b.add(pair{figure: 0.5, before: 50, after: 100}, 1, 100)                 // and while the node served
	b.add(pair{figure: 0.5, before: 100, after: 100, fault: "late"}, 1, 100) // the node's run was void
	b.add(pair{figure: 0.5, before: 100, after: 100}, 0, 100)                // nothing to divide by
	r := b.row("P3q", "load 0.8")
	if r.Figure != 0.9 || r.N != 1 || r.State != Info || r.Raw != "raw in a queue here, in time 1.0000 (0.0000-1.0000)" {
		t.Errorf("%+v, want the pair that is not void, and the queue's own share", r)
	}
	if !strings.Contains(r.Note, "pair 5 of 5 void (it said 0): the queue had none in time") {
		t.Errorf("note %q, want why a pair without a divisor is void", r.Note)
	}
}

// TestDriveRunsEachFrameOnce has callers of the real runtime take frames until there are none.
func TestDriveRunsEachFrameOnce(t *testing.T) {
	m, err := raw.Open("models", "tiny")
	if err != nil {
		t.Fatal(err)
	}
	samples, _, err := m.Expected(paintedFrames(64, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.Loop(raw.Setting{Callers: 2, Threads: 1, Batch: 1}, samples)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	table, err := load.Poisson(2000, 100*time.Millisecond, 1)
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{policy: edfDrop(), table: table, deadline: time.Hour, begin: time.Now(), good: make([]bool, len(table))}
	if err := l.Drive(t.Context(), q.take, q.done); err != nil {
		t.Fatal(err)
	}
	if shareOf(q.good) != 1 {
		t.Errorf("%.4f of %d frames with an hour each were run, want all", shareOf(q.good), len(table))
	}
}

func TestOnlyTakesOneBudget(t *testing.T) {
	table := load.Schedule{{Budget: tight}, {Budget: loose}, {Budget: tight}, {Budget: loose}}
	if got := only([]bool{true, false, false, true}, table, tight); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("%v, want the first and the third", got)
	}
}
