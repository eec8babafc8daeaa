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

// camerasAtOnce is how many streams carry a benchmark's load where their number is not the point.
const camerasAtOnce = 4

// throughputCase is one row of P1.
type throughputCase struct {
	model, name string
	bar         Bar
	most        int // pairs
	tcp         bool
}

// throughputCases are P1's rows. Its definition speaks of loopback gRPC, so the bar is that of both ways to a node.
func throughputCases(pairs int) []throughputCase {
	return []throughputCase{
		{"conv9", "conv9", Bar{Limit: 0.93}, pairs, false}, {"conv1", "conv1", Bar{Limit: 0.80}, pairs, false},
		{"pcb-pair", "pcb-pair", Bar{}, max(1, pairs/2), false}, {"conv9", "conv9 over TCP", Bar{Limit: 0.93}, pairs, true},
	}
}

// throughput is P1: saturation throughput over loopback gRPC to the raw loop's at its best setting.
func throughput(ctx context.Context, s *suite) error {
	for _, c := range throughputCases(s.Pairs) {
		w, err := s.load(ctx, c.model)
		if err != nil {
			return err
		}
		n, err := s.node(ctx, true)
		if err != nil {
			return err
		}
		dial := n.dial
		if c.tcp {
			dial = n.dialTCP
		}
		cameras, err := dial(ctx, w.network, camerasAtOnce)
		if err != nil {
			return err
		}
		err = s.throughputOf(ctx, w, n, cameras, c.name, c.bar, c.most)
		_ = cameras.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) throughputOf(ctx context.Context, w *workload, n *child, c *load.Client, name string, bar Bar, most int) error {
	if _, err := w.saturate(ctx, n, c, s.Unit/2, 0); err != nil { // warm
		return err
	}
	setting := raw.Fastest(w.sweep)
	before, err := w.raw(ctx, setting, s.Unit)
	if err != nil {
		return err
	}
	var pairs, costs []pair
	var wakeUps []float64
	frames := 0
	for range most {
		r, err := w.saturate(ctx, n, c, s.Unit, 0)
		if err != nil {
			return err
		}
		after, err := w.raw(ctx, setting, s.Unit)
		if err != nil {
			return err
		}
		pairs = append(pairs, r.pair(r.rate, before.Rate, after.Rate))
		costs = append(costs, r.pair(float64(r.cpu), float64(before.CPU), float64(after.CPU)))
		wakeUps = append(wakeUps, r.wakeUps)
		frames += r.report.Answered
		before = after
	}
	s.addThroughput(w, name, bar, pairs, frames)
	s.addCost(name, costs, wakeUps, frames)
	return nil
}

func (s *suite) addThroughput(w *workload, name string, bar Bar, pairs []pair, frames int) {
	j := judge(pairs, ratio)
	row := newRow("P1", name, bar, "", j)
	row.Raw, row.Frames = fmt.Sprintf("raw %.1f frames/s at %s", j.raw.Median, raw.Fastest(w.sweep)), frames
	row.note("network %s, served %.1f frames/s", w.network, figures(pairs).Median)
	if w.outside != "" {
		row.note("%s", w.outside)
	}
	if w.name == "pcb-pair" {
		row.note("raw is inference alone; the node resizes 640x640 px and fills two channels besides")
	}
	s.add(row)
}

// addCost is P1c: the node's CPU for a frame as a share of the raw loop's, which is steadier than the wall.
func (s *suite) addCost(name string, costs []pair, wakeUps []float64, frames int) {
	j := judge(costs, func(figure, raw float64) float64 { return raw / figure })
	row := newRow("P1c", name, Bar{}, "", j)
	row.Raw, row.Frames, row.CPU = fmt.Sprintf("raw CPU %.3f ms a frame", j.raw.Median/1e6), frames, figures(costs).Median/1e6
	row.note("%.1f wake-ups of the node's threads a frame", spreadOf(wakeUps).Median)
	s.add(row)
}

// figures is the spread of what was served, void or not.
func figures(pairs []pair) spread {
	var all []float64
	for _, p := range pairs {
		all = append(all, p.figure)
	}
	return spreadOf(all)
}

// addedLatency is P2: what serving adds to one frame when little is to be done, with the record and without.
func addedLatency(ctx context.Context, s *suite) error {
	w, err := s.load(ctx, "conv9")
	if err != nil {
		return err
	}
	for _, c := range []struct {
		recorded bool
		name     string
		bar      Bar
	}{{true, "150 kB recorded", Bar{0.8, true}}, {false, "150 kB unrecorded", Bar{0.3, true}}} {
		if err := s.addedLatencyOf(ctx, w, c.recorded, c.name, c.bar); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) addedLatencyOf(ctx context.Context, w *workload, recorded bool, name string, bar Bar) error {
	n, err := s.node(ctx, recorded)
	if err != nil {
		return err
	}
	c, err := n.dial(ctx, w.network, camerasAtOnce)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := w.saturate(ctx, n, c, s.Unit/4, 1); err != nil { // warm
		return err
	}
	rate := 0.1 * w.capacity()
	setting := raw.Quickest(w.sweep)
	rested, err := s.quickestPaced(ctx, w, rate)
	if err != nil {
		return err
	}
	before, err := w.raw(ctx, setting, s.Unit)
	if err != nil {
		return err
	}
	var pairs []pair
	var paced []float64
	frames := 0
	for i := range max(1, s.Pairs/2) {
		timetable, err := load.Poisson(rate, 3*s.Unit, uint64(100+i))
		if err != nil {
			return err
		}
		r, err := w.follow(ctx, n, c, timetable, 0)
		if err != nil {
			return err
		}
		after, err := w.raw(ctx, setting, s.Unit)
		if err != nil {
			return err
		}
		alone, err := s.alone(ctx, w, rested, rate, uint64(201+i))
		if err != nil {
			return err
		}
		frames += r.report.Frames
		pairs = append(pairs, r.pair(ms(r.report.P50), ms(before.P50), ms(after.P50)))
		paced = append(paced, ms(alone.P50))
		before = after
	}
	row := addedRow(name, bar, pairs, paced, rested)
	row.Raw, row.Frames = fmt.Sprintf("%s at %s", row.Raw, setting), frames
	if err := s.noteFloor(ctx, &row, w, rate); err != nil {
		return err
	}
	s.add(row)
	return nil
}

// addedRow is P2 of pairs of p50: served above raw, which is called without a pause. Its note compares with raw that is
// called as often as frames come: a machine that has rested takes longer, whoever calls.
func addedRow(name string, bar Bar, pairs []pair, paced []float64, rested raw.Setting) Row {
	j := judge(pairs, excess)
	row := newRow("P2", name, bar, "ms", j)
	row.Raw = fmt.Sprintf("raw p50 %.3f ms", j.raw.Median)
	var above []float64
	for i, p := range pairs {
		above = append(above, p.figure-paced[i])
	}
	row.note("called as often as frames come, raw has p50 %.3f ms at %s, and served is %.3f ms above that", spreadOf(paced).Median, rested, spreadOf(above).Median)
	return row
}

// noteFloor says in a row what the machine takes for a workload's frames without any server, at a rate.
func (s *suite) noteFloor(ctx context.Context, row *Row, w *workload, rate float64) error {
	table, err := load.Poisson(rate, s.Unit, 199)
	if err != nil {
		return err
	}
	least, err := floorOf(ctx, s.Dir, len(w.samples[0]), table)
	if err != nil {
		return err
	}
	row.note("without any server: %.3f ms to send as many bytes as often through a Unix socket and have 100 back, %.3f ms to write and sync 8 KiB", ms(least.exchange), ms(least.sync))
	return nil
}

// alone is the raw loop, paced by a timetable.
func (s *suite) alone(ctx context.Context, w *workload, setting raw.Setting, rate float64, seed uint64) (raw.Figures, error) {
	table, err := load.Poisson(rate, s.Unit, seed)
	if err != nil {
		return raw.Figures{}, err
	}
	return w.paced(ctx, setting, table)
}

// quickestPaced returns the setting with which a frame that comes alone is done first. A machine that has rested takes
// longer, so what is quickest without a pause need not be.
func (s *suite) quickestPaced(ctx context.Context, w *workload, rate float64) (best raw.Setting, err error) {
	least := time.Duration(math.MaxInt64)
	for i, f := range w.sweep {
		if f.Setting.Callers != 1 || f.Setting.Batch != 1 {
			continue
		}
		paced, err := s.alone(ctx, w, f.Setting, rate, uint64(300+i))
		if err != nil {
			return best, err
		}
		if paced.P50 < least {
			best, least = f.Setting, paced.P50
		}
	}
	return best, nil
}

// capacity is the raw loop's best rate in the sweep.
func (w *workload) capacity() float64 {
	best := 0.0
	for _, f := range w.sweep {
		best = max(best, f.Rate)
	}
	return best
}

// deadline is that of P3 and P6.
const deadline = 50 * time.Millisecond

// openPair runs a timetable between two looks at the raw loop. table is made for the rate that the first look found.
func (s *suite) openPair(ctx context.Context, w *workload, n *child, c *load.Client, before raw.Figures, table func(capacity float64) (load.Schedule, error), budget time.Duration) (r served, timetable load.Schedule, after raw.Figures, err error) {
	if timetable, err = table(before.Rate); err != nil {
		return
	}
	if r, err = w.follow(ctx, n, c, timetable, budget); err != nil {
		return
	}
	after, err = w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	return
}

// deadlineNode returns what P3 and P4 run on: the network of 9 ms, a node that records, and cameras to close.
func (s *suite) deadlineNode(ctx context.Context) (w *workload, n *child, c *load.Client, err error) {
	if w, err = s.load(ctx, "conv9"); err != nil {
		return nil, nil, nil, err
	}
	if n, err = s.node(ctx, true); err != nil {
		return nil, nil, nil, err
	}
	c, err = n.dial(ctx, w.network, 4*camerasAtOnce)
	return w, n, c, err
}

// goodput is P3: the share of frames that the model judged within 50 ms, over what is possible.
func goodput(ctx context.Context, s *suite) error {
	w, n, c, err := s.deadlineNode(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := w.saturate(ctx, n, c, s.Unit/2, 0); err != nil { // warm
		return err
	}
	before, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	if err != nil {
		return err
	}
	for at, c3 := range []struct {
		load float64
		bar  float64
	}{{0.8, 0.99}, {0.9, 0.95}, {1.25, 0.92}, {2, 0.92}} {
		var pairs []pair
		var beside besides
		frames, last := 0, served{}
		for i := range max(1, s.Pairs/2) {
			table := func(capacity float64) (load.Schedule, error) {
				return load.Poisson(c3.load*capacity, 4*s.Unit, uint64(300+10*at+i))
			}
			r, timetable, after, err := s.openPair(ctx, w, n, c, before, table, deadline)
			if err != nil {
				return err
			}
			last = r
			frames += r.report.Frames
			pairs = append(pairs, r.pair(r.report.Goodput()/min(1, 1/c3.load), before.Rate, after.Rate))
			served := r.pair(r.report.Goodput(), before.Rate, after.Rate)
			var good []bool
			if good, before, err = s.queueAfter(ctx, w, edfDrop(), timetable, after); err != nil {
				return err
			}
			beside.add(served, shareOf(good), before.Rate)
		}
		j := judge(pairs, plain)
		row := newRow("P3", fmt.Sprintf("load %g", c3.load), Bar{Limit: c3.bar}, "", j)
		row.Raw, row.Frames = fmt.Sprintf("ideal %.2f, raw %.1f frames/s", min(1, 1/c3.load), j.raw.Median), frames
		row.note("%d frames; last run: %s", frames, summary(last))
		s.add(row)
		s.add(beside.row("P3q", fmt.Sprintf("load %g", c3.load)))
	}
	return nil
}

// refused is P3d: what a frame that comes too late costs the node, which takes it, records its fallback and keeps its image
// all the same, over what a judged one costs the raw loop.
func refused(ctx context.Context, s *suite) error {
	const tooLate = 5 * time.Millisecond // less than the network takes
	w, n, c, err := s.deadlineNode(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := w.saturate(ctx, n, c, s.Unit/2, 0); err != nil { // warm
		return err
	}
	before, err := w.raw(ctx, raw.Fastest(w.sweep), s.Unit/2)
	if err != nil {
		return err
	}
	var costs []pair
	frames := 0
	for i := range max(1, s.Pairs/2) {
		table := func(capacity float64) (load.Schedule, error) {
			return load.Poisson(0.8*capacity, 2*s.Unit, uint64(350+i))
		}
		r, _, after, err := s.openPair(ctx, w, n, c, before, table, tooLate)
		if err != nil {
			return err
		}
		if r.report.Judged > 0 {
			return fmt.Errorf("P3d: %d frames of %d were judged within %v: they are not too late here", r.report.Judged, r.report.Frames, tooLate)
		}
		frames += r.report.Answered
		p := r.pair(ms(r.cpu), ms(before.CPU), ms(after.CPU))
		p.fault = cmp.Or(p.fault, r.notTaken())
		costs = append(costs, p)
		before = after
	}
	j := judge(costs, ratio)
	row := newRow("P3d", "a frame that is too late", Bar{}, "", j)
	row.Raw, row.Frames, row.CPU = fmt.Sprintf("raw CPU %.3f ms a judged frame", j.raw.Median), frames, figures(costs).Median
	s.add(row)
	return nil
}

// summary is a report in half a line.
func summary(s served) string {
	r := s.report
	others := s.others
	if others == "" {
		others = "none otherwise"
	}
	return fmt.Sprintf("%d due, p50 %.1f p99 %.1f p99.9 %.1f max %.1f ms, judged %d (%s), wrong %d, missing %d, unsent %d, lag p99 %.2f ms",
		r.Frames, ms(r.P50), ms(r.P99), ms(r.P999), ms(r.Max), r.Judged, others, r.Wrong, r.Missing, r.Unsent, ms(r.LagP99))
}
