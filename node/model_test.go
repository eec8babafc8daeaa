//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/node"
	"github.com/assay-vision/assay/node/nodetest"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// writeModel puts version 1 of a model into a new repository and returns its directory.
func writeModel(t *testing.T, name string, graph, manifest []byte) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, name, "1")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{"model.onnx": graph, "model.yaml": manifest} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shipped returns graph and manifest of the model that ships, without its golden set.
func shipped(t *testing.T) (graph, manifest []byte) {
	t.Helper()
	return readFile(t, "../models/pcb-pair/1/model.onnx"), models.Without(readFile(t, "../models/pcb-pair/1/model.yaml"), "golden", "variants")
}

// model asks how a model stands.
func (h *house) model(name string) *assayv1.Model {
	h.t.Helper()
	resp, err := assayv1.NewModelServiceClient(h.Conn()).ListModels(h.ctx(), &assayv1.ListModelsRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range resp.GetModels() {
		if m.GetRef().GetName() == name && m.GetActive() {
			return m
		}
	}
	h.t.Fatalf("there is no model %s among %v", name, resp.GetModels())
	return nil
}

// settle waits until the node has done what it can for its recipes.
func (h *house) settle() nodetest.Readiness {
	h.t.Helper()
	var r nodetest.Readiness
	nodetest.Until(h.t, "no recipe is on its way", func() error {
		if r = h.Readiness(); mentions(r.Reasons, "being") {
			return errors.New(strings.Join(r.Reasons, "; "))
		}
		return nil
	})
	return r
}

// boardsOn is a node whose recipe boards names a model of its own repository.
func boardsOn(t *testing.T, dir, model string, change func(*node.Config)) *house {
	t.Helper()
	h := prepare(t, func(c *node.Config) {
		c.Models.Dir = dir
		if change != nil {
			change(c)
		}
	})
	h.WriteRecipe("boards.yaml", strings.Replace(nodetest.BoardRecipe(boards), "pcb-pair", model, 1))
	h.Start()
	return h
}

func TestAMissingExecutionProviderFallsBackAndSaysSo(t *testing.T) {
	graph, manifest := shipped(t)
	dir := writeModel(t, "pcb-gpu", graph, append(manifest, "\nproviders: [{name: cuda, device: \"3\"}]\n"...))
	h := boardsOn(t, dir, "pcb-gpu", nil)
	h.WaitReady()
	says := []string{"pcb-gpu@1", "runs on cpu", "cuda:3"}
	if w := h.Readiness().Warnings; !mentions(w, says...) {
		t.Errorf("/readyz warns of %q, want %q", w, says)
	}
	if s := h.status(); !s.GetReady() || !mentions(s.GetWarnings(), says...) {
		t.Errorf("status warns of %q, want %q", s.GetWarnings(), says)
	}
	_, _, metrics := h.Get("/metrics", nil)
	if want := `assay_provider_fallback{model="pcb-gpu",provider="cuda:3",version="1"} 1`; !strings.Contains(string(metrics), want) {
		t.Errorf("/metrics does not say %s", want)
	}
	if m := h.model("pcb-gpu"); m.GetState() != assayv1.ModelState_MODEL_STATE_READY || m.GetProvider() != "cpu" || fmt.Sprint(m.GetProvidersWanted()) != "[cuda:3]" || !holds(m.GetMessage(), "cuda:3") {
		t.Errorf("the model is %v on %q, wanted %v, says %q", m.GetState(), m.GetProvider(), m.GetProvidersWanted(), m.GetMessage())
	}
	if !holds(h.Log(), "level=WARN", "cuda") {
		t.Error("the log does not warn of cuda")
	}
	if o := h.judge(h.camera("cam-1", nil), h.board(h.bad(), inspection.FormatPNG)); o.Verdict != inspection.Fail || o.Source != inspection.SourceModel {
		t.Errorf("a frame is %v by %v, want FAIL by the model", o.Verdict, o.Source)
	}
}

func TestAMissingExecutionProviderIsRefusedByConfig(t *testing.T) {
	graph, manifest := shipped(t)
	dir := writeModel(t, "pcb-gpu", graph, append(manifest, "\nproviders: [{name: cuda}, {name: cpu}]\n"...))
	h := boardsOn(t, dir, "pcb-gpu", func(c *node.Config) { c.Models.OnMissingProvider = "refuse" })
	if r := h.settle(); r.Ready || !mentions(r.Reasons, boards, "pcb-gpu@1", "cuda:0") {
		t.Errorf("/readyz says %+v, want not ready for want of cuda", r)
	}
	if r := h.recipe(boards); r.GetReady() || !holds(r.GetMessage(), "cuda:0") {
		t.Errorf("the recipe is ready=%v and says %q, want not ready for want of cuda", r.GetReady(), r.GetMessage())
	}
	if m := h.model("pcb-gpu"); m.GetState() != assayv1.ModelState_MODEL_STATE_FAILED || !holds(m.GetMessage(), "cuda:0") {
		t.Errorf("the model is %v and says %q, want failed for want of cuda", m.GetState(), m.GetMessage())
	}
}

// A model that cannot be used takes nothing down but the recipes that name it, and its message tells what to correct.
func TestABrokenModelIsNamedAndTheNodeStaysUp(t *testing.T) {
	graph, manifest := shipped(t)
	flipped := bytes.Clone(graph)
	for i := range 64 {
		flipped[i*len(flipped)/64] ^= 0xff
	}
	replaced := func(old, with string) []byte {
		if !bytes.Contains(manifest, []byte(old)) {
			t.Fatalf("the manifest does not hold %q", old)
		}
		return bytes.Replace(manifest, []byte(old), []byte(with), 1)
	}
	for _, c := range []struct {
		name            string
		graph, manifest []byte
		says            []string
	}{
		{"flipped bytes", flipped, manifest, []string{"model pcb-own@1"}},
		{"half a file", graph[:len(graph)/2], manifest, []string{"model pcb-own@1"}},
		{"an empty file", nil, manifest, []string{"pcb-own"}},
		{"another width", graph, replaced("width: 640", "width: 320"), []string{"inputs[0].width", "320", "640"}},
		{"another input", graph, replaced("name: images", "name: pictures"), []string{"inputs[0].name", "pictures", "images"}},
		{"a label too few", graph, replaced(", pin-hole]", "]"), []string{"labels", "5", "6"}},
		{"an output that is not there", graph, replaced("boxes: boxes", "boxes: rectangles"), []string{"output.tensors", "rectangles", "boxes"}},
		{"no manifest to be read", graph, []byte("task: detec\n"), []string{"model.yaml", "task"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := boardsOn(t, writeModel(t, "pcb-own", c.graph, c.manifest), "pcb-own", nil)
			h.WriteRecipe("sound.yaml", nodetest.BoardRecipe("sound"))
			nodetest.Until(t, "the other recipe is ready", func() error { return h.sound() })
			if r := h.settle(); r.Ready || !mentions(r.Reasons, append(c.says, boards)...) {
				t.Errorf("/readyz says %+v, want a reason with %q", r, c.says)
			}
			if m := h.model("pcb-own"); m.GetState() != assayv1.ModelState_MODEL_STATE_FAILED || !holds(m.GetMessage(), c.says...) {
				t.Errorf("the model is %v and says %q, want failed and %q", m.GetState(), m.GetMessage(), c.says)
			}
			s, f := h.camera("cam-1", nil), h.board(h.bad(), inspection.FormatPNG)
			if o := h.judge(s, f); o.Verdict != inspection.Review || o.Reason != inspection.ReasonModelNotReady {
				t.Errorf("a frame is %v, %q; want the fallback REVIEW, MODEL_NOT_READY", o.Verdict, o.Reason)
			}
			f.Recipe = "sound"
			if o := h.judge(s, f); o.Verdict != inspection.Fail || o.Source != inspection.SourceModel {
				t.Errorf("a frame of the other recipe is %v by %v, want FAIL by the model", o.Verdict, o.Source)
			}
		})
	}
}

func (h *house) sound() error {
	resp, err := assayv1.NewRecipeServiceClient(h.Conn()).GetRecipe(h.ctx(), &assayv1.GetRecipeRequest{Name: "sound"})
	if err == nil && !resp.GetRecipe().GetReady() {
		err = errors.New(resp.GetRecipe().GetMessage())
	}
	return err
}

// reference is one file of inference's testdata/reference; the README there says what the fields are.
type reference struct {
	Model    string
	Graph    struct{ Path, SHA256 string }
	Pictures []struct {
		Path       string
		Candidates []struct {
			Class string
			Score float64
			Box   [4]float64
		}
	}
}

// Models that nobody here wrote are served by a manifest and a recipe alone. What comes back over the wire and out of the
// record is what ONNX Runtime finds in Python; the tolerances are those of inference's own comparison, which says why.
func TestForeignModelsAreServedByManifestAndRecipe(t *testing.T) {
	for _, c := range []struct{ model, recipe string }{{"yolox-nano", "packing-table"}, {"ultraface", "no-faces"}} {
		t.Run(c.model, func(t *testing.T) {
			const here = "../inference/testdata/reference"
			var ref reference
			if err := json.Unmarshal(readFile(t, filepath.Join(here, c.model+".json")), &ref); err != nil {
				t.Fatal(err)
			}
			h := foreign(t, c.model, ref)
			s := h.camera("cam-1", nil)
			compared := 0
			for _, p := range ref.Pictures {
				data := readFile(t, filepath.Join(here, p.Path))
				f := inspection.Frame{Serial: p.Path, Recipe: c.recipe, Image: inspection.Image{Format: inspection.FormatJPEG, Data: inspection.NewBuffer(nil, data)}}
				o := h.judge(s, f)
				if o.Source != inspection.SourceModel {
					t.Errorf("%s: %v by %v, %q; want the model's word", p.Path, o.Verdict, o.Source, o.Reason)
				}
				j := h.get(o.Answer.ID).Judgements[0]
				if len(j.Defects) != len(o.Answer.Judgement.Defects) || j.Model.Name != c.model {
					t.Errorf("%s: recorded %d candidates of %s, the camera was told %d", p.Path, len(j.Defects), j.Model.Name, len(o.Answer.Judgement.Defects))
				}
				for _, want := range p.Candidates {
					if want.Score < 0.1+0.05 { // the recipe's report_at, and what a score may differ
						continue
					}
					compared++
					box := inspection.Box{X1: want.Box[0], Y1: want.Box[1], X2: want.Box[2], Y2: want.Box[3]}
					if got, far := nearest(j.Defects, want.Class, box); math.Abs(got.Score-want.Score) > 0.02 || far > 1.5 {
						t.Errorf("%s: want %s %.4f at %v, the nearest is %.4f at %v", p.Path, want.Class, want.Score, want.Box, got.Score, got.Box)
					}
				}
			}
			if compared < 3 {
				t.Errorf("%d candidates were compared: the reference is thin", compared)
			}
		})
	}
}

// foreign is a node with one of the example models beside its recipe, as docs/models.md says to lay them out.
func foreign(t *testing.T, model string, ref reference) *house {
	t.Helper()
	root := os.Getenv("INSPECTION_DATA")
	if root == "" {
		root = "../../shared/data"
	}
	graph, err := os.ReadFile(filepath.Join(root, ref.Graph.Path))
	if err != nil {
		t.Skipf("the graph of %s is not here: set INSPECTION_DATA (%v)", model, err)
	}
	if sum := sha256.Sum256(graph); hex.EncodeToString(sum[:]) != ref.Graph.SHA256 {
		t.Fatalf("%s is another graph than the reference was computed with", ref.Graph.Path)
	}
	example := filepath.Join("../models/examples", model)
	h := prepare(t, func(c *node.Config) {
		c.Models.Dir = writeModel(t, model, graph, readFile(t, filepath.Join(example, "1", "model.yaml")))
	})
	// A minute instead of half a second: this is about what is found, not about how fast a shared machine is.
	h.WriteRecipe(model+".yaml", strings.Replace(string(readFile(t, filepath.Join(example, "recipe.yaml"))), "budget: 500ms", "budget: 60s", 1))
	h.Start()
	h.WaitReady()
	return h
}

func nearest(ds []inspection.Defect, class string, b inspection.Box) (best inspection.Defect, far float64) {
	far = math.Inf(1)
	for _, d := range ds {
		off := max(math.Abs(d.Box.X1-b.X1), math.Abs(d.Box.Y1-b.Y1), math.Abs(d.Box.X2-b.X2), math.Abs(d.Box.Y2-b.Y2))
		if d.Class == class && off < far {
			best, far = d, off
		}
	}
	return best, far
}
