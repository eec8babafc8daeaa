package models

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-vision/assay/inspection/recipe"
)

// graphs are what ONNX Runtime 1.24 reports of the models that we write manifests for. UltraFace's file lists 244 more
// inputs, which only name its initialisers; the runtime leaves them out.
var graphs = map[string]GraphInfo{
	"pcb-pair": {
		Inputs:  []TensorInfo{{"images", "uint8", []int64{-1, 2, 640, 640}}},
		Outputs: []TensorInfo{{"scores", "float32", []int64{-1, 6, 80, 80}}, {"boxes", "float32", []int64{-1, 4, 80, 80}}},
	},
	"yolox-nano": {
		Inputs:  []TensorInfo{{"images", "float32", []int64{1, 3, 416, 416}}},
		Outputs: []TensorInfo{{"output", "float32", []int64{1, 3549, 85}}},
	},
	"ultraface": {
		Inputs:  []TensorInfo{{"input", "float32", []int64{1, 3, 240, 320}}},
		Outputs: []TensorInfo{{"scores", "float32", []int64{1, 4420, 2}}, {"boxes", "float32", []int64{1, 4420, 4}}},
	},
}

func TestManifestsFitTheirGraphs(t *testing.T) {
	for name, file := range map[string]string{
		"pcb-pair": "pcb-pair/1/model.yaml", "yolox-nano": "examples/yolox-nano/1/model.yaml", "ultraface": "examples/ultraface/1/model.yaml",
	} {
		m := parseFile(t, file)
		if err := m.Check(graphs[name]); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

// TestExampleRecipesFitTheirManifests: a recipe that rules a label the model does not have, or asks for candidates below
// the decoder's floor, would be a bad example.
func TestExampleRecipesFitTheirManifests(t *testing.T) {
	files, err := filepath.Glob("examples/*/recipe.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("got %v, %v, want two recipes", files, err)
	}
	for _, file := range files {
		r, _, err := recipe.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(file))
		m := parseFile(t, filepath.Join("examples", name, "1", ManifestFile))
		if r.Model.Name != name || r.ReportAt < m.Output.ScoreFloor {
			t.Errorf("%s: got model %s, report_at %v; want %s, not below %v", file, r.Model.Name, r.ReportAt, name, m.Output.ScoreFloor)
		}
		labels := map[string]bool{"*": true}
		for _, l := range m.Labels {
			labels[l] = true
			if _, ok := r.Rule(l); !ok {
				t.Errorf("%s: label %q has no rule", file, l)
			}
		}
		for class := range r.Classes {
			if !labels[class] {
				t.Errorf("%s: rules class %q, which the model does not have", file, class)
			}
		}
	}
}

func parseFile(t *testing.T, file string) Manifest {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}
