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

// anomalyFigures are those of a model that tells the anomalous from the normal.
type anomalyFigures struct{ eval.AnomalyReport }

func (a *app) evalAnomaly(ctx context.Context, rec *recorded, run *evalRun, floor float64) (figures, error) {
	var found []eval.Scored
	bar := progress(len(run.set.Images), "read")
	err := a.eachResult(ctx, rec, run, func(image int, r *assayv1.Result, j *assayv1.Judgement) (err error) {
		_ = bar.Add(1)
		if j == nil {
			return nil // nothing was said of it, which is not that it is normal
		}
		f := eval.Scored{Image: image, Called: j.GetVerdict() != assayv1.Verdict_VERDICT_PASS}
		if s := strongest(j).GetScore(); s >= floor {
			f.Score = s
		}
		if run.set.Masked() {
			f.Heatmap, err = a.heatmap(ctx, rec.client, r)
		}
		found = append(found, f)
		return err
	})
	_ = bar.Finish()
	if err != nil {
		return nil, err
	}
	pixels := progress(len(found), "pixels")
	report, err := eval.EvaluateAnomaly(run.set, found, func() { _ = pixels.Add(1) })
	_ = pixels.Finish()
	return anomalyFigures{report}, err
}

// heatmap reads one result in full, for a list may leave heatmaps out. It is nil where the model gave none.
func (a *app) heatmap(ctx context.Context, client assayv1.ResultServiceClient, r *assayv1.Result) (*inspection.Heatmap, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	resp, err := client.GetResult(ctx, &assayv1.GetResultRequest{Id: r.GetId()})
	if err != nil {
		return nil, a.explain("read result "+r.GetId(), err)
	}
	h := modelJudgement(resp.GetResult()).GetHeatmap()
	if h == nil {
		return nil, nil
	}
	b := h.GetArea()
	return &inspection.Heatmap{PNG: h.GetPng(), Low: h.GetLow(), High: h.GetHigh(),
		Area: inspection.Box{X1: b.GetX1(), Y1: b.GetY1(), X2: b.GetX2(), Y2: b.GetY2()}}, nil
}

func (f anomalyFigures) print(a *app) error {
	err := a.table("KIND\tPICTURES\tIMAGE AUROC\tPIXEL AUROC\tAUPRO\tDEFECTS\tCALLED", func(w io.Writer) {
		for _, k := range append(f.Kinds[:len(f.Kinds):len(f.Kinds)], f.All) {
			name := plain(k.Kind)
			if k.Kind == "" {
				name = "all"
			}
			defects := "-"
			if f.NoPixels == "" {
				defects = fmt.Sprint(k.Defects)
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%d\n", name, k.Pictures, percent(k.Image.Area), percent(k.Pixel.Area), percent(k.AUPRO), defects, k.Called)
		}
		fmt.Fprintf(w, "%s (normal)\t%d\t\t\t\t\t%d\n", plain(f.Normal.Kind), f.Normal.Pictures, f.Normal.Called)
	})
	fmt.Fprintf(a.out, "Each kind is held against the normal pictures. What the recipe did not let pass is called: precision %s, recall %s, F %s.\n",
		percent(f.Precision()), percent(f.Recall()), percent(f.F()))
	if f.Unjudged > 0 {
		fmt.Fprintf(a.out, "%d pictures were not judged by the model and are in none of these figures.\n", f.Unjudged)
	}
	if f.NoPixels != "" {
		fmt.Fprintf(a.out, "Pixels are not measured: %s.\n", f.NoPixels)
		return err
	}
	fmt.Fprintf(a.out, "Pixels: heatmaps of up to %dx%d px and 8 bits, laid over the frames, %d steps of score from %g to %g; AUROC is exact to %.1g. AUPRO is up to 30 %% false pixels.\n",
		f.MapWidth, f.MapHeight, f.Levels, f.Low, f.High, f.All.PixelError)
	return err
}

func (f anomalyFigures) json() map[string]any {
	of := func(k eval.KindReport) map[string]any {
		m := map[string]any{"kind": k.Kind, "pictures": k.Pictures, "called": k.Called, "image_auroc": number(k.Image.Area)}
		if f.NoPixels == "" {
			m["pixel_auroc"], m["aupro"], m["defects"], m["pixel_auroc_within"] = number(k.Pixel.Area), number(k.AUPRO), k.Defects, number(k.PixelError)
		}
		return m
	}
	var kinds []map[string]any
	for _, k := range f.Kinds {
		kinds = append(kinds, of(k))
	}
	out := map[string]any{"kinds": kinds, "all": of(f.All), "normal": map[string]any{"kind": f.Normal.Kind, "pictures": f.Normal.Pictures, "called": f.Normal.Called},
		"unjudged": f.Unjudged, "precision": number(f.Precision()), "recall": number(f.Recall()), "f": number(f.F())}
	if f.NoPixels != "" {
		out["no_pixels"] = f.NoPixels
	} else {
		out["resolution"] = map[string]any{"map_width": f.MapWidth, "map_height": f.MapHeight, "levels": f.Levels, "low": f.Low, "high": f.High}
	}
	return out
}

func (f anomalyFigures) plot(w io.Writer, title string) error {
	var lines []chart.Line
	add := func(name string, r eval.ROC) {
		l := chart.Line{Name: fmt.Sprintf("%s, AUROC %s", name, percent(r.Area))}
		for _, p := range thinned(r.Points) {
			l.X, l.Y = append(l.X, p.FalseRate), append(l.Y, p.TrueRate)
		}
		lines = append(lines, l)
	}
	add("all", f.All.Image)
	lines[0].Mark = &chart.Mark{X: float64(f.Normal.Called) / max(float64(f.Normal.Pictures), 1), Y: f.Recall()}
	if f.NoPixels == "" {
		add("all pixels", f.All.Pixel)
	}
	for _, k := range f.Kinds {
		add(k.Kind, k.Image)
	}
	return chart.Curves(w, title+"ROC of pictures; dot: the recipe's thresholds", "normal called", "anomalous called", lines)
}

// thinned leaves out points that lie closer than a plot can show.
func thinned(points []eval.ROCPoint) []eval.ROCPoint {
	const step = 1.0 / 2000
	var out []eval.ROCPoint
	for i, p := range points {
		if i == 0 || i == len(points)-1 || p.FalseRate-out[len(out)-1].FalseRate >= step || p.TrueRate-out[len(out)-1].TrueRate >= step {
			out = append(out, p)
		}
	}
	return out
}
