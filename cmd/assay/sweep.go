package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/inspection"
)

// sweepFlags ask for frames by a timetable: shares of the capacity, or one rate.
type sweepFlags struct {
	loads   []float64
	rate    float64 // without loads; frames a second, all cameras together
	pattern string
	plot    string
	seed    uint64
}

func (f sweepFlags) validate(streams int) error {
	_, known := patterns()[f.pattern]
	switch {
	case f.pattern == "":
	case !known:
		return fmt.Errorf("%w: --pattern %q: write %s", errUsage, f.pattern, strings.Join(slices.Sorted(maps.Keys(patterns())), ", "))
	case len(f.loads) == 0 && f.rate == 0:
		return fmt.Errorf("%w: --pattern says when frames are due, and without a rate each is sent as soon as it can be: add --rate or --sweep", errUsage)
	case streams == 1 && (f.pattern == "together" || f.pattern == "bursts"):
		return fmt.Errorf("%w: --pattern %s is of several cameras: give 2 or more --streams", errUsage, f.pattern)
	}
	if len(f.loads) > 0 && f.rate > 0 {
		return fmt.Errorf("%w: --sweep finds its rates by itself: leave --rate out", errUsage)
	}
	if len(f.loads) == 0 && f.plot != "" {
		return fmt.Errorf("%w: --plot shows latency against load: name the loads, as in --sweep 0.1,0.5,0.8,0.9,1.0", errUsage)
	}
	for _, l := range f.loads {
		if !(l > 0 && l <= 10) {
			return fmt.Errorf("%w: --sweep %v: give shares of the capacity above 0, at most 10", errUsage, l)
		}
	}
	return nil
}

// pattern is when frames are due.
type pattern struct {
	words string
	table func(rate float64, cameras int, length time.Duration, seed uint64) (load.Schedule, error)
}

// patterns are those of --pattern.
func patterns() map[string]pattern {
	each := func(together bool) func(float64, int, time.Duration, uint64) (load.Schedule, error) {
		return func(rate float64, cameras int, length time.Duration, seed uint64) (load.Schedule, error) {
			return load.Cameras(cameras, rate/float64(cameras), together, length, seed)
		}
	}
	return map[string]pattern{
		"poisson": {"each at random (Poisson)", func(rate float64, _ int, length time.Duration, seed uint64) (load.Schedule, error) {
			return load.Poisson(rate, length, seed)
		}},
		"cameras":  {"each camera with a period and a phase of its own", each(false)},
		"together": {"all cameras triggered at once, with one period", each(true)},
		"bursts": {"as many at once as there are cameras, at random (Poisson)", func(rate float64, cameras int, length time.Duration, seed uint64) (load.Schedule, error) {
			return load.Bursts(rate, cameras, length, seed)
		}},
	}
}

// sweepPoint is what one load measured.
type sweepPoint struct {
	Load     float64 `json:"load,omitempty"` // as a share of the capacity; none where the rate was given
	Offered  float64 `json:"offered_per_second"`
	Answered float64 `json:"judged_per_second"`
	Frames   int     `json:"frames"`
	Goodput  float64 `json:"goodput"` // share of frames judged by the model within the budget
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
	LagP99   float64 `json:"generator_lag_p99_ms"`
	Void     string  `json:"void,omitempty"` // why the point says nothing
}

// sweepReport is a whole sweep.
type sweepReport struct {
	Recipe   string       `json:"recipe"`
	Streams  int          `json:"streams"`
	Pattern  string       `json:"pattern"`
	Capacity float64      `json:"capacity_per_second,omitempty"` // of a closed loop; none where the rate was given
	Warning  string       `json:"capacity_warning,omitempty"`    // why it, and so every load, is too low
	Bytes    int64        `json:"picture_bytes"`
	Budget   float64      `json:"budget_ms,omitempty"`
	Points   []sweepPoint `json:"points"`
}

