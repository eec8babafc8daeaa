package inference

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Prepare makes a recipe ready: it finds the model that the recipe names, checks the two against each other, loads and
// warms the model unless it is loaded already, holds its answers against its golden set, and decodes the templates. From then on Inspect takes jobs that carry the
// recipe and the returned ModelRef, until Release was called as often as Prepare. Loading takes a thread beyond the
// engine's own, so that a load stops no line. Errors wrap inspection.ErrUnknownModel, ErrInvalid, ErrGolden, ErrUnavailable
// or ErrClosed and say what to do; nothing stays behind.
func (e *Engine) Prepare(ctx context.Context, r *inspection.Recipe) (inspection.ModelRef, error) {
	ref, err := e.prepare(ctx, r, r.Model.Version)
	if err != nil {
		return inspection.ModelRef{}, fmt.Errorf("prepare recipe %s: %w", r.Name, err)
	}
	return ref, nil
}

// PrepareOn is Prepare with another version of the model than the one that the recipe names now.
func (e *Engine) PrepareOn(ctx context.Context, r *inspection.Recipe, version string) (inspection.ModelRef, error) {
	ref, err := e.prepare(ctx, r, version)
	if err != nil {
		return inspection.ModelRef{}, fmt.Errorf("prepare recipe %s: %w", r.Name, err)
	}
	return ref, nil
}

// Hold loads, warms and checks a model version as Prepare does, for no recipe, and keeps it until release is called, once.
// Errors are those of Prepare.
func (e *Engine) Hold(ctx context.Context, name, version string) (ref inspection.ModelRef, release func(), err error) {
	m, err := e.models.Get(name, version)
	if err != nil {
		return ref, nil, err
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return ref, nil, fmt.Errorf("engine: %w", inspection.ErrClosed)
	}
	l, err := e.load(ctx, m)
	if err != nil {
		return ref, nil, err
	}
	return m.Ref, func() {
		if err := e.drop(l); err != nil {
			e.log.Error("free model", "error", err)
		}
	}, nil
}

func (e *Engine) prepare(ctx context.Context, r *inspection.Recipe, version string) (inspection.ModelRef, error) {
	m, err := e.models.Get(r.Model.Name, version)
	if err != nil {
		return inspection.ModelRef{}, err
	}
	if err := Check(r, m); err != nil {
		return inspection.ModelRef{}, err
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	key := pair{r.Digest, m.Ref.Digest}
	if ready, err := e.pin(key); ready || err != nil {
		return m.Ref, err
	}
	model, err := e.load(ctx, m)
	if err != nil {
		return inspection.ModelRef{}, err
	}
	in := &instance{key: key, recipe: r, model: model, pins: 1, compares: needsReference(model.specs) || r.Reference.Align != inspection.AlignNone}
	if in.compares {
		in.templates, err = e.templates(r, model.specs)
	}
	if err != nil {
		e.freeLogged(in)
		return inspection.ModelRef{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.instances[key] = in
	return m.Ref, nil
}

// pin counts one more use of an instance that is ready already.
func (e *Engine) pin(key pair) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, fmt.Errorf("engine: %w", inspection.ErrClosed)
	}
	in := e.instances[key]
	if in == nil {
		return false, nil
	}
	in.pins++
	return true, nil
}

// Release takes back one Prepare. Frames that are under way are finished first; then what nobody needs any more is freed.
func (e *Engine) Release(r *inspection.Recipe, m inspection.ModelRef) {
	e.mu.Lock()
	in := e.instances[pair{r.Digest, m.Digest}]
	idle := false
	if in != nil && in.pins > 0 {
		in.pins--
		idle = e.takeIdle(in)
	}
	e.mu.Unlock()
	if idle {
		e.freeLogged(in)
	}
}

// load returns the model on its device, counted as used once more. Engine.loading is held.
func (e *Engine) load(ctx context.Context, m *models.Model) (*loaded, error) {
	e.mu.Lock()
	if l := e.loaded[m.Ref.Digest]; l != nil {
		l.users++
		e.mu.Unlock()
		return l, nil
	}
	e.states[m.Ref.Digest] = &Status{Model: m.Ref, State: StateLoading, BatchSizes: m.Manifest.BatchSizes}
	e.mu.Unlock()

	start := time.Now()
	l, err := e.open(ctx, m)
	e.mu.Lock()
	defer e.mu.Unlock()
	state := e.states[m.Ref.Digest]
	if err != nil {
		state.State, state.Message = StateFailed, err.Error()
		return nil, err
	}
	state.State, state.Device, state.Fallbacks, state.BatchSizes = StateReady, l.session.Device(), l.session.Fallbacks(), l.session.BatchSizes()
	e.loaded[m.Ref.Digest] = l
	e.log.Info("model is loaded and warm", "model", m.Ref.Name, "version", m.Ref.Version, "device", state.Device, "batch_sizes", state.BatchSizes, "golden_pictures", len(m.Manifest.Golden.Pictures), "took", time.Since(start))
	return l, nil
}

func (e *Engine) open(ctx context.Context, m *models.Model) (*loaded, error) {
	l, err := e.openWith(m, func() (Session, error) { return e.openPlanned(ctx, m) })
	if err != nil {
		return nil, err
	}
	if err := e.checkGolden(ctx, m, l); err != nil {
		return nil, errors.Join(err, e.closeSession(l))
	}
	return l, nil
}

// openWith makes ready what a model needs beside its session, and opens that.
func (e *Engine) openWith(m *models.Model, session func() (Session, error)) (*loaded, error) {
	l := &loaded{ref: m.Ref, users: 1}
	var err error
	if l.specs, err = specsOf(m.Manifest); err != nil {
		return nil, fmt.Errorf("model %s@%s: %w", m.Ref.Name, m.Ref.Version, err)
	}
	if l.decoder, err = decode.New(m.Manifest); err != nil {
		return nil, fmt.Errorf("model %s@%s: %w", m.Ref.Name, m.Ref.Version, err)
	}
	if l.session, err = session(); err != nil {
		return nil, err
	}
	return l, nil
}

// templates decodes a recipe's templates for every input of a model.
func (e *Engine) templates(r *inspection.Recipe, specs []imaging.Spec) (map[string][]*imaging.Template, error) {
	w, err := imaging.NewWorker(e.limits)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	out := map[string][]*imaging.Template{}
	tile := image.Pt(r.Tiling.Width, r.Tiling.Height)
	for key, t := range r.Reference.Templates {
		for _, spec := range specs {
			made, err := w.NewTiledTemplate(t, spec, r.Reference.Align == inspection.AlignTranslation, tile)
			if err != nil {
				closeTemplates(out)
				return nil, err
			}
			out[key] = append(out[key], made)
		}
	}
	return out, nil
}
