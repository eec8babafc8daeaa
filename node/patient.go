package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

var (
	// errLoading is a ruling's while its first model is being loaded.
	errLoading = fmt.Errorf("%w: its model is being loaded", inspection.ErrNotReady)
	// errStopped is a ruling's when the node was told to stop before its model was loaded.
	errStopped = fmt.Errorf("%w: the node is shutting down", inspection.ErrNotReady)
)

// patient is the engine for frames that may come before their recipe's model is loaded: they wait for it while there is
// time. The desk answers by the fallback when there is none left.
type patient struct {
	inspection.Inspector
	catalog *catalog
}

// Inspect implements inspection.Inspector.
func (p patient) Inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	if job.Recipe != nil && job.Model == (inspection.ModelRef{}) {
		r, model, err := p.catalog.await(ctx, job.Recipe.Name, job.Deadline)
		if err != nil { // of whatever kind it is for the model, for the frame it is that
			return inspection.Judgement{}, fmt.Errorf("inspect frame %s: %w: %v", job.Frame.Key, inspection.ErrNotReady, err) //nolint:errorlint // wrapped, the kind of err would become the frame's
		}
		job.Recipe, job.Model = r, model
	}
	return p.Inspector.Inspect(ctx, job)
}

// await resolves a recipe once its model is no longer being loaded. At the deadline (zero: none) it is still ErrNotReady.
func (c *catalog) await(ctx context.Context, name string, deadline time.Time) (*inspection.Recipe, inspection.ModelRef, error) {
	if !deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, deadline)
		defer stop()
	}
	for {
		c.mu.RLock()
		changed := c.changed
		c.mu.RUnlock()
		r, model, err := c.Resolve(name)
		if !errors.Is(err, errLoading) {
			return r, model, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, inspection.ModelRef{}, err
		}
	}
}

// ring wakes those who wait for a ruling. mu is held.
func (c *catalog) ring() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// stopLoading lets nobody wait for a model that will not come.
func (c *catalog) stopLoading() {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.ring()
	for name, r := range c.inForce {
		if errors.Is(r.err, errLoading) {
			stopped := *r
			stopped.err = errStopped
			c.inForce[name] = &stopped
		}
	}
}
