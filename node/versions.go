package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/server"
)

// Names within the data directory.
const (
	pushedModels = "models"            // versions that were pushed, where models.dir is not set
	recordFile   = "activations.jsonl" // which version of each model became active when, by whom and why
)

// openModels opens the repository: models.dir, what was pushed into the data directory, and the models that ship.
func openModels(cfg Config) (*models.Repository, error) {
	own := filepath.Join(cfg.Node.DataDir, pushedModels)
	w := models.Writable{
		Dir: cfg.Models.Dir, Record: filepath.Join(cfg.Node.DataDir, recordFile), MaxBytes: int64(cfg.Models.UploadBytes)}
	var behind []models.Root
	if w.Dir == "" {
		w.Dir = own
	} else if _, err := os.Stat(own); err == nil {
		behind = append(behind, models.Dir(own))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the model repository: %w", err)
	}
	repo, err := models.OpenWritable(w, append(behind, models.Shipped())...)
	if err != nil {
		return nil, fmt.Errorf("open the model repository (models.dir): %w", err)
	}
	return repo, nil
}

// begin waits for its turn to bring a revision or a version into force: one is at a time, so that each finds settled what the
// one before did. ctx ends the waiting; after run has ended nothing begins. The error wraps inspection.ErrClosed or is ctx's.
func (c *catalog) begin(ctx context.Context) (done func(), err error) {
	select {
	case c.switching <- struct{}{}:
		return func() { <-c.switching }, nil
	case <-c.ending:
		return nil, fmt.Errorf("recipes: %w", inspection.ErrClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end lets nothing begin any more, and waits for what goes on.
func (c *catalog) end() {
	close(c.ending)
	c.switching <- struct{}{}
	c.retiring.Wait()
}

// untilEnd returns a context that ends when ctx does or when run ends.
func (c *catalog) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	c.retiring.Go(func() {
		select {
		case <-c.ending:
			cancel()
		case <-stop:
		}
	})
	return ctx, func() { cancel(); close(stop) }
}

// BeginUpload implements server.Versions.
func (c *catalog) BeginUpload(name, version string) (server.Upload, error) {
	u, err := c.models.Begin(name, version)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// Activate implements server.Versions.
func (c *catalog) Activate(ctx context.Context, by server.Activation) (server.Activation, bool, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return server.Activation{}, false, err
	}
	defer done()
	a, changed, err := c.switchTo(ctx, models.Activation{Model: by.Model, Act: models.ActActivate, To: by.To, By: by.By, Peer: by.Peer, Reason: by.Reason})
	return activation(a), changed, err
}

// Rollback implements server.Versions.
func (c *catalog) Rollback(ctx context.Context, by server.Activation) (server.Activation, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return server.Activation{}, err
	}
	defer done()
	before, err := c.models.Before(by.Model)
	if err != nil {
		return server.Activation{}, err
	}
	a, _, err := c.switchTo(ctx, models.Activation{Model: by.Model, Act: models.ActRollback, To: before, By: by.By, Peer: by.Peer, Reason: by.Reason})
	return activation(a), err
}

// switchTo activates a version: it is loaded, warmed and checked, made ready for every recipe that names the model without a
// version, recorded, and then put into force for all of them at once. Until then, and on any error, the version before judges.
func (c *catalog) switchTo(ctx context.Context, a models.Activation) (models.Activation, bool, error) {
	ctx, cancel := c.untilEnd(ctx)
	defer cancel()
	start := time.Now()
	ref, release, err := c.engine.Hold(ctx, a.Model, a.To)
	if err != nil {
		return a, false, c.refused(a, err)
	}
	defer release()
	next, err := c.prepareOn(ctx, ref)
	if err != nil {
		c.releaseAll(next)
		return a, false, c.refused(a, err)
	}
	done, changed, err := c.models.Activate(a)
	if err != nil {
		c.releaseAll(next)
		return a, false, c.refused(a, err)
	}
	c.adoptAll(next)
	c.log.Info("model version is active", "model", done.Model, "act", done.Act, "from", done.From, "to", done.To, "digest", done.Digest, "changed", changed,
		"by", done.By, "peer", done.Peer, "reason", done.Reason, "recipes", len(next), "took", time.Since(start).Round(time.Millisecond))
	return done, changed, nil
}

// refused says which version stays.
func (c *catalog) refused(a models.Activation, err error) error {
	stays := "no version is active"
	if m, gerr := c.models.Get(a.Model, ""); gerr == nil {
		stays = fmt.Sprintf("version %s stays active", m.Ref.Version)
	}
	c.log.Warn("model version is not activated", "model", a.Model, "version", a.To, "by", a.By, "peer", a.Peer, "error", err)
	return fmt.Errorf("%w; %s", err, stays)
}

// prepareOn makes a version ready for the recipes that name its model without a version, and returns their rulings on it. A
// recipe that cannot judge now, for a reason of its own, holds up no other. What is returned beside an error is prepared too.
func (c *catalog) prepareOn(ctx context.Context, ref inspection.ModelRef) ([]*ruling, error) {
	var next []*ruling
	for _, r := range c.follow(ref) {
		got, err := c.engine.PrepareOn(ctx, r.recipe, ref.Version)
		switch {
		case err == nil:
			next = append(next, &ruling{candidate: r.candidate, model: got, newer: r.newer})
		case r.err == nil || errors.Is(r.err, errLoading) || ctx.Err() != nil:
			return next, err
		}
	}
	return next, nil
}

// follow returns the rulings whose recipes name a model without a version, and do not judge with this one already.
func (c *catalog) follow(ref inspection.ModelRef) []*ruling {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*ruling
	for _, r := range c.inForce {
		m := r.recipe.Model
		if m.Name == ref.Name && m.Version == "" && (r.err != nil || r.model != ref) {
			out = append(out, r)
		}
	}
	return out
}

func (c *catalog) releaseAll(all []*ruling) {
	for _, r := range all {
		c.engine.Release(r.recipe, r.model)
	}
}

// adoptAll puts rulings into force, all at once, and lets go of those before. A recipe that was withdrawn meanwhile is left out.
func (c *catalog) adoptAll(next []*ruling) {
	var replaced, gone []*ruling
	c.mu.Lock()
	for _, n := range next {
		old := c.inForce[n.recipe.Name]
		if old == nil || old.recipe != n.recipe {
			gone = append(gone, n)
			continue
		}
		c.inForce[n.recipe.Name] = n
		if old.err == nil {
			replaced = append(replaced, old)
		}
	}
	c.ring()
	c.mu.Unlock()
	c.releaseAll(gone)
	for _, old := range replaced {
		c.retiring.Go(func() { c.retire(old) })
	}
}

// RemoveModel implements server.Versions.
func (c *catalog) RemoveModel(ctx context.Context, name, version string) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.needed(name, version); err != nil {
		return err
	}
	if err := c.models.Remove(name, version); err != nil {
		return err
	}
	c.log.Info("model version is removed", "model", name, "version", version)
	return nil
}

