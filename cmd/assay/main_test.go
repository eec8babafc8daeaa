package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera/synthetic"
)

// bin holds assay and assayd as a user would build them.
var bin string

func TestMain(m *testing.M) {
	_ = os.Setenv("ASSAYD_INFERENCE__MEASURE", "0") // a test that wants its model measured asks for it
	dir, err := os.MkdirTemp("", "assay-cli-")
	if err == nil {
		bin = dir
		if out, buildErr := exec.Command("go", "build", "-o", dir, "../...").CombinedOutput(); buildErr != nil {
			err = fmt.Errorf("build the programs: %w\n%s", buildErr, out)
		}
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// assay runs the command line and returns what it printed and its exit status.
func assay(t *testing.T, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "assay"), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("assay %v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// node starts an assayd that judges rendered boards, and stops it at the end of the test.
func node(t *testing.T) *childNode {
	t.Helper()
	dir := t.TempDir()
	series, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetDemo))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeDemoRecipe(filepath.Join(dir, "recipes"), series); err != nil {
		t.Fatal(err)
	}
	n, err := startNode(t.Context(), filepath.Join(bin, "assayd"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	return n
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("got\n%s\nwhich does not say %q", text, w)
		}
	}
}

func TestDemoShowsVerdictsAndTheirAgreementWithTheTruth(t *testing.T) {
	out, errs, status := assay(t, []string{"DEMO_SECONDS=0"}, "demo", "--boards", "12")
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	contains(t, out, "DEMO-000000", "DEMO-000011", "FAIL", "PASS", "12 judged by the model", "defects found", "Where to look next")
}

func TestDemoFailsWithAModelThatNeverFindsAnything(t *testing.T) {
	blind, err := filepath.Abs("testdata/blind")
	if err != nil {
		t.Fatal(err)
	}
	out, errs, status := assay(t, []string{"DEMO_SECONDS=0", "ASSAYD_MODELS__DIR=" + blind}, "demo", "--boards", "6")
	if status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
	contains(t, out, "6 judged by the model", " 0 of ")
	contains(t, errs, "want at least 80 %")
}

func TestStreamShowsAndRecordsEveryPicture(t *testing.T) {
	n := node(t)
	dir := t.TempDir()
	series, _ := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetTest))
	demo, _ := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetDemo))
	csv := "file,serial,view,reference,lot\n"
	for i := range 5 {
		board, err := demo.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := board.JPEG(95)
		name := fmt.Sprintf("p%d.jpg", i)
		csv += fmt.Sprintf("%s,S-%d,top,%s,LOT-7\n", name, i, board.Reference)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "frames.csv"), []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}

	out, errs, status := assay(t, nil, "--addr", n.grpc, "stream", "-r", "demo-board", dir)
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	contains(t, out, "S-0", "S-4", "5 frames", "5 judged by the model")

	rows, errs, status := assay(t, nil, "--addr", n.grpc, "--json", "results", "--lot", "LOT-7", "--ascending")
	if status != 0 {
		t.Fatalf("results: exit status %d\n%s", status, errs)
	}
	lines := strings.Split(strings.TrimSpace(rows), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d results of the lot, want 5:\n%s", len(lines), rows)
	}
	var first struct {
		ID    string `json:"id"`
		Frame struct {
			Serial string `json:"serial"`
		} `json:"frame"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.ID == "" {
		t.Fatalf("%v in %s", err, lines[0])
	}
	one, _, status := assay(t, nil, "--addr", n.grpc, "results", first.ID)
	if status != 0 {
		t.Errorf("results ID: exit status %d", status)
	}
	contains(t, one, first.ID, first.Frame.Serial, "pcb-pair@1", "demo-board revision 1", "LOT-7", "picture: 640x640 px")

	// A template of another product: the board is judged, and everything differs. A template that is not there: not judged.
	wrong, _ := series.Board(0)
	data, _ := wrong.JPEG(95)
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "x.jpg"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, status = assay(t, nil, "--addr", n.grpc, "stream", "-r", "demo-board", "--reference", "nobody", other)
	if status != 3 {
		t.Errorf("unknown reference: exit status %d, want 3", status)
	}
	contains(t, out, "UNDETERMINED", "REFERENCE")
	contains(t, errs, "0 of 1 frames were judged by the model")
}

func TestEvalMeasuresThroughTheNode(t *testing.T) {
	n := node(t)
	dir := t.TempDir()
	type annotation map[string]any
	set := map[string]any{}
	var images, annotations []annotation
	var categories []annotation
	ids := map[string]int{}
	for i, c := range synthetic.Classes() {
		ids[c] = i + 1
		categories = append(categories, annotation{"id": i + 1, "name": c})
	}
	demo, _ := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetDemo))
	for i := range 16 {
		board, err := demo.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("b%d.png", i)
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, board.Test), f.Close()); err != nil {
			t.Fatal(err)
		}
		images = append(images, annotation{"id": i, "file_name": name, "width": 640, "height": 640, "reference": board.Reference, "view": "top"})
		for _, d := range board.Defects {
			annotations = append(annotations, annotation{"id": len(annotations), "image_id": i, "category_id": ids[d.Class],
				"bbox": []int{d.Box.Min.X, d.Box.Min.Y, d.Box.Dx(), d.Box.Dy()}})
		}
	}
	set["images"], set["annotations"], set["categories"] = images, annotations, categories
	text, _ := json.Marshal(set)
	path := filepath.Join(dir, "set.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}

	_, errs, status := assay(t, nil, "--addr", n.grpc, "eval", "-r", "demo-board", "--report-at", "0.01", path)
	if status != 1 {
		t.Errorf("a recipe that keeps too few candidates: exit status %d, want 1", status)
	}
	contains(t, errs, "report_at", "--report-at")

	out, errs, status := assay(t, nil, "--addr", n.grpc, "--json", "eval", "-r", "demo-board", "--report-at", "0.05", "--iou", "0.33", path)
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	var report struct {
		All struct {
			AP     float64 `json:"ap"`
			Truths int     `json:"truths"`
		} `json:"all"`
		Summary struct {
			Judged int `json:"judged_by_model"`
		} `json:"summary"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if report.All.Truths != len(annotations) || report.Summary.Judged != len(images) {
		t.Errorf("%d truths and %d judged, want %d and %d", report.All.Truths, report.Summary.Judged, len(annotations), len(images))
	}
	if report.All.AP < 0.8 || report.All.AP > 1 {
		t.Errorf("mean AP %v of boards that the model knows, want 0.8 to 1", report.All.AP)
	}
	// Simulated frames are apart.
	out, _, _ = assay(t, nil, "--addr", n.grpc, "results")
	contains(t, out, "No result matches")
	out, _, _ = assay(t, nil, "--addr", n.grpc, "results", "--simulated", "only", "--all")
	if got := strings.Count(out, "eval/"); got != len(images) {
		t.Errorf("%d simulated results are listed, want %d", got, len(images))
	}

	out, errs, status = assay(t, nil, "--addr", n.grpc, "bench", "--boards", "8", "--seconds", "1", "-r", "demo-board")
	if status != 0 {
		t.Errorf("bench: exit status %d\n%s", status, errs)
	}
	contains(t, out, "2 streams, 8 different pictures", "frames/s")
	sweepIsShown(t, n)
	patternIsSent(t, n)

	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"models"}, []string{"pcb-pair@1", "ready", "cpu"}},
		{[]string{"models", "pcb-pair"}, []string{"decoder: peak-grid"}},
		{[]string{"models", "profile", "pcb-pair@1", "--measure"}, []string{"IMAGES/S", "default", "throughput", "pcb-pair@1 on cpu", "measured now"}},
		{[]string{"models", "profile", "pcb-pair", "--json"}, []string{`"surface":[{`, `"throughput":{`, `"variant":"default"`}},
		{[]string{"recipes"}, []string{"demo-board", "pcb-pair -> 1"}},
		{[]string{"recipes", "demo-board"}, []string{"report_at: 0.05"}},
		{[]string{"status"}, []string{"ready", "yes", "onnxruntime 1.", "days left"}},
	} {
		out, errs, status := assay(t, nil, append([]string{"--addr", n.grpc}, c.args...)...)
		if status != 0 {
			t.Errorf("%v: exit status %d\n%s", c.args, status, errs)
		}
		contains(t, out, c.wants...)
	}
}

