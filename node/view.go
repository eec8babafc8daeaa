package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/plan"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/inspection/recipe"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/server"
)

// Recipes implements server.Catalog.
func (c *catalog) Recipes() []server.RecipeStatus {
	files := c.files()
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []server.RecipeStatus
	for _, name := range slices.Sorted(maps.Keys(c.inForce)) {
		list = append(list, c.inForce[name].status(files))
	}
	return list
}

func (r *ruling) status(files files) server.RecipeStatus {
	var said []string
	if r.err != nil {
		said = append(said, r.err.Error())
	}
	said = append(said, r.notes(files)...)
	return server.RecipeStatus{Recipe: r.recipe, Model: r.model, Ready: r.err == nil, Message: strings.Join(said, "\n"), Imported: r.imported}
}

// notes says what is not as the files say, although what is in force may judge.
func (r *ruling) notes(files files) []string {
	var said []string
	if r.newer != nil {
		said = append(said, fmt.Sprintf("%v; revision %d stays in force", r.newer, r.recipe.Revision))
	}
	if r.restored {
		said = append(said, r.origin(files))
	}
	if fault := files.of(r.recipe.Name); fault != "" {
		said = append(said, fault)
	}
	return said
}

// origin says of a restored recipe where it comes from and what to do.
func (r *ruling) origin(files files) string {
	from := fmt.Sprintf("revision %d was restored from the store when the node started, because ", r.recipe.Revision)
	if len(r.suspects) == 0 {
		return from + "recipes.dir could not be read"
	}
	from += strings.Join(r.suspects, ", ") + " could not be taken"
	var faults []string
	for _, s := range files {
		if s.Error != "" && slices.Contains(r.suspects, s.File) {
			faults = append(faults, s.Error)
		}
	}
	if len(faults) == 0 {
		return from + "; no file states it now: it stays in force until the node is restarted"
	}
	return from + ":\n" + strings.Join(faults, "\n")
}

// files is how the directory's files stand.
type files []recipe.Status

func (c *catalog) files() files {
	if c.folder == nil {
		return nil
	}
	return c.folder.Status()
}

// of says why a recipe's file, as it is now, is not in force.
func (fs files) of(name string) string {
	var said []string
	for _, s := range fs {
		switch {
		case s.Name != name:
		case s.Error != "":
			said = append(said, s.Error)
		case s.Removed:
			said = append(said, "its file was removed; it stays in force until the node is restarted")
		}
	}
	return strings.Join(said, "\n")
}

// strangers returns the faults of files that never held a recipe.
func (fs files) strangers() []string {
	var said []string
	for _, s := range fs {
		if s.Name == "" && s.Error != "" {
			said = append(said, s.Error)
		}
	}
	return said
}

// Recipe implements server.Catalog. The text comes from the store, which keeps every revision.
func (c *catalog) Recipe(ctx context.Context, name string, revision int) (server.RecipeStatus, string, error) {
	files := c.files()
	c.mu.RLock()
	current, unknown := c.inForce[name], c.unknown(name)
	c.mu.RUnlock()
	if revision == 0 {
		if current == nil {
			return server.RecipeStatus{}, "", unknown
		}
		revision = current.recipe.Revision
	}
	stored, err := c.store.RecipeRevision(ctx, name, revision)
	if errors.Is(err, inspection.ErrNotFound) && current == nil {
		return server.RecipeStatus{}, "", unknown
	}
	if err != nil {
		return server.RecipeStatus{}, "", fmt.Errorf("read recipe %q revision %d: %w", name, revision, err)
	}
	if current != nil && current.recipe.Revision == revision {
		return current.status(files), string(stored.YAML), nil
	}
	r, err := recipe.Parse(name, stored.YAML, stored.Templates)
	if err != nil {
		return server.RecipeStatus{}, "", fmt.Errorf("read recipe %q revision %d: %w", name, revision, err)
	}
	r.Revision = revision
	return server.RecipeStatus{Recipe: r, Message: "not in force", Imported: stored.ImportedAt}, string(stored.YAML), nil
}