// sweep finds the node's capacity by a closed loop and then offers shares of it by timetables, or offers one rate.
func (a *app) sweep(ctx context.Context, cam cameraFlags, shots []camera.Shot, streams int, length time.Duration, f sweepFlags) error {
	addr := a.addr
	if len(cam.nodes) > 0 {
		addr = cam.nodes[0]
	}
	c, err := load.Dial(ctx, load.Config{Addr: addr, Recipe: cam.recipe, Line: cam.line, Station: cam.station, Camera: cam.camera, Streams: streams, Apart: true})
	if err != nil {
		return fmt.Errorf("no node takes frames at %s: start one with 'assayd', or name another with --addr: %w", addr, err)
	}
	defer c.Close()
	report := sweepReport{Recipe: cam.recipe, Streams: streams, Pattern: cmp.Or(f.pattern, "poisson"), Budget: load.Milliseconds(cam.budget)}
	options := load.Options{Simulated: true, Budget: cam.budget}
	for _, s := range shots {
		options.Pictures = append(options.Pictures, s.Frame)
		report.Bytes += int64(s.Frame.Image.Data.Len()) / int64(len(shots))
	}
	bar := progress(1+len(f.loads), "bench")
	shares := []float64{0} // the rate as it was given
	if len(f.loads) > 0 {
		shares = f.loads
		if report.Capacity, report.Warning, err = capacity(ctx, c, length, options); err != nil {
			return err
		}
		_ = bar.Add(1)
	}
	for i, share := range shares {
		rate := f.rate
		if share > 0 {
			rate = share * report.Capacity
		}
		table, err := patterns()[report.Pattern].table(rate, streams, length, f.seed+uint64(i))
		if err != nil {
			return err
		}
		out, err := c.Open(ctx, table, options)
		if err != nil {
			return err
		}
		report.Points = append(report.Points, pointOf(share, rate, out))
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	if f.plot != "" {
		if err := writePlot(f.plot, report); err != nil {
			return err
		}
	}
	if err := a.printSweep(report, f.plot); err != nil {
		return err
	}
	return report.verdict()
}

// noHurry is the budget of frames that only find the capacity: the longest that a recipe may state. Without one of their
// own the node would take the recipe's and refuse what waits longer than that.
const noHurry = time.Hour

// fewRefused is the share of frames that the model may leave unjudged in a run that is to find the capacity.
const fewRefused = 0.02

// capacity is the rate of right answers when every credit is in use, with a warning where it is too low because not all
// were the model's: what a rule or the fallback answered does not count.
func capacity(ctx context.Context, c *load.Client, length time.Duration, o load.Options) (rate float64, warning string, err error) {
	o.Budget = noHurry                                    // in a closed loop frames wait for each other
	o.Patience = 2 * time.Minute                          // the last of them must not wait before what is sent next
	if _, err := c.Closed(ctx, length/4, o); err != nil { // warm
		return 0, "", err
	}
	out, err := c.Closed(ctx, length, o)
	if err != nil {
		return 0, "", err
	}
	r := load.NewReport(out)
	if refused := r.Frames - r.Judged; float64(refused) > fewRefused*float64(r.Frames) {
		warning = fmt.Sprintf("%d of %d frames were not judged by the model (%s)", refused, r.Frames, countNames(reasons(out)))
	}
	if rate = load.Throughput(out, length/10, length); rate == 0 {
		return 0, "", fmt.Errorf("%w: the capacity cannot be told: %s: give more --seconds, or see 'assay recipes' and 'assay status'",
			inspection.ErrNotReady, cmp.Or(warning, "no frame was judged in time"))
	}
	return rate, warning, nil
}

// reasons are those of frames that no model judged.
func reasons(out []load.Outcome) (all []string) {
	for _, o := range out {
		switch {
		case !o.Answered:
			all = append(all, "without an answer")
		case !o.Judged:
			all = append(all, o.Reason)
		}
	}
	return all
}

// name is the load, or the rate where that was given.
func (p sweepPoint) name() string {
	if p.Load == 0 {
		return fmt.Sprintf("%.1f frames/s", p.Offered)
	}
	return fmt.Sprintf("load %.2f", p.Load)
}

func pointOf(share, rate float64, out []load.Outcome) sweepPoint {
	r := load.NewReport(out)
	p := sweepPoint{
		Load: share, Offered: rate, Frames: r.Frames, Goodput: r.Goodput(), Void: r.Void(),
		P50: load.Milliseconds(r.P50), P99: load.Milliseconds(r.P99), P999: load.Milliseconds(r.P999), Max: load.Milliseconds(r.Max), LagP99: load.Milliseconds(r.LagP99),
	}
	if r.Length > 0 {
		p.Answered = float64(r.Judged) / r.Length.Seconds()
	}
	return p
}

func (a *app) printSweep(r sweepReport, plot string) error {
	if a.json {
		return a.printJSON(r)
	}
	if r.Capacity > 0 {
		fmt.Fprintf(a.out, "Capacity %.1f frames/s, each sent as soon as there was a credit. ", r.Capacity)
	}
	fmt.Fprintf(a.out, "%d cameras, recipe %s, pictures of %d bytes on average.\n\n", r.Streams, dash(r.Recipe), r.Bytes)
	if r.Warning != "" {
		fmt.Fprintf(a.out, "The capacity is too low, and so is every load: %s.\n\n", r.Warning)
	}
	err := a.table("LOAD\tFRAMES/S\tFRAMES\tJUDGED IN TIME\tP50 MS\tP99 MS\tP99.9 MS\tMAX MS\tLAG P99 MS\t", func(w io.Writer) {
		for _, p := range r.Points {
			share, note := "-", ""
			if p.Load > 0 {
				share = fmt.Sprintf("%.2f", p.Load)
			}
			if p.Void != "" {
				note = "VOID"
			}
			fmt.Fprintf(w, "%s\t%.1f\t%d\t%.4f\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f\t%s\n", share, p.Offered, p.Frames, p.Goodput, p.P50, p.P99, p.P999, p.Max, p.LagP99, note)
		}
	})
	fmt.Fprintf(a.out, "\nTimes count from when a frame was due: %s. Fallback answers are among them.\n", patterns()[r.Pattern].words)
	for _, p := range r.Points {
		if p.Void != "" {
			fmt.Fprintf(a.out, "%s is void: %s\n", p.name(), p.Void)
		}
	}
	if plot != "" {
		fmt.Fprintf(a.out, "The plot is in %s\n", plot)
	}
	return err
}

// verdict is not well where the capacity is too low, a point is void, a load that the node can bear was not judged in time
// but for a hundredth, or a rate that was asked for to the last frame.
func (r sweepReport) verdict() error {
	var bad []string
	if r.Warning != "" {
		bad = append(bad, "the capacity is too low: "+r.Warning)
	}
	for _, p := range r.Points {
		switch {
		case p.Void != "":
			bad = append(bad, p.name()+" is void")
		case p.Load == 0 && p.Goodput < 1, p.Load <= 0.5 && p.Goodput < 0.99:
			bad = append(bad, fmt.Sprintf("at %s only %.4f of the frames were judged in time", p.name(), p.Goodput))
		}
	}
	if len(bad) > 0 {
		return &notWell{strings.Join(bad, "; ")}
	}
	return nil
}

// writePlot writes the page into a file.
func writePlot(path string, r sweepReport) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write --plot: %w", err)
	}
	return errors.Join(plotPage(f, r), f.Close())
}
