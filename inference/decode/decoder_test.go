package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// manifest returns a parsed manifest with an input of 64x32 px and these output and nms fields.
func manifest(t testing.TB, output, nms string, labels ...string) models.Manifest {
	t.Helper()
	m, err := models.ParseManifest("m.yaml", fmt.Appendf(nil, `
task: detect
inputs:
  - {name: x, layout: NCHW, width: 64, height: 32, color: gray, resize: letterbox}
output: %s
nms: %s
labels: [%s]
`, output, nms, strings.Join(labels, ", ")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func decoder(t testing.TB, m models.Manifest) boxes {
	t.Helper()
	d, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return boxes{d}
}

// boxes is a decoder of which only the candidates are looked at.
type boxes struct{ all Decoder }

func (b boxes) Decode(outs []Output, sample int, p inspection.Placement) ([]inspection.Candidate, error) {
	answer, err := b.all.Decode(outs, sample, p)
	return answer.Candidates, err
}

const (
	peakOutput  = "{decoder: peak-grid, tensors: {scores: s, boxes: b}, strides: [8], score_floor: 0.25}"
	yoloxOutput = "{decoder: yolox, tensors: {output: o}, strides: [16, 32], score_floor: 0.25}"
	ssdOutput   = "{decoder: ssd, tensors: {scores: s, boxes: b}, score_floor: 0.25, background: 0}"

	yolov5Output     = "{decoder: yolov5, tensors: {output: o}, score_floor: 0.25}"
	yolov5SegOutput  = "{decoder: yolov5, tensors: {output: o, prototypes: p}, score_floor: 0.25}"
	yolov8Output     = "{decoder: yolov8, tensors: {output: o}, score_floor: 0.25}"
	yolov8SegOutput  = "{decoder: yolov8, tensors: {output: o, prototypes: p}, score_floor: 0.25}"
	end2endOutput    = "{decoder: yolo-end2end, tensors: {output: o}, score_floor: 0.25}"
	rtdetrOutput     = "{decoder: rtdetr, tensors: {output: o}, score_floor: 0.25}"
	rfdetrOutput     = "{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: sigmoid, background: 0, score_floor: 0.25}"
	detectionsOutput = "{decoder: detections, tensors: {scores: s, boxes: b, labels: l, count: n}, box_format: yxyx, label_offset: 1, score_floor: 0.25}"
	mmdeployOutput   = "{decoder: mmdeploy, tensors: {dets: d, labels: l}, score_floor: 0.25}"
)

// prototypesOfBlank is how many prototypes the outputs of blank have, of 4x8 values each.
const prototypesOfBlank = 3

// asIs is the placement of a frame that has the input's size.
var asIs = inspection.Placement{ScaleX: 1, ScaleY: 1, Width: 64, Height: 32}

// blank returns outputs in which nothing is seen: scores 0, boxes of 8x8 px where they are an output of their own. m has a batch
// of n; axes that it leaves open are as long as anchors says, but for those of prototypes.
func blank(m models.Manifest, n, anchors int64) []Output {
	var outs []Output
	for role, axes := range m.OutputAxes() {
		o := Output{Name: m.Output.Tensors[role]}
		size := int64(1)
		for i, a := range axes {
			switch {
			case i == 0:
				a.Size = n
			case role == models.RolePrototypes:
				a.Size = []int64{n, prototypesOfBlank, 4, 8}[i]
			case a.Size < 0 && i == rowAxis(m) && role == models.RoleOutput:
				a.Size = int64(m.RowSize()) + prototypesOfBlank
			case a.Size < 0:
				a.Size = anchors
			}
			o.Shape = append(o.Shape, a.Size)
			size *= a.Size
		}
		o.Data = make([]float32, size)
		fillBlank(m, role, &o)
		outs = append(outs, o)
	}
	return outs
}

// rowAxis is the axis of an output along which a box's numbers lie.
func rowAxis(m models.Manifest) int {
	if m.Output.Decoder == models.DecoderYOLOv8 {
		return 1
	}
	return 2
}

func fillBlank(m models.Manifest, role string, o *Output) {
	corner := [4]float32{4, 4, 12, 12}
	for i := range o.Data {
		switch {
		case role == models.RoleScores && m.Output.Activation == models.ActivationSigmoid:
			o.Data[i] = -100
		case role == models.RoleBoxes && m.Output.Decoder == models.DecoderPeakGrid:
			o.Data[i] = corner[i/int(o.Shape[2]*o.Shape[3])%4]
		case role == models.RoleBoxes:
			o.Data[i] = corner[i%4] / 64
		}
	}
}

func output(outs []Output, name string) *Output {
	for i := range outs {
		if outs[i].Name == name {
			return &outs[i]
		}
	}
	return nil
}

func box(x1, y1, x2, y2 float64) inspection.Box {
	return inspection.Box{X1: x1, Y1: y1, X2: x2, Y2: y2}
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func sameBox(a, b inspection.Box, tolerance float64) bool {
	return near(a.X1, b.X1, tolerance) && near(a.Y1, b.Y1, tolerance) && near(a.X2, b.X2, tolerance) && near(a.Y2, b.Y2, tolerance)
}

func compare(t *testing.T, got, want []inspection.Candidate, scoreTolerance, boxTolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d candidates, want %d:\ngot  %v\nwant %v", len(got), len(want), got, want)
	}
	for i, w := range want {
		if g := got[i]; g.Class != w.Class || !near(g.Score, w.Score, scoreTolerance) || !sameBox(g.Box, w.Box, boxTolerance) {
			t.Errorf("candidate %d: got %+v, want %+v", i, g, w)
		}
	}
}

func TestPeakGrid(t *testing.T) {
	m := manifest(t, peakOutput, "{}", "open", "spur")
	outs := blank(m, 2, 0)
	s := output(outs, "s") // [2,2,4,8]
	s.Data[64+1*32+2*8+3] = 0.5
	s.Data[64+0*32+0*8+0] = 0.75
	s.Data[64+0*32+3*8+7] = 0.125                   // below the floor
	s.Data[0] = 0.9                                 // another sample's
	for k, v := range []float32{20.5, 14, 80, 24} { // to the right of the frame at its end
		output(outs, "b").Data[128+k*32+2*8+3] = v
	}
	got, err := decoder(t, m).Decode(outs, 1, asIs)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, []inspection.Candidate{{Class: "open", Score: 0.75, Box: box(4, 4, 12, 12)}, {Class: "spur", Score: 0.5, Box: box(20.5, 14, 64, 24)}}, 0, 0)
}

func TestYOLOX(t *testing.T) {
	m := manifest(t, yoloxOutput, "{}", "cup", "dog")
	outs := blank(m, 1, 0) // [1,8+2,7]
	o := output(outs, "o")
	set := func(anchor int, row ...float32) { copy(o.Data[anchor*7:], row) }
	set(5, 0.5, 0.25, 0, float32(math.Log(2)), 0.5, 1, 0.75) // stride 16, cell 1,1: centre 24,20, size 16x32, both classes
	set(9, 0, 0.5, 0, 0, 1, 0, 0.25)                         // stride 32, cell 1,0: centre 32,16, size 32x32
	set(2, 0, 0, 0, 0, 0.5, 0.25, 0.25)                      // 0.125: below the floor
	got, err := decoder(t, m).Decode(outs, 0, asIs)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, []inspection.Candidate{
		{Class: "cup", Score: 0.5, Box: box(16, 4, 32, 32)},
		{Class: "dog", Score: 0.375, Box: box(16, 4, 32, 32)},
		{Class: "dog", Score: 0.25, Box: box(16, 0, 48, 32)},
	}, 1e-9, 1e-5)
}

func TestSSD(t *testing.T) {
	for _, c := range []struct {
		fields string
		box    []float32
		class  int // of the graph
		want   string
	}{
		{"", []float32{0.25, 0.5, 0.5, 1}, 1, "b"},
		{", box_format: yxyx", []float32{0.5, 0.25, 1, 0.5}, 0, "a"},
		{", box_format: cxcywh", []float32{0.375, 0.75, 0.25, 0.5}, 1, "b"},
		{", box_unit: pixel", []float32{16, 16, 32, 32}, 0, "a"},
		{", background: 0", []float32{0.25, 0.5, 0.5, 1}, 1, "a"},
		{", background: 0", []float32{0.25, 0.5, 0.5, 1}, 2, "b"},
		{", background: 1", []float32{0.25, 0.5, 0.5, 1}, 0, "a"},
		{", background: 1", []float32{0.25, 0.5, 0.5, 1}, 2, "b"},
		{", background: 2", []float32{0.25, 0.5, 0.5, 1}, 2, ""},
	} {
		m := manifest(t, "{decoder: ssd, tensors: {scores: s, boxes: b}"+c.fields+"}", "{}", "a", "b")
		outs := blank(m, 1, 3)
		s := output(outs, "s")
		s.Data[1*int(s.Shape[2])+c.class] = 0.5
		copy(output(outs, "b").Data[4:], c.box)
		got, err := decoder(t, m).Decode(outs, 0, asIs)
		if err != nil {
			t.Fatalf("%s: %v", c.fields, err)
		}
		var want []inspection.Candidate
		if c.want != "" {
			want = []inspection.Candidate{{Class: c.want, Score: 0.5, Box: box(16, 16, 32, 32)}}
		}
		t.Run(c.fields, func(t *testing.T) { compare(t, got, want, 0, 1e-9) })
	}
}

// TestDecodeRefuses damages blank outputs in one way and wants ErrModelOutput that says what is wrong.
func TestDecodeRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name, output string
		damage       func(outs []Output) []Output
		want         string
	}{
		{"no outputs", peakOutput, func([]Output) []Output { return nil }, `no output "s" among none`},
		{"other outputs", peakOutput, func(o []Output) []Output { output(o, "b").Name = "x"; return o }, `no output "b" among "s", "x"`},
		{"rank", peakOutput, func(o []Output) []Output { output(o, "s").Shape = []int64{2, 3, 32}; return o }, `output "s" has shape [2 3 32] and 192 values, want [any 3 4 8]`},
		{"classes", peakOutput, func(o []Output) []Output { output(o, "s").Shape = []int64{3, 2, 4, 8}; return o }, "want [any 3 4 8]"},
		{"grid", peakOutput, func(o []Output) []Output { output(o, "s").Shape = []int64{2, 3, 8, 4}; return o }, "has shape [2 3 8 4]"},
		{"too few values", peakOutput, func(o []Output) []Output { s := output(o, "s"); s.Data = s.Data[:191]; return o }, "191 values"},
		{"too many values", peakOutput, func(o []Output) []Output { s := output(o, "s"); s.Data = append(s.Data, s.Data...); return o }, "384 values"},
		{"empty", peakOutput, func(o []Output) []Output { s := output(o, "s"); s.Data, s.Shape[0] = nil, 0; return o }, "has shape [0 3 4 8]"},
		{"negative axis", peakOutput, func(o []Output) []Output { output(o, "s").Shape[0] = -2; return o }, "has shape [-2 3 4 8]"},
		{"batch", peakOutput, func(o []Output) []Output { s := output(o, "b"); s.Data, s.Shape[0] = s.Data[:128], 1; return o }, `output "b" has a batch of 1, sample 1 is asked for`},
		{"NaN score", peakOutput, func(o []Output) []Output { output(o, "s").Data[100] = nan; return o }, `output "s": value 4 of sample 1 is NaN`},
		{"NaN box of no candidate", peakOutput, func(o []Output) []Output { output(o, "b").Data[200] = nan; return o }, `output "b": value 72 of sample 1 is NaN`},
		{"infinite box", peakOutput, func(o []Output) []Output { output(o, "b").Data[255] = -inf; return o }, "-Inf"},
		{"score above 1", peakOutput, func(o []Output) []Output { output(o, "s").Data[100] = 1.01; return o }, "value 4 is 1.01, want a score of 0..1"},
		{"score below 0", peakOutput, func(o []Output) []Output { output(o, "s").Data[100] = -0.01; return o }, "want a score of 0..1"},
		{"box turned over", peakOutput, func(o []Output) []Output {
			output(o, "s").Data[96], output(o, "b").Data[128] = 0.9, 13
			return o
		}, "a with score 0.9000 has a box without area"},
		{"yolox missing", yoloxOutput, func(o []Output) []Output { return o[:0] }, `no output "o"`},
		{"yolox anchors", yoloxOutput, func(o []Output) []Output { output(o, "o").Shape = []int64{2, 8, 10}; return o }, "want [any 10 8]"},
		{"yolox objectness", yoloxOutput, func(o []Output) []Output { output(o, "o").Data[80+4] = 2; return o }, "value 4 is 2"},
		{"yolox class", yoloxOutput, func(o []Output) []Output { output(o, "o").Data[80+7] = -1; return o }, "value 7 is -1"},
		{"yolox endless size", yoloxOutput, func(o []Output) []Output { copy(output(o, "o").Data[80:], []float32{0, 0, 1000, 0, 1, 1}); return o }, "without area or end"},
		{"yolox no size", yoloxOutput, func(o []Output) []Output { copy(output(o, "o").Data[80:], []float32{0, 0, -1000, 0, 1, 1}); return o }, "without area"},
		{"ssd anchors differ", ssdOutput, func(o []Output) []Output { s := output(o, "s"); s.Data, s.Shape[1] = s.Data[:32], 4; return o }, `output "s" speaks of 4 anchors, output "b" of 5`},
		{"ssd no anchors", ssdOutput, func(o []Output) []Output {
			for i := range o {
				o[i].Data, o[i].Shape[1] = nil, 0
			}
			return o
		}, "has shape [2 0 4]"},
		{"yolov5 classes", yolov5Output, func(o []Output) []Output { output(o, "o").Shape = []int64{2, 4, 10}; return o }, `output "o" has shape [2 4 10] and 80 values, want [any any 8]`},
		{"yolov5 objectness", yolov5Output, func(o []Output) []Output { output(o, "o").Data[40+4] = 2; return o }, "value 4 is 2, want a score"},
		{"yolov5 class of nothing", yolov5Output, func(o []Output) []Output { output(o, "o").Data[40+8+7] = -1; return o }, "value 15 is -1, want a score"},
		{"yolov5 box", yolov5Output, func(o []Output) []Output { copy(output(o, "o").Data[40:], []float32{8, 8, 0, 8, 1, 1}); return o }, "a with score 1.0000 has a box without area"},
		{"yolov5 rows with masks", yolov5SegOutput, func(o []Output) []Output { s := output(o, "o"); s.Data, s.Shape[2] = s.Data[:80], 8; return o },
			`output "o" has 8 numbers for each box, want 8 and one for each of 3 prototypes: correct labels`},
		{"prototypes missing", yolov8SegOutput, func(o []Output) []Output { output(o, "p").Name = "q"; return o }, `no output "p"`},
		{"prototypes NaN", yolov8SegOutput, func(o []Output) []Output { output(o, "p").Data[100] = nan; return o }, `output "p": value 4 of sample 1 is NaN`},
		{"prototypes flat", yolov8SegOutput, func(o []Output) []Output { output(o, "p").Shape = []int64{2, 3, 32}; return o }, `output "p" has shape [2 3 32]`},
		{"yolov8 rows with masks", yolov8SegOutput, func(o []Output) []Output { s := output(o, "o"); s.Data, s.Shape[1] = s.Data[:90], 9; return o }, "has 9 numbers for each box, want 7 and"},
		{"yolov8 turned", yolov8Output, func(o []Output) []Output { output(o, "o").Shape = []int64{2, 5, 7}; return o }, "want [any 7 any]"},
		{"yolov8 score", yolov8Output, func(o []Output) []Output { output(o, "o").Data[35+4*5+2] = 1.5; return o }, "value 22 is 1.5, want a score"},
		{"yolov8 box", yolov8Output, func(o []Output) []Output { output(o, "o").Data[35+4*5] = 1; return o }, "box without area"},
		{"end2end row", end2endOutput, func(o []Output) []Output { output(o, "o").Shape = []int64{2, 6, 5}; return o }, "want [any any 6]"},
		{"end2end score", end2endOutput, func(o []Output) []Output { output(o, "o").Data[30+4] = -1; return o }, "value 4 is -1, want a score"},
		{"end2end box", end2endOutput, func(o []Output) []Output { copy(output(o, "o").Data[30:], []float32{5, 5, 5, 9, 0.5, 0}); return o }, "box without area"},
		{"end2end class", end2endOutput, func(o []Output) []Output { copy(output(o, "o").Data[30:], []float32{5, 5, 9, 9, 0.5, 3}); return o },
			`output "o": value 5 is 3, which is none of the 3 labels, numbered from 0: correct labels or label_offset`},
		{"end2end half a class", end2endOutput, func(o []Output) []Output { copy(output(o, "o").Data[30:], []float32{5, 5, 9, 9, 0.5, 0.5}); return o }, "value 5 is 0.5"},
		{"rtdetr classes", rtdetrOutput, func(o []Output) []Output { output(o, "o").Shape = []int64{1, 7, 10}; return o }, "want [any any 7]"},
		{"rtdetr score", rtdetrOutput, func(o []Output) []Output { output(o, "o").Data[35+7+5] = 7; return o }, "value 12 is 7, want a score"},
		{"rfdetr boxes differ", rfdetrOutput, func(o []Output) []Output { s := output(o, "s"); s.Data, s.Shape[1] = s.Data[:32], 4; return o }, `output "s" speaks of 4 boxes, output "b" of 5`},
		{"rfdetr infinite", rfdetrOutput, func(o []Output) []Output { output(o, "s").Data[20] = -inf; return o }, "-Inf"},
		{"rfdetr unactivated", "{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: none}", func(o []Output) []Output {
			output(o, "s").Data[15+4] = 3
			return o
		}, "value 4 is 3, want a score"},
		{"detections differ", detectionsOutput, func(o []Output) []Output { s := output(o, "s"); s.Data, s.Shape[1] = s.Data[:8], 4; return o }, `output "s" speaks of 4 detections, output "b" of 5`},
		{"detections labels", detectionsOutput, func(o []Output) []Output { s := output(o, "l"); s.Data, s.Shape[1] = s.Data[:8], 4; return o }, `output "s" speaks of 5 detections, output "l" of 4`},
		{"detections class", detectionsOutput, func(o []Output) []Output { output(o, "s").Data[5], output(o, "n").Data[1] = 0.5, 5; return o }, "value 0 is 0, which is none of the 3 labels, numbered from 1"},
		{"detections class too high", detectionsOutput, func(o []Output) []Output {
			output(o, "s").Data[5], output(o, "l").Data[5], output(o, "n").Data[1] = 0.5, 4, 5
			return o
		}, "value 0 is 4"},
		{"detections score", detectionsOutput, func(o []Output) []Output { output(o, "s").Data[9], output(o, "n").Data[1] = 1.5, 5; return o }, "value 4 is 1.5, want a score"},
		{"detections box", detectionsOutput, func(o []Output) []Output {
			output(o, "s").Data[5], output(o, "l").Data[5], output(o, "n").Data[1], output(o, "b").Data[20] = 0.5, 1, 5, 0.5
			return o
		}, "box without area"},
		{"detections count too high", detectionsOutput, func(o []Output) []Output { output(o, "n").Data[1] = 6; return o }, `output "n" counts 6 detections, of 5`},
		{"detections count below 0", detectionsOutput, func(o []Output) []Output { output(o, "n").Data[1] = -1; return o }, "counts -1"},
		{"detections count of parts", detectionsOutput, func(o []Output) []Output { output(o, "n").Data[1] = 0.5; return o }, "counts 0.5"},
		{"mmdeploy row", mmdeployOutput, func(o []Output) []Output { output(o, "d").Shape = []int64{2, 25, 1}; return o }, "want [any any 5]"},
		{"mmdeploy differ", mmdeployOutput, func(o []Output) []Output { s := output(o, "l"); s.Data, s.Shape[1] = s.Data[:8], 4; return o }, `output "d" speaks of 5 detections, output "l" of 4`},
		{"mmdeploy score", mmdeployOutput, func(o []Output) []Output { output(o, "d").Data[25+4] = -0.5; return o }, "value 4 is -0.5"},
		{"mmdeploy class", mmdeployOutput, func(o []Output) []Output {
			copy(output(o, "d").Data[25:], []float32{5, 5, 9, 9, 0.5})
			output(o, "l").Data[5] = -1
			return o
		}, "value 0 is -1, which is none"},
		{"mmdeploy box", mmdeployOutput, func(o []Output) []Output { output(o, "d").Data[25+4] = 0.5; return o }, "box without area"},
		{"ssd background", ssdOutput, func(o []Output) []Output { output(o, "s").Data[20] = nan; return o }, "value 0 of sample 1 is NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := manifest(t, c.output, "{iou: 0.5}", "a", "b", "c")
			d, outs := decoder(t, m), blank(m, 2, 5)
			if got, err := d.Decode(outs, 1, asIs); err != nil || len(got) != 0 {
				t.Fatalf("undamaged: got %v, %v, want nothing seen", got, err)
			}
			got, err := d.Decode(c.damage(outs), 1, asIs)
			if !errors.Is(err, inspection.ErrModelOutput) || !strings.Contains(err.Error(), c.want) || got != nil {
				t.Errorf("got %v, error %v\nwant ErrModelOutput with %s", got, err, c.want)
			}
		})
	}
}

