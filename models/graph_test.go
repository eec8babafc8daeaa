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
		"batch of one": func(g *GraphInfo) { // its samples run one by one
			g.Inputs[0].Shape[0], g.Outputs[0].Shape[0], g.Outputs[2].Shape[0] = 1, 1, 1
		},
		"no batch":                  func(g *GraphInfo) { g.Inputs[0].Shape = []int64{2, 160, 320} },
		"batch of outputs":          func(g *GraphInfo) { g.Outputs[0].Shape[0] = 7 }, // which no declaration decides
		"batch of an unrolled loop": func(g *GraphInfo) { g.LargestBatch = 2 },
		"one by one by a loop of one": func(g *GraphInfo) { // its samples run one by one too
			g.Inputs[0].Shape[0], g.Outputs[0].Shape[0], g.Outputs[2].Shape[0], g.LargestBatch = 1, 1, 1, 1
		},
		"unknown output":        func(g *GraphInfo) { g.Outputs[0].Shape = nil },
		"half precision output": func(g *GraphInfo) { g.Outputs[0].Type = "float16" },
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
		{"batch beyond a loop", func(g *GraphInfo) { g.LargestBatch = 1 }, []string{"batch_sizes: 2: the graph was exported with nms=True for a batch of 1", "remove 2, or export with batch=2"}},
		{"input type", func(g *GraphInfo) { g.Inputs[0].Type = "uint8" }, []string{"inputs[0].type: the manifest asks for float32", "is uint8"}},
		{"input rank", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{160, 320} }, []string{"inputs[0].name", "4 axes", "has 2"}},
		{"input without a batch", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{2, 320, 320} }, []string{"inputs[0].height", "160 long, the graph 320"}},
		{"layout without a batch", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{160, 320, 2} }, []string{"inputs[0].layout: the manifest says NCHW", "is NHWC"}},
		{"layout", func(g *GraphInfo) { g.Inputs[0].Shape = []int64{-1, 160, 320, 2} }, []string{"inputs[0].layout: the manifest says NCHW", "is NHWC"}},
		{"channels", func(g *GraphInfo) { g.Inputs[0].Shape[1] = 3 }, []string{"inputs[0].color and sources", "2 long, the graph 3"}},
		{"height", func(g *GraphInfo) { g.Inputs[0].Shape[2] = 320 }, []string{"inputs[0].height", "160 long, the graph 320"}},
		{"width", func(g *GraphInfo) { g.Inputs[0].Shape[3] = 160 }, []string{"inputs[0].width", "320 long, the graph 160"}},
		{"fixed batch", func(g *GraphInfo) { g.Inputs[0].Shape[0] = 4 }, []string{"batch_sizes: the manifest says [1 2]", "fixed batch of 4: write [4]"}},
		{"another input", func(g *GraphInfo) { g.Inputs = append(g.Inputs, TensorInfo{"size", "int64", []int64{-1, 2}}) }, []string{`inputs: the manifest has no entry for the graph's input "size" [-1 2]: add one, or one of constants`}},
		{"output rank", func(g *GraphInfo) { g.Outputs[2].Shape = []int64{3, 40, 80} }, []string{"output.tensors.scores", "asks for 4 axes", "has 3"}},
		{"output without axes", func(g *GraphInfo) { g.Outputs[2].Shape = []int64{} }, []string{"output.tensors.scores", "asks for 4 axes", "has 0: []"}},
		{"output missing", func(g *GraphInfo) { g.Outputs = g.Outputs[:2] }, []string{`output.tensors.scores: the manifest says "s", the graph's outputs are b, extra`}},
		{"output type", func(g *GraphInfo) { g.Outputs[2].Type = "bfloat16" }, []string{`output.tensors.scores: the graph's output "s" is bfloat16: cast it to one of float32, float16, float64, int64, int32, uint8, bool`}},
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

