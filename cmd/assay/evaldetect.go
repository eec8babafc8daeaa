package main

import (
	"context"
	"fmt"
	"io"

	"github.com/assay-vision/assay/cmd/assay/chart"
	"github.com/assay-vision/assay/cmd/assay/eval"
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// boxFigures are a detector's: one report for each IoU.
type boxFigures struct{ reports []eval.Report }

func (a *app) evalBoxes(ctx context.Context, rec *recorded, run *evalRun, o evalOptions) (figures, error) {
	var detections []eval.Detection
	err := a.eachResult(ctx, rec, run, func(image int, _ *assayv1.Result, j *assayv1.Judgement) error {
		detections = append(detections, candidates(j, image, o.reportAt)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var f boxFigures
	for _, iou := range o.ious {
		report, err := eval.Evaluate(run.set.Classes, run.set.Truths, detections, iou)
		if err != nil {
			return nil, fmt.Errorf("the model's classes and the set's do not agree: %w", err)
		}
		f.reports = append(f.reports, report)
	}
	return f, nil
}

func candidates(j *assayv1.Judgement, image int, floor float64) []eval.Detection {
	var out []eval.Detection
	for _, d := range j.GetDefects() {
		b := d.GetBox()
		if d.GetScore() >= floor {
			out = append(out, eval.Detection{
				Image: image, Class: d.GetClass(), Score: d.GetScore(), Called: d.GetCalled() && d.GetVerdict() == assayv1.Verdict_VERDICT_FAIL,
				Box: inspection.Box{X1: b.GetX1(), Y1: b.GetY1(), X2: b.GetX2(), Y2: b.GetY2()},
			})
		}
	}
	return out
}

func (f boxFigures) print(a *app) error {
	head := "CLASS"
	for _, r := range f.reports {
		head += fmt.Sprintf("\tAP@%g", r.IoU)
	}
	first := f.reports[0]
	err := a.table(head+"\tTRUTHS\tPRECISION\tRECALL\tF\tFOUND\tFALSE\tMISSED", func(w io.Writer) {
		row := func(name string, ap func(eval.Report) float64, truths int, c eval.Counts) {
			fmt.Fprint(w, name)
			for _, r := range f.reports {
				fmt.Fprint(w, "\t", percent(ap(r)))
			}
			fmt.Fprintf(w, "\t%d\t%s\t%s\t%s\t%d\t%d\t%d\n", truths, percent(c.Precision()), percent(c.Recall()), percent(c.F()), c.Right, c.Wrong, c.Missed)
		}
		for i, c := range first.Classes {
			row(plain(c.Class), func(r eval.Report) float64 { return r.Classes[i].AP }, c.Truths, c.Counts)
		}
		row("all (mean AP)", func(r eval.Report) float64 { return r.MeanAP }, first.Truths(), first.Total)
	})
	fmt.Fprintf(a.out, "Precision, recall and F are at the recipe's reject_at, with an overlap above %g.\n", first.IoU)
	return err
}

// figuresJSON are the figures of one class, or of all.
type figuresJSON struct {
	Class     string   `json:"class"`
	AP        *float64 `json:"ap"`
	Truths    int      `json:"truths"`
	Precision *float64 `json:"precision"`
	Recall    *float64 `json:"recall"`
	F         *float64 `json:"f"`
	Found     int      `json:"found"`
	False     int      `json:"false"`
	Missed    int      `json:"missed"`
}

func (f boxFigures) json() map[string]any {
	of := func(class string, ap float64, truths int, c eval.Counts) figuresJSON {
		return figuresJSON{class, number(ap), truths, number(c.Precision()), number(c.Recall()), number(c.F()), c.Right, c.Wrong, c.Missed}
	}
	var all []map[string]any
	for _, r := range f.reports {
		var classes []figuresJSON
		for _, c := range r.Classes {
			classes = append(classes, of(c.Class, c.AP, c.Truths, c.Counts))
		}
		all = append(all, map[string]any{"iou": r.IoU, "classes": classes, "all": of("", r.MeanAP, r.Truths(), r.Total)})
	}
	// The first stands at the top as well, where scripts have found the only one since there was one.
	return map[string]any{"iou": all[0]["iou"], "classes": all[0]["classes"], "all": all[0]["all"], "ious": all}
}

func (f boxFigures) plot(w io.Writer, title string) error {
	first := f.reports[0]
	var lines []chart.Line
	for _, c := range first.Classes {
		if c.Truths == 0 {
			continue
		}
		l := chart.Line{Name: fmt.Sprintf("%s, AP %s", c.Class, percent(c.AP))}
		for _, p := range c.Curve {
			l.X, l.Y = append(l.X, p.Recall), append(l.Y, p.Precision)
		}
		if c.Right+c.Wrong > 0 {
			l.Mark = &chart.Mark{X: c.Recall(), Y: c.Precision()}
		}
		lines = append(lines, l)
	}
	return chart.Curves(w, fmt.Sprintf("%smean AP %s at IoU %g; dots: the recipe's reject_at", title, percent(first.MeanAP), first.IoU), "recall", "precision", lines)
}