func TestDecodeRefusesSampleAndPlacement(t *testing.T) {
	m := manifest(t, peakOutput, "{}", "a")
	d, outs := decoder(t, m), blank(m, 2, 0)
	for _, sample := range []int{-1, 2} {
		if _, err := d.Decode(outs, sample, asIs); !errors.Is(err, inspection.ErrModelOutput) {
			t.Errorf("sample %d: got %v, want ErrModelOutput", sample, err)
		}
	}
	for _, p := range []inspection.Placement{
		{}, {ScaleX: 1, ScaleY: 0, Width: 1, Height: 1}, {ScaleX: math.NaN(), ScaleY: 1, Width: 1, Height: 1}, {ScaleX: 1, ScaleY: math.Inf(1), Width: 1, Height: 1},
		{ScaleX: 1, ScaleY: 1, OffsetX: math.NaN(), Width: 1, Height: 1}, {ScaleX: 1, ScaleY: 1, Width: 0, Height: 1},
	} {
		if _, err := d.Decode(outs, 0, p); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("placement %+v: got %v, want ErrInvalid", p, err)
		}
	}
}

func TestScoreSlackIsClamped(t *testing.T) {
	m := manifest(t, peakOutput, "{}", "a")
	outs := blank(m, 1, 0)
	output(outs, "s").Data[0], output(outs, "s").Data[1] = 1.00005, -0.00005
	got, err := decoder(t, m).Decode(outs, 0, asIs)
	if err != nil || len(got) != 1 || got[0].Score != 1 {
		t.Errorf("got %v, %v, want one candidate with score 1", got, err)
	}
}

