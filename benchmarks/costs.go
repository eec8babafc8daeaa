package benchmarks

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/inspection"
)

// manyStreams is P8a: the node's CPU for a frame at 256 streams over that at one stream, at the same total rate.
func manyStreams(ctx context.Context, s *suite) error {
	const many = 256
	w, err := s.load(ctx, "conv1")
	if err != nil {
		return err
	}
	n, err := s.node(ctx, true)
	if err != nil {
		return err
	}
	rate := 0.4 * w.capacity()
	run := func(streams int, seed uint64) (served, error) {
		c, err := n.dialTCP(ctx, w.network, streams)
		if err != nil {
			return served{}, err
		}
		defer func() { _ = c.Close() }()
		t, err := load.Poisson(rate, s.Unit, seed)
		if err != nil {
			return served{}, err
		}
		for i := range t { // in turn, so that every camera has its share
			t[i].Stream = i % streams
		}
		return w.follow(ctx, n, c, t, 0)
	}
	before, err := run(1, 800)
	if err != nil {
		return err
	}
	var pairs []pair
	frames := 0
	for i := range max(1, s.Pairs/2) {
		r, err := run(many, uint64(800+i))
		if err != nil {
			return err
		}
		after, err := run(1, uint64(801+i))
		if err != nil {
			return err
		}
		frames += r.report.Answered
		pairs = append(pairs, r.against(before, after, func(r served) float64 { return float64(r.cpu) }))
		before = after
	}
	j := judge(pairs, ratio)
	row := newRow("P8a", fmt.Sprintf("%d streams", many), Bar{1.15, true}, "", j)
	row.Raw, row.Frames = fmt.Sprintf("one stream: CPU %.3f ms a frame", j.raw.Median/1e6), frames
	row.note("%s at %.0f frames/s, a connection for each stream", w.network, rate)
	s.add(row)
	return nil
}

// rawSizes are P8b's, width and height.
var rawSizes = [][2]int{{320, 320}, {1024, 1024}, {2592, 1944}, {4096, 2560}, {5120, 4096}}

