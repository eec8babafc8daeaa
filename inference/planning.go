package inference

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Planning says how models are measured, see package plan.
type Planning struct {
	// Measure is how long a model without a plan may be measured when it is loaded. 0: it is not measured; its first graph
	// runs, by one thread a frame.
	Measure time.Duration
	// Dir is where plans are kept. Empty: nowhere.
	Dir string
	// Library names what runs models, with its version: plans are kept for it.
	Library string
}

// warmPatience is how long a warm-up waits for its turn. Then it takes a thread beyond, as loading does: a node that is
// busy for good must still be able to bring a new model into force.
const warmPatience = 2 * time.Second

// openPlanned opens a model as its plan says, and measures it where there is none and Planning asks for it. That measuring
// fails does not fail a model.
func (e *Engine) openPlanned(ctx context.Context, m *models.Model) (Session, error) {
	if e.planning.Measure == 0 {
		return e.openGraph(ctx, m, models.DefaultVariant, false)
	}
	if m.Manifest.Providers[0].Name == models.ProviderCPU { // then the device is known before anything is opened
		if p, ok := e.planner.Lookup(e.planKey(m, CPU)); ok {
			return e.openBy(ctx, m, p)
		}
	}
	first, err := e.openGraph(ctx, m, models.DefaultVariant, false)
	if err != nil {
		return nil, err
	}
	p, ok := e.planner.Lookup(e.planKey(m, first.Device()))
	if !ok {
		p, err = e.measure(ctx, m, first.Device())
	}
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), first.Close())
	case err != nil:
		e.log.Warn("model is not measured; its first graph runs, by one thread a frame", "model", m.Ref.Name, "version", m.Ref.Version, "error", err)
		return first, nil
	case p.Choice.Idle == nil && p.Choice.Throughput.Variant == models.DefaultVariant:
		return e.watched(m, p, first), nil
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	return e.openBy(ctx, m, p)
}

// openBy opens a model as its plan says.
func (e *Engine) openBy(ctx context.Context, m *models.Model, p plan.Plan) (Session, error) {
	s, err := e.openGraph(ctx, m, p.Choice.Throughput.Variant, p.Choice.Idle != nil)
	if err != nil {
		return nil, err
	}
	return e.watched(m, p, s), nil
}

func (e *Engine) watched(m *models.Model, p plan.Plan, s Session) Session {
	log := e.log.With("model", m.Ref.Name, "version", m.Ref.Version)
	c := p.Choice
	log.Info("model runs as it was measured", "graph", c.Throughput.Variant, "threads_a_frame", 1, "batch", c.Throughput.Batch,
		"per_second", c.Throughput.Rate(), "all_threads_on_one_frame", c.Idle != nil, "cached", p.Cached, "measured", p.Measured)
	out := &planned{Session: s, plan: p, watch: plan.NewWatch(p, log, e.metrics.drift.WithLabelValues(m.Ref.Name, m.Ref.Version))}
	if err := out.teach(e.batcher); err != nil {
		log.Warn("the scheduler learns run times by itself; what was measured is of no use to it", "error", err)
	}
	return out
}

// openGraph opens a graph, wide for runs by all threads too.
func (e *Engine) openGraph(ctx context.Context, m *models.Model, variant string, wide bool) (Session, error) {
	o := Opening{Variant: variant, Leases: len(e.threads), Warm: e.warmInTurn}
	if wide {
		o.Wide = len(e.threads)
	}
	return e.runtime.Open(ctx, m, o)
}

// warmInTurn makes a warm-up run when no frame needs the thread.
func (e *Engine) warmInTurn(ctx context.Context, threads int, run func() error) error {
	patient, cancel := context.WithTimeout(ctx, warmPatience)
	defer cancel()
	begun := false
	err := e.batcher.Background(patient, threads > 1, func() error {
		begun = true
		return run()
	})
	if begun || ctx.Err() != nil || !errors.Is(err, plan.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return run()
}

// measure measures all graphs of a model and chooses. It leaves nothing open.
func (e *Engine) measure(ctx context.Context, m *models.Model, device string) (plan.Plan, error) {
	cpu := device == CPU
	space := plan.Space{Variants: m.Manifest.VariantNames(), Cores: len(e.threads), Batches: m.Manifest.BatchSizes, CPU: cpu}
	x := bench{batcher: e.batcher, graphs: map[string]Session{}}
	defer func() {
		for _, s := range x.graphs {
			if err := s.Close(); err != nil {
				e.log.Error("close a session that was measured", "model", m.Ref.Name, "version", m.Ref.Version, "error", err)
			}
		}
	}()
	for _, variant := range space.Variants {
		s, err := e.openGraph(ctx, m, variant, cpu)
		if err != nil {
			return plan.Plan{}, err
		}
		x.graphs[variant] = s
		if s.Device() != device {
			return plan.Plan{}, fmt.Errorf("%w: graph %s runs on %s and the first one on %s: make it run there, or take it out of variants", inspection.ErrUnavailable, variant, s.Device(), device)
		}
		space.Batches = common(space.Batches, s.BatchSizes())
	}
	if len(space.Batches) == 0 {
		return plan.Plan{}, fmt.Errorf("%w: the graphs have no batch size in common: export them alike, or take one out of variants", inspection.ErrInvalid)
	}
	var err error
	if x.picture, err = e.measuredOn(m, x.graphs[space.Variants[0]]); err != nil {
		return plan.Plan{}, err
	}
	return e.planner.Measure(ctx, e.planKey(m, device), space, x)
}

// measuredOn returns the picture that a model is measured on: the first of its golden set, empty where it has none.
func (e *Engine) measuredOn(m *models.Model, s Session) ([]goldenTensor, error) {
	_, inputs, err := goldenSet(m)
	if err != nil || len(inputs) == 0 {
		return nil, err
	}
	inputs = inputs[:1]
	specs, err := specsOf(m.Manifest)
	if err != nil {
		return nil, err
	}
	out, err := e.goldenTensors(s, specs, inputs)
	if err != nil {
		return nil, fmt.Errorf("%w: model %s@%s: golden set: %w", inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, err)
	}
	return out, nil
}

// common returns the batch sizes that are in both; a graph may take fewer than its manifest asks for.
func common(a, b []int) []int {
	var out []int
	for _, n := range a {
		if slices.Contains(b, n) {
			out = append(out, n)
		}
	}
	return out
}

func (e *Engine) planKey(m *models.Model, device string) plan.Key {
	return plan.Key{
		Model: m.Ref.Digest, Device: device, CPU: plan.CPUName(), Cores: runtime.NumCPU(), Threads: len(e.threads), Library: e.planning.Library,
	}
}

// forgetPlan takes a model that is unloaded out of the metrics.
func (e *Engine) forgetPlan(ref inspection.ModelRef) {
	e.metrics.drift.Delete(prometheus.Labels{"model": ref.Name, "version": ref.Version})
}