// A score reaches the threshold that is written as it is, though the float32 of 0.9 is below 0.9.
func TestAScoreReachesTheThresholdOfItsOwnValue(t *testing.T) {
	for _, at := range []float64{0.01, 0.05, 0.07, 0.3, 0.35, 0.65, 0.7, 0.9, 0.97, 0.999, 0.8125463} {
		v := float32(at)
		rows := make([]float32, 2*6)
		copy(rows, []float32{1, 1, 9, 9, v, 0})
		for _, c := range []struct {
			task, output string
			outs         []Output
		}{
			{"detect", "{decoder: yolo-end2end, tensors: {output: o}, score_floor: %[1]v}", []Output{{"o", []int64{1, 2, 6}, rows}}},
			{"classify", "{decoder: classifier, tensors: {scores: s}, activation: none, score_floor: %[1]v}", []Output{{"s", []int64{1, 1}, []float32{v}}}},
			{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none, score_floor: %[1]v, region_at: %[1]v}", []Output{{"s", []int64{1, 1, 1, 7}, []float32{0, v, v, v, v, v, 0}}}},
			{"anomaly", "{decoder: anomaly, tensors: {map: m}, score_floor: %[1]v, region_at: %[1]v}", []Output{{"m", []int64{1, 1, 3}, []float32{0, v, 0}}}},
			{"anomaly", "{decoder: anomaly, tensors: {score: m}, score_floor: %[1]v}", []Output{{"m", []int64{1}, []float32{v}}}},
		} {
			_, d := evidenceModel(t, c.task, fmt.Sprintf(c.output, at), "a")
			got, err := d.Decode(c.outs, 0, asIs)
			if err != nil || len(got.Candidates) != 1 {
				t.Errorf("%s, floor %v: got %v, %v, want a candidate of that score", c.task, at, got.Candidates, err)
				continue
			}
			if s := got.Candidates[0].Score; s < at || s > at+1e-7 {
				t.Errorf("%s: got score %v, want %v", c.task, s, at)
			}
			if c.task == "anomaly" && got.Heatmap != nil && got.Candidates[0].Mask == nil {
				t.Errorf("region_at %v: no region where the map has that value", at)
			}
		}
	}
}

