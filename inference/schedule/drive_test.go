package schedule_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

var epoch = time.Unix(1000, 0)

// event is one drawn sample: when it comes, what it is, and what the queue made of it.
type event struct {
	at, budget time.Duration // budget 0: none
	class      inspection.Class
	session    int
	bytes      int

	refused error
	dropped bool
	ends    []time.Duration // one for each time that it ran
	began   time.Duration
	gone    time.Duration // when it was dropped
}

type (
	queue  = schedule.Queue[int, *event]
	sample = schedule.Sample[int, *event]
)

// machine drives a queue in simulated time, with executors that take what the curve says.
type machine struct {
	queue *queue
	curve schedule.Curve
	slow  map[inspection.Class]time.Duration // by how much more a batch of a class takes than the queue knows
	ends  []time.Duration                    // 0: idle
	ran   []run
}

type run struct {
	at, until time.Duration
	class     inspection.Class
	events    []*event
}

func newMachine(config schedule.Config, curve schedule.Curve, sessions int) (*machine, error) {
	q, err := schedule.New[int, *event](config, epoch)
	if err != nil {
		return nil, err
	}
	for i := range sessions {
		if err := q.SetCurve(i, curve, epoch); err != nil {
			return nil, err
		}
	}
	return &machine{queue: q, curve: curve, ends: make([]time.Duration, config.Executors)}, nil
}

func (m *machine) takes(size int) time.Duration {
	return m.curve[slices.IndexFunc(m.curve, func(p schedule.Point) bool { return p.Size == size })].Expected
}

// play serves events, which are in order of time, until all have left.
func (m *machine) play(events []*event) error {
	var again time.Duration
	for next := 0; ; {
		t := time.Duration(-1)
		sooner := func(at time.Duration) {
			if at > 0 && (t < 0 || at < t) {
				t = at
			}
		}
		if next < len(events) {
			sooner(events[next].at)
		}
		for _, end := range m.ends {
			sooner(end)
		}
		sooner(again)
		if t < 0 {
			if n := m.queue.Len(); n > 0 {
				return fmt.Errorf("%d samples wait and nobody will come for them", n)
			}
			return nil
		}
		for i, end := range m.ends {
			if end == t {
				m.ends[i] = 0
			}
		}
		for ; next < len(events) && events[next].at == t; next++ {
			e := events[next]
			// Somebody confirms the curve all along: an estimate that is old refuses nobody, which is another test's.
			source := schedule.Source{Format: inspection.FormatJPEG}
			m.queue.Observe(e.session, m.curve[0].Size, m.curve[0].Expected, epoch.Add(t))
			m.queue.ObserveFill(source, e.bytes, time.Duration(e.bytes)*10, epoch.Add(t))
			s := &sample{Value: e, Session: e.session, Class: e.class, Arrival: epoch.Add(t), Bytes: e.bytes, Source: source}
			if e.budget > 0 {
				s.Deadline = epoch.Add(t + e.budget)
			}
			e.refused = m.queue.Add(s, epoch.Add(t))
		}
		again = m.serve(t)
	}
}

// serve gives every idle executor what the queue decides; it returns when to look again.
func (m *machine) serve(t time.Duration) (again time.Duration) {
	for i := range m.ends {
		if m.ends[i] != 0 {
			continue
		}
		d := m.queue.Next(i, epoch.Add(t))
		for _, s := range d.Dropped {
			s.Value.dropped, s.Value.gone = true, t
		}
		if d.Wait > 0 {
			again = t + d.Wait
		}
		if len(d.Batch) == 0 {
			continue
		}
		m.ends[i] = t + m.takes(d.Size) + m.slow[d.Batch[0].Class]
		r := run{at: t, class: d.Batch[0].Class}
		for _, s := range d.Batch {
			m.ends[i] += time.Duration(s.Bytes) * 10
			r.events = append(r.events, s.Value)
		}
		r.until = m.ends[i]
		for _, e := range r.events {
			e.began, e.ends = t, append(e.ends, r.until)
		}
		m.ran = append(m.ran, r)
	}
	return again
}

