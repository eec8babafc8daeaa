package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/assay-vision/assay/cmd/assay/eval"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// A set of rendered boards as the three tasks see it, each judged through a node.
func TestEvalOfEveryTaskThroughANode(t *testing.T) {
	dir := t.TempDir()
	recipes := filepath.Join(dir, "recipes")
	for _, task := range []string{"detect", "classify", "anomaly"} {
		set := filepath.Join(dir, task)
		out, errs, status := assay(t, nil, "render", set, "--task", task, "--boards", "24")
		if status != 0 {
			t.Fatalf("render: exit status %d\n%s%s", status, out, errs)
		}
		if err := os.CopyFS(recipes, os.DirFS(filepath.Join(set, "recipes"))); err != nil {
			t.Fatal(err)
		}
	}
	n, err := startNode(t.Context(), filepath.Join(bin, "assayd"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	for _, c := range []struct {
		task, set string
		args      []string
		wants     []string
	}{
		{"detect", "detect/images/coco.json", []string{"--report-at", "0.05", "--iou", "0.33,0.5"}, []string{"AP@0.33", "AP@0.5", "all (mean AP)", "above 0.33"}},
		{"classify", "classify/images", []string{"--reference", "test-p00"}, []string{"macro F1", "of 24 pictures", "(none)", "pin-hole"}},
		{"anomaly", "anomaly/images", []string{"--reference", "test-p00", "--report-at", "0.05"}, []string{"IMAGE AUROC", "good (normal)", "no heatmap"}},
	} {
		report, plot := filepath.Join(dir, c.task+".json"), filepath.Join(dir, c.task+".png")
		out, errs, status := assay(t, nil, append([]string{"--addr", n.grpc, "eval", "-r", "rendered-" + c.task, "--report", report, "--plot", plot, filepath.Join(dir, c.set)}, c.args...)...)
		if status != 0 {
			t.Errorf("%s: exit status %d\n%s%s", c.task, status, out, errs)
			continue
		}
		contains(t, out, append(c.wants, "pcb-pair@1", "recipe rendered-"+c.task+" revision 1", "frames/s; ONNX Runtime alone was measured at", "24 judged by the model")...)
		checkEvalReport(t, c.task, report)
		f, err := os.Open(plot)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := png.Decode(f); err != nil {
			t.Errorf("%s: the plot: %v", c.task, err)
		}
		_ = f.Close()
	}
	// A folder that is no class of the model's, and a recipe that keeps too few candidates.
	if err := os.Mkdir(filepath.Join(dir, "classify/images/rust"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "classify/images/rust/1.png"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		recipe, set string
		wants       []string
	}{
		{"rendered-classify", "classify/images", []string{`class "rust"`, "pcb-pair@1 does not call", "name the set's folders"}},
		{"rendered-anomaly", "anomaly/images", []string{"keeps candidates from 0.05", "--report-at"}},
	} {
		_, errs, status := assay(t, nil, "--addr", n.grpc, "eval", "-r", c.recipe, filepath.Join(dir, c.set))
		if status != 1 {
			t.Errorf("%s: exit status %d, want 1", c.recipe, status)
		}
		contains(t, errs, c.wants...)
	}
}

// A folder "good" suggests that a set is for anomalies. A classifier asks which class a picture shows, whatever it is called.
func TestEvalReadsAFolderAsTheModelDoes(t *testing.T) {
	dir := t.TempDir()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 128, 128))); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"recipes/strip.yaml":       []byte("name: strip\nmodel: steel\nfallback: REVIEW\nbudget: 10s\nclasses: {\"*\": {reject_at: 0.5}}\n"),
		"set/good/1.png":           picture.Bytes(),
		"set/iron sheet ash/1.png": picture.Bytes(),
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o750), os.WriteFile(file, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := startNode(t.Context(), filepath.Join(bin, "assayd"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	_, errs, status := assay(t, nil, "--addr", n.grpc, "eval", "-r", "strip", filepath.Join(dir, "set"))
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	contains(t, errs, `class "good", which model steel@1 does not call`)
}

// checkEvalReport holds a report to what a model that knows the boards must reach.
func checkEvalReport(t *testing.T, task, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Task            string
		Accuracy        float64
		MacroF1         float64 `json:"macro_f1"`
		FramesPerSecond float64 `json:"frames_per_second"`
		IoUs            []struct{ All struct{ AP float64 } }
		All             struct {
			AP         float64
			ImageAUROC float64 `json:"image_auroc"`
		}
		Model  struct{ Name, Digest string }
		Recipe struct{ Revision int }
		Raw    struct {
			Rate float64 `json:"samples_per_second"`
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	good := map[string]bool{
		"detect":   r.All.AP > 0.8 && len(r.IoUs) == 2 && r.IoUs[0].All.AP == r.All.AP && r.IoUs[1].All.AP <= r.All.AP,
		"classify": r.Accuracy > 0.8 && r.MacroF1 > 0.5,
		"anomaly":  r.All.ImageAUROC > 0.8,
	}
	if r.Task != task || !good[task] || !(r.FramesPerSecond > 0) || !(r.Raw.Rate > 0) || r.Model.Name != "pcb-pair" || len(r.Model.Digest) != 64 || r.Recipe.Revision != 1 {
		t.Errorf("%s: the report says %s", task, raw)
	}
}

// fakeResults is a node's record in which a list has no heatmaps, as the whole results have.
type fakeResults struct {
	assayv1.ResultServiceClient
	results []*assayv1.Result
}

func (f fakeResults) ListResults(context.Context, *assayv1.ListResultsRequest, ...grpc.CallOption) (*assayv1.ListResultsResponse, error) {
	var resp assayv1.ListResultsResponse
	for _, r := range f.results {
		j := r.GetJudgements()[0]
		resp.Results = append(resp.Results, &assayv1.Result{Id: r.GetId(), Key: r.GetKey(), Judgements: []*assayv1.Judgement{{
			Source: j.GetSource(), Verdict: j.GetVerdict(), Defects: j.GetDefects(), Model: j.GetModel(), Recipe: j.GetRecipe()}}})
	}
	return &resp, nil
}

func (f fakeResults) GetResult(_ context.Context, req *assayv1.GetResultRequest, _ ...grpc.CallOption) (*assayv1.GetResultResponse, error) {
	for _, r := range f.results {
		if r.GetId() == req.GetId() {
			return &assayv1.GetResultResponse{Result: r}, nil
		}
	}
	return nil, os.ErrNotExist
}

func greyPNG(t *testing.T, width, height int, of func(x, y int) uint8) []byte {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			im.SetGray(x, y, color.Gray{Y: of(x, y)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// heatSet is a set of one normal and one defective picture, 8x8 px, the defect being the right half, and what a model that sees
// it is on record with.
func heatSet(t *testing.T) (eval.Set, *recorded) {
	t.Helper()
	dir := t.TempDir()
	right := func(x, _ int) uint8 { return uint8(x / 4 * 255) }
	black := func(int, int) uint8 { return 0 }
	for name, data := range map[string][]byte{"good/1.png": greyPNG(t, 8, 8, black), "bad/1.png": greyPNG(t, 8, 8, black), "bad/1_mask.png": greyPNG(t, 8, 8, right)} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := eval.Read(dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorded{sent: map[uint64]int{}}
	var results []*assayv1.Result
	for i, im := range set.Images {
		j := &assayv1.Judgement{Source: assayv1.Source_SOURCE_MODEL, Verdict: assayv1.Verdict_VERDICT_PASS, Model: &assayv1.ModelRef{Name: "m", Version: "2", Digest: "d"},
			Recipe: &assayv1.RecipeRef{Name: "r", Revision: 3, Digest: "e"}, Heatmap: &assayv1.Heatmap{Png: greyPNG(t, 8, 8, black), Area: &assayv1.Box{X2: 8, Y2: 8}, High: 1}}
		if im.Class == "bad" {
			j.Verdict, j.Defects, j.Heatmap.Png = assayv1.Verdict_VERDICT_FAIL, []*assayv1.Defect{{Score: 0.2}, {Score: 0.7}}, greyPNG(t, 8, 8, right)
		}
		rec.sent[uint64(i+1)] = i
		results = append(results, &assayv1.Result{Id: im.File, Key: &assayv1.FrameKey{Seq: uint64(i + 1)}, Judgements: []*assayv1.Judgement{j}})
	}
	rec.client = fakeResults{results: results}
	return set, rec
}

func TestEvalAnomalyReadsHeatmaps(t *testing.T) {
	set, rec := heatSet(t)
	var out bytes.Buffer
	a, run := &app{out: &out}, &evalRun{set: set}
	f, err := a.evalAnomaly(t.Context(), rec, run, 0.01)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.print(a); err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(), "PIXEL AUROC", "8x8 px", "65536 steps")
	got, _ := json.Marshal(f.json())
	contains(t, string(got), `"image_auroc":1`, `"pixel_auroc":1`, `"aupro":1`, `"defects":1`, `"levels":65536`)
	if run.model.GetVersion() != "2" || run.recipe.GetRevision() != 3 {
		t.Errorf("judged by %v and %v, want version 2 and revision 3", run.model, run.recipe)
	}
	var plot bytes.Buffer
	if err := f.plot(&plot, "m@2: "); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&plot); err != nil {
		t.Error(err)
	}
}

func TestEvalRefusesTwoModelsInOneRun(t *testing.T) {
	set, rec := heatSet(t)
	rec.client.(fakeResults).results[1].Judgements[0].Model = &assayv1.ModelRef{Name: "m", Version: "3", Digest: "other"}
	_, err := (&app{}).evalAnomaly(t.Context(), rec, &evalRun{set: set}, 0)
	if err == nil || !strings.Contains(err.Error(), "changed on the way") {
		t.Errorf("got %v", err)
	}
	rec.sent[9] = 0
	rec.client.(fakeResults).results[1].Judgements[0].Model = rec.client.(fakeResults).results[0].Judgements[0].GetModel()
	if _, err = (&app{}).evalAnomaly(t.Context(), rec, &evalRun{set: set}, 0); err == nil || !strings.Contains(err.Error(), "3 frames were sent and 2") {
		t.Errorf("a result is missing: got %v", err)
	}
}

func TestStrongestTakesTheFirstOfEqualScores(t *testing.T) {
	j := &assayv1.Judgement{Defects: []*assayv1.Defect{{Class: "a", Score: 0.2}, {Class: "b", Score: 0.7}, {Class: "c", Score: 0.7}}}
	if got := strongest(j).GetClass(); got != "b" {
		t.Errorf("got %q, want b", got)
	}
	if got := strongest(nil).GetClass(); got != "" {
		t.Errorf("no candidate: got %q", got)
	}
}
