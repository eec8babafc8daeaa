package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-vision/assay/camera/synthetic"
)

// boardFolder writes boards that the demo's recipe knows, without a table.
func boardFolder(t *testing.T, n int) string {
	t.Helper()
	demo, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetDemo))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range n {
		board, err := demo.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		data, err := board.JPEG(95)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("B-%d.jpg", i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhatWasNotJudgedSaysWhyWhereItIsShown(t *testing.T) {
	n := node(t)
	dir := boardFolder(t, 2)
	send := []string{"--addr", n.grpc, "stream", "-r", "demo-board", "--view", "top", "--reference", "nobody", dir}

	out, errs, status := assay(t, nil, send...)
	if status != 3 {
		t.Errorf("exit status %d, want 3\n%s", status, errs)
	}
	contains(t, out, whyColumn, "REFERENCE: ", "nobody", "Not judged by the model, 2: REFERENCE: ")

	out, _, _ = assay(t, nil, append([]string{"--json"}, send...)...)
	var row struct{ Reason, Detail string }
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &row); err != nil || row.Reason != "REFERENCE" || !strings.Contains(row.Detail, "nobody") {
		t.Errorf("error %v, got %+v, want the reason and its sentence in\n%s", err, row, out)
	}

	for _, columns := range []int{80, 120} {
		out, errs, status = assay(t, []string{fmt.Sprintf("COLUMNS=%d", columns)}, "--addr", n.grpc, "results")
		if status != 0 {
			t.Fatalf("results: exit status %d\n%s", status, errs)
		}
		contains(t, out, "ID ", "B-0", "REFERENCE:")
		for line := range strings.Lines(out) {
			if got := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); got > columns {
				t.Errorf("a line of %d characters on a terminal of %d: %s", got, columns, line)
			}
		}
	}
}

func TestResultsArePagedByScripts(t *testing.T) {
	n := node(t)
	if out, errs, status := assay(t, nil, "--addr", n.grpc, "stream", "-q", "-r", "demo-board", "--boards", "3"); status != 0 {
		t.Fatalf("stream: exit status %d\n%s%s", status, out, errs)
	}
	seen := map[string]bool{}
	cursor, pages := "", 0
	for pages < 5 {
		pages++
		out, errs, status := assay(t, nil, "--addr", n.grpc, "--json", "results", "--limit", "2", "--cursor", cursor)
		if status != 0 {
			t.Fatalf("exit status %d\n%s", status, errs)
		}
		cursor = ""
		for line := range strings.Lines(out) {
			var l struct {
				ID   string `json:"id"`
				Next string `json:"next_cursor"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if l.ID != "" {
				seen[l.ID] = true
			}
			cursor = l.Next
		}
		if cursor == "" {
			break
		}
	}
	if len(seen) != 3 || pages != 2 {
		t.Errorf("%d results on %d pages, want 3 on 2", len(seen), pages)
	}
}

func TestStreamSaysThatTheNodeIsUpAndTheRecipeIsNotReady(t *testing.T) {
	n := node(t)
	dir := boardFolder(t, 1)
	_, errs, status := assay(t, nil, "--addr", n.grpc, "stream", "-r", "no-such", dir)
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	contains(t, errs, "unknown recipe", "is up", `"no-such"`, "it has: demo-board", "recipes")
}

func TestHelpTeachesAndUsageIsCheckedFirst(t *testing.T) {
	for _, command := range []string{"", "stream", "eval", "bench", "demo", "results", "models", "recipes", "status"} {
		args := []string{"--help"}
		if command != "" {
			args = []string{command, "--help"}
		}
		out, _, status := assay(t, nil, args...)
		if status != 0 {
			t.Errorf("%v: exit status %d, want 0", args, status)
		}
		contains(t, out, "Examples:", "assay "+command, "Exit status:")
	}
	if out, _, status := assay(t, nil, "version"); status != 0 || !strings.HasPrefix(out, "assay ") {
		t.Errorf("version: exit status %d, got %q", status, out)
	}
	for _, c := range []struct{ args, want []string }{
		{[]string{"eval", "-r", "x", "--iou", "2", "no.json"}, []string{"--iou 2"}},
		{[]string{"eval", "-r", "x", "--report-at", "7", "no.json"}, []string{"--report-at 7"}},
		{[]string{"eval", "-r", "x", "--wait", "0s", "no.json"}, []string{"--wait"}},
		{[]string{"demo", "--json"}, []string{"--json", "assay stream"}},
	} {
		_, errs, status := assay(t, nil, c.args...)
		if status != 2 {
			t.Errorf("%v: exit status %d, want 2", c.args, status)
		}
		contains(t, errs, c.want...)
	}
}

func TestEvalRefusesASetOfOtherClassesBeforeItSends(t *testing.T) {
	n := node(t)
	set := filepath.Join(t.TempDir(), "set.json")
	text := `{"images": [{"id": 1, "file_name": "missing.png", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "teapot"}], "annotations": []}`
	if err := os.WriteFile(set, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, status := assay(t, nil, "--addr", n.grpc, "eval", "-r", "demo-board", "--report-at", "0.05", set)
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	contains(t, errs, "teapot", "pcb-pair@1", "mousebite")
}