// TestPaddingIsNoError: what rows hold that do not reach the floor, or lie beyond the count, does not matter if it is finite.
func TestPaddingIsNoError(t *testing.T) {
	for _, c := range []struct {
		output string
		pad    func(outs []Output)
	}{
		{end2endOutput, func(o []Output) { copy(output(o, "o").Data[6:], []float32{9, 9, 2, 2, 0.2, -1}) }},
		{detectionsOutput, func(o []Output) { output(o, "l").Data[1], output(o, "s").Data[1], output(o, "n").Data[0] = 99, 0.2, 7 }},
		{detectionsOutput, func(o []Output) { // beyond the count not even the score
			output(o, "l").Data[1], output(o, "s").Data[1], output(o, "n").Data[0] = 99, 7, 1
		}},
		{mmdeployOutput, func(o []Output) { output(o, "l").Data[1] = -1 }},
		{rtdetrOutput, func(o []Output) { copy(output(o, "o").Data[6:], []float32{0, 0, -1, -1, 0.2}) }},
	} {
		m := manifest(t, c.output, "{}", "a", "b")
		outs := blank(m, 1, 7)
		layouts[m.Output.Decoder].put(outs, 0, 0, 1, 0.5, box(8, 4, 24, 12))
		c.pad(outs)
		got, err := decoder(t, m).Decode(outs, 0, asIs)
		if err != nil {
			t.Errorf("%s: got %v, want no error", c.output, err)
			continue
		}
		compare(t, got, []inspection.Candidate{{Class: "b", Score: 0.5, Box: box(8, 4, 24, 12)}}, 1e-6, 1e-4)
	}
}

