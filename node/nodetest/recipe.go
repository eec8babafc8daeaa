package nodetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
)

// BoardRecipe is the text of a recipe called name for drawn boards on the model that ships, with the templates of
// WriteTemplates. It keeps every image and leaves a minute for a frame, whatever else the machine does.
func BoardRecipe(name string) string {
	return `name: ` + name + `
model: pcb-pair
reference: {folder: templates, align: translation, max_shift_px: 6}
report_at: 0.05
budget: 60s
fallback: REVIEW
classes:
  "*": {review_at: 0.3, reject_at: 0.49}
keep: {pass: all}
`
}

// Series is the line of boards that the tests' cameras see.
func Series(t testing.TB) *synthetic.Series {
	t.Helper()
	s, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetTest))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// WriteTemplates puts the templates of a line into the folder that BoardRecipe names.
func (n *Node) WriteTemplates(series *synthetic.Series) {
	n.t.Helper()
	if err := series.WriteTemplates(filepath.Join(n.Config.Recipes.Dir, "templates")); err != nil {
		n.t.Fatal(err)
	}
}

// WriteRecipe puts a recipe's text into a file of the recipes' directory, at once as a good editor does.
func (n *Node) WriteRecipe(file, text string) {
	n.t.Helper()
	path := filepath.Join(n.Config.Recipes.Dir, file)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		n.t.Fatal(err)
	}
}

// Picture draws a board and returns a frame of it, as a camera would send it: with a JPEG, or a PNG.
func Picture(t testing.TB, series *synthetic.Series, i int, format inspection.ImageFormat) inspection.Frame {
	t.Helper()
	board, err := series.Board(i)
	if err != nil {
		t.Fatal(err)
	}
	data, err := board.JPEG(95)
	if format == inspection.FormatPNG {
		data, err = synthetic.PNG(board.Test)
	}
	if err != nil {
		t.Fatal(err)
	}
	return inspection.Frame{
		Serial: board.Serial, View: board.View, Reference: board.Reference,
		Image: inspection.Image{Format: format, Data: inspection.NewBuffer(nil, data)},
	}
}
