package models

import (
	"errors"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// parse reads a manifest that must be right.
func parse(t *testing.T, text string) Manifest {
	t.Helper()
	m, err := ParseManifest("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const peaks = `task: detect
inputs:
  - {name: images, layout: NCHW, width: 320, height: 160, color: gray, sources: [frame, reference], resize: stretch}
output: {decoder: peak-grid, tensors: {scores: s, boxes: b}, strides: [4]}
labels: [open, short, spur]
batch_sizes: [1, 2]
`

// graph is what fits peaks; each test changes one thing in it.
func graph() GraphInfo {
	return GraphInfo{
		Inputs:  []TensorInfo{{"images", "float32", []int64{-1, 2, 160, 320}}},
		Outputs: []TensorInfo{{"b", "float32", []int64{-1, 4, 40, 80}}, {"extra", "int64", []int64{7}}, {"s", "float32", []int64{-1, 3, 40, 80}}},
	}
}

func TestCheckAcceptsWhatFits(t *testing.T) {
	for name, change := range map[string]func(*GraphInfo){
		"as it is": func(*GraphInfo) {},
		"all axes open": func(g *GraphInfo) {
			g.Inputs[0].Shape = []int64{-1, -1, -1, -1}
			g.Outputs[2].Shape = []int64{0, 0, 0, 0}
		},
		"same both fixed": func(g *GraphInfo) { g.Outputs[0].Shape[0] = -1 },
	} {
		g := graph()
		change(&g)
		if err := parse(t, peaks).Check(g); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

func TestCheckNamesFieldAndBothValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*GraphInfo)
		want   []string
	}{
		{"input name", func(g *GraphInfo) { g.Inputs[0].Name = "x" }, []string{`inputs[0].name: the manifest says "images", the graph's inputs are x`, `inputs: the manifest has no entry for the graph's input "x"`}},
		{"input type", func(g *GraphInfo) { g.Inputs[0].Type = "uint8" }, []string{"inputs[0].type: the manifest asks for float32", "is uint8"}},
		{"input rank", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{2, 160, 320} }, []string{"inputs[0].name", "4 axes", "has 3"}},
		{"layout", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{-1, 160, 320, 2} }, []string{"inputs[0].layout: the manifest says NCHW", "is NHWC"}},
		{"channels", func(g *GraphInfo) { g.Inputs[0].Shape[1] = 3 }, []string{"inputs[0].color and sources", "2 long, the graph 3"}},
		{"height", func(g *GraphInfo) { g.Inputs[0].Shape[2] = 320 }, []string{"inputs[0].height", "160 long, the graph 320"}},
		{"width", func(g *GraphInfo) { g.Inputs[0].Shape[3] = 160 }, []string{"inputs[0].width", "320 long, the graph 160"}},
		{"fixed batch", func(g *GraphInfo) { g.Inputs[0].Shape[0] = 1 }, []string{"batch_sizes: the manifest says [1 2]", "fixed batch of 1"}},
		{"output missing", func(g *GraphInfo) { g.Outputs = g.Outputs[:2] }, []string{`output.tensors.scores: the manifest says "s", the graph's outputs are b, extra`}},
		{"output type", func(g *GraphInfo) { g.Outputs[2].Type = "float16" }, []string{"output.tensors.scores.type", "float16"}},
		{"classes", func(g *GraphInfo) { g.Outputs[2].Shape[1] = 6 }, []string{"labels: the manifest makes axis 1", "3 long, the graph 6"}},
		{"grid", func(g *GraphInfo) { g.Outputs[0].Shape[2] = 20 }, []string{"output.strides", "40 long, the graph 20"}},
		{"box values", func(g *GraphInfo) { g.Outputs[0].Shape[1] = 5 }, []string{"output.tensors.boxes", "4 long, the graph 5"}},
		{"two at once", func(g *GraphInfo) { g.Inputs[0].Shape[3] = 160; g.Outputs[2].Shape[1] = 6 }, []string{"inputs[0].width", "labels"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := graph()
			c.change(&g)
			err := parse(t, peaks).Check(g)
			if !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error  %v\nwant one with %s", err, want)
				}
			}
		})
	}
}

func TestOutputAxes(t *testing.T) {
	sizes := func(axes []Axis) (s []int64) {
		for _, a := range axes {
			s = append(s, a.Size)
		}
		return s
	}
	for _, c := range []struct {
		output string
		role   string
		want   []int64
	}{
		{"{decoder: peak-grid, tensors: {scores: s, boxes: b}, strides: [4]}", RoleScores, []int64{-1, 3, 40, 80}},
		{"{decoder: peak-grid, tensors: {scores: s, boxes: b}, strides: [4]}", RoleBoxes, []int64{-1, 4, 40, 80}},
		{"{decoder: yolox, tensors: {output: o}, strides: [8, 16]}", RoleOutput, []int64{-1, 40*20 + 20*10, 8}},
		{"{decoder: ssd, tensors: {scores: s, boxes: b}}", RoleScores, []int64{-1, -1, 3}},
		{"{decoder: ssd, tensors: {scores: s, boxes: b}, background: 0}", RoleScores, []int64{-1, -1, 4}},
		{"{decoder: ssd, tensors: {scores: s, boxes: b}, background: 0}", RoleBoxes, []int64{-1, -1, 4}},
	} {
		old := peaks[strings.Index(peaks, "output:"):strings.Index(peaks, "labels:")]
		got := sizes(parse(t, strings.Replace(peaks, old, "output: "+c.output+"\n", 1)).OutputAxes()[c.role])
		if len(got) != len(c.want) {
			t.Errorf("%s: %s: got %v, want %v", c.output, c.role, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %s: got %v, want %v", c.output, c.role, got, c.want)
				break
			}
		}
	}
	if got := (Manifest{}).OutputAxes(); got != nil {
		t.Errorf("no decoder: got %v, want nil", got)
	}
}
