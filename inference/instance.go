package inference

import (
	"fmt"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// pair is what an instance is pinned by: the digests of a recipe and of a model.
type pair struct{ recipe, model string }

// instance is a recipe made ready on its model. It is read-only but for its counts, which belong to Engine.mu.
type instance struct {
	key       pair
	recipe    *inspection.Recipe
	model     *loaded
	templates map[string][]*imaging.Template // by reference key, one for each input of the model
	compares  bool                           // a frame cannot be judged without a template

	pins int // Prepare less Release
	jobs int // frames under way
}

// loaded is a model on its device, shared by the instances of all recipes that name it.
type loaded struct {
	ref     inspection.ModelRef
	session Session
	decoder decode.Decoder
	specs   []imaging.Spec
	users   int // instances; belongs to Engine.mu
}

// enter finds the instance for a job and counts the job in.
func (e *Engine) enter(r *inspection.Recipe, m inspection.ModelRef) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("engine: %w", inspection.ErrClosed)
	}
	in := e.instances[pair{r.Digest, m.Digest}]
	if in == nil || in.pins == 0 {
		return nil, fmt.Errorf("%w: recipe %s (%.12s…) with model %s@%s (%.12s…) was not prepared on this node", inspection.ErrNotReady, r.Name, r.Digest, m.Name, m.Version, m.Digest)
	}
	in.jobs++
	return in, nil
}

// leave counts a job out.
func (e *Engine) leave(in *instance) {
	e.mu.Lock()
	in.jobs--
	idle := e.takeIdle(in)
	e.mu.Unlock()
	if idle {
		e.freeLogged(in)
	}
}

// takeIdle removes an instance that nobody needs any more and reports whether it did. Engine.mu is held.
func (e *Engine) takeIdle(in *instance) bool {
	if in.pins > 0 || in.jobs > 0 || e.instances[in.key] != in {
		return false
	}
	delete(e.instances, in.key)
	return true
}

// free frees an instance that was taken out of the map, and its model with it when it was the last.
func (e *Engine) free(in *instance) error {
	closeTemplates(in.templates)
	e.mu.Lock()
	in.model.users--
	last := in.model.users == 0
	if last {
		delete(e.loaded, in.model.ref.Digest)
		delete(e.states, in.model.ref.Digest)
	}
	e.mu.Unlock()
	if !last {
		return nil
	}
	e.batcher.Forget(in.model.session)
	if err := in.model.session.Close(); err != nil {
		return fmt.Errorf("unload model %s@%s: %w", in.model.ref.Name, in.model.ref.Version, err)
	}
	e.forgetPlan(in.model.ref)
	e.log.Info("model is unloaded", "model", in.model.ref.Name, "version", in.model.ref.Version)
	return nil
}

func (e *Engine) freeLogged(in *instance) {
	if err := e.free(in); err != nil {
		e.log.Error("free recipe", "recipe", in.recipe.Name, "error", err)
	}
}

func closeTemplates(all map[string][]*imaging.Template) {
	for _, ts := range all {
		for _, t := range ts {
			t.Close()
		}
	}
}
