package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unsafe"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// export is a model with a graph of testdata, for pictures of width x height, and with these further lines of its manifest.
func export(t testing.TB, graph, input string, width, height int, lines ...string) *models.Model {
	t.Helper()
	b, err := os.ReadFile("testdata/" + graph + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("task: detect\ninputs: [{name: %s, layout: NCHW, width: %d, height: %d, color: gray, resize: stretch}]\nlabels: [a, b]\n%s\n", input, width, height, strings.Join(lines, "\n"))
	repo, err := models.Open(models.Root{Name: "test", FS: fstest.MapFS{"export/1/model.onnx": {Data: b}, "export/1/model.yaml": {Data: []byte(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Get("export", "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a batch whose samples hold these values.
func run(t *testing.T, b inference.Batch, samples ...[]float32) []decode.Output {
	t.Helper()
	slab := b.Inputs()[0]
	values := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(slab))), len(slab)/4)
	copy(values, slices.Concat(samples...))
	outs, err := b.Run()
	if err != nil {
		t.Fatal(err)
	}
	return outs
}

const foundOutput = "output: {decoder: detections, tensors: {scores: scores, boxes: boxes, labels: labels}, box_unit: pixel, label_offset: 1}"

// TestRowsThatVary: one session, whose graph finds another number of things in each picture: 16 when it is warmed, none in some. It has no batch
// axis at all, so what batch_sizes asks for beyond 1 cannot be had.
func TestRowsThatVary(t *testing.T) {
	m := export(t, "found", "image", 4, 4, foundOutput, "batch_sizes: [1, 2]")
	d, err := decode.New(m.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, newRuntime(t, Config{}), m)
	b := lease(t, s, 1)
	defer b.Release()
	for _, dark := range [][]int{{5}, {}, {0, 1, 15}, {2}, {}} {
		picture := slices.Repeat([]float32{1}, 16)
		for i, at := range dark {
			picture[at] = float32(i) / 8
		}
		got, err := d.Decode(run(t, b, picture), 0, inspection.Placement{ScaleX: 1, ScaleY: 1, Width: 4, Height: 4})
		if err != nil || len(got.Candidates) != len(dark) {
			t.Fatalf("%v: got %v, %v", dark, got.Candidates, err)
		}
		for i, at := range dark {
			x, y := float64(at%4), float64(at/4)
			want := inspection.Candidate{Class: []string{"a", "b"}[at%2], Score: 1 - float64(picture[at]), Box: inspection.Box{X1: x, Y1: y, X2: x + 1, Y2: y + 1}}
			if got.Candidates[i] != want {
				t.Errorf("%v: got %+v, want %+v", dark, got.Candidates[i], want)
			}
		}
	}
}

// TestAnOutputWithoutAxesIsRefused: whether the graph declares that, or says nothing of the output's axes.
func TestAnOutputWithoutAxesIsRefused(t *testing.T) {
	for graph, want := range map[string]string{
		"scalar":        `output.tensors.output: the manifest asks for 3 axes, the graph's output "a_score" has 0: []`,
		"scalar-unsaid": `output "a_score" has 0 axes, the decoder yolov8 asks for 3 (output.tensors.output): export the graph so`,
	} {
		m := export(t, graph, "x", 2, 2, "output: {decoder: yolov8, tensors: {output: a_score}}")
		if s, err := newRuntime(t, Config{}).Open(t.Context(), m, inference.Opening{Leases: 1}); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want ErrInvalid with %s", graph, s, err, want)
		}
	}
}

// TestAnOutputThatLosesItsAxes: as soon as there is one row only, as in a graph that squeezes whatever is 1 long. That frame fails, and
// nothing of its run stays behind.
func TestAnOutputThatLosesItsAxes(t *testing.T) {
	m := export(t, "found-squeezed", "image", 4, 4, foundOutput)
	s := open(t, newRuntime(t, Config{}), m)
	picture := slices.Repeat([]float32{1}, 16)
	for _, dark := range []int{2, 1, 3, 1, 1, 2} {
		func() {
			b := lease(t, s, 1)
			defer b.Release()
			slab := b.Inputs()[0]
			copy(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(slab))), 16), slices.Concat(make([]float32, dark), picture[dark:]))
			outs, err := b.Run()
			switch {
			case dark == 1 && (!errors.Is(err, inspection.ErrModelOutput) || !strings.Contains(err.Error(), `output "scores" has 0 axes, the decoder detections asks for 1 or 2`)):
				t.Errorf("one row: got %v, %v; want ErrModelOutput that names scores", outs, err)
			case dark > 1 && (err != nil || outs[0].Shape[0] != int64(dark)):
				t.Errorf("%d rows: got %v, %v", dark, outs, err)
			}
		}()
	}
	if s.leased != 0 || len(s.free[1]) != 2 {
		t.Errorf("%d leases are out and %d are free, want 0 and 2", s.leased, len(s.free[1]))
	}
}

// TestOutputsOfEveryType: each becomes float32, whole numbers exact below 2^24.
func TestOutputsOfEveryType(t *testing.T) {
	for graph, samples := range map[string][][]float32{
		"types":       {{0.333251953125, 1<<24 - 1, 7, -2}, {0.5, -3, 1 << 20, 65536}}, // 0.333251953125 has half precision
		"small-types": {{0.3, 255, 1, -2}, {0.5, 0, 0, 0.25}},
	} {
		m := export(t, graph, "x", 2, 2, "output: {decoder: detections, tensors: {scores: scores, boxes: boxes, labels: labels, count: count}}", "batch_sizes: [1, 2]")
		s := open(t, newRuntime(t, Config{}), m)
		if len(s.Fallbacks()) > 0 {
			t.Errorf("%s: got fallbacks %q, want none", graph, s.Fallbacks())
		}
		for size := 1; size <= 2; size++ {
			b := lease(t, s, size)
			for range 2 { // in memory of its own, again
				for _, o := range run(t, b, samples[:size]...) {
					for at, v := range samples[:size] {
						want := map[string][]float32{"scores": v[:1], "boxes": v, "labels": v[1:2], "count": v[2:3]}[o.Name]
						if want == nil || o.Shape[0] != int64(size) || !slices.Equal(part(o, at), want) {
							t.Errorf("%s: batch of %d: %s %v: got %v, want %v", graph, size, o.Name, o.Shape, part(o, at), want)
						}
					}
				}
			}
			b.Release()
		}
	}
	if got := float32(math.Float32frombits(0x3eaaa000)); got != 0.333251953125 {
		t.Errorf("the example of half precision is %v", got)
	}
}

// TestWhoTakesBatches: what the graph does with a batch of 2 decides, not what it declares.
func TestWhoTakesBatches(t *testing.T) {
	const output = "output: {decoder: yolov8, tensors: {output: output}}"
	for _, c := range []struct {
		graph, sizes string
		want         []int
		reason       string // of Fallbacks; empty: none
	}{
		{"columns", "[1, 2, 4]", []int{1, 2, 4}, ""},
		{"columns", "[4]", []int{4}, ""},
		{"columns-declared-one", "[1, 2, 4]", []int{1, 2, 4}, ""},
		{"columns-one", "[1]", []int{1}, ""},
		{"columns-one", "[1, 2, 4]", []int{1}, `batch_sizes 1 2 4: the graph's input "x" has a fixed batch of 1: samples run one by one`},
		{"columns-one", "[8]", []int{1}, "batch_sizes 8: the graph's input"},
		{"columns-merged", "[1, 2, 4]", []int{1}, `output "output" of a batch of 2 has shape [1 6 4]`},
		{"columns-stuck", "[1, 4]", []int{1}, "a batch of 2 does not run ("},
		{"columns-stuck", "[1]", []int{1}, ""},
		{"columns-of-the-first", "[4]", []int{1}, `batch_sizes 4: output "output" of a batch of 2 is not the same for both samples when they are the same picture`},
		{"columns-of-the-first", "[1, 2, 4]", []int{1}, "is not the same for both samples"},
		{"columns-by-the-batch", "[1, 2]", []int{1}, `output "output" of a picture is not the same in a batch of 2 as alone`},
	} {
		t.Run(c.graph+" "+c.sizes, func(t *testing.T) {
			s := open(t, newRuntime(t, Config{}), export(t, c.graph, "x", 2, 6, output, "batch_sizes: "+c.sizes))
			if got := s.BatchSizes(); !slices.Equal(got, c.want) {
				t.Errorf("got batch sizes %v, want %v", got, c.want)
			}
			switch got := s.Fallbacks(); {
			case c.reason == "" && len(got) > 0, c.reason != "" && (len(got) != 1 || !strings.Contains(got[0], c.reason)):
				t.Errorf("got fallbacks %q, want %q", got, c.reason)
			}
			size := c.want[len(c.want)-1]
			b := lease(t, s, size)
			defer b.Release()
			sample := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
			outs := run(t, b, slices.Repeat([][]float32{sample}, size)...)
			if got := part(outs[0], size-1); !slices.Equal(outs[0].Shape, []int64{int64(size), 6, 2}) || !slices.Equal(got, sample) {
				t.Errorf("got %v %v, want the picture", outs[0].Shape, got)
			}
			if _, err := s.Lease(16); !errors.Is(err, inspection.ErrInvalid) {
				t.Errorf("lease of 16: got %v, want ErrInvalid", err)
			}
		})
	}
}

func TestFixedBatch(t *testing.T) {
	m := models.Manifest{Constants: []models.Constant{{Name: "size"}}}
	picture := func(shape ...int64) models.TensorInfo { return models.TensorInfo{Name: "x", Shape: shape} }
	size := func(shape ...int64) models.TensorInfo { return models.TensorInfo{Name: "size", Shape: shape} }
	for _, c := range []struct {
		inputs []models.TensorInfo
		name   string
		want   int64
	}{
		{[]models.TensorInfo{picture(-1, 3, 8, 8)}, "", 0},
		{[]models.TensorInfo{picture(1, 3, 8, 8)}, "x", 1},
		{[]models.TensorInfo{picture(4, 3, 8, 8)}, "x", 4},
		{[]models.TensorInfo{picture(3, 8, 8)}, "x", 1},
		{[]models.TensorInfo{picture(-1, 3, 8, 8), size(2)}, "", 0},
		{[]models.TensorInfo{picture(-1, 3, 8, 8), size(-1, 2)}, "", 0},
		{[]models.TensorInfo{picture(-1, 3, 8, 8), size(1, 2)}, "size", 1},
	} {
		if name, got := fixedBatch(m, models.GraphInfo{Inputs: c.inputs}); name != c.name || got != c.want {
			t.Errorf("%v: got %q, %d, want %q, %d", c.inputs, name, got, c.name, c.want)
		}
	}
}

// TestNoBatchIsNoBatchOfTwo: that a graph without batches happens to find two things does not make them two samples.
func TestNoBatchIsNoBatchOfTwo(t *testing.T) {
	s := &Session{manifest: export(t, "found", "image", 4, 4, foundOutput).Manifest}
	outs := func(batch ...int64) []decode.Output {
		return []decode.Output{{Name: "scores", Shape: batch}, {Name: "labels", Shape: batch}, {Name: "boxes", Shape: append(slices.Clone(batch), 4)}}
	}
	if got := s.fault(outs(2, 7), 2); got != "" {
		t.Errorf("two samples of seven: got %q, want no fault", got)
	}
	for _, shape := range [][]int64{{2}, {3, 2}, {1, 2}} {
		if got := s.fault(outs(shape...), 2); got == "" {
			t.Errorf("scores of %v: got no fault", shape)
		}
	}
}

// TestUnlike: rows that were found may come in another order, and in another number, alone; any other output is compared number by number.
func TestUnlike(t *testing.T) {
	rows := &Session{manifest: export(t, "found", "image", 4, 4, foundOutput).Manifest, outputs: []string{"boxes", "labels", "scores"}}
	found := func(n int, boxes, labels, scores []float32) []decode.Output {
		k := int64(len(scores) / n)
		return []decode.Output{{Name: "boxes", Shape: []int64{int64(n), k, 4}, Data: boxes}, {Name: "labels", Shape: []int64{int64(n), k}, Data: labels}, {Name: "scores", Shape: []int64{int64(n), k}, Data: scores}}
	}
	a, b, none := []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, []float32{0, 0, 0, 0}
	both := found(2, slices.Concat(a, b, a, b), []float32{0, 1, 0, 1}, []float32{0.9, 0.9, 0.9, 0.9})
	for name, c := range map[string]struct {
		two, alone []decode.Output
		want       string
	}{
		"the same":           {both, found(1, slices.Concat(a, b), []float32{0, 1}, []float32{0.9, 0.9}), ""},
		"in another order":   {both, found(1, slices.Concat(b, a), []float32{1, 0}, []float32{0.9, 0.9}), ""},
		"another number":     {both, found(1, a, []float32{0}, []float32{0.9}), ""},
		"alone it fails":     {both, nil, ""},
		"nothing found":      {found(2, nil, nil, nil), found(1, nil, nil, nil), ""},
		"others alone":       {both, found(1, slices.Concat(b, b), []float32{0, 1}, []float32{0.9, 0.9}), `output "boxes" of a picture is not the same in a batch of 2 as alone`},
		"none in the second": {found(2, slices.Concat(a, b, none, none), []float32{0, 1, 0, 0}, []float32{0.9, 0.9, 0, 0}), nil, `output "boxes" of a batch of 2 is not the same for both`},
		"labels differ":      {found(2, slices.Concat(a, b, a, b), []float32{0, 1, 1, 1}, []float32{0.9, 0.9, 0.9, 0.9}), nil, `output "labels"`},
	} {
		if got := rows.unlike(c.two, c.alone); (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDiffer(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	many := func(v float32, others ...float32) []float32 {
		return append(slices.Repeat([]float32{v}, 100), others...)
	}
	for _, c := range []struct {
		name string
		a, b []float32
		want bool
	}{
		{"equal", []float32{1, 0, -3}, []float32{1, 0, -3}, false},
		{"nothing", nil, nil, false},
		{"zeros", make([]float32, 9), make([]float32, 9), false},
		{"rounding", []float32{1, 100, -0.5}, []float32{1.0001, 100.01, -0.50001}, false},
		{"a step of int8", []float32{1, 0.5, 0.004}, []float32{0.996, 0.504, 0}, false},
		{"none for the second", []float32{1, 2, 3}, []float32{0, 0, 0}, true},
		{"few peaks, and none", append(make([]float32, 1000), 0.3, 0.4), make([]float32, 1002), true},
		{"a choice that fell the other way", many(1, 5), many(1, 50), false},
		{"another length", []float32{1}, []float32{1, 1}, true},
		{"no numbers", []float32{nan, inf}, []float32{nan, inf}, false},
		{"no number and one", []float32{nan}, []float32{1}, true},
		{"infinite and not", []float32{inf, 1}, []float32{2, 1}, true},
	} {
		if got := differ(c.a, c.b); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestTheModelThatShipsTakesBatches, as float32 and as int8: the trial's noise is no picture, and its kernels no reference.
func TestTheModelThatShipsTakesBatches(t *testing.T) {
	for _, variant := range shipped(t).Manifest.VariantNames() {
		s, err := newRuntime(t, Config{}).Open(t.Context(), shipped(t), inference.Opening{Variant: variant})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.BatchSizes(); !slices.Equal(got, shipped(t).Manifest.BatchSizes) || len(s.Fallbacks()) > 0 {
			t.Errorf("%s: got batch sizes %v and %q, want those of the manifest", variant, got, s.Fallbacks())
		}
		_ = s.Close()
	}
}

// TestNoiseIsThePictureOfEverySample, in the range that the manifest's pixels have.
func TestNoiseIsThePictureOfEverySample(t *testing.T) {
	m := export(t, "columns", "x", 2, 6, "output: {decoder: yolov8, tensors: {output: output}}", "batch_sizes: [1, 2]")
	m.Manifest.Inputs[0].Scale, m.Manifest.Inputs[0].Mean, m.Manifest.Inputs[0].Std = 1./255, []float64{0.5}, []float64{0.5}
	s := open(t, newRuntime(t, Config{}), m)
	b := lease(t, s, 2).(*tensors)
	defer b.Release()
	b.fillNoise()
	values := asFloats(b.slabs[0])
	if !slices.Equal(values[:12], values[12:]) || slices.Min(values) < -1 || slices.Max(values) > 1 || slices.Max(values)-slices.Min(values) < 0.5 {
		t.Errorf("got %v, want one noise of -1..1 twice", values)
	}
}

// TestATrialWithoutATurn: that a warm-up got no turn says nothing of the graph.
func TestATrialWithoutATurn(t *testing.T) {
	m := export(t, "columns", "x", 2, 6, "output: {decoder: yolov8, tensors: {output: output}}", "batch_sizes: [1, 2]")
	busy := errors.New("no turn")
	turns := 0
	o := inference.Opening{Leases: 1, Warm: func(_ context.Context, _ int, run func() error) error {
		if turns++; turns == 1 {
			return busy
		}
		return run()
	}}
	if s, err := newRuntime(t, Config{}).Open(t.Context(), m, o); !errors.Is(err, busy) {
		t.Errorf("got %v, %v, want what Warm said", s, err)
	}
}

// TestConstantInputs: values for each sample, values for all, and an input that has a value of its own and is left alone.
func TestConstantInputs(t *testing.T) {
	m := export(t, "sizes", "images", 2, 2, "output: {decoder: detections, tensors: {scores: scores, boxes: boxes, labels: labels}, box_unit: pixel}",
		"constants: [{name: more, type: float32, values: [0.25]}, {name: orig_target_sizes, type: int64, values: [640, 480]}]", "batch_sizes: [1, 3]")
	s := open(t, newRuntime(t, Config{}), m)
	if got := s.BatchSizes(); !slices.Equal(got, []int{1, 3}) {
		t.Fatalf("got batch sizes %v and fallbacks %q, want [1 3]", got, s.Fallbacks())
	}
	samples := [][]float32{{0.25, 0.5, 0.75, 1}, {0, 0, 1, 1}, {0.5, 0.5, 1, 1}}
	for _, size := range []int{3, 1} {
		for range 3 { // leased again, the constants are still there
			b := lease(t, s, size)
			for _, o := range run(t, b, samples[:size]...) {
				for at, v := range samples[:size] {
					want := map[string][]float32{"boxes": {v[0] * 640, v[1] * 480, v[2] * 640, v[3] * 480}, "scores": {(v[0] + 0.25) / 2}, "labels": {0}}[o.Name]
					if got := part(o, at); !slices.Equal(got, want) {
						t.Errorf("batch of %d, sample %d, %s: got %v, want %v", size, at, o.Name, got, want)
					}
				}
			}
			b.Release()
		}
	}
}

func TestEncodeConstants(t *testing.T) {
	for kind, want := range map[models.TensorType]string{
		models.Float32: "0000803f00000000", models.Float64: "000000000000f03f0000000000000000", models.Int64: "01000000000000000000000000000000",
		models.Int32: "0100000000000000", models.Uint8: "0100", models.Bool: "0100",
	} {
		_, b, err := encode(models.Constant{Type: kind, Values: []float64{1, 0}})
		if got := fmt.Sprintf("%x", b); err != nil || got != want { // on a little-endian machine, as all are that we build for
			t.Errorf("%s: got %s, %v, want %s", kind, got, err, want)
		}
	}
	if _, _, err := encode(models.Constant{Type: "string", Values: []float64{1}}); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("string: got %v, want ErrInvalid", err)
	}
}
