//go:build gocv_specific_modules

package inference_test

import (
	"bytes"
	"image"
	"image/png"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// exported is a repository with a graph of package ort's tests, under the name "export".
func exported(t *testing.T, graph, manifest string) *models.Repository {
	t.Helper()
	b, err := os.ReadFile("ort/testdata/" + graph + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := models.Open(models.Root{Name: "test", FS: fstest.MapFS{"export/1/model.onnx": {Data: b}, "export/1/model.yaml": {Data: []byte(manifest)}}})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// A graph without batches, and with another number of detections for each picture, judges frames side by side, each with its own
// answer; the engine says that batches cannot be had, and is heard.
func TestAGraphWithoutBatchesJudgesFramesSideBySide(t *testing.T) {
	repo := exported(t, "found", `task: detect
inputs: [{name: image, layout: NCHW, width: 4, height: 4, color: gray, resize: none, scale: 0.00392156862745098}]
output: {decoder: detections, tensors: {scores: scores, boxes: boxes, labels: labels}, box_unit: pixel, label_offset: 1}
labels: [a, b]
batch_sizes: [1, 2, 4]
`)
	var log bytes.Buffer
	rt := newLoggedORT(t, slog.New(slog.NewTextHandler(&log, nil)))
	e := newEngine(t, rt, repo)
	judge := ready(t, e, openRecipe("export", 0.4))

	status := e.Models()
	if len(status) != 1 || status[0].State != inference.StateReady || !slices.Equal(status[0].BatchSizes, []int{1}) ||
		len(status[0].Fallbacks) != 1 || !strings.HasPrefix(status[0].Fallbacks[0], `batch_sizes 1 2 4: the graph's input "image" has a fixed batch of 1`) {
		t.Errorf("got %+v, want a ready model with batches of 1, and why", status)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "fixed batch of 1") {
		t.Errorf("got the log %s\nwant a warning with the reason", log.String())
	}

	var wg sync.WaitGroup
	for n := range 9 { // as many dark pixels
		wg.Go(func() {
			im := image.NewGray(image.Rect(0, 0, 4, 4))
			for i := range im.Pix[n:] {
				im.Pix[n+i] = 255
			}
			var b bytes.Buffer
			if err := png.Encode(&b, im); err != nil {
				t.Error(err)
				return
			}
			job := judge(jobOf(uint64(n+1), b.Bytes()))
			job.Frame.Image.Format = inspection.FormatPNG
			got, err := e.Inspect(t.Context(), job)
			if err != nil || len(got.Defects) != n {
				t.Errorf("%d dark pixels: got %d defects, %v", n, len(got.Defects), err)
			}
		})
	}
	wg.Wait()
}
