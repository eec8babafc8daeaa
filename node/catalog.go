package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/inspection/recipe"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/server"
	"github.com/assay-vision/assay/store"
)

// preparer makes a recipe's model ready. The engine is one.
type preparer interface {
	// Prepare loads and warms the model that the recipe names, and pins it for this recipe until Release.
	Prepare(ctx context.Context, r *inspection.Recipe) (inspection.ModelRef, error)
	Release(r *inspection.Recipe, m inspection.ModelRef)
	Models() []inference.Status
}

// catalog knows which recipe revision is in force under each name and which model version judges for it. A new revision
// comes into force when its model is warm; until then, and when it cannot be made ready, the one before stays.
type catalog struct {
	engine preparer
	models *models.Repository
	store  *store.Store
	folder *recipe.Folder // nil: no directory of recipes is configured
	log    *slog.Logger

	mu      sync.RWMutex
	inForce map[string]*ruling
	scanned bool // the directory was looked at once
}

// ruling is a recipe under its name, and why it may not judge.
type ruling struct {
	recipe   *inspection.Recipe
	model    inspection.ModelRef
	err      error // nil: ready
	newer    error // why a newer revision is not in force
	imported time.Time
}

func newCatalog(engine preparer, repo *models.Repository, st *store.Store, dir string, log *slog.Logger) (*catalog, error) {
	c := &catalog{engine: engine, models: repo, store: st, log: log, inForce: map[string]*ruling{}}
	if dir == "" {
		return c, nil
	}
	folder, err := recipe.OpenFolder(dir, revisions{st}, log)
	if err != nil {
		return nil, fmt.Errorf("open recipes.dir: %w", err)
	}
	c.folder = folder
	return c, nil
}

// revisions lets the store number recipe revisions.
type revisions struct{ *store.Store }

func (r revisions) Import(ctx context.Context, name, digest string, yaml []byte, templates []inspection.Template) (int, error) {
	return r.ImportRecipe(ctx, name, digest, yaml, templates)
}

// run loads the directory's recipes and follows their changes until ctx ends. every 0: only at start.
func (c *catalog) run(ctx context.Context, every time.Duration) {
	if c.folder == nil {
		c.setScanned()
		return
	}
	changes, err := c.folder.Scan(ctx)
	if err != nil {
		c.log.Error("cannot read recipes.dir", "error", err)
	}
	c.enter(changes)
	c.setScanned()
	c.prepare(ctx, changes)
	if every <= 0 {
		return
	}
	for changes := range c.folder.Watch(ctx, every) {
		c.enter(changes)
		c.prepare(ctx, changes)
	}
}

func (c *catalog) setScanned() {
	c.mu.Lock()
	c.scanned = true
	c.mu.Unlock()
}

// enter makes recipes known that were not: their fallback answers until their model is warm.
func (c *catalog) enter(changes []recipe.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range changes {
		if r := change.Recipe; c.inForce[r.Name] == nil {
			c.inForce[r.Name] = &ruling{recipe: r, imported: time.Now(), err: fmt.Errorf("%w: its model is being loaded", inspection.ErrNotReady)}
		}
	}
}

func (c *catalog) prepare(ctx context.Context, changes []recipe.Change) {
	for _, change := range changes {
		r := change.Recipe
		start := time.Now()
		model, err := c.engine.Prepare(ctx, r)
		if ctx.Err() != nil {
			if err == nil {
				c.engine.Release(r, model)
			}
			return
		}
		old := c.adopt(r, model, err)
		switch {
		case err != nil:
			c.log.Error("recipe cannot judge", "recipe", r.Name, "revision", r.Revision, "file", change.File, "error", err)
		default:
			c.log.Info("recipe is in force", "recipe", r.Name, "revision", r.Revision, "model", model.Name, "version", model.Version, "took", time.Since(start).Round(time.Millisecond))
		}
		if old != nil && old.err == nil {
			c.engine.Release(old.recipe, old.model)
		}
	}
}

// adopt puts a revision into force, or says beside the one that stays why it could not be. It returns what was replaced.
func (c *catalog) adopt(r *inspection.Recipe, model inspection.ModelRef, err error) *ruling {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.inForce[r.Name]
	if err != nil && old != nil && old.err == nil {
		stays := *old
		stays.newer = fmt.Errorf("revision %d cannot judge: %w", r.Revision, err)
		c.inForce[r.Name] = &stays
		return nil
	}
	c.inForce[r.Name] = &ruling{recipe: r, model: model, err: err, imported: time.Now()}
	return old
}

// Resolve implements server.Catalog.
func (c *catalog) Resolve(name string) (*inspection.Recipe, inspection.ModelRef, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r := c.inForce[name]
	if r == nil {
		return nil, inspection.ModelRef{}, fmt.Errorf("%w %q: this node has %s", inspection.ErrUnknownRecipe, name, c.names())
	}
	if r.err != nil {
		return r.recipe, r.model, fmt.Errorf("recipe %q: %w", name, r.err)
	}
	return r.recipe, r.model, nil
}

// names lists the recipes for an error message. mu is held.
func (c *catalog) names() string {
	names := slices.Sorted(maps.Keys(c.inForce))
	switch {
	case len(names) == 0:
		return "none yet; put its file into recipes.dir"
	case len(names) > 10:
		return fmt.Sprintf("%q and %d more", names[:10], len(names)-10)
	}
	return fmt.Sprintf("%q", names)
}

// Recipes implements server.Catalog.
func (c *catalog) Recipes() []server.RecipeStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	faults := c.faults()
	var list []server.RecipeStatus
	for _, name := range slices.Sorted(maps.Keys(c.inForce)) {
		list = append(list, c.inForce[name].status(faults[name]))
	}
	return list
}

