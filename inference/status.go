package inference

import (
	"cmp"
	"slices"

	"github.com/assay-vision/assay/inspection"
)

// State is where a model is on its way to being ready.
type State string

// The states.
const (
	StateLoading State = "loading"
	StateReady   State = "ready"  // loaded, and warm for every batch size
	StateFailed  State = "failed" // Message says why; the next Prepare tries again
)

// Status is what the engine says of one model.
type Status struct {
	Model      inspection.ModelRef
	State      State
	Device     string   // what runs it: cpu, cuda:0, tensorrt:0, openvino:GPU
	Fallbacks  []string // what was asked for and cannot be had here, execution providers and batches, each with the reason
	Message    string
	BatchSizes []int                  // prepared; [1] where the graph takes no batches, whatever its manifest asks for
	Recipes    []inspection.RecipeRef // prepared with it
	Drift      string                 // how its runs differ from what was measured, with the next step; empty: they do not
}

// Models returns the status of every model that was asked for, by name and version.
func (e *Engine) Models() []Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Status, 0, len(e.states))
	for digest, s := range e.states {
		c := *s
		if l := e.loaded[digest]; l != nil {
			if p, ok := l.session.(*planned); ok {
				c.Drift = p.watch.Reality().Warning()
			}
		}
		for _, in := range e.instances {
			if in.key.model == digest && in.pins > 0 {
				c.Recipes = append(c.Recipes, in.recipe.Ref())
			}
		}
		slices.SortFunc(c.Recipes, func(a, b inspection.RecipeRef) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Revision, b.Revision))
		})
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Model.Name, b.Model.Name), cmp.Compare(a.Model.Version, b.Model.Version))
	})
	return out
}
