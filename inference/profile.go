package inference

import (
	"context"
	"fmt"

	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Profile is how a model was measured on this node, and how it runs.
type Profile struct {
	Model  inspection.ModelRef
	Plan   plan.Plan
	Loaded bool // by this or an earlier plan; Reality is known
	// Waits: the model is loaded and runs in another way than the plan chose. It will run as chosen when it is loaded next.
	Waits   bool
	Reality plan.Reality
}

// Profile returns a model's plan; the version "" means the active one. A model without one, or with again any, is measured
// now: as work of the lowest class, and not more than one model at a time. Errors wrap inspection.ErrUnknownModel,
// ErrInvalid, ErrUnavailable, ErrOverloaded or ErrClosed.
func (e *Engine) Profile(ctx context.Context, name, version string, again bool) (Profile, error) {
	m, err := e.models.Get(name, version)
	if err != nil {
		return Profile{}, err
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	running, err := e.running(m.Ref)
	if err != nil {
		return Profile{}, err
	}
	out := Profile{Model: m.Ref}
	switch {
	case running != nil && !again:
		out.Plan = running.plan
	default:
		if out.Plan, err = e.planOf(ctx, m, again); err != nil {
			return Profile{}, fmt.Errorf("profile model %s@%s: %w", m.Ref.Name, m.Ref.Version, err)
		}
	}
	if running != nil {
		was, is := running.plan.Choice, out.Plan.Choice
		out.Loaded, out.Waits = true, was.Throughput.Variant != is.Throughput.Variant || (was.Idle == nil) != (is.Idle == nil)
		if again && !out.Waits {
			running.plan = out.Plan
			running.watch.Replan(out.Plan)
		}
		out.Reality = running.watch.Reality()
	}
	return out, nil
}

// running returns the session of a model that is loaded by a plan, or nil.
func (e *Engine) running(ref inspection.ModelRef) (*planned, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("engine: %w", inspection.ErrClosed)
	}
	l := e.loaded[ref.Digest]
	if l == nil {
		return nil, nil //nolint:nilnil // it is not loaded, and that is no error
	}
	p, _ := l.session.(*planned)
	return p, nil
}

// planOf looks a plan up, or measures. Engine.loading is held.
func (e *Engine) planOf(ctx context.Context, m *models.Model, again bool) (plan.Plan, error) {
	s, err := e.openGraph(ctx, m, models.DefaultVariant, false)
	if err != nil {
		return plan.Plan{}, err
	}
	device := s.Device()
	if err := s.Close(); err != nil {
		return plan.Plan{}, err
	}
	if p, ok := e.planner.Lookup(e.planKey(m, device)); ok && !again {
		return p, nil
	}
	return e.measure(ctx, m, device)
}
