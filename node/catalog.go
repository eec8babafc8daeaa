package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	// PrepareOn is Prepare with another version of the model than the one that the recipe names now.
	PrepareOn(ctx context.Context, r *inspection.Recipe, version string) (inspection.ModelRef, error)
	// Hold loads, warms and checks a version for no recipe, and keeps it until release is called, once.
	Hold(ctx context.Context, name, version string) (ref inspection.ModelRef, release func(), err error)
	Release(r *inspection.Recipe, m inspection.ModelRef)
	Models() []inference.Status
	// Profile says how a model was measured here, and measures it where it was not, or again.
	Profile(ctx context.Context, name, version string, again bool) (inference.Profile, error)
}

// linger is how long a revision that was replaced stays prepared. A frame that came in under it has its key looked up
// before it reaches the engine, and must find there what it was resolved to.
const linger = 10 * time.Second

// catalog knows which recipe revision is in force under each name and which model version judges for it. A new revision
// comes into force when its model is warm; until then, and when it cannot be made ready, the one before stays. So it is with
// another version of a model, see versions.go.
//
// One goroutine runs; everything else may be called from any.
type catalog struct {
	engine preparer
	models *models.Repository
	store  *store.Store
	folder *recipe.Folder // nil: no directory of recipes is configured
	linger time.Duration
	log    *slog.Logger

	retiring  sync.WaitGroup // replaced revisions that linger
	entered   chan struct{}  // closed when the recipes of the start are known, or run has ended
	switching chan struct{}  // holds one while a revision or a version is brought into force, and for good when run has ended
	ending    chan struct{}  // closed when run ends

	mu         sync.RWMutex
	changed    chan struct{}      // closed, and replaced, when a ruling changes
	inForce    map[string]*ruling // a ruling is never changed, but replaced
	lost       map[string]error   // why a recipe that the store knows could not be restored; under "" why none could
	scanned    bool               // the directory was looked at once
	unreadable error              // why it cannot be looked at now
}

// ruling is a recipe under its name, and why it may not judge.
type ruling struct {
	candidate
	model inspection.ModelRef
	err   error // nil: ready
	newer error // why a newer revision is not in force
}

// candidate is a recipe revision on its way into force.
type candidate struct {
	recipe   *inspection.Recipe
	file     string    // that states it; empty where it was restored
	imported time.Time // when the store got it
	// restored: no file stated it when the node started, and the store's latest revision was taken. suspects are the files
	// of which each may be its own, as none of them could be taken; none where the whole directory could not be read.
	restored bool
	suspects []string
}

func newCatalog(engine preparer, repo *models.Repository, st *store.Store, dir string, log *slog.Logger) (*catalog, error) {
	c := &catalog{
		engine: engine, models: repo, store: st, linger: linger, log: log, entered: make(chan struct{}), changed: make(chan struct{}),
		switching: make(chan struct{}, 1), ending: make(chan struct{}),
		inForce: map[string]*ruling{}, lost: map[string]error{},
	}
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

// run loads the directory's recipes and follows their changes until ctx ends. every 0: only at start. It is called once.
func (c *catalog) run(ctx context.Context, every time.Duration) {
	known := sync.OnceFunc(func() { close(c.entered) })
	defer known()
	defer c.end()
	if c.folder == nil {
		c.enter(nil, nil, nil)
		known()
		<-ctx.Done()
		return
	}
	defer c.stopLoading()
	for _, n := range c.scan(ctx, true, known) {
		c.prepare(ctx, n)
	}
	if every <= 0 {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, n := range c.scan(ctx, false, known) {
				c.prepare(ctx, n)
			}
		}
	}
}

// scan looks at the directory once, makes what is new known, and returns what is to be prepared. The first scan also
// restores what is missed; known is called when its recipes are.
func (c *catalog) scan(ctx context.Context, first bool, known func()) []candidate {
	changes, unreadable := c.folder.Scan(ctx)
	if ctx.Err() != nil {
		return nil
	}
	c.withdraw()
	var next []candidate
	for _, change := range changes {
		next = append(next, candidate{recipe: change.Recipe, file: change.File, imported: c.importedAt(ctx, change.Recipe)})
	}
	var lost map[string]error
	if first {
		var restored []candidate
		restored, lost = c.restore(ctx, next, unreadable)
		next = append(next, restored...)
	}
	c.enter(next, lost, unreadable)
	known()
	return next
}

