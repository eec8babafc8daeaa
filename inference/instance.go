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
	return e.drop(in.model)
}

// drop takes back one use of a model, and unloads it with the last.
func (e *Engine) drop(l *loaded) error {
	e.mu.Lock()
	l.users--
	last := l.users == 0
	if last {
		delete(e.loaded, l.ref.Digest)
		delete(e.states, l.ref.Digest)
	}
	e.mu.Unlock()
	if !last {
		return nil
	}
	if err := e.closeSession(l); err != nil {
		return err
	}
	e.log.Info("model is unloaded", "model", l.ref.Name, "version", l.ref.Version)
	return nil
}

// closeSession frees a model's session, and forgets what was measured of it.
func (e *Engine) closeSession(l *loaded) error {
	e.batcher.Forget(l.session)
	if err := l.session.Close(); err != nil {
		return fmt.Errorf("unload model %s@%s: %w", l.ref.Name, l.ref.Version, err)
	}
	e.forgetPlan(l.ref)
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