func drawCurve(t *rapid.T) schedule.Curve {
	sizes := rapid.SampledFrom([][]int{{1}, {1, 2, 4, 8}, {4}, {2, 3}, {1, 8, 32}}).Draw(t, "sizes")
	overhead := rapid.IntRange(0, 10).Draw(t, "overhead")
	each := rapid.IntRange(1, 5).Draw(t, "each")
	var c schedule.Curve
	for _, s := range sizes {
		d := time.Duration(overhead+each*s) * time.Millisecond
		c = append(c, schedule.Point{Size: s, Expected: d, P99: d})
	}
	return c
}

func drawEvents(t *rapid.T) []*event {
	var out []*event
	at := time.Duration(0)
	for range rapid.IntRange(1, 120).Draw(t, "samples") {
		at += time.Duration(rapid.IntRange(0, 8).Draw(t, "gap")) * time.Millisecond
		e := &event{
			at: at + 1, class: inspection.Class(rapid.IntRange(0, 2).Draw(t, "class")), session: rapid.IntRange(0, 1).Draw(t, "session"),
			bytes: rapid.SampledFrom([]int{0, 0, 0, 100_000}).Draw(t, "bytes"),
		}
		if rapid.IntRange(0, 4).Draw(t, "hurries") > 0 {
			e.budget = time.Duration(rapid.IntRange(1, 80).Draw(t, "budget")) * time.Millisecond
		}
		out = append(out, e)
	}
	return out
}

// Every sample is refused, dropped or run, once. Who runs could be in time when it began; who is dropped could not have
// been in time any more, even alone on an idle machine; and who is refused for its deadline never could.
func TestNobodyIsDroppedWhoCouldBeInTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		config := schedule.Config{
			Executors: rapid.IntRange(1, 3).Draw(rt, "executors"), Depth: rapid.IntRange(1, 60).Draw(rt, "depth"),
			MaxDelay: rapid.SampledFrom([]time.Duration{0, 3 * time.Millisecond}).Draw(rt, "delay"),
		}
		m, err := newMachine(config, drawCurve(rt), 2)
		if err != nil {
			rt.Fatal(err)
		}
		events := drawEvents(rt)
		if err := m.play(events); err != nil {
			rt.Fatal(err)
		}
		for i, e := range events {
			if err := m.check(e); err != nil {
				rt.Fatalf("sample %d: %v", i, err)
			}
		}
		for _, r := range m.ran {
			for _, e := range r.events {
				if e.session != r.events[0].session || e.class != r.class {
					rt.Fatal("a batch of two sessions or two classes")
				}
			}
		}
	})
}

func (m *machine) check(e *event) error {
	alone := m.curve[0].Expected + time.Duration(e.bytes)*10
	fates := len(e.ends)
	if e.dropped {
		fates++
	}
	if e.refused != nil {
		fates++
	}
	switch {
	case fates != 1:
		return fmt.Errorf("refused %t, dropped %t, run %d times: want one of them", e.refused != nil, e.dropped, len(e.ends))
	case errors.Is(e.refused, inspection.ErrDeadline) && (e.budget == 0 || alone <= e.budget):
		return fmt.Errorf("refused with %v to go, and alone it takes %v", e.budget, alone)
	case e.dropped && (e.budget == 0 || e.gone+alone <= e.at+e.budget):
		return fmt.Errorf("dropped at %v, due at %v, and alone it takes %v", e.gone, e.at+e.budget, alone)
	case len(e.ends) == 1 && e.budget > 0 && e.began+alone > e.at+e.budget:
		return fmt.Errorf("begun at %v, due at %v, and alone it takes %v", e.began, e.at+e.budget, alone)
	}
	return nil
}

