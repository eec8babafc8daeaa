package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/cmd/assay/eval"
	"github.com/assay-vision/assay/inspection"
)

// boardsOptions are the flags of boards.
type boardsOptions struct {
	set                   string
	count, products, good int
	png                   bool
	budget                time.Duration
}

func (a *app) boardsCommand() *cobra.Command {
	var o boardsOptions
	cmd := &cobra.Command{
		Use:   "boards folder",
		Short: "Draw boards with known defects: pictures, templates, truth and a recipe",
		Long: "Draw boards with known defects into a folder: images/ with the pictures, the truth in COCO's format (coco.json) and what\n" +
			"`assay stream` needs (frames.csv); recipes/ with a recipe for the shipped model and its templates. The sets keep boards\n" +
			"for training, tests and demonstration apart. The same flags give the same pixels on every machine.\n\n" +
			"Exit status: 0 all are written, 1 an error, 2 wrong usage.",
		Example: "  assay boards --count 300 my-boards\n  assayd --set recipes.dir=my-boards/recipes &\n  assay eval --recipe boards my-boards/images/coco.json",
		Args:    args(1, 1, "the folder to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.boards(cmd.Context(), o, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.out, "%s: %d boards of %d products, set %s\n", args[0], o.count, o.products, o.set)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.set, "set", "test", "demo, test or training: boards of different sets never meet")
	f.IntVar(&o.count, "count", 100, "boards to draw")
	f.IntVar(&o.products, "products", 4, "layouts, each with its template")
	f.IntVar(&o.good, "good", 25, "how many of a hundred boards have no defect")
	f.BoolVar(&o.png, "png", false, "write PNG (default: JPEG of quality 95)")
	f.DurationVar(&o.budget, "budget", 10*time.Second, "the recipe's budget")
	return cmd
}

func (o boardsOptions) source() (*synthetic.Source, error) {
	sets := map[string]synthetic.Set{"demo": synthetic.SetDemo, "test": synthetic.SetTest, "training": synthetic.SetTraining}
	set, ok := sets[o.set]
	if !ok {
		return nil, fmt.Errorf("%w: --set %q: use demo, test or training", errUsage, o.set)
	}
	config := synthetic.DefaultSource(set, o.count)
	config.Series.Products, config.Series.GoodPercent = o.products, o.good
	if o.png {
		config.Format = inspection.FormatPNG
	}
	source, err := synthetic.NewSource(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return source, nil
}

// boards writes the set. The folder must not hold anything yet: a mixture of two sets would have a wrong truth.
func (a *app) boards(ctx context.Context, o boardsOptions, dir string) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s holds something already: remove it, or name another folder", dir)
	}
	source, err := o.source()
	if err != nil {
		return err
	}
	defer source.Close()
	images := filepath.Join(dir, "images")
	if err := os.MkdirAll(images, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if err := source.Series().WriteRecipe(filepath.Join(dir, "recipes"), "boards", o.budget); err != nil {
		return err
	}
	set := eval.Set{Classes: synthetic.Classes()}
	rows := [][]string{{"file", "serial", "view", "reference"}}
	for {
		shot, err := source.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		frame := shot.Frame
		if err := os.WriteFile(filepath.Join(images, shot.Name), frame.Image.Data.AppendTo(nil), 0o600); err != nil {
			return fmt.Errorf("write a picture: %w", err)
		}
		frame.Image.Data.Release()
		truth, _ := source.Truth(frame.Serial)
		for _, d := range truth {
			set.Truths = append(set.Truths, eval.Truth{Image: len(set.Images), Class: d.Class, Box: inspection.Box{
				X1: float64(d.Box.Min.X), Y1: float64(d.Box.Min.Y), X2: float64(d.Box.Max.X), Y2: float64(d.Box.Max.Y),
			}})
		}
		set.Images = append(set.Images, eval.Image{File: shot.Name, Width: frame.Image.Width, Height: frame.Image.Height, Reference: frame.Reference, View: frame.View})
		rows = append(rows, []string{shot.Name, frame.Serial, frame.View, frame.Reference})
	}
	if err := writeRows(filepath.Join(images, "frames.csv"), rows); err != nil {
		return err
	}
	return set.WriteCOCO(filepath.Join(images, "coco.json"))
}

func writeRows(path string, rows [][]string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the list of frames: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return csv.NewWriter(f).WriteAll(rows)
}