// sizes is P8b: the node's CPU for each MB of raw frames from 0.1 to 20 MP, with a model that takes next to nothing.
func sizes(ctx context.Context, s *suite) error {
	w, err := s.load(ctx, "tiny")
	if err != nil {
		return err
	}
	n, err := s.node(ctx, true)
	if err != nil {
		return err
	}
	var megabytes, costs []float64
	notes, fault, frames := "", "", 0
	for _, size := range rawSizes {
		o, err := w.other(largeFrames(size[0], size[1], 4))
		if err != nil {
			return err
		}
		c, err := n.dial(ctx, w.network, 2)
		if err != nil {
			return err
		}
		if _, err = o.saturate(ctx, n, c, s.Unit/4, 4); err == nil { // warm
			var r served
			if r, err = o.saturate(ctx, n, c, s.Unit, 4); err == nil {
				mb := float64(size[0]*size[1]) / 1e6
				megabytes, costs = append(megabytes, mb), append(costs, ms(r.cpu))
				notes += fmt.Sprintf("%.1f MB: %.3f ms (%d) ", mb, ms(r.cpu), r.report.Answered)
				frames += r.report.Answered
				if why := r.void(); fault == "" && why != "" {
					fault = fmt.Sprintf("%.1f MB: %s", mb, why)
				}
			}
		}
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	_, b := slope(megabytes, costs)
	row := newRow("P8b", "raw frames to 20 MP", Bar{0.4, true}, "ms/MB", single(worstOf(megabytes, costs), fault))
	row.Raw, row.Frames = fmt.Sprintf("line through all sizes %.3f ms/MB", b), frames
	row.note("node CPU a frame, (frames): %s", notes)
	if s.Receiver != "" {
		alone, err := received(ctx, s.Receiver, s.Dir, rawSizes, s.Unit)
		if err != nil {
			return fmt.Errorf("gRPC alone: %w", err)
		}
		for i, c := range alone {
			costs[i] = ms(c)
		}
		row.Raw = fmt.Sprintf("gRPC alone, frames dropped %.3f ms/MB", worstOf(megabytes, costs))
		row.note("line through all sizes %.3f ms/MB", b)
	}
	s.add(row)
	return nil
}

// worstOf is what a megabyte costs beyond the smallest frame, which costs something whatever its size: the worst size's.
func worstOf(megabytes, costs []float64) (worst float64) {
	for i := 1; i < len(costs); i++ {
		worst = max(worst, (costs[i]-costs[0])/(megabytes[i]-megabytes[0]))
	}
	return worst
}

// A JPEG of P9 and P11.
const (
	jpegWidth   = 2592
	jpegHeight  = 1944
	jpegQuality = 80
)

// jpegs is P9: 5 MP JPEGs served a second, over what the cores do with decoding, resizing and inference alone.
func jpegs(ctx context.Context, s *suite) error {
	w, err := s.load(ctx, "conv9")
	if err != nil {
		return err
	}
	frames, err := jpegFrames(jpegWidth, jpegHeight, 4, jpegQuality)
	if err != nil {
		return err
	}
	o, err := w.other(frames)
	if err != nil {
		return err
	}
	n, err := s.node(ctx, true)
	if err != nil {
		return err
	}
	c, err := n.dial(ctx, w.network, camerasAtOnce)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := o.saturate(ctx, n, c, s.Unit/4, 0); err != nil { // warm
		return err
	}
	whole := func() (float64, error) { return w.model.Whole(ctx, frames, cores(), s.Unit) }
	before, err := whole()
	if err != nil {
		return err
	}
	var pairs []pair
	count := 0
	for range max(1, s.Pairs/2) {
		r, err := o.saturate(ctx, n, c, s.Unit, 0)
		if err != nil {
			return err
		}
		after, err := whole()
		if err != nil {
			return err
		}
		count += r.report.Answered
		pairs = append(pairs, r.pair(r.rate, before, after))
		before = after
	}
	j := judge(pairs, ratio)
	row := newRow("P9", "5 MP JPEG", Bar{Limit: 0.90}, "", j)
	row.Raw, row.Frames = fmt.Sprintf("decode, resize, infer: %.1f frames/s", j.raw.Median), count
	row.note("%s, %d kB a JPEG", w.network, frames[0].Image.Data.Len()/1000)
	s.add(row)
	return nil
}

// recording is P10: throughput with every verdict on disk before its answer, over that without the record.
func recording(ctx context.Context, s *suite) error {
	for _, model := range []string{"conv9", "conv1"} {
		w, err := s.load(ctx, model)
		if err != nil {
			return err
		}
		if err := s.recordingOf(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) recordingOf(ctx context.Context, w *workload) error {
	run := map[bool]func() (served, error){}
	var clients []*load.Client
	defer func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}()
	for _, recorded := range []bool{true, false} {
		n, err := s.node(ctx, recorded)
		if err != nil {
			return err
		}
		c, err := n.dial(ctx, w.network, camerasAtOnce)
		if err != nil {
			return err
		}
		clients = append(clients, c)
		run[recorded] = func() (served, error) { return w.saturate(ctx, n, c, s.Unit, 0) }
		if _, err := w.saturate(ctx, n, c, s.Unit/4, 0); err != nil { // warm
			return err
		}
	}
	before, err := run[false]()
	if err != nil {
		return err
	}
	var pairs []pair
	frames := 0
	for range max(1, s.Pairs/2) {
		r, err := run[true]()
		if err != nil {
			return err
		}
		after, err := run[false]()
		if err != nil {
			return err
		}
		frames += r.report.Answered
		pairs = append(pairs, r.against(before, after, func(r served) float64 { return r.rate }))
		before = after
	}
	j := judge(pairs, ratio)
	row := newRow("P10", w.name, Bar{Limit: 0.95}, "", j)
	row.Raw, row.Frames = fmt.Sprintf("unrecorded %.1f frames/s", j.raw.Median), frames
	s.add(row)
	return nil
}

// garbage is P11: what the node allocates on Go's heap for a frame, and the collector's share of its CPU.
func garbage(ctx context.Context, s *suite) error {
	n, err := s.node(ctx, true)
	if err != nil {
		return err
	}
	jpeg5, err := jpegFrames(jpegWidth, jpegHeight, 4, jpegQuality)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name, model string
		frames      []inspection.Frame
	}{
		{"49 kB raw", "conv1", nil}, {"150 kB raw", "conv9", nil}, {"20 MB raw", "tiny", largeFrames(5120, 4096, 4)}, {"5 MP JPEG", "conv9", jpeg5},
	} {
		w, err := s.load(ctx, c.model)
		if err == nil && c.frames != nil {
			w, err = w.other(c.frames)
		}
		if err == nil {
			err = s.garbageOf(ctx, n, w, c.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) garbageOf(ctx context.Context, n *child, w *workload, name string) error {
	c, err := n.dial(ctx, w.network, camerasAtOnce)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := w.saturate(ctx, n, c, s.Unit/4, 0); err != nil { // warm: pools are filled
		return err
	}
	heap := func() (float64, error) { return n.metric(ctx, "go_memstats_alloc_bytes_total") }
	allocated, err := heap()
	if err != nil {
		return err
	}
	spent, cycles := n.gcCPU()
	var g collected
	// A node that allocates little may not collect within the first run: it then has a second, longer one.
	for _, length := range []time.Duration{2 * s.Unit, 6 * s.Unit} {
		start := time.Now()
		r, err := w.saturate(ctx, n, c, length, 0)
		if err != nil {
			return err
		}
		g.add(r, time.Since(start))
		gc, all := n.gcCPU()
		g.gc, g.cycles = gc-spent, all-cycles
		if g.cycles > 0 {
			break
		}
	}
	after, err := heap()
	if err != nil {
		return err
	}
	g.bytes = after - allocated
	s.add(g.heapRow(name))
	s.add(g.gcRow(name))
	return nil
}

// collected is what the runs of one of P11's cases come to.
type collected struct {
	frames    int
	took, cpu time.Duration // of the runs, of the node
	bytes     float64       // allocated
	gc        time.Duration
	cycles    int    // of the collector
	fault     string // why the runs say nothing
}

func (g *collected) add(r served, took time.Duration) {
	g.frames += r.report.Answered
	g.took += took
	g.cpu += r.cpu * time.Duration(r.report.Answered)
	g.fault = cmp.Or(g.fault, r.void())
}

// heapRow is what a frame allocates on Go's heap.
func (g *collected) heapRow(name string) Row {
	row := newRow("P11", name+" heap", Bar{16 << 10, true}, "B", single(g.bytes/float64(g.frames), g.fault))
	row.Frames, row.CPU, row.Raw = g.frames, ms(g.cpu)/float64(max(g.frames, 1)), "-"
	return row
}

// gcRow is the collector's share of the node's CPU. Where it did not run nothing was measured.
func (g *collected) gcRow(name string) Row {
	fault := g.fault
	if g.cycles == 0 {
		fault = cmp.Or(fault, "not measured: there was no collection")
	}
	row := newRow("P11", name+" GC", Bar{1.5, true}, "% of CPU", single(100*g.gc.Seconds()/g.cpu.Seconds(), fault))
	row.Frames, row.Raw = g.frames, fmt.Sprintf("node CPU %.2f s of %.1f s", g.cpu.Seconds(), g.took.Seconds())
	row.note("%d collections", g.cycles)
	return row
}
