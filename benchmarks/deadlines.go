package benchmarks

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
)

// P4's frames: three in ten have the tight deadline.
const (
	tightShare = 0.3
	tight      = 25 * time.Millisecond
	loose      = 150 * time.Millisecond
)

// mixedDeadlines is P4: goodput over that of the best textbook policy, simulated on the same timetable with as many servers
// as there are cores, each as fast as the raw loop.
func mixedDeadlines(ctx context.Context, s *suite) error {
	w, n, c, err := s.deadlineNode(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	before, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	if err != nil {
		return err
	}
	for _, c4 := range []struct {
		name  string
		burst int
		load  float64
	}{{"Poisson 0.9", 1, 0.9}, {"Poisson 1.1", 1, 1.1}, {"bursts of 6 0.9", 6, 0.9}, {"bursts of 6 1.1", 6, 1.1}} {
		var m mixed
		for i := range max(1, s.Pairs/2) {
			seed := uint64(400 + i)
			table := func(capacity float64) (load.Schedule, error) {
				t, err := load.Bursts(c4.load*capacity, c4.burst, 2*s.Unit, seed)
				t.Budgets(tightShare, tight, loose, seed+1)
				return t, err
			}
			if before, err = s.mixedPair(ctx, w, n, c, before, table, &m); err != nil {
				return err
			}
		}
		m.rows(s, c4.name, c4.load)
	}
	return nil
}

// mixed is what the pairs of one case of P4 measured: all frames, and the tight class alone.
type mixed struct {
	all, strict      []pair
	beside, strictly besides
	frames           int
	best             string // policy of the last pair
	last             served
}

// rows adds the case's lines to the table.
func (m *mixed) rows(s *suite, name string, load float64) {
	row := newRow("P4", name, Bar{Limit: 0.95}, "", judge(m.all, plain))
	row.Raw, row.Frames = "best of six: "+m.best, m.frames
	row.note("%d frames; last run: %s", m.frames, summary(m.last))
	s.add(row)
	bar := Bar{}
	if load == 0.9 {
		bar.Limit = 0.93
	}
	row = newRow("P4", name+" tight class", bar, "", judge(m.strict, plain))
	row.Raw, row.Frames = "1", m.frames
	s.add(row)
	s.add(m.beside.row("P4q", name))
	s.add(m.strictly.row("P4q", name+" tight class"))
}

// mixedPair runs a timetable by the node and then by the queue, and returns the raw loop after both.
func (s *suite) mixedPair(ctx context.Context, w *workload, n *child, c *load.Client, before raw.Figures, table func(float64) (load.Schedule, error), m *mixed) (last raw.Figures, err error) {
	t, err := table(before.Rate)
	if err != nil {
		return last, err
	}
	var out []load.Outcome
	r, err := measure(ctx, n, t.Length(), func() ([]load.Outcome, error) {
		var err error
		out, err = c.Open(ctx, t, w.options())
		return out, err
	})
	if err != nil {
		return last, err
	}
	r.drops = true
	after, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	if err != nil {
		return last, err
	}
	best, share := bestPolicy(t, cores(), time.Duration(float64(cores())/before.Rate*float64(time.Second)))
	inQueue := best
	inQueue.drops = true // a simulated server never slows down, so it may do without; one that falls behind serves only the late then
	good, last, err := s.queueAfter(ctx, w, inQueue, t, after)
	if err != nil {
		return last, err
	}
	m.best, m.last = fmt.Sprintf("%s, simulated %.3f", best.name, share), r
	m.frames += r.report.Frames
	m.all = append(m.all, r.pair(r.report.Goodput()/share, before.Rate, after.Rate))
	m.beside.add(r.pair(r.report.Goodput(), before.Rate, after.Rate), shareOf(good), last.Rate)
	strict := r.pair(goodOf(out, tight), before.Rate, after.Rate)
	m.strict = append(m.strict, strict)
	m.strictly.add(strict, shareOf(only(good, t, tight)), last.Rate)
	return last, nil
}

// goodOf is the goodput of the frames with one budget.
func goodOf(out []load.Outcome, budget time.Duration) float64 {
	n, good := 0, 0
	for _, o := range out {
		if o.Budget != budget {
			continue
		}
		n++
		if o.Good() {
			good++
		}
	}
	return float64(good) / float64(n)
}

// only are those frames of a timetable that have one budget.
func only(good []bool, s load.Schedule, budget time.Duration) (out []bool) {
	for i, a := range s {
		if a.Budget == budget {
			out = append(out, good[i])
		}
	}
	return out
}

// inTime is the share that P6 asks for.
const inTime = 0.999

// cameras is P6: how many cameras of 10 frames a second can be served with 99.9 % in time, over the wall.
func cameras(ctx context.Context, s *suite) error {
	w, err := s.load(ctx, "conv9")
	if err != nil {
		return err
	}
	n, err := s.node(ctx, true)
	if err != nil {
		return err
	}
	for _, together := range []bool{false, true} {
		before, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
		if err != nil {
			return err
		}
		name, wall := "random phase", before.Rate/10
		if together {
			name, wall = "all together", min(before.Rate/10, before.Rate*deadline.Seconds())
		}
		most, notes, fault, err := s.mostCameras(together, wall, func(count int, t load.Schedule) (float64, string, string, error) {
			return s.serveCameras(ctx, w, n, count, t)
		})
		if err != nil {
			return err
		}
		after, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
		if err != nil {
			return err
		}
		queued, all, _, err := s.mostCameras(together, wall, func(_ int, t load.Schedule) (float64, string, string, error) {
			good, err := w.queued(ctx, edfDrop(), t, deadline, after.Rate)
			return shareOf(good), "", "", err
		})
		if err != nil {
			return err
		}
		// Cameras are whole: the wall is too.
		p := pair{figure: float64(most) / max(1, math.Floor(wall)), before: before.Rate, after: after.Rate, fault: fault}
		row := newRow("P6", name, Bar{Limit: 0.85}, "", judge([]pair{p}, plain))
		row.Raw = fmt.Sprintf("wall %.1f cameras, served %d", wall, most)
		row.note("%s", notes)
		s.add(row)
		last, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
		if err != nil {
			return err
		}
		q := pair{figure: float64(most) / float64(max(1, queued)), before: after.Rate, after: last.Rate, fault: p.void()}
		if queued == 0 {
			q.fault = cmp.Or(q.fault, "the queue served none")
		}
		row = newRow("P6q", name+" over a queue", Bar{}, "", judge([]pair{q}, plain))
		row.Raw = fmt.Sprintf("raw in a queue here, %d cameras", queued)
		row.note("%s", all)
		s.add(row)
	}
	return nil
}

// mostCameras looks by halving for the largest number of cameras of which try serves enough in time; try returns that share, what
// else there is to say, and why the run says nothing.
func (s *suite) mostCameras(together bool, wall float64, try func(count int, t load.Schedule) (share float64, note, fault string, err error)) (most int, notes, fault string, err error) {
	low, high := 0, int(math.Ceil(1.05*wall))+1 // low is served, high is not
	for count := max(1, int(0.85*wall)); high-low > 1; count = (low + high) / 2 {
		t, err := load.Cameras(count, 10, together, 2*s.Unit, uint64(600+count))
		if err != nil {
			return 0, "", "", err
		}
		share, note, void, err := try(count, t)
		if err != nil {
			return 0, "", "", err
		}
		if void != "" {
			fault = fmt.Sprintf("%d cameras: %s", count, void)
		}
		notes += fmt.Sprintf("%d: %.4f of %d%s, ", count, share, len(t), note)
		if share >= inTime {
			low = count
		} else {
			high = count
		}
	}
	return low, notes, fault, nil
}

// serveCameras is the node's part of mostCameras.
func (s *suite) serveCameras(ctx context.Context, w *workload, n *child, count int, t load.Schedule) (share float64, note, fault string, err error) {
	c, err := n.dial(ctx, w.network, count)
	if err != nil {
		return 0, "", "", err
	}
	r, err := w.follow(ctx, n, c, t, deadline)
	_ = c.Close()
	if err != nil {
		return 0, "", "", err
	}
	note = fmt.Sprintf(" (%s; p99 %.1f max %.1f ms)", cmp.Or(r.others, "all judged"), ms(r.report.P99), ms(r.report.Max))
	return r.report.Goodput(), note, r.void(), nil
}