// needed says who needs a version. That the active one stays where there are others the repository sees to.
func (c *catalog) needed(name, version string) error {
	active, err := c.models.Get(name, "")
	isActive := err == nil && active.Ref.Version == version
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, r := range c.inForce {
		m := r.recipe.Model
		switch {
		case m.Name != name:
		case m.Version == version:
			return fmt.Errorf("%w: recipe %q names %s@%s: change it first", inspection.ErrRefused, r.recipe.Name, name, version)
		case m.Version == "" && isActive:
			return fmt.Errorf("%w: %s@%s is the active version, and recipe %q names %s: activate another one first, or change the recipe", inspection.ErrRefused, name, version, r.recipe.Name, name)
		}
	}
	for _, s := range c.engine.Models() {
		if s.Model.Name == name && s.Model.Version == version && s.State != inference.StateFailed && len(s.Recipes) > 0 {
			return fmt.Errorf("%w: %s@%s is judging, or was until a moment ago: frames may be under way: try again in %v", inspection.ErrRefused, name, version, c.linger)
		}
	}
	return nil
}

// Activations implements server.Versions.
func (c *catalog) Activations(name string) []server.Activation {
	var out []server.Activation
	for _, a := range c.models.History(name) {
		out = append(out, activation(a))
	}
	return out
}

func activation(a models.Activation) server.Activation {
	return server.Activation{Model: a.Model, Act: string(a.Act), From: a.From, To: a.To, Digest: a.Digest, At: a.At, By: a.By, Peer: a.Peer, Reason: a.Reason}
}

var _ server.Versions = (*catalog)(nil)
