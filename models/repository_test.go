package models

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/assay-vision/assay/inspection"
)

// version writes a good version into fsys.
func version(fsys fstest.MapFS, dir, graph string) {
	fsys[dir+"/"+GraphFile] = &fstest.MapFile{Data: []byte(graph)}
	fsys[dir+"/"+ManifestFile] = &fstest.MapFile{Data: []byte(minimal)}
}

func open(t *testing.T, roots ...Root) *Repository {
	t.Helper()
	r, err := Open(roots...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepositoryTakesTheHighestVersion(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, v := range []string{"1", "2", "10"} {
		version(fsys, "pair/"+v, "graph "+v)
	}
	r := open(t, Root{"here", fsys})
	for _, c := range []struct{ ask, want string }{{"", "10"}, {"2", "2"}, {"10", "10"}} {
		m, err := r.Get("pair", c.ask)
		if err != nil {
			t.Fatal(err)
		}
		if m.Ref.Name != "pair" || m.Ref.Version != c.want {
			t.Errorf("Get(pair, %q): got %s@%s, want pair@%s", c.ask, m.Ref.Name, m.Ref.Version, c.want)
		}
		if g, err := m.Graph(); err != nil || string(g) != "graph "+c.want {
			t.Errorf("Graph of %s: got %q, %v", c.want, g, err)
		}
	}
	var order []string
	for _, e := range r.List() {
		order = append(order, e.Version)
	}
	if got := strings.Join(order, " "); got != "1 2 10" {
		t.Errorf("List: got versions %s, want 1 2 10", got)
	}
}

func TestRepositoryActiveFile(t *testing.T) {
	fsys := fstest.MapFS{"pair/active": {Data: []byte("1\n")}}
	version(fsys, "pair/1", "a")
	version(fsys, "pair/2", "b")
	if m, err := open(t, Root{"here", fsys}).Get("pair", ""); err != nil || m.Ref.Version != "1" {
		t.Errorf("active file says 1: got %+v, %v", m, err)
	}

	fsys["pair/active"] = &fstest.MapFile{Data: []byte("3")}
	r := open(t, Root{"here", fsys})
	_, err := r.Get("pair", "")
	if !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), `here/pair/active says "3"`) || !strings.Contains(err.Error(), "1, 2") {
		t.Errorf("active file says 3: got %v, want an error that names the file, its word and what there is", err)
	}
	if _, err := r.Get("pair", "2"); err != nil {
		t.Errorf("active file says 3, version 2 asked for: got %v, want it", err)
	}
}

func TestRepositoryBrokenVersionHidesNone(t *testing.T) {
	fsys := fstest.MapFS{
		"pair/2/model.onnx": {Data: []byte("g")},
		"pair/2/model.yaml": {Data: []byte("task: guess")},
		"half/1/model.onnx": {Data: []byte("g")},
		"void/1/model.yaml": {Data: []byte(minimal)},
		"void/1/model.onnx": {},
		"docs/readme.md":    {Data: []byte("no model")},
		".git/1/model.yaml": {Data: []byte("not looked at")},
		"README.md":         {},
	}
	version(fsys, "pair/1", "a")
	version(fsys, "pair/v3", "a")
	version(fsys, "pair/04", "a")
	version(fsys, "Pair/1", "a")
	version(fsys, "good/7", "a")
	r := open(t, Root{"here", fsys})

	want := map[string]string{ // version: what its error says; "" for none
		"pair@1": "", "good@7": "",
		"pair@2":  "here/pair/2/model.yaml:1: task",
		"pair@v3": `version "v3"`,
		"pair@04": `version "04"`,
		"Pair@1":  `name "Pair"`,
		"half@1":  "model.yaml",
		"void@1":  "here/void/1/model.onnx is empty",
	}
	for _, e := range r.List() {
		say, ok := want[e.Name+"@"+e.Version]
		delete(want, e.Name+"@"+e.Version)
		switch {
		case !ok:
			t.Errorf("List has %s@%s, which is no model", e.Name, e.Version)
		case say == "" && (e.Err != nil || e.Model == nil):
			t.Errorf("%s@%s: got error %v, want none", e.Name, e.Version, e.Err)
		case say != "" && (!errors.Is(e.Err, inspection.ErrInvalid) || !strings.Contains(e.Err.Error(), say) || e.Model != nil):
			t.Errorf("%s@%s: got error %v, want one with %s", e.Name, e.Version, e.Err, say)
		}
	}
	for v := range want {
		t.Errorf("List lacks %s", v)
	}
	// The newest version is damaged: judging with an older one in its place would be a silent change of model.
	if _, err := r.Get("pair", ""); !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), "pair@2 is broken") {
		t.Errorf("Get(pair): got %v, want an error that says that version 2 is broken", err)
	}
	if m, err := r.Get("pair", "1"); err != nil || m.Ref.Version != "1" {
		t.Errorf("Get(pair, 1): got %v, %v", m, err)
	}
}

