package synthetic

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// recipeText judges drawn boards with the model that ships. Every image is kept, so that a person can look at each verdict.
const recipeText = `# Judges drawn boards, each compared with its product's template.
name: %[1]s
model: pcb-pair
reference: {folder: %[1]s, align: translation, max_shift_px: 6}
px_per_mm: 48
image: {min_contrast: 20, refuse_repeated: true}
report_at: 0.05
budget: %[2]s
fallback: REVIEW
classes:
  "*": {review_at: 0.3, reject_at: 0.49}
views: [top]
keep: {pass: all}
`

// WriteRecipe writes the recipe name.yaml, which judges the series' boards within the budget, and its templates in the folder name beside
// it. dir is a node's recipes.dir, made when missing; name is a word that is fit for a file.
func (s *Series) WriteRecipe(dir, name string, budget time.Duration) error {
	if err := s.WriteTemplates(filepath.Join(dir, name)); err != nil {
		return err
	}
	path := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, recipeText, name, budget), 0o600); err != nil {
		return fmt.Errorf("write recipe %s: %w", name, err)
	}
	return nil
}

// WriteTemplates writes the template of every product as <key>.png into dir, made when missing: a recipe's reference folder.
func (s *Series) WriteTemplates(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("write templates: %w", err)
	}
	for p := range s.Products() {
		key, picture, err := s.Template(p)
		if err != nil {
			return fmt.Errorf("draw template %d: %w", p, err)
		}
		data, err := PNG(picture)
		if err != nil {
			return fmt.Errorf("encode template %s: %w", key, err)
		}
		if err := os.WriteFile(filepath.Join(dir, key+".png"), data, 0o600); err != nil {
			return fmt.Errorf("write template %s: %w", key, err)
		}
	}
	return nil
}