// unready says why the node cannot judge everything that it should; empty when it can.
func (c *catalog) unready() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case !c.scanned:
		return []string{"recipes are being read"}
	case len(c.inForce) == 0 && c.unreadable != nil:
		return []string{fmt.Sprintf("there is no recipe: recipes.dir cannot be read: %v", c.unreadable)}
	case len(c.inForce) == 0:
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
	list := c.Problems()
	files := c.files()
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(c.inForce)) {
		for _, note := range c.inForce[name].notes(files) {
			list = append(list, fmt.Sprintf("recipe %q: %s", name, note))
		}
	}
	return list
}

// Problems implements server.Catalog.
func (c *catalog) Problems() []string {
	files := c.files()
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []string
	if c.unreadable != nil {
		list = append(list, fmt.Sprintf("recipes.dir cannot be read, recipes stay in force as they are: %v", c.unreadable))
	}
	for _, fault := range files.strangers() {
		list = append(list, "recipe file not taken: "+fault)
	}
	for _, name := range slices.Sorted(maps.Keys(c.lost)) {
		if name == "" {
			list = append(list, c.lost[name].Error())
			continue
		}
		list = append(list, fmt.Sprintf("recipe %q: %v", name, c.lost[name]))
	}
	return list
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

	return list
}

func modelStatus(e models.Entry, loaded map[inspection.ModelRef]inference.Status) server.ModelStatus {
	s := server.ModelStatus{Ref: inspection.ModelRef{Name: e.Name, Version: e.Version}, Active: e.Active, State: server.ModelUnloaded}
	if e.Err != nil {
		s.State, s.Message = server.ModelFailed, e.Err.Error()
		return s
	}
	m := e.Model.Manifest
	s.Message = e.Note
	s.Ref, s.Task, s.Description, s.Labels, s.Decoder, s.BatchSizes = e.Model.Ref, string(m.Task), m.Description, m.Labels, m.Output.Decoder, m.BatchSizes
	for _, in := range m.Inputs {
		s.Inputs = append(s.Inputs, server.ModelInput{Name: in.Name, Layout: string(in.Layout), Type: string(in.Type), Width: in.Width, Height: in.Height, Channels: in.Channels()})
	}
	if l, ok := loaded[s.Ref]; ok {
		s.State, s.Provider = modelStates[l.State], l.Device
		said := append([]string{l.Message}, l.Fallbacks...)
		s.Message = strings.Join(slices.DeleteFunc(append(said, e.Note), func(text string) bool { return text == "" }), "; ")
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

// ProfileModel implements server.Catalog.
func (c *catalog) ProfileModel(ctx context.Context, name, version string, again bool) (server.ModelProfile, error) {
	p, err := c.engine.Profile(ctx, name, version, again)
	if err != nil {
		return server.ModelProfile{}, err
	}
	out := server.ModelProfile{
		Model: p.Model, Device: p.Plan.Key.Device, Throughput: profilePoint(p.Plan.Choice.Throughput), Measured: p.Plan.Measured, Took: p.Plan.Took,
		Cached: p.Plan.Cached, Complete: p.Plan.Complete, Loaded: p.Loaded, Waits: p.Waits, DriftRatio: p.Reality.Ratio, Drifted: p.Reality.Drifted,
		Narrow: server.RunEstimate(p.Reality.Narrow), Wide: server.RunEstimate(p.Reality.Wide),
	}
	for _, q := range p.Plan.Surface {
		out.Surface = append(out.Surface, profilePoint(q))
	}
	if p.Plan.Choice.Idle != nil {
		idle := profilePoint(*p.Plan.Choice.Idle)
		out.Idle = &idle
	}
	return out, nil
}

func profilePoint(p plan.Point) server.ProfilePoint {
	return server.ProfilePoint{
		Variant: p.Variant, Threads: p.Threads, Callers: p.Callers, Batch: p.Batch, Median: p.Median, P99: p.P99, Rate: p.Rate(), Runs: p.Runs,
	}
}
