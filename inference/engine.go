package inference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Config says how this node judges.
type Config struct {
	Threads       int            // native threads that decode or infer at the same time; 0: one for each that Go runs on
	Queue         int            // frames of each class that may wait for a thread; 0: 1024
	MaxBatchDelay time.Duration  // how long a batch may wait to be filled; 0: never, a batch is what is queued
	Image         imaging.Limits // what a picture may ask for; zero fields: imaging.DefaultLimits
	Planning      Planning       // how models are measured; zero: they are not
}

func (c Config) orDefault() Config {
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = 1024
	}
	return c
}

// Engine judges frames on this node. It serves the (recipe, model) pairs that Prepare made ready; each stays until it was
// released as often as it was prepared and its last frame is done, so that a switch is a matter of pointers.
type Engine struct {
	node    string
	runtime Runtime
	models  *models.Repository
	log     *slog.Logger
	metrics *metrics
	batcher *Batcher
	threads []*thread
	repeats *repeats
	prints  *imaging.Fingerprinter
	limits  imaging.Limits
	gate    *gate

	planning Planning
	planner  *plan.Planner

	loading sync.Mutex // one model is loaded at a time; held over I/O, and nothing on a frame's way takes it

	mu        sync.Mutex
	instances map[pair]*instance
	loaded    map[string]*loaded // by model digest
	states    map[string]*Status // by model digest
	closed    bool
}

var _ inspection.Inspector = (*Engine)(nil)

// thread is what one of the batcher's workers works with.
type thread struct {
	imaging *imaging.Worker
	picture *imaging.Picture
}

// New returns an engine without any recipe; see Prepare. node names this node in judgements. The error wraps
// inspection.ErrUnavailable where the program was built without OpenCV, or inspection.ErrInvalid for config.
func New(config Config, rt Runtime, repo *models.Repository, node string, log *slog.Logger, reg prometheus.Registerer) (*Engine, error) {
	config = config.orDefault()
	e := &Engine{
		node: node, runtime: rt, models: repo, log: log, metrics: newMetrics(reg), limits: config.Image, planning: config.Planning,
		repeats: newRepeats(maxHistories), prints: imaging.NewFingerprinter(), gate: newGate(config.Threads, config.Queue),
		instances: map[pair]*instance{}, loaded: map[string]*loaded{}, states: map[string]*Status{},
	}
	var err error
	if e.planner, err = plan.New(plan.Config{Dir: config.Planning.Dir, Budget: config.Planning.Measure, Processor: plan.ProcessorTime}, log); err != nil {
		return nil, err
	}
	for range config.Threads {
		w, err := imaging.NewWorker(config.Image)
		if err != nil {
			e.closeThreads()
			return nil, err
		}
		e.threads = append(e.threads, &thread{imaging: w, picture: imaging.NewPicture()})
	}
	e.batcher, err = newBatcher(BatcherConfig{Workers: config.Threads, Queue: config.Queue, MaxDelay: config.MaxBatchDelay, Yield: true}, log, e.metrics)
	if err != nil {
		e.closeThreads()
		return nil, err
	}
	return e, nil
}

// Inspect implements inspection.Inspector. The frame waits for a worker until job.Deadline; what has begun by then is
// finished. Errors wrap inspection.ErrImage, ErrModelOutput, ErrNotReady (see Prepare), ErrOverloaded, ErrDeadline,
// ErrClosed or ctx's error. A frame whose reference key has no template is no error but a judgement by rule.
func (e *Engine) Inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	j, err := e.inspect(ctx, job)
	if err != nil {
		return inspection.Judgement{}, fmt.Errorf("inspect frame %s: %w", job.Frame.Key, err)
	}
	return j, nil
}

func (e *Engine) inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	if job.Recipe == nil {
		return inspection.Judgement{}, fmt.Errorf("%w: %q", inspection.ErrUnknownRecipe, job.Frame.Recipe)
	}
	in, err := e.enter(job.Recipe, job.Model)
	if err != nil {
		return inspection.Judgement{}, err
	}
	templates, ok := in.templates[job.Frame.ReferenceKey()]
	if !ok && in.compares {
		e.leave(in)
		return inspection.RuleJudgement(job, inspection.ReasonReference, missingTemplate(job), e.node, time.Now()), nil
	}
	grid, err := e.cut(in, job.Frame.Image)
	if err != nil {
		e.leave(in)
		return inspection.Judgement{}, err
	}
	s := newSample(e, in, &job.Frame, templates)
	source := schedule.Source{Recipe: job.Recipe.Name, View: job.Frame.View, Format: job.Frame.Image.Format}
	order := Order{Class: job.Class, Deadline: job.Deadline, Source: source, Bytes: s.image.Data.Len()}
	if len(grid.Tiles) > 1 {
		err = e.doTiles(ctx, order, s, grid)
	} else {
		err = e.batcher.Do(ctx, in.model.session, order, s)
	}
	if err != nil {
		return inspection.Judgement{}, err
	}
	start := time.Now()
	heatmap, err := heatmapOf(s.answer.Heatmap)
	if err != nil {
		return inspection.Judgement{}, err
	}
	facts := s.facts // a copy: a judgement lives longer than the sample, which holds the frame
	ruling := job.Recipe.Judge(inspection.Observation{Completed: true, View: job.Frame.View, Facts: &facts, Candidates: s.answer.Candidates, Heatmap: heatmap})
	s.timings.ComputeOutput += time.Since(start)
	e.observe(s.timings)
	return ruling.Judgement(job, e.node, &facts, s.timings, time.Now()), nil
}

// heatmapOf makes evidence of a map, and nothing of none.
func heatmapOf(m *decode.Map) (*inspection.Heatmap, error) {
	if m == nil {
		return nil, nil //nolint:nilnil // no map is no fault
	}
	return inspection.NewHeatmap(m.Width, m.Height, m.Values, m.Area)
}

func missingTemplate(job inspection.Job) string {
	return fmt.Sprintf("recipe %s has no template for reference %q: add its picture to the recipe's reference folder, or correct the frame's reference or view", job.Recipe.Name, job.Frame.ReferenceKey())
}

func (e *Engine) observe(t inspection.Timings) {
	e.metrics.step("queue", t.Queue)
	e.metrics.step("decode", t.Decode)
	e.metrics.step("compute_input", t.ComputeInput)
	e.metrics.step("compute_infer", t.ComputeInfer)
	e.metrics.step("compute_output", t.ComputeOutput)
}

// Close refuses new frames, finishes or fails those that wait, and frees every model. It may be called twice.
func (e *Engine) Close() error {
	e.loading.Lock()
	defer e.loading.Unlock()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.batcher.Close()
	e.mu.Lock()
	instances := e.instances
	e.instances = map[pair]*instance{}
	e.mu.Unlock()
	var errs []error
	for _, in := range instances {
		errs = append(errs, e.free(in))
	}
	e.closeThreads()
	return errors.Join(errs...)
}

func (e *Engine) closeThreads() {
	for _, t := range e.threads {
		t.imaging.Close()
		t.picture.Close()
	}
	e.threads = nil
}