// TestWithoutABatch: outputs without a batch axis are those of one sample, and may have no rows at all.
func TestWithoutABatch(t *testing.T) {
	m := manifest(t, "{decoder: detections, tensors: {scores: s, boxes: b, labels: l}, box_unit: pixel}", "{}", "a", "b")
	d := decoder(t, m)
	outs := []Output{{"s", []int64{2}, []float32{0.5, 0.25}}, {"b", []int64{2, 4}, []float32{1, 2, 3, 4, 5, 6, 7, 8}}, {"l", []int64{1, 2}, []float32{1, 0}}}
	got, err := d.Decode(outs, 0, asIs)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, []inspection.Candidate{{Class: "b", Score: 0.5, Box: box(1, 2, 3, 4)}, {Class: "a", Score: 0.25, Box: box(5, 6, 7, 8)}}, 0, 0)
	if _, err := d.Decode(outs, 1, asIs); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("second sample: got %v, want ErrModelOutput", err)
	}
	none := []Output{{"s", []int64{0}, nil}, {"b", []int64{0, 4}, nil}, {"l", []int64{0}, nil}}
	if got, err := d.Decode(none, 0, asIs); err != nil || len(got) != 0 {
		t.Errorf("nothing found: got %v, %v, want no candidate", got, err)
	}
	none[1].Shape[1] = 5
	if _, err := d.Decode(none, 0, asIs); !errors.Is(err, inspection.ErrModelOutput) {
		t.Errorf("nothing found, boxes of 5 numbers: got %v, want ErrModelOutput", err)
	}
}