// withdraw takes back recipes that never judged and whose file was removed: nothing is in force that could stay so.
func (c *catalog) withdraw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.folder.Status() {
		if r := c.inForce[s.Name]; s.Removed && r != nil && r.err != nil {
			c.folder.Withdraw(s.Name)
			delete(c.inForce, s.Name)
			c.ring()
			c.log.Info("recipe is withdrawn: it never judged, and its file was removed", "recipe", s.Name, "file", s.File)
		}
	}
}

// importedAt returns when the store got a revision; zero where it cannot say.
func (c *catalog) importedAt(ctx context.Context, r *inspection.Recipe) time.Time {
	all, err := c.store.RecipeRevisions(ctx, r.Name)
	if err != nil {
		c.log.Warn("cannot read when a recipe was imported", "recipe", r.Name, "error", err)
		return time.Time{}
	}
	for _, stored := range all {
		if stored.Revision == r.Revision {
			return stored.ImportedAt
		}
	}
	return time.Time{}
}

// enter makes recipes known that were not: their fallback answers until their model is warm.
func (c *catalog) enter(next []candidate, lost map[string]error, unreadable error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if unreadable != nil && (c.unreadable == nil || c.unreadable.Error() != unreadable.Error()) {
		c.log.Error("recipes.dir cannot be read; recipes stay in force as they are", "error", unreadable)
	}
	c.scanned, c.unreadable = true, unreadable
	maps.Copy(c.lost, lost)
	for _, n := range next {
		delete(c.lost, n.recipe.Name)
		if c.inForce[n.recipe.Name] == nil {
			c.inForce[n.recipe.Name] = &ruling{candidate: n, err: errLoading}
		}
	}
}

// prepare makes a revision's model ready, puts it into force, and lets go of the one before.
func (c *catalog) prepare(ctx context.Context, n candidate) {
	done, err := c.begin(ctx)
	if err != nil {
		return
	}
	defer done()
	r, start := n.recipe, time.Now()
	model, err := c.engine.Prepare(ctx, r)
	if ctx.Err() != nil {
		if err == nil {
			c.engine.Release(r, model)
		}
		return
	}
	old := c.adopt(n, model, err)
	if err != nil {
		c.log.Error("recipe cannot judge", "recipe", r.Name, "revision", r.Revision, "file", n.file, "error", err)
	} else {
		c.log.Info("recipe is in force", "recipe", r.Name, "revision", r.Revision, "model", model.Name, "version", model.Version, "took", time.Since(start).Round(time.Millisecond))
	}
	if old != nil && old.err == nil {
		c.retiring.Go(func() { c.retire(old) })
	}
}

// adopt puts a revision into force, or says beside the one that stays why it could not be. It returns what was replaced.
func (c *catalog) adopt(n candidate, model inspection.ModelRef, err error) *ruling {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.ring()
	old := c.inForce[n.recipe.Name]
	if err != nil && old != nil && old.err == nil {
		stays := *old
		stays.newer = fmt.Errorf("revision %d cannot judge: %w", n.recipe.Revision, err)
		c.inForce[n.recipe.Name] = &stays
		return nil
	}
	c.inForce[n.recipe.Name] = &ruling{candidate: n, model: model, err: err}
	return old
}

// retire lets go of a revision once its last frames are with the engine, which finishes them. When run ends it does not:
// a node that drains still answers frames, and the engine's Close frees everything.
func (c *catalog) retire(old *ruling) {
	timer := time.NewTimer(c.linger)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.engine.Release(old.recipe, old.model)
	case <-c.ending:
	}
}

// Resolve implements server.Catalog.
func (c *catalog) Resolve(name string) (*inspection.Recipe, inspection.ModelRef, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r := c.inForce[name]
	if r == nil {
		return nil, inspection.ModelRef{}, c.unknown(name)
	}
	if r.err != nil {
		return r.recipe, r.model, fmt.Errorf("recipe %q: %w", name, r.err)
	}
	return r.recipe, r.model, nil
}

// unknown is the error for a name that no recipe has. mu is held.
func (c *catalog) unknown(name string) error {
	names := slices.Sorted(maps.Keys(c.inForce))
	have := fmt.Sprintf("%q", names)
	switch {
	case len(names) == 0:
		have = "none yet; put its file into recipes.dir"
	case len(names) > 10:
		have = fmt.Sprintf("%q and %d more", names[:10], len(names)-10)
	}
	return fmt.Errorf("%w %q: this node has %s", inspection.ErrUnknownRecipe, name, have)
}

var _ server.Catalog = (*catalog)(nil)
