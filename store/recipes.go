package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"database/sql"

	"github.com/assay-vision/assay/inspection"
)

// RecipeRevision is a recipe as it was imported.
type RecipeRevision struct {
	Name       string
	Revision   int    // from 1
	Digest     string // over YAML and template pictures, hexadecimal
	YAML       []byte // nil in a list
	Templates  []inspection.Template
	ImportedAt time.Time
}

// ImportRecipe keeps a recipe and returns its revision: the latest one when its digest is the same, else the next. A
// digest that an older revision had gets a new number, for going back is a change too.
func (s *Store) ImportRecipe(ctx context.Context, name, digest string, yaml []byte, templates []inspection.Template) (revision int, err error) {
	if name == "" || digest == "" || len(yaml) == 0 {
		return 0, fmt.Errorf("%w: a recipe revision needs name, digest and YAML", inspection.ErrInvalid)
	}
	if err := inspection.ValidName("recipe", name); err != nil {
		return 0, err
	}
	for _, p := range templates {
		if sum := sha256.Sum256(p.Data); hex.EncodeToString(sum[:]) != p.Digest {
			return 0, fmt.Errorf("%w: recipe %s: template %s: the picture's SHA-256 is %x, not %s", inspection.ErrInvalid, name, p.Key, sum, p.Digest)
		}
	}
	now := s.cfg.Now()
	err = s.w.transact(ctx, func(t *tx) error {
		rows, err := t.QueryContext(t.ctx, "SELECT revision, digest FROM recipe_revisions WHERE name = ?1 ORDER BY revision DESC LIMIT 1", name)
		if err != nil {
			return err
		}
		var latest string
		if err := one(rows, &revision, &latest); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if latest == digest {
			return nil
		}
		revision++
		return t.insertRecipe(RecipeRevision{Name: name, Revision: revision, Digest: digest, YAML: yaml, Templates: templates, ImportedAt: now})
	})
	if err != nil {
		return 0, fmt.Errorf("store: import recipe %s: %w", name, err)
	}
	return revision, nil
}

func (t *tx) insertRecipe(r RecipeRevision) error {
	if _, err := t.exec("INSERT INTO recipe_revisions (name, revision, digest, yaml, imported_at) VALUES (?1, ?2, ?3, ?4, ?5)",
		r.Name, r.Revision, r.Digest, r.YAML, r.ImportedAt.UnixMicro()); err != nil {
		return err
	}
	for _, p := range r.Templates {
		if _, err := t.exec("INSERT INTO template_pictures (digest, data) VALUES (?1, ?2) ON CONFLICT DO NOTHING", p.Digest, p.Data); err != nil {
			return fmt.Errorf("template %s: %w", p.Key, err)
		}
		if _, err := t.exec("INSERT INTO recipe_templates (name, revision, key, path, format, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			r.Name, r.Revision, p.Key, p.Path, p.Format.String(), p.Digest); err != nil {
			return fmt.Errorf("template %s: %w", p.Key, err)
		}
	}
	return nil
}

// RecipeRevision returns a revision with its YAML and pictures; revision 0 means the latest. ErrNotFound when there is none.
func (s *Store) RecipeRevision(ctx context.Context, name string, revision int) (RecipeRevision, error) {
	r := RecipeRevision{Name: name}
	err := s.snapshot(ctx, s.own, func(q querier) error {
		rows, err := q.QueryContext(ctx, `SELECT revision, digest, yaml, imported_at FROM recipe_revisions
			WHERE name = ?1 AND (?2 = 0 OR revision = ?2) ORDER BY revision DESC LIMIT 1`, name, revision)
		if err != nil {
			return err
		}
		if err := one(rows, &r.Revision, &r.Digest, &r.YAML, timeColumn{&r.ImportedAt}); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return inspection.ErrNotFound
			}
			return err
		}
		rows, err = q.QueryContext(ctx, `SELECT t.key, t.path, t.format, t.digest, p.data FROM recipe_templates t
			JOIN template_pictures p ON p.digest = t.digest WHERE t.name = ?1 AND t.revision = ?2 ORDER BY t.key`, name, r.Revision)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var p inspection.Template
			if err := rows.Scan(&p.Key, &p.Path, textColumn{&p.Format}, &p.Digest, &p.Data); err != nil {
				return err
			}
			r.Templates = append(r.Templates, p)
			return nil
		})
	})
	if err != nil {
		return RecipeRevision{}, fmt.Errorf("store: recipe %s revision %d: %w", name, revision, err)
	}
	return r, nil
}

// RecipeRevisions lists a recipe's revisions, the latest first, without YAML and templates; an empty name lists those of
// every recipe, by name. There may be none.
func (s *Store) RecipeRevisions(ctx context.Context, name string) ([]RecipeRevision, error) {
	var out []RecipeRevision
	err := s.snapshot(ctx, s.own, func(q querier) error {
		rows, err := q.QueryContext(ctx, `SELECT name, revision, digest, imported_at FROM recipe_revisions
			WHERE ?1 = '' OR name = ?1 ORDER BY name, revision DESC`, name)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var r RecipeRevision
			if err := rows.Scan(&r.Name, &r.Revision, &r.Digest, timeColumn{&r.ImportedAt}); err != nil {
				return err
			}
			out = append(out, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: list revisions of recipe %q: %w", name, err)
	}
	return out, nil
}