func TestTooManyCandidatesIsAnError(t *testing.T) {
	m := manifest(t, "{decoder: ssd, tensors: {scores: s, boxes: b}}", "{}", "a")
	for _, n := range []int64{maxFound, maxFound + 1} {
		outs := blank(m, 1, n)
		for i := range output(outs, "s").Data {
			output(outs, "s").Data[i] = 0.5
		}
		got, err := decoder(t, m).Decode(outs, 0, asIs)
		if n <= maxFound && (err != nil || len(got) != int(n)) {
			t.Errorf("%d: got %d candidates, %v, want all", n, len(got), err)
		}
		if n > maxFound && !errors.Is(err, inspection.ErrModelOutput) {
			t.Errorf("%d: got %d candidates, %v, want ErrModelOutput", n, len(got), err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, m := range []models.Manifest{{}, {Output: models.Output{Decoder: "ssd"}}} {
		if d, err := New(m); !errors.Is(err, inspection.ErrInvalid) || d != nil {
			t.Errorf("%+v: got %v, %v, want ErrInvalid", m, d, err)
		}
	}
}

// TestDecodeAsPythonDoes compares with what numpy made of the same made-up outputs, in code that shares nothing with ours
// (inference/testdata/reference/reference.py).
func TestDecodeAsPythonDoes(t *testing.T) {
	b, err := os.ReadFile("testdata/reference_decode.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Cases []struct {
			Name, Manifest string
			Sample         int
			Placement      struct {
				ScaleX  float64 `json:"scale_x"`
				ScaleY  float64 `json:"scale_y"`
				OffsetX float64 `json:"offset_x"`
				OffsetY float64 `json:"offset_y"`
				Width   int
				Height  int
			}
			Outputs    []Output
			Candidates []struct {
				Class string
				Score float64
				Box   [4]float64
				Mask  string
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) < 27 {
		t.Fatalf("got %d cases, want at least 27", len(doc.Cases))
	}
	for _, c := range doc.Cases {
		t.Run(c.Name, func(t *testing.T) {
			m, err := models.ParseManifest("m.yaml", []byte(c.Manifest))
			if err != nil {
				t.Fatal(err)
			}
			var want []inspection.Candidate
			for _, w := range c.Candidates {
				want = append(want, inspection.Candidate{Class: w.Class, Score: w.Score, Box: box(w.Box[0], w.Box[1], w.Box[2], w.Box[3])})
			}
			p := inspection.Placement(c.Placement)
			got, err := decoder(t, m).Decode(c.Outputs, c.Sample, p)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, want, 1e-6, 1e-3)
			for i, w := range c.Candidates {
				switch mask := got[i].Mask; {
				case mask == nil && w.Mask != "" || mask != nil && w.Mask == "":
					t.Errorf("candidate %d: got mask %v, want %q", i, mask, w.Mask)
				case mask != nil && (mask.Width != p.Width || mask.Height != p.Height || mask.Counts != w.Mask):
					t.Errorf("candidate %d: got mask %+v, want %s", i, *mask, w.Mask)
				}
			}
		})
	}
}