func TestErrorsNameTheRemedyAndTheExitStatus(t *testing.T) {
	free, err := freeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		wants  []string
	}{
		{[]string{"--addr", free[0], "status"}, 1, []string{"no node answers at " + free[0], "assayd"}},
		{[]string{"--addr", free[0], "results"}, 1, []string{"no node answers", "--addr"}},
		{[]string{"results", "--simulated", "perhaps"}, 2, []string{"exclude, only or include"}},
		{[]string{"results", "--verdict", "OK"}, 2, []string{"PASS"}},
		{[]string{"results", "--from", "yesterday"}, 2, []string{"RFC 3339"}},
		{[]string{"results", "--limit", "0"}, 2, []string{"--limit 0", "--all"}},
		{[]string{"models", "profile"}, 2, []string{"one model"}},
		{[]string{"stream"}, 2, []string{"name one source"}},
		{[]string{"stream", "a", "--boards", "3"}, 2, []string{"name one source"}},
		{[]string{"stream", "/no/such/folder"}, 1, []string{"/no/such/folder"}},
		{[]string{"stream", "--boards", "1", "--policy", "hope"}, 2, []string{"drop-oldest"}},
		{[]string{"eval", "x.json"}, 2, []string{"--recipe"}},
		{[]string{"eval", "-r", "x"}, 2, []string{"JSON file"}},
		{[]string{"eval", "-r", "x", "/no/such.json"}, 1, []string{"/no/such.json"}},
		{[]string{"eval", "-r", "x", "--iou", "0.5,1", "x.json"}, 2, []string{"--iou 1"}},
		{[]string{"eval", "-r", "x", "--task", "guess", "x.json"}, 2, []string{"--task", "classify"}},
		{[]string{"eval", "-r", "x", "--plot", "x.html", "x.json"}, 2, []string{"--plot", ".png"}},
		{[]string{"eval", "-r", "x", t.TempDir()}, 1, []string{"no folder with pictures"}},
		{[]string{"render", "x", "--boards", "0"}, 2, []string{"--boards"}},
		{[]string{"render", "x", "--task", "segment"}, 2, []string{"--task"}},
		{[]string{"render", "x", "--set", "spare"}, 2, []string{"--set", "demo, test or training"}},
		{[]string{"render", t.TempDir(), "--products", "0"}, 2, []string{"Products is 0"}},
		{[]string{"render", "testdata"}, 1, []string{"holds something already"}},
		{[]string{"bench", "--boards", "2", "--seconds", "0"}, 2, []string{"--seconds"}},
		{[]string{"bench", "--boards", "2", "--plot", "x.html"}, 2, []string{"--sweep"}},
		{[]string{"bench", "--boards", "2", "--sweep", "0"}, 2, []string{"--sweep", "above 0"}},
		{[]string{"bench", "--boards", "2", "--sweep", "1", "--rate", "5"}, 2, []string{"--rate"}},
		{[]string{"bench", "--boards", "2", "--rate", "5", "--pattern", "waves"}, 2, []string{"--pattern", "bursts, cameras, poisson, together"}},
		{[]string{"bench", "--boards", "2", "--pattern", "cameras"}, 2, []string{"--pattern", "--rate or --sweep"}},
		{[]string{"bench", "--boards", "2", "--rate", "5", "--streams", "1", "--pattern", "together"}, 2, []string{"--pattern together", "--streams"}},
		{[]string{"status", "--frobnicate"}, 2, []string{"frobnicate"}},
		{[]string{"frobnicate"}, 2, []string{"frobnicate"}},
	} {
		_, errs, status := assay(t, nil, c.args...)
		if status != c.status {
			t.Errorf("assay %v: exit status %d, want %d", c.args, status, c.status)
		}
		contains(t, errs, c.wants...)
	}
}
