package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// connectWait is how long a command waits for a node that takes its frames.
const connectWait = 10 * time.Second

// cameraFlags say who the command line is when it acts as a camera.
type cameraFlags struct {
	nodes                 []string
	line, station, camera string
	recipe                string
	budget                time.Duration
	verbose               bool
}

func (c *cameraFlags) register(f *pflag.FlagSet, station string) {
	f.StringSliceVar(&c.nodes, "node", nil, "addresses of nodes in the order to try, home first (default: --addr)")
	f.StringVar(&c.line, "line", "line-1", "line")
	f.StringVar(&c.station, "station", station, "station")
	f.StringVar(&c.camera, "camera", "cam-1", "camera")
	f.StringVarP(&c.recipe, "recipe", "r", "", "recipe of frames that name none")
	f.DurationVar(&c.budget, "budget", 0, "time from sending to verdict (0: the recipe's)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log connections and repeats to standard error")
}

// log writes to standard error: errors, and with --verbose everything.
func (c *cameraFlags) log() *slog.Logger {
	level := slog.LevelError
	if c.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// open connects a camera stream. A node that cannot be reached, or that does not know the recipe, is an error here and not
// a fallback of every frame.
func (a *app) open(ctx context.Context, flags cameraFlags, tune func(*camera.StreamConfig)) (*camera.Stream, error) {
	cfg := camera.DefaultStream()
	cfg.Addrs = flags.nodes
	if len(cfg.Addrs) == 0 {
		cfg.Addrs = []string{a.addr}
	}
	cfg.Line, cfg.Station, cfg.Camera, cfg.Recipe, cfg.Client = flags.line, flags.station, flags.camera, flags.recipe, "assay/"+version
	if tune != nil {
		tune(&cfg)
	}
	s, err := camera.NewStream(cfg, flags.log()) //nolint:contextcheck // a stream lives until it is closed
	if err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	waiting := time.AfterFunc(time.Second, func() {
		fmt.Fprintf(os.Stderr, "assay: waiting for a node that takes frames at %s, %v at most\n", strings.Join(cfg.Addrs, ", "), connectWait)
	})
	err = s.Connect(first)
	waiting.Stop()
	why := notReady(ctx, cfg.Addrs, cfg.Recipe)
	switch {
	case errors.Is(why, inspection.ErrUnknownRecipe), err != nil && why != nil:
		_ = closeStream(ctx, s, 0)
		return nil, why
	case err != nil:
		_ = closeStream(ctx, s, 0)
		return nil, fmt.Errorf("no node takes frames at %s: start one with 'assayd', or name another with --addr: %w", strings.Join(cfg.Addrs, ", "), err)
	}
	return s, nil
}

// notReady asks the nodes why none of them judges a recipe's frames. It returns nil where one does, or none answers.
func notReady(ctx context.Context, addrs []string, recipe string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var why error
	for _, addr := range addrs {
		conn, err := (&app{addr: addr}).dial()
		if err != nil {
			continue
		}
		resp, err := assayv1.NewRecipeServiceClient(conn).ListRecipes(ctx, &assayv1.ListRecipesRequest{})
		_ = conn.Close()
		if err != nil {
			continue
		}
		var names []string
		for _, r := range resp.GetRecipes() {
			names = append(names, r.GetRef().GetName())
			if r.GetRef().GetName() != recipe {
				continue
			}
			if r.GetReady() {
				return nil
			}
			if why == nil || errors.Is(why, inspection.ErrUnknownRecipe) {
				why = fmt.Errorf("the node at %s is up, but recipe %s is %w: %s: see 'assay --addr %s recipes'", addr, recipe, inspection.ErrNotReady, r.GetMessage(), addr)
			}
		}
		if why == nil && recipe != "" && !slices.Contains(names, recipe) {
			why = fmt.Errorf("%w: the node at %s is up and does not have %q; it has: %s: see 'assay --addr %s recipes'", inspection.ErrUnknownRecipe, addr, recipe, dash(strings.Join(names, ", ")), addr)
		}
	}
	return why
}

// closeStream ends a stream, waiting at most so long for what is not recorded yet.
func closeStream(ctx context.Context, s *camera.Stream, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait) // an interrupt ends the sending, not the recording
	defer cancel()
	return s.Close(ctx)
}

