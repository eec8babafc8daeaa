package inference

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Check compares a recipe with the model that it names. The error wraps inspection.ErrInvalid and lists every
// disagreement, one per line, with its remedy.
func Check(r *inspection.Recipe, m *models.Model) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	labels := m.Manifest.Labels
	var unruled []string
	for _, label := range labels {
		if _, ok := r.Rule(label); !ok {
			unruled = append(unruled, label)
		}
	}
	if len(unruled) > 0 {
		fail("classes: no rule for %s, which the model can name: add one for each, or \"*\" for all others", strings.Join(unruled, ", "))
	}
	for _, class := range slices.Sorted(maps.Keys(r.Classes)) {
		if class != "*" && !slices.Contains(labels, class) {
			fail("classes.%s: the model has no such label; it has %s", class, strings.Join(labels, ", "))
		}
	}
	if floor := m.Manifest.Output.ScoreFloor; r.ReportAt < floor {
		fail("report_at: %g is below the model's score_floor %g, under which nothing is decoded: raise it, or lower score_floor in a new version of the model", r.ReportAt, floor)
	}
	if r.Tiling != (inspection.Tiling{}) {
		for i, in := range m.Manifest.Inputs {
			if problem := tileProblem(r.Tiling, in); problem != "" {
				fail("tiling.size: %s: inputs[%d] of the model takes %d x %d px (resize: %s)", problem, i, in.Width, in.Height, in.Resize)
			}
		}
	}
	needs := slices.ContainsFunc(m.Manifest.Inputs, models.Input.NeedsReference)
	switch {
	case len(r.Reference.Templates) > 0:
	case needs:
		fail("reference: the model compares a frame with its template, and the recipe has none: name a folder of templates")
	case r.Reference.Align != inspection.AlignNone:
		fail("reference.align: %s needs templates, and the recipe has none: name a folder of them, or set align to none", r.Reference.Align)
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: recipe %s does not fit model %s@%s: %w", inspection.ErrInvalid, r.Name, m.Ref.Name, m.Ref.Version, errors.Join(errs...))
	}
	return nil
}

// tileProblem says why an input cannot take tiles of a size, with the remedy; empty where it can.
func tileProblem(t inspection.Tiling, in models.Input) string {
	switch {
	case in.Resize == models.ResizeNone && (t.Width != in.Width || t.Height != in.Height):
		return fmt.Sprintf("tiles of %d x %d px are of another size than the model takes without resizing: write [%d, %d]", t.Width, t.Height, in.Width, in.Height)
	case t.Width*in.Height != t.Height*in.Width:
		return fmt.Sprintf("tiles of %d x %d px are of another shape than the input: give width and height the same ratio as the model's, as in [%d, %d]", t.Width, t.Height, in.Width, in.Height)
	default:
		return ""
	}
}
