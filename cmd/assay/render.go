package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/cmd/assay/eval"
)

// renderBudget is that of the rendered sets' recipes: enough for any machine.
const renderBudget = 10 * time.Second

func (a *app) renderCommand() *cobra.Command {
	var boards, products, good int
	var task, set string
	var png bool
	cmd := &cobra.Command{
		Use:   "render folder",
		Short: "Write rendered boards with their truth, as a set for eval, and a recipe that judges them",
		Long: "Write rendered boards with their truth, as a set for eval, and a recipe for the shipped model that judges them. For\n" +
			"each task the set has the form that eval reads:\n\n" +
			"  detect    FOLDER/images/coco.json and the pictures, of four products\n" +
			"  classify  FOLDER/images/CLASS/: boards with one defect, of one product\n" +
			"  anomaly   FOLDER/images/test/KIND/, boards with one defect and good ones, of one product, and masks: the defects' boxes\n" +
			"\nThe recipe is FOLDER/recipes/rendered-TASK.yaml. Boards for training, tests and demonstration are sets that never meet.\n" +
			"The same flags give the same pixels everywhere.\n\n" +
			"Exit status: 0 all is written, 1 an error, 2 wrong usage.",
		Example: "  assay render my-set --boards 100 && assayd --set recipes.dir=my-set/recipes &\n" +
			"  assay eval --recipe rendered-detect --report-at 0.05 my-set/images/coco.json",
		Args: args(1, 1, "the folder to write"),
		RunE: func(_ *cobra.Command, args []string) error {
			r := renderer{dir: args[0], task: eval.Task(task), png: png}
			kind, ok := map[string]synthetic.Set{"demo": synthetic.SetDemo, "test": synthetic.SetTest, "training": synthetic.SetTraining}[set]
			r.series = synthetic.DefaultSeries(kind)
			r.series.Products, r.series.GoodPercent = products, good
			switch {
			case !ok:
				return fmt.Errorf("%w: --set %q: give demo, test or training", errUsage, set)
			case boards < 1:
				return fmt.Errorf("%w: --boards %d: give at least 1", errUsage, boards)
			case r.task != eval.Detect && r.task != eval.Classify && r.task != eval.Anomaly:
				return fmt.Errorf("%w: --task %q: give detect, classify or anomaly", errUsage, task)
			}
			if entries, err := os.ReadDir(args[0]); err == nil && len(entries) > 0 {
				return fmt.Errorf("%s holds something already: remove it or name another folder", args[0])
			}
			if err := r.write(boards); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d boards and the recipe %s\n", args[0], boards, r.recipe())
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&boards, "boards", 100, "boards to render")
	f.StringVar(&set, "set", "test", "demo, test or training")
	f.IntVar(&products, "products", 4, "with --task detect: layouts, each with its template")
	f.IntVar(&good, "good", 25, "with --task detect or anomaly: how many of a hundred boards have no defect")
	f.BoolVar(&png, "png", false, "write PNG (default: JPEG of quality 95)")
	f.StringVar(&task, "task", string(eval.Detect), "detect, classify or anomaly")
	return cmd
}

// renderer writes boards in the form of a task's sets.
type renderer struct {
	dir    string
	task   eval.Task
	series synthetic.SeriesConfig
	png    bool
	coco   cocoSet
}

// cocoSet is a COCO file, so far as eval reads it.
type cocoSet struct {
	Images      []cocoImage      `json:"images"`
	Annotations []cocoAnnotation `json:"annotations"`
	Categories  []cocoCategory   `json:"categories"`
}

type cocoImage struct {
	ID        int    `json:"id"`
	File      string `json:"file_name"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Reference string `json:"reference"`
	View      string `json:"view"`
}

type cocoAnnotation struct {
	ID       int    `json:"id"`
	Image    int    `json:"image_id"`
	Category int    `json:"category_id"`
	Box      [4]int `json:"bbox"` // x, y, width, height
	Area     int    `json:"area"`
	Crowd    int    `json:"iscrowd"`
}

type cocoCategory struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

func (r *renderer) recipe() string { return "rendered-" + string(r.task) }

func (r *renderer) write(boards int) error {
	config := r.series
	if r.task != eval.Detect {
		config.Products, config.Spec.Defects = 1, 1
	}
	if r.task == eval.Classify {
		config.GoodPercent = 0
	}
	series, err := synthetic.NewSeries(config)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := series.WriteRecipe(filepath.Join(r.dir, "recipes"), r.recipe(), renderBudget); err != nil {
		return err
	}
	bar := progress(boards, "render")
	for i := range boards {
		board, err := series.Board(i)
		if err != nil {
			return err
		}
		if err := r.board(board); err != nil {
			return err
		}
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	if r.task != eval.Detect {
		return nil
	}
	for i, c := range synthetic.Classes() {
		r.coco.Categories = append(r.coco.Categories, cocoCategory{i + 1, c})
	}
	text, err := json.Marshal(r.coco)
	if err != nil {
		return fmt.Errorf("write the set: %w", err)
	}
	return r.file(text, "coco.json")
}

// board writes one board, and its truth where that lies in files of its own.
func (r *renderer) board(b synthetic.Board) error {
	name, kind := b.Serial+".jpg", "good"
	picture, err := b.JPEG(95)
	if r.png {
		name = b.Serial + ".png"
		picture, err = synthetic.PNG(b.Test)
	}
	if err != nil {
		return fmt.Errorf("encode board %s: %w", b.Serial, err)
	}
	if len(b.Defects) > 0 {
		kind = b.Defects[0].Class
	}
	switch r.task {
	case eval.Classify:
		return r.file(picture, kind, name)
	case eval.Anomaly:
		if err := r.file(picture, "test", kind, name); err != nil || kind == "good" {
			return err
		}
		mask := image.NewGray(b.Test.Rect)
		for _, d := range b.Defects {
			draw.Draw(mask, d.Box, image.NewUniform(color.White), image.Point{}, draw.Src)
		}
		data, err := synthetic.PNG(mask)
		if err != nil {
			return fmt.Errorf("encode the mask of board %s: %w", b.Serial, err)
		}
		return r.file(data, "ground_truth", kind, b.Serial+"_mask.png")
	case eval.Detect:
		r.annotate(b, name)
	}
	return r.file(picture, name)
}

// annotate adds a board's boxes to the COCO file.
func (r *renderer) annotate(b synthetic.Board, name string) {
	size, id := b.Test.Rect.Size(), len(r.coco.Images)+1
	r.coco.Images = append(r.coco.Images, cocoImage{id, name, size.X, size.Y, b.Reference, b.View})
	for _, d := range b.Defects {
		category := 0
		for i, c := range synthetic.Classes() {
			if c == d.Class {
				category = i + 1
			}
		}
		s := d.Box.Size()
		r.coco.Annotations = append(r.coco.Annotations, cocoAnnotation{ID: len(r.coco.Annotations) + 1, Image: id, Category: category,
			Box: [4]int{d.Box.Min.X, d.Box.Min.Y, s.X, s.Y}, Area: s.X * s.Y})
	}
}

// file writes a file below the set's folder images.
func (r *renderer) file(data []byte, parts ...string) error {
	name := filepath.Join(append([]string{r.dir, "images"}, parts...)...)
	err := os.MkdirAll(filepath.Dir(name), 0o750)
	if err == nil {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the set: %w", err)
	}
	return nil
}