// tally sums up the outcomes of a run.
type tally struct {
	Frames     int            `json:"frames"`
	ByVerdict  map[string]int `json:"verdicts"`
	Judged     int            `json:"judged_by_model"`
	FellBack   int            `json:"fell_back"`
	Unrecorded int            `json:"not_recorded"`
	Dropped    int            `json:"dropped"`
	Gaps       int            `json:"dropped_and_recorded"`
	Repeated   int            `json:"answered_from_record"`
	Seconds    float64        `json:"seconds"`
	P50        float64        `json:"p50_ms"`
	P99        float64        `json:"p99_ms"`
	Max        float64        `json:"max_ms"`

	start     time.Time
	latencies sample
	unjudged  map[string]int // frames that no model judged, by why; at most maxReasons
}

// maxReasons bounds the reasons that a tally tells apart: texts that name a measured value differ from frame to frame.
const maxReasons = 256

func newTally() *tally {
	return &tally{ByVerdict: map[string]int{}, unjudged: map[string]int{}, start: time.Now()}
}

func (t *tally) add(o camera.Outcome) {
	t.Frames++
	t.ByVerdict[o.Verdict.String()]++
	if byModel(o) {
		t.Judged++
	} else {
		t.because(told(false, nil, string(o.Reason), outcomeWhy(o)))
	}
	for _, c := range []struct {
		is bool
		n  *int
	}{{o.FellBack, &t.FellBack}, {!o.Recorded, &t.Unrecorded}, {o.Dropped, &t.Dropped}, {o.Answer != nil && o.Answer.Repeated, &t.Repeated}} {
		if c.is {
			*c.n++
		}
	}
	if !o.Dropped {
		t.latencies.add(o.Latency)
	}
}

// because counts a frame that no model judged. Where there are too many reasons the rarest are forgotten.
func (t *tally) because(why string) {
	if _, known := t.unjudged[why]; !known && len(t.unjudged) == maxReasons {
		rarest := slices.Min(slices.Collect(maps.Values(t.unjudged)))
		maps.DeleteFunc(t.unjudged, func(_ string, n int) bool { return n == rarest })
	}
	t.unjudged[why]++
}

// byModel reports whether a model judged the frame, in time or not.
func byModel(o camera.Outcome) bool {
	return o.Answer != nil && o.Answer.Judgement.Source == inspection.SourceModel
}

// gapsRecorded notes that a node has a row for each dropped frame.
func (t *tally) gapsRecorded() {
	t.Gaps = t.Dropped
	t.Unrecorded -= t.Dropped
}

// finish computes the figures that need all outcomes.
func (t *tally) finish() {
	t.Seconds = time.Since(t.start).Seconds()
	t.P50, t.P99, t.Max = t.latencies.quantile(0.5), t.latencies.quantile(0.99), float64(t.latencies.max)/float64(time.Millisecond)
}

func (t *tally) String() string {
	var verdicts []string
	for _, v := range []inspection.Verdict{inspection.Pass, inspection.Review, inspection.Fail, inspection.Undetermined} {
		if n := t.ByVerdict[v.String()]; n > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%d %s", n, v))
		}
	}
	s := fmt.Sprintf("%d frames in %.1f s: %s; %d judged by the model; verdict after p50 %.1f, p99 %.1f, max %.1f ms",
		t.Frames, t.Seconds, strings.Join(verdicts, ", "), t.Judged, t.P50, t.P99, t.Max)
	for _, c := range []struct {
		n    int
		what string
	}{{t.FellBack, "decided by the camera's own fallback"}, {t.Repeated, "answered from the record"}, {t.Dropped - t.Gaps, "dropped"}, {t.Gaps, "dropped, recorded as gaps"}, {t.Unrecorded, "NOT RECORDED"}} {
		if c.n > 0 {
			s += fmt.Sprintf("; %d %s", c.n, c.what)
		}
	}
	return s
}

var errNoFrame = errors.New("there was no frame")

// verdict says whether the run as a whole went well.
func (t *tally) verdict() error {
	if t.Frames == 0 {
		return errNoFrame
	}
	if t.Unrecorded > 0 || t.Judged < t.Frames {
		return &notWell{fmt.Sprintf("%d of %d frames were judged by the model, %d are not recorded", t.Judged, t.Frames, t.Unrecorded)}
	}
	return nil
}

// calledList writes called defects in short: "2 open, 1 short".
func calledList(defects []inspection.Defect) string {
	return countNames(classes(defects))
}

func classes(defects []inspection.Defect) []string {
	names := make([]string, len(defects))
	for i, d := range defects {
		names[i] = d.Class
	}
	return names
}