// withOutput is peaks with another output.
func withOutput(output string) string {
	old := peaks[strings.Index(peaks, "output:"):strings.Index(peaks, "labels:")]
	return strings.Replace(peaks, old, "output: "+output+"\n", 1)
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
		{"{decoder: yolov5, tensors: {output: o}}", RoleOutput, []int64{-1, -1, 8}},
		{"{decoder: yolov5, tensors: {output: o, prototypes: p}}", RoleOutput, []int64{-1, -1, -1}},
		{"{decoder: yolov5, tensors: {output: o, prototypes: p}}", RolePrototypes, []int64{-1, -1, -1, -1}},
		{"{decoder: yolov8, tensors: {output: o}}", RoleOutput, []int64{-1, 7, -1}},
		{"{decoder: yolov8, tensors: {output: o}}", RolePrototypes, nil},
		{"{decoder: yolov8, tensors: {output: o, prototypes: p}}", RoleOutput, []int64{-1, -1, -1}},
		{"{decoder: yolo-end2end, tensors: {output: o}}", RoleOutput, []int64{-1, -1, 6}},
		{"{decoder: rtdetr, tensors: {output: o}}", RoleOutput, []int64{-1, -1, 7}},
		{"{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: sigmoid}", RoleScores, []int64{-1, -1, 3}},
		{"{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: softmax, background: 3}", RoleScores, []int64{-1, -1, 4}},
		{"{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: none}", RoleBoxes, []int64{-1, -1, 4}},
		{"{decoder: detections, tensors: {scores: s, boxes: b, labels: l}}", RoleLabels, []int64{-1, -1}},
		{"{decoder: detections, tensors: {scores: s, boxes: b, labels: l}}", RoleCount, nil},
		{"{decoder: detections, tensors: {scores: s, boxes: b, labels: l, count: n}}", RoleCount, []int64{-1, 1}},
		{"{decoder: mmdeploy, tensors: {dets: d, labels: l}}", RoleDets, []int64{-1, -1, 5}},
	} {
		got := sizes(parse(t, withOutput(c.output)).OutputAxes()[c.role])
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

// TestAxesOfRank: an output may come without its optional axes, and is then of one sample if the batch is among them.
func TestAxesOfRank(t *testing.T) {
	count := []Axis{{Size: -1}, {Size: 1, Optional: true}}
	boxes := []Axis{{Size: -1, Optional: true}, {Size: -1}, {Size: 4}}
	for _, c := range []struct {
		axes    []Axis
		rank    int
		want    int // axes left; 0: there is no such output
		batched bool
	}{
		{count, 2, 2, true}, {count, 1, 1, true}, {count, 3, 0, true}, {count, 0, 0, true},
		{boxes, 3, 3, true}, {boxes, 2, 2, false}, {boxes, 1, 0, false},
	} {
		got, ok := AxesOfRank(c.axes, c.rank)
		if ok != (c.want > 0) || ok && len(got) != c.want {
			t.Errorf("%v of rank %d: got %v, %v, want %d axes", c.axes, c.rank, got, ok, c.want)
		}
		if got := Batched(c.axes, c.rank); got != c.batched {
			t.Errorf("%v of rank %d: batched is %v, want %v", c.axes, c.rank, got, c.batched)
		}
	}
}

func TestCheckComparesConstants(t *testing.T) {
	m := parse(t, peaks+"constants: [{name: size, type: int64, values: [320, 160]}]\n")
	for _, c := range []struct {
		size TensorInfo
		want string // empty: it fits
	}{
		{TensorInfo{"size", "int64", []int64{-1, 2}}, ""},
		{TensorInfo{"size", "int64", []int64{1, 2}}, ""},
		{TensorInfo{"size", "int64", []int64{2}}, ""},
		{TensorInfo{"size", "int64", []int64{-1}}, ""},
		{TensorInfo{"other", "int64", []int64{-1, 2}}, `constants[0].name: the manifest says "size", the graph's inputs are images, other`},
		{TensorInfo{"size", "float32", []int64{-1, 2}}, "constants[0].type: the manifest asks for int64, the graph's input \"size\" is float32"},
		{TensorInfo{"size", "int64", []int64{-1, 4}}, "constants[0].values: the manifest makes axis 1 of the graph's input \"size\" 2 long, the graph 4"},
		{TensorInfo{"size", "int64", []int64{3, 2}}, "fixed batch of 3: write [3]"},
		{TensorInfo{"size", "int64", nil}, "constants[0].name: a constant has 1 axis, or 2 with the batch, the graph's input \"size\" has 0"},
		{TensorInfo{"size", "int64", []int64{1, 1, 2}}, "has 3: [1 1 2]: fix its value in the graph"},
	} {
		g := graph()
		g.Inputs = append(g.Inputs, c.size)
		err := m.Check(g)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: got %v, want %q", c.size, err, c.want)
		}
	}
}

// TestCheckCountsRows: labels and prototypes together make the rows of an output with masks.
func TestCheckCountsRows(t *testing.T) {
	for _, c := range []struct {
		decoder string
		output  []int64
		want    string // empty: it fits
	}{
		{DecoderYOLOv5, []int64{1, 100, 5 + 3 + 32}, ""},
		{DecoderYOLOv5, []int64{1, 100, 5 + 4 + 32}, `labels: the manifest and 32 prototypes make rows of 40 numbers, the graph's output "o" has 41: [1 100 41]`},
		{DecoderYOLOv8, []int64{1, 4 + 3 + 32, 100}, ""},
		{DecoderYOLOv8, []int64{1, 5 + 3 + 32, 100}, "make rows of 39 numbers"},
		{DecoderYOLOv8, []int64{1, -1, -1}, ""},
		{DecoderEnd2End, []int64{1, 300, 6 + 32}, ""},
		{DecoderEnd2End, []int64{1, 300, 6}, "make rows of 38 numbers"},
		{DecoderYOLOv5, nil, ""},
	} {
		g := graph()
		g.Outputs = append(g.Outputs, TensorInfo{"o", "float32", c.output}, TensorInfo{"p", "float32", []int64{1, 32, 40, 80}})
		err := parse(t, withOutput("{decoder: "+c.decoder+", tensors: {output: o, prototypes: p}}")).Check(g)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: got %v, want %q", c.decoder, c.output, err, c.want)
		}
	}
}

func TestLargestBatch(t *testing.T) {
	for want, meta := range map[int]map[string]string{
		0: {"args": "{'batch': 4, 'nms': False}", "batch": "4"},
		1: {"args": "{'nms': True}"},
		4: {"args": "{'batch': 4, 'nms': True, 'dynamic': True}", "batch": "4"},
	} {
		if got := LargestBatch(meta); got != want {
			t.Errorf("%v: got %d, want %d", meta, got, want)
		}
	}
}