func (r *ruling) status(fileFault string) server.RecipeStatus {
	message := fileFault
	for _, err := range []error{r.newer, r.err} {
		if err != nil {
			message = err.Error()
		}
	}
	return server.RecipeStatus{Recipe: r.recipe, Model: r.model, Ready: r.err == nil, Message: message, Imported: r.imported}
}

// faults returns, by recipe, why its file as it is now is not in force. Files that never held a recipe are under "".
func (c *catalog) faults() map[string]string {
	m := map[string]string{}
	if c.folder == nil {
		return m
	}
	for _, s := range c.folder.Status() {
		switch {
		case s.Error != "" && m[s.Name] != "":
			m[s.Name] += "\n" + s.Error
		case s.Error != "":
			m[s.Name] = s.Error
		case s.Removed:
			m[s.Name] = "its file was removed; it stays in force until the node is restarted"
		}
	}
	return m
}

// Recipe implements server.Catalog. The text comes from the store, which keeps every revision.
func (c *catalog) Recipe(ctx context.Context, name string, revision int) (server.RecipeStatus, string, error) {
	c.mu.RLock()
	current, faults := c.inForce[name], c.faults()
	c.mu.RUnlock()
	if revision == 0 {
		if current == nil {
			_, _, err := c.Resolve(name)
			return server.RecipeStatus{}, "", err
		}
		revision = current.recipe.Revision
	}
	stored, err := c.store.RecipeRevision(ctx, name, revision)
	if err != nil {
		return server.RecipeStatus{}, "", fmt.Errorf("read recipe %q revision %d: %w", name, revision, err)
	}
	if current != nil && current.recipe.Revision == revision {
		return current.status(faults[name]), string(stored.YAML), nil
	}
	r, err := recipe.Parse(name, stored.YAML, stored.Templates)
	if err != nil {
		return server.RecipeStatus{}, "", fmt.Errorf("read recipe %q revision %d: %w", name, revision, err)
	}
	r.Revision = revision
	return server.RecipeStatus{Recipe: r, Message: "not in force", Imported: stored.ImportedAt}, string(stored.YAML), nil
}

// Models implements server.Catalog.
func (c *catalog) Models() []server.ModelStatus {
	loaded := map[inspection.ModelRef]inference.Status{}
	for _, s := range c.engine.Models() {
		loaded[s.Model] = s
	}
	var list []server.ModelStatus
	for _, e := range c.models.List() {
		list = append(list, modelStatus(e, loaded))
	}
	slices.SortStableFunc(list, func(a, b server.ModelStatus) int { return cmp.Compare(a.Ref.Name, b.Ref.Name) })
	return list
}

func modelStatus(e models.Entry, loaded map[inspection.ModelRef]inference.Status) server.ModelStatus {
	s := server.ModelStatus{Ref: inspection.ModelRef{Name: e.Name, Version: e.Version}, Active: e.Active, State: server.ModelUnloaded}
	if e.Err != nil {
		s.State, s.Message = server.ModelFailed, e.Err.Error()
		return s
	}
	m := e.Model.Manifest
	s.Ref, s.Task, s.Description, s.Labels, s.Decoder, s.BatchSizes = e.Model.Ref, string(m.Task), m.Description, m.Labels, m.Output.Decoder, m.BatchSizes
	for _, in := range m.Inputs {
		s.Inputs = append(s.Inputs, server.ModelInput{Name: in.Name, Layout: string(in.Layout), Type: string(in.Type), Width: in.Width, Height: in.Height, Channels: in.Channels()})
	}
	if l, ok := loaded[s.Ref]; ok {
		s.State, s.Message, s.Provider = modelStates[l.State], l.Message, l.Device
		if s.Message == "" {
			s.Message = strings.Join(l.Fallbacks, "; ")
		}
		if len(l.BatchSizes) > 0 {
			s.BatchSizes = l.BatchSizes
		}
	}
	for _, p := range m.Providers {
		wanted := p.Name
		if p.Device != "" {
			wanted += ":" + p.Device
		}
		s.ProvidersWanted = append(s.ProvidersWanted, wanted)
	}
	return s
}

var modelStates = map[inference.State]server.ModelState{
	inference.StateLoading: server.ModelLoading, inference.StateReady: server.ModelReady, inference.StateFailed: server.ModelFailed,
}

// Model implements server.Catalog.
func (c *catalog) Model(name, version string) (server.ModelStatus, string, error) {
	m, err := c.models.Get(name, version)
	if err != nil {
		return server.ModelStatus{}, "", err
	}
	for _, s := range c.Models() {
		if s.Ref == m.Ref {
			return s, string(m.Text()), nil
		}
	}
	return server.ModelStatus{}, "", fmt.Errorf("%w: %s", inspection.ErrUnknownModel, name)
}

// unready says why the node cannot judge everything that it should; empty when it can.
func (c *catalog) unready() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.scanned {
		return []string{"recipes are being read"}
	}
	if len(c.inForce) == 0 {
		return []string{"there is no recipe: put one into recipes.dir"}
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(c.inForce)) {
		if err := c.inForce[name].err; err != nil {
			reasons = append(reasons, fmt.Sprintf("recipe %q: %v", name, err))
		}
	}
	return reasons
}

// warnings says what is not as its file says although everything in force works.
func (c *catalog) warnings() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []string
	faults := c.faults()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		if name == "" {
			list = append(list, "recipe file not taken: "+faults[name])
		} else {
			list = append(list, fmt.Sprintf("recipe %q: %s", name, faults[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.inForce)) {
		if newer := c.inForce[name].newer; newer != nil {
			list = append(list, fmt.Sprintf("recipe %q: %v; the revision before stays in force", name, newer))
		}
	}
	return list
}

var _ server.Catalog = (*catalog)(nil)
