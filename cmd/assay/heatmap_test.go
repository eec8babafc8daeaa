package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// A result with a heatmap says so, and its first picture is written where --heatmap says.
func TestAHeatmapIsShownAndWritten(t *testing.T) {
	with := func(png string) *assayv1.Judgement {
		return &assayv1.Judgement{Heatmap: &assayv1.Heatmap{Png: []byte(png), Area: &assayv1.Box{X2: 640, Y2: 480}, Low: -3.25, High: 17}}
	}
	r := &assayv1.Result{Id: "r-1", Judgements: []*assayv1.Judgement{{}, with("the picture"), with("another")}}
	var out bytes.Buffer
	a := &app{out: &out}
	if err := a.describeResult(r); err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(), "heatmap: over 0.0, 0.0 - 640.0, 480.0 px, scores -3.25 to 17; --heatmap FILE")

	file := filepath.Join(t.TempDir(), "seen.png")
	if err := writeHeatmap(r, file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "the picture" {
		t.Errorf("the file holds %q, %v; want the first heatmap's picture", got, err)
	}
	r.Judgements = r.Judgements[:1]
	if err := writeHeatmap(r, file+"2"); err == nil {
		t.Error("a result without a heatmap: want an error")
	}
	if _, err := os.Stat(file + "2"); err == nil {
		t.Error("a file was made of no heatmap")
	}
}

func TestHeatmapNeedsAResult(t *testing.T) {
	_, errs, status := assay(t, nil, "results", "--heatmap", "seen.png")
	if status != 2 {
		t.Errorf("exit status %d, want 2", status)
	}
	contains(t, errs, "--heatmap needs the id")
}