func TestRepositoryUnknown(t *testing.T) {
	fsys := fstest.MapFS{}
	version(fsys, "pair/1", "a")
	version(fsys, "coco/2", "a")
	r := open(t, Root{"here", fsys})
	for _, c := range []struct{ name, version, want string }{
		{"pear", "", `"pear"; the models in here are: coco, pair`},
		{"pair", "9", `pair has no version "9"; it has 1`},
	} {
		if _, err := r.Get(c.name, c.version); !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Get(%s, %q): got %v, want ErrUnknownModel with %s", c.name, c.version, err, c.want)
		}
	}
	if _, err := open(t).Get("pair", ""); !errors.Is(err, inspection.ErrUnknownModel) {
		t.Errorf("no roots: got %v, want ErrUnknownModel", err)
	}
	if _, err := Open(Dir(filepath.Join(t.TempDir(), "nowhere"))); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("missing folder: got %v, want ErrInvalid that names it", err)
	}
}

func TestRepositoryFirstRootWins(t *testing.T) {
	mine, theirs := fstest.MapFS{}, fstest.MapFS{"pair/active": {Data: []byte("1")}}
	version(mine, "pair/1", "mine")
	version(theirs, "pair/1", "theirs")
	version(theirs, "pair/2", "theirs")
	r := open(t, Root{"mine", mine}, Root{"theirs", theirs})
	m, err := r.Get("pair", "")
	if err != nil {
		t.Fatal(err)
	}
	if g, _ := m.Graph(); string(g) != "mine" || m.Ref.Version != "1" || m.GraphPath() != "mine/pair/1/model.onnx" {
		t.Errorf("got %s@%s %q from %s, want version 1 of mine", m.Ref.Name, m.Ref.Version, g, m.GraphPath())
	}
	mine["pair/active"] = &fstest.MapFile{Data: []byte("2")}
	if m, err := open(t, Root{"mine", mine}, Root{"theirs", theirs}).Get("pair", ""); err != nil || m.Ref.Version != "2" {
		t.Errorf("my active file says 2: got %v, %v", m, err)
	}
}

func TestGraphNoticesAChange(t *testing.T) {
	for _, file := range []string{GraphFile, ManifestFile} {
		dir := t.TempDir()
		v := filepath.Join(dir, "pair", "1")
		if err := os.MkdirAll(v, 0o755); err != nil {
			t.Fatal(err)
		}
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(v, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write(GraphFile, "graph")
		write(ManifestFile, minimal)
		m, err := open(t, Dir(dir)).Get("pair", "1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Graph(); err != nil {
			t.Fatalf("unchanged: got %v", err)
		}
		write(file, "Graph")
		if _, err := m.Graph(); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "changed on disk") {
			t.Errorf("%s changed: got %v, want ErrInvalid that says so", file, err)
		}
		if err := os.Remove(filepath.Join(v, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Graph(); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s removed: got %v, want ErrInvalid that names it", file, err)
		}
	}
}

func TestDigestTellsFilesApart(t *testing.T) {
	seen := map[string]string{}
	for _, pair := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"c", "ab"}, {"amodel.yamlb", "c"}, {"a", "bmodel.yamlc"}} {
		d := digest([]file{{GraphFile, []byte(pair[0])}, {ManifestFile, []byte(pair[1])}})
		if before, ok := seen[d]; ok || len(d) != 64 {
			t.Errorf("%q: got digest %s, which is also that of %s", pair, d, before)
		}
		seen[d] = pair[0] + "|" + pair[1]
	}
}

func TestShippedModelsAreWhole(t *testing.T) {
	r := open(t, Shipped())
	for _, e := range r.List() {
		if e.Err != nil {
			t.Errorf("%s@%s: %v", e.Name, e.Version, e.Err)
		}
	}
	m, err := r.Get("pcb-pair", "")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := m.Graph(); err != nil || len(g) < 1<<20 {
		t.Errorf("graph: got %d bytes, %v", len(g), err)
	}
	if in := m.Manifest.Inputs[0]; in.Channels() != 2 || !in.NeedsReference() {
		t.Errorf("got %d channels from %v, want 2 with a reference", in.Channels(), in.Sources)
	}
	if !strings.Contains(string(m.Text()), "peak-grid") {
		t.Errorf("text: got %.80q", m.Text())
	}
}

// TestModelsServedByManifestAlone assembles a repository from an example manifest and the graph that somebody else
// exported. Whether manifest and graph agree is checked where a runtime is at hand, in package inference.
func TestModelsServedByManifestAlone(t *testing.T) {
	data := os.Getenv("INSPECTION_DATA")
	if data == "" {
		data = "../../shared/data"
	}
	for name, graph := range map[string]string{
		"yolox-nano": "models/yolox_nano/yolox_nano_coco80_416.onnx",
		"ultraface":  "models/ultraface/ultraface_version-RFB-320.onnx",
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("examples", name, "1", ManifestFile))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseManifest(ManifestFile, text); err != nil {
				t.Fatal(err)
			}
			g, err := os.ReadFile(filepath.Join(data, graph))
			if errors.Is(err, os.ErrNotExist) {
				t.Skipf("%s is not there: set INSPECTION_DATA to the data sets", filepath.Join(data, graph))
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := open(t, Root{"here", fstest.MapFS{name + "/1/" + GraphFile: {Data: g}, name + "/1/" + ManifestFile: {Data: text}}}, Shipped()).Get(name, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Graph(); err != nil || len(got) != len(g) {
				t.Errorf("graph: got %d bytes, %v, want %d", len(got), err, len(g))
			}
		})
	}
}