// With the executor never idle the classes share its time 64 : 8 : 1, and a line waits for one bulk batch at most.
func TestClassesShareByWeightAndALineWaitsForOneBatch(t *testing.T) {
	curve := schedule.Proportional([]int{1})
	m, err := newMachine(schedule.Config{Executors: 1, Depth: 10_000}, curve, 3)
	if err != nil {
		t.Fatal(err)
	}
	var events []*event
	for i := range 9000 {
		events = append(events, &event{at: 1, class: inspection.Class(i % 3), session: i % 3})
	}
	if err := m.play(events); err != nil {
		t.Fatal(err)
	}
	var got [3]int
	lighter := 0
	for _, r := range m.ran {
		got[r.class]++
		if r.class == inspection.ClassLine {
			lighter = 0
			if got[r.class] == 2500 {
				break
			}
			continue
		}
		if lighter++; lighter > 1 {
			t.Fatalf("two lighter batches in a row while a line waits, after %v", got)
		}
	}
	for class, want := range []int{2500, 2500 / 8, 2500 / 64} {
		if got[class] < want-5 || got[class] > want+5 {
			t.Errorf("class %s had %d batches, want about %d", inspection.Class(class), got[class], want)
		}
	}
}

// Time that nobody could foresee counts too: work that is no sample has no curve.
func TestClassesShareTheTimeThatTheyTook(t *testing.T) {
	m, err := newMachine(schedule.Config{Executors: 1, Depth: 10_000}, schedule.Proportional([]int{1}), 3)
	if err != nil {
		t.Fatal(err)
	}
	m.slow = map[inspection.Class]time.Duration{inspection.ClassBackground: 99 * ms}
	var events []*event
	for i := range 9000 {
		events = append(events, &event{at: 1, class: inspection.Class(i % 3), session: i % 3})
	}
	if err := m.play(events); err != nil {
		t.Fatal(err)
	}
	var took [3]time.Duration
	for _, r := range m.ran {
		if took[r.class] += r.until - r.at; took[inspection.ClassLine] == 2900*ms {
			break
		}
	}
	if got := took[inspection.ClassBackground]; got > 2900*ms/64+100*ms {
		t.Errorf("background had %v while the line had %v: want a sixty-fourth, and one batch at most beyond", got, took[inspection.ClassLine])
	}
}

// A batch waits to be filled only where a larger one is worth it, and while its first can bear that.
func TestABatchWaitsOnlyWhereThatPays(t *testing.T) {
	friendly := schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}, {Size: 4, Expected: 13 * ms, P99: 13 * ms}}
	for _, c := range []struct {
		name  string
		curve schedule.Curve
		left  time.Duration // until the deadline; 0: none
		wait  time.Duration
	}{
		{"no deadline", friendly, 0, 5 * ms},
		{"enough time", friendly, 100 * ms, 5 * ms},
		{"time for a part of it", friendly, 20 * ms, 2 * ms},
		{"no time", friendly, 15 * ms, 0},
		{"a batch gains nothing", schedule.Proportional([]int{1, 4}), 0, 0},
	} {
		q, err := schedule.New[int, *event](schedule.Config{Executors: 1, Depth: 10, MaxDelay: 5 * ms}, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.SetCurve(0, c.curve, epoch); err != nil {
			t.Fatal(err)
		}
		s := &sample{Arrival: epoch}
		if c.left > 0 {
			s.Deadline = epoch.Add(c.left)
		}
		if err := q.Add(s, epoch); err != nil {
			t.Fatal(err)
		}
		d := q.Next(0, epoch)
		if d.Wait != c.wait || (len(d.Batch) == 0) != (c.wait > 0) {
			t.Errorf("%s: got a batch of %d after %v, want it after %v", c.name, len(d.Batch), d.Wait, c.wait)
		}
		q.Close()
		if d := q.Next(0, epoch); c.wait > 0 && len(d.Batch) != 1 {
			t.Errorf("%s: after Close it still waits", c.name)
		}
	}
}
