package synthetic

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection/recipe"
)

// TestWrittenRecipeLoads: what is written is a recipe by the reader's own rules, with the template of every board.
func TestWrittenRecipeLoads(t *testing.T) {
	series, err := NewSeries(DefaultSeries(SetTest))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "recipes")
	if err := series.WriteRecipe(dir, "boards", 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	r, _, err := recipe.Load(filepath.Join(dir, "boards.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "boards" || r.Budget != 1500*time.Millisecond || r.Keep.PassEvery != 1 {
		t.Errorf("got recipe %q with budget %v, keeping one PASS image of %d; want boards, 1.5s, every one", r.Name, r.Budget, r.Keep.PassEvery)
	}
	if got := len(r.Reference.Templates); got != series.Products() {
		t.Errorf("got %d templates, want one for each of %d products", got, series.Products())
	}
	for i := range series.Products() {
		board, err := series.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Reference.Templates[board.Reference]; !ok {
			t.Errorf("board %s is compared with %q, which is no template of the recipe", board.Serial, board.Reference)
		}
	}
}
