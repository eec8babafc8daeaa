//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"slices"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
)

const evidenceInput = "inputs: [{name: x, layout: NCHW, width: 32, height: 16, color: gray, resize: stretch, scale: 0.00392156862745098}]\nbatch_sizes: [1, 2]\n"

// evidenceHouse is a node whose recipe judges by the tiny graph of a task.
func evidenceHouse(t *testing.T, task, output string) *house {
	t.Helper()
	graph := readFile(t, filepath.Join("testdata/evidence", task+".onnx"))
	manifest := "task: " + task + "\n" + evidenceInput + output + "\n"
	h := prepare(t, func(c *node.Config) { c.Models.Dir = writeModel(t, "tiny", graph, []byte(manifest)) })
	h.WriteRecipe("tiny.yaml", "name: tiny\nmodel: tiny\nbudget: 60s\nfallback: REVIEW\nkeep: {pass: all}\nclasses:\n"+
		map[string]string{"classify": "  good: {ignore: true}\n"}[task]+"  \"*\": {review_at: 0.5, reject_at: 0.9}\n")
	h.Start()
	h.WaitReady()
	return h
}

// spot is where the pictures that are not good are bright.
var spot = inspection.Box{X1: 32, Y1: 16, X2: 80, Y2: 48}

// dark is a picture of 128x64 px, with a bright spot or without.
func dark(t *testing.T, withSpot bool) inspection.Frame {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 128, 64))
	for y := int(spot.Y1); y < int(spot.Y2) && withSpot; y++ {
		for x := int(spot.X1); x < int(spot.X2); x++ {
			img.SetGray(x, y, color.Gray{Y: 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return inspection.Frame{Recipe: "tiny", Image: inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, b.Bytes())}}
}

// covers checks that a mask holds the spot and nothing else.
func covers(t *testing.T, m *inspection.Mask) {
	t.Helper()
	if m == nil || m.Width != 128 || m.Height != 64 {
		t.Fatalf("the mask is %+v, want one of 128x64", m)
	}
	bits, err := m.Decode()
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bits {
		if x, y := float64(i%128), float64(i/128); b != (x >= spot.X1 && x < spot.X2 && y >= spot.Y1 && y < spot.Y2) {
			t.Fatalf("pixel %v, %v belongs=%v, the spot is %v", x, y, b, spot)
		}
	}
}

// A frame goes in, and verdict, box, mask and heatmap come out of the record, for each task whose answer is not boxes.
func TestEvidenceComesOutOfTheRecord(t *testing.T) {
	whole := inspection.Box{X2: 128, Y2: 64}
	for _, c := range []struct {
		name, task, output, class string
		box                       inspection.Box
		mask                      bool
	}{
		{"classify", "classify", "output: {decoder: classifier, tensors: {scores: logits}, activation: softmax}\nlabels: [good, bad]", "bad", whole, false},
		{"segment", "segment", "output: {decoder: segmentation, tensors: {scores: logits}, activation: softmax, background: 0}\nlabels: [stain]", "stain", spot, true},
		{"segment by labels", "segment", "output: {decoder: segmentation, tensors: {labels: classes}, background: 0}\nlabels: [stain]", "stain", spot, true},
		{"anomaly", "anomaly", "output: {decoder: anomaly, tensors: {map: anomaly_map, score: pred_score}}\nlabels: [anomaly]", "anomaly", spot, true},
		{
			"anomaly with all of anomalib's outputs", "anomaly",
			"output: {decoder: anomaly, tensors: {map: anomaly_map, score: pred_score, label: pred_label, mask: pred_mask}}\nlabels: [anomaly]", "anomaly", spot, true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := evidenceHouse(t, c.task, c.output)
			s := h.camera("cam-1", nil)
			o := h.judge(s, dark(t, true))
			r := h.get(o.Answer.ID)
			j := r.Judgements[0]
			if o.Verdict != inspection.Fail || o.Source != inspection.SourceModel || r.Effective.Verdict != o.Verdict || len(j.Called()) != 1 {
				t.Fatalf("got %v by %v, %q with %+v; want FAIL by the model with one called defect", o.Verdict, o.Source, o.Reason, j.Defects)
			}
			d := j.Defects[0]
			if d.Class != c.class || d.Score < 0.99 || d.Box != c.box || (d.Mask != nil) != c.mask {
				t.Errorf("got %+v, want %s at %v", d, c.class, c.box)
			}
			if c.mask {
				covers(t, d.Mask)
				covers(t, o.Answer.Judgement.Defects[0].Mask)
			}
			h.checkHeatmap(c.task == "anomaly", o.Answer.Judgement, r)

			good := h.judge(s, dark(t, false))
			if good.Verdict != inspection.Pass || good.Source != inspection.SourceModel {
				t.Errorf("a picture without a spot: got %v by %v, %q; want PASS", good.Verdict, good.Source, good.Reason)
			}
			if g := h.get(good.Answer.ID).Judgements[0]; (g.Heatmap != nil) != (c.task == "anomaly") || len(g.Called()) != 0 {
				t.Errorf("a picture without a spot: got heatmap %v and %d called", g.Heatmap, len(g.Called()))
			}
		})
	}
}

// checkHeatmap checks that a result has its heatmap, over gRPC and over HTTP, and that answers and lists have all of it but
// the picture; or that there is none.
func (h *house) checkHeatmap(want bool, answered inspection.Judgement, r inspection.Result) {
	h.t.Helper()
	listed := h.list(inspection.Query{})
	if len(listed) != 1 {
		h.t.Fatalf("%d results are listed, want one", len(listed))
	}
	status, header, body := h.Get("/v1/results/"+string(r.ID)+"/heatmap", nil)
	m := r.Judgements[0].Heatmap
	if !want {
		if m != nil || answered.Heatmap != nil || listed[0].Judgements[0].Heatmap != nil || status != 404 {
			h.t.Errorf("got heatmap %v, HTTP status %d, want none", m, status)
		}
		return
	}
	if m == nil || m.Area != (inspection.Box{X2: 128, Y2: 64}) || m.Low != 0 || m.High != 1 {
		h.t.Fatalf("got heatmap %+v, want one of the whole frame from 0 to 1", m)
	}
	img, err := png.Decode(bytes.NewReader(m.PNG))
	if err != nil {
		h.t.Fatal(err)
	}
	g, ok := img.(*image.Gray)
	if !ok || g.Rect.Dx() != 16 || g.Rect.Dy() != 8 {
		h.t.Fatalf("the heatmap is a %T of %v, want 8-bit grey of 16x8", img, img.Bounds())
	}
	for i, v := range g.Pix {
		x, y := float64(i%16*8), float64(i/16*8)
		if inside := x >= spot.X1 && x < spot.X2 && y >= spot.Y1 && y < spot.Y2; (v == 255) != inside || v != 0 && v != 255 {
			h.t.Errorf("the heatmap is %d at %v, %v of the frame", v, x, y)
		}
	}
	for where, light := range map[string]*inspection.Heatmap{"answer": answered.Heatmap, "list": listed[0].Judgements[0].Heatmap} {
		if light == nil || light.High != 1 || light.Area != m.Area || len(light.PNG) != 0 {
			h.t.Errorf("the %s has the heatmap %+v, want all but its picture", where, light)
		}
	}
	if status != 200 || header.Get("Content-Type") != "image/png" || !slices.Equal(body, m.PNG) {
		h.t.Errorf("over HTTP: status %d, %d bytes, %v; want the picture", status, len(body), header)
	}
}
