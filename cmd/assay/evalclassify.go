package main

import (
	"context"
	"fmt"
	"io"

	"github.com/assay-vision/assay/cmd/assay/chart"
	"github.com/assay-vision/assay/cmd/assay/eval"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// classFigures are a classifier's.
type classFigures struct{ eval.Confusion }

// noClass heads the column of pictures for which nothing was predicted.
const noClass = "(none)"

func (a *app) evalClasses(ctx context.Context, rec *recorded, run *evalRun) (figures, error) {
	truths, guesses := make([]string, len(run.set.Images)), make([]string, len(run.set.Images))
	for i, im := range run.set.Images {
		truths[i] = im.Class
	}
	err := a.eachResult(ctx, rec, run, func(image int, _ *assayv1.Result, j *assayv1.Judgement) error {
		guesses[image] = strongest(j).GetClass()
		return nil
	})
	if err != nil {
		return nil, err
	}
	classes := run.labels
	if len(classes) == 0 {
		classes = run.set.Classes
	}
	c, err := eval.NewConfusion(classes, truths, guesses)
	if err != nil {
		return nil, fmt.Errorf("the model's classes and the set's do not agree: %w", err)
	}
	return classFigures{c}, nil
}

// widestMatrix is how many classes a matrix may have to be printed as text.
const widestMatrix = 20

func (f classFigures) print(a *app) error {
	err := a.table("CLASS\tPICTURES\tPRECISION\tRECALL\tF1\tRIGHT\tFALSE\tMISSED", func(w io.Writer) {
		row := func(name string, pictures int, precision, recall, f1 float64, c eval.Counts) {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%d\t%d\t%d\n", name, pictures, percent(precision), percent(recall), percent(f1), c.Right, c.Wrong, c.Missed)
		}
		for i, class := range f.Classes {
			c := f.Of(i)
			row(fmt.Sprintf("%d %s", i+1, plain(class)), f.Pictures(i), c.Precision(), c.Recall(), c.F(), c)
		}
	})
	fmt.Fprintf(a.out, "Accuracy %s %%, macro F1 %s %% of %d pictures.\n\n", percent(f.Accuracy()), percent(f.MacroF1()), f.pictures())
	if err != nil || len(f.Classes) > widestMatrix {
		return err
	}
	head := "TRUE, PREDICTED AS"
	for i := range f.Classes {
		head += fmt.Sprintf("\t%d", i+1)
	}
	return a.table(head+"\t"+noClass, func(w io.Writer) {
		for i, class := range f.Classes {
			fmt.Fprintf(w, "%d %s", i+1, plain(class))
			for _, n := range f.Counts[i] {
				fmt.Fprintf(w, "\t%d", n)
			}
			fmt.Fprintln(w)
		}
	})
}

func (f classFigures) pictures() int {
	n := 0
	for i := range f.Classes {
		n += f.Pictures(i)
	}
	return n
}

func (f classFigures) json() map[string]any {
	var classes []map[string]any
	for i, class := range f.Classes {
		c := f.Of(i)
		classes = append(classes, map[string]any{"class": class, "pictures": f.Pictures(i), "precision": number(c.Precision()), "recall": number(c.Recall()),
			"f1": number(c.F()), "right": c.Right, "false": c.Wrong, "missed": c.Missed})
	}
	return map[string]any{"classes": classes, "accuracy": number(f.Accuracy()), "macro_f1": number(f.MacroF1()), "pictures": f.pictures(),
		"confusion": map[string]any{"true": f.Classes, "predicted": append(append([]string{}, f.Classes...), noClass), "counts": f.Counts}}
}

func (f classFigures) plot(w io.Writer, title string) error {
	return chart.Matrix(w, fmt.Sprintf("%saccuracy %s %%, macro F1 %s %%", title, percent(f.Accuracy()), percent(f.MacroF1())),
		f.Classes, append(append([]string{}, f.Classes...), noClass), f.Counts)
}
