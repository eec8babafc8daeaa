package node

import (
	"context"
	"fmt"

	"github.com/assay-vision/assay/inspection/recipe"
	"github.com/assay-vision/assay/store"
)

// restore returns what the store knows and no file states, as far as that may be for a fault: a file that cannot be taken
// keeps the revision before it in force, across restarts too. Where every file is in order nothing is missed: a recipe whose
// file was taken away is gone. next are the recipes that files state; lost says what could not be restored.
func (c *catalog) restore(ctx context.Context, next []candidate, unreadable error) (restored []candidate, lost map[string]error) {
	var suspects []string
	for _, s := range c.folder.Status() {
		if s.Error != "" {
			suspects = append(suspects, s.File)
		}
	}
	if len(suspects) == 0 && unreadable == nil {
		return nil, nil
	}
	stated := map[string]bool{}
	for _, n := range next {
		stated[n.recipe.Name] = true
	}
	all, err := c.store.RecipeRevisions(ctx, "")
	if err != nil {
		c.log.Error("recipes cannot be restored from the store", "error", err)
		return nil, map[string]error{"": fmt.Errorf("recipes cannot be restored from the store: %w", err)}
	}
	lost = map[string]error{}
	for _, latest := range all { // by name, the latest first
		if stated[latest.Name] {
			continue
		}
		stated[latest.Name] = true
		n, err := c.stored(ctx, latest)
		if err != nil {
			c.log.Error("recipe cannot be restored from the store", "recipe", latest.Name, "revision", latest.Revision, "error", err)
			lost[latest.Name] = fmt.Errorf("revision %d cannot be restored from the store: %w", latest.Revision, err)
			continue
		}
		n.restored, n.suspects = true, suspects
		c.log.Warn("recipe is restored from the store: no file states it, and not every file can be taken",
			"recipe", latest.Name, "revision", latest.Revision, "not_taken", suspects)
		restored = append(restored, n)
	}
	return restored, lost
}

// stored reads a revision back from the store.
func (c *catalog) stored(ctx context.Context, which store.RecipeRevision) (candidate, error) {
	kept, err := c.store.RecipeRevision(ctx, which.Name, which.Revision)
	if err != nil {
		return candidate{}, err
	}
	r, err := recipe.Parse(fmt.Sprintf("revision %d of recipe %s", kept.Revision, kept.Name), kept.YAML, kept.Templates)
	if err != nil {
		return candidate{}, err
	}
	if r.Digest != kept.Digest || r.Name != kept.Name {
		return candidate{}, fmt.Errorf("its text and templates are those of recipe %s with digest %s, not %s: the database was changed by hand", r.Name, r.Digest, kept.Digest)
	}
	r.Revision = kept.Revision
	return candidate{recipe: r, imported: kept.ImportedAt}, nil
}
