package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/assay-vision/assay/models"
)

// fixture is a graph of models/proposal.
func fixture(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("..", "..", "models", "proposal", "testdata", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImportLaysOutAVersion(t *testing.T) {
	dir := t.TempDir()
	file := fixture(t, "peak-grid-gray")
	out, errs, status := assay(t, nil, "models", "import", file, "--out", dir, "--name", "grid", "--labels", "open, short,spur")
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	contains(t, out, filepath.Join(dir, "grid", "1")+": Assay's own peak grid", "Assumed, check them:", "assay models push "+filepath.Join(dir, "grid", "1"), "assay models activate grid@1")
	if strings.Contains(out, models.Unstated) {
		t.Errorf("got\n%s\nwant nothing left to state", out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "grid", "1", models.GraphFile))
	want, err2 := os.ReadFile(file)
	if err := errors.Join(err, err2); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the graph is not the one that was imported: %v", err)
	}
	repo, err := models.Open(models.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Get("grid", "1")
	if err != nil || !slices.Equal(m.Manifest.Labels, []string{"open", "short", "spur"}) {
		t.Errorf("got %+v, %v; want a version that a node takes", m, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v beside the model; want nothing", entries, err)
	}
}

func TestImportLeavesOpenWhatItCannotKnow(t *testing.T) {
	dir := t.TempDir()
	out, errs, status := assay(t, nil, "models", "import", fixture(t, "peak-grid"), "--out", dir)
	if status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
	contains(t, out, "Left to state:", "inputs[0].sources", "it is refused until nothing in it is UNKNOWN")
	contains(t, errs, "3 values are left to state in "+filepath.Join(dir, "peak-grid", "1", models.ManifestFile))
	repo, err := models.Open(models.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Get("peak-grid", "1"); err == nil || !strings.Contains(err.Error(), "labels: UNKNOWN: state it") {
		t.Errorf("got %v, want a version that no node takes", err)
	}

	labels := filepath.Join(dir, "labels.txt")
	if err := os.WriteFile(labels, []byte("open\r\nshort\n\nspur \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, status = assay(t, nil, "--json", "models", "import", fixture(t, "peak-grid"), "--out", dir, "--labels-file", labels, "--force")
	var said struct {
		Dir      string
		Decoder  string
		Complete bool
		Fields   []struct{ Field, Value, Standing, Why string }
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || status != 3 {
		t.Fatalf("exit status %d, %v in %s%s", status, err, out, errs)
	}
	if said.Dir != filepath.Join(dir, "peak-grid", "2") || said.Decoder != models.DecoderPeakGrid || said.Complete || len(said.Fields) < 10 {
		t.Errorf("got %+v", said)
	}
	contains(t, out, `{"field":"labels","value":"[open, short, spur]","standing":"known","why":"from --labels"}`)
}

// TestImportOverwritesNothing imports one graph several times, with a version missing in between.
func TestImportOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	importIt := func(name string, more ...string) (errs string, status int) {
		_, errs, status = assay(t, nil, append([]string{"models", "import", fixture(t, name), "--out", dir, "--name", "m", "--labels", "a,b,c"}, more...)...)
		return errs, status
	}
	if errs, status := importIt("peak-grid-gray"); status != 0 {
		t.Fatal(errs)
	}
	edited := filepath.Join(dir, "m", "1", models.ManifestFile)
	if err := os.WriteFile(edited, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	errs, status := importIt("peak-grid-gray")
	if status != 1 {
		t.Errorf("the same graph again: exit status %d, want 1", status)
	}
	contains(t, errs, "the graph is "+filepath.Join(dir, "m", "1")+" already", "--force")
	if err := os.Mkdir(filepath.Join(dir, "m", "7"), 0o750); err != nil { // taken, if empty
		t.Fatal(err)
	}
	if errs, status := importIt("peak-grid-gray", "--force"); status != 0 {
		t.Error(errs)
	}
	if errs, status := importIt("peak-grid"); status != 3 { // another graph needs no force
		t.Error(errs)
	}
	if text, err := os.ReadFile(edited); err != nil || string(text) != "# mine\n" {
		t.Errorf("got %q, %v; want the manifest as it was edited", text, err)
	}
	var versions []string
	entries, err := os.ReadDir(filepath.Join(dir, "m"))
	for _, e := range entries {
		versions = append(versions, e.Name())
	}
	if err != nil || !slices.Equal(versions, []string{"1", "7", "8", "9"}) {
		t.Errorf("got versions %v, %v; want 1, 7, 8, 9", versions, err)
	}
}

// TestImportsAtOnceGetVersionsOfTheirOwn: none replaces another's.
func TestImportsAtOnceGetVersionsOfTheirOwn(t *testing.T) {
	home := filepath.Join(t.TempDir(), "m")
	const n = 16
	dirs, errs := make([]string, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { dirs[i], errs[i] = writeVersion(home, []byte("graph"), []byte(strconv.Itoa(i)), true) })
	}
	wg.Wait()
	for i := range n {
		text, err := os.ReadFile(filepath.Join(dirs[i], models.ManifestFile))
		if errs[i] != nil || err != nil || string(text) != strconv.Itoa(i) {
			t.Errorf("import %d: got %q in %s, %v, %v", i, text, dirs[i], err, errs[i])
		}
	}
	slices.Sort(dirs)
	if got := slices.Compact(dirs); len(got) != n {
		t.Errorf("got %d versions, want %d", len(got), n)
	}
}

func TestHoldsComparesEveryByte(t *testing.T) {
	file := filepath.Join(t.TempDir(), "g")
	graph := bytes.Repeat([]byte("0123456789abcdef"), 1<<13) // two buffers
	for name, c := range map[string]struct {
		text []byte
		want bool
	}{
		"same": {graph, true}, "shorter": {graph[:len(graph)-1], false}, "half": {graph[:1<<16], false}, "longer": {append(slices.Clone(graph), 'x'), false},
		"last byte": {append(slices.Clone(graph[:len(graph)-1]), 'x'), false}, "empty": {nil, false},
	} {
		if err := os.WriteFile(file, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := holds(file, graph); got != c.want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestImportErrorsNameTheRemedy(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged.onnx")
	if err := os.WriteFile(damaged, []byte("PK\x03\x04"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.onnx")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, models.MaxGraph+1)); err != nil { // takes no room
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		wants  []string
	}{
		{[]string{}, 2, []string{"one ONNX file"}},
		{[]string{damaged, "--labels", "a", "--labels-file", "b"}, 2, []string{"--labels-file"}},
		{[]string{damaged, "--labels-file", filepath.Join(dir, "none.txt")}, 1, []string{"none.txt"}},
		{[]string{damaged, "--labels-file", large + "x"}, 1, []string{"read labels"}},
		{[]string{damaged, "--input-size", "640"}, 2, []string{"640x480"}},
		{[]string{damaged, "--input-size", "0x3"}, 2, []string{"640x480"}},
		{[]string{damaged, "--name", "My Model"}, 2, []string{"--name"}},
		{[]string{filepath.Join(dir, "---.onnx")}, 2, []string{"--name"}},
		{[]string{damaged}, 1, []string{"damaged.onnx", "copy it again"}},
		{[]string{large}, 1, []string{"large.onnx", "1073741825 bytes"}},
		{[]string{dir, "--name", "x"}, 1, []string{"it is a folder"}},
		{[]string{filepath.Join(dir, "no.onnx")}, 1, []string{"no.onnx"}},
		{[]string{fixture(t, "yolov8-pose")}, 1, []string{"yolov8-pose.onnx", "export a detect"}},
		{[]string{fixture(t, "yolov8"), "--labels", "a"}, 1, []string{"labels: 1 for a graph of 3 classes: add 2"}},
		{[]string{fixture(t, "yolov8"), "--decoder", "guess"}, 1, []string{`--decoder "guess" does not fit`}},
		{[]string{fixture(t, "yolov8"), "--out", damaged}, 1, []string{"--out"}},
	} {
		out, errs, status := assay(t, nil, append([]string{"models", "import", "--out", filepath.Join(dir, "out")}, c.args...)...)
		if status != c.status || out != "" {
			t.Errorf("assay models import %v: exit status %d and %q, want %d and nothing", c.args, status, out, c.status)
		}
		contains(t, errs, c.wants...)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want nothing written", err)
	}
}

func TestImportNamesAModelAfterItsFile(t *testing.T) {
	for file, want := range map[string]string{
		"a/Best.onnx": "best", "YOLO_nano-2.onnx": "yolo_nano-2", "my model (1).onnx": "my-model--1", "_x": "x", "v1.2.onnx": "v1-2", "划痕.onnx": "",
	} {
		got, err := importFlags{}.modelName(file)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v; want %q", file, got, err, want)
		}
	}
}

// TestGuideShowsWhatImportPrints: the fixture declares what the true yolox_nano.onnx does.
func TestGuideShowsWhatImportPrints(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	graph, err := os.ReadFile(fixture(t, "yolox-nano"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("yolox_nano.onnx", graph, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var left *notWell
	a := &app{out: &out}
	if err := a.importModel("yolox_nano.onnx", importFlags{name: "yolox-nano", out: "my-models"}); !errors.As(err, &left) {
		t.Errorf("got %v, want labels left to state", err)
	}
	_, shown, ok := strings.Cut(string(guide), "```text import\n")
	shown, _, ok2 := strings.Cut(shown, "   ```\n")
	var want strings.Builder
	for line := range strings.Lines(shown) {
		fmt.Fprint(&want, strings.TrimPrefix(line, "   "))
	}
	if !ok || !ok2 || out.String() != want.String() {
		t.Errorf("got\n%s\nthe guide shows\n%s", out.String(), want.String())
	}
}
