package models

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// minimal has only what is required.
const minimal = `task: detect
inputs:
  - name: images
    layout: NCHW
    width: 320
    height: 240
    color: rgb
    resize: letterbox
output:
  decoder: ssd
  tensors: {scores: s, boxes: b}
labels: [scratch, dent]
`

func TestParseManifestFillsInWhatIsLeftOut(t *testing.T) {
	got, err := ParseManifest("m.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{
		Task: TaskDetect,
		Inputs: []Input{{
			Name: "images", Layout: NCHW, Type: Float32, Width: 320, Height: 240, Color: RGB, Sources: []Source{SourceFrame},
			Decode: DecodeFull, Resize: Letterbox, Interpolation: Linear, Anchor: Center, Scale: 1, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1},
		}},
		Output: Output{
			Decoder: DecoderSSD, Tensors: map[string]string{"scores": "s", "boxes": "b"},
			BoxFormat: BoxXYXY, BoxUnit: BoxNormalized, ScoreFloor: 0.01,
		},
		Labels: []string{"scratch", "dent"}, BatchSizes: []int{1}, Providers: []Provider{{Name: ProviderCPU}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseManifestReadsEveryField(t *testing.T) {
	got, err := ParseManifest("m.yaml", []byte(`
task: detect
description: d
license: l
inputs:
  - {name: a, layout: NHWC, type: float32, width: 64, height: 32, color: gray, sources: [reference, difference], decode: full, resize: letterbox,
     interpolation: area, anchor: top-left, pad: 114, scale: 0.5, mean: [1], std: [2]}
  - {name: b, layout: NCHW, type: uint8, width: 8, height: 8, color: bgr, resize: none}
constants: [{name: size, type: int64, values: [640, 480]}, {name: all, type: bool, values: [1]}]
output: {decoder: ssd, tensors: {scores: s, boxes: b}, box_format: cxcywh, box_unit: pixel, background: 1, score_floor: 0.2}
labels: [x]
nms: {iou: 0.5, class_agnostic: true}
batch_sizes: [1, 4]
providers: [{name: tensorrt, device: "1"}, {name: openvino, device: GPU.0}, {name: cpu}]
variants: [{name: int8, file: model.int8.onnx}, {name: fp-16_b, file: half.onnx}]
`))
	if err != nil {
		t.Fatal(err)
	}
	one := 1
	want := Manifest{
		Task: TaskDetect, Description: "d", License: "l",
		Inputs: []Input{
			{Name: "a", Layout: NHWC, Type: Float32, Width: 64, Height: 32, Color: Gray, Sources: []Source{SourceReference, SourceDifference}, Decode: DecodeFull, Resize: Letterbox,
				Interpolation: Area, Anchor: TopLeft, Pad: 114, Scale: 0.5, Mean: []float64{1}, Std: []float64{2}},
			{Name: "b", Layout: NCHW, Type: Uint8, Width: 8, Height: 8, Color: BGR, Sources: []Source{SourceFrame}, Decode: DecodeFull, Resize: ResizeNone,
				Interpolation: Linear, Anchor: Center, Scale: 1, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}},
		},
		Constants: []Constant{{"size", Int64, []float64{640, 480}}, {"all", Bool, []float64{1}}},
		Output:    Output{Decoder: DecoderSSD, Tensors: map[string]string{"scores": "s", "boxes": "b"}, BoxFormat: BoxCXCYWH, BoxUnit: BoxPixel, Background: &one, ScoreFloor: 0.2},
		Labels:    []string{"x"}, NMS: NMS{IoU: 0.5, ClassAgnostic: true}, BatchSizes: []int{1, 4},
		Providers: []Provider{{ProviderTensorRT, "1"}, {ProviderOpenVINO, "GPU.0"}, {ProviderCPU, ""}},
		Variants:  []Variant{{"int8", "model.int8.onnx"}, {"fp-16_b", "half.onnx"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestParseManifestReadsEveryDecoder gives each decoder what it needs and what it may have.
func TestParseManifestReadsEveryDecoder(t *testing.T) {
	for _, c := range []struct {
		output string
		want   Output
	}{
		{"{decoder: yolov5, tensors: {output: o}}", Output{Decoder: DecoderYOLOv5}},
		{"{decoder: yolov5, tensors: {output: o, prototypes: p}}", Output{Decoder: DecoderYOLOv5}},
		{"{decoder: yolov8, tensors: {output: o, prototypes: p}}", Output{Decoder: DecoderYOLOv8}},
		{"{decoder: yolo-end2end, tensors: {output: o, prototypes: p}}", Output{Decoder: DecoderEnd2End, BoxFormat: BoxXYXY, BoxUnit: BoxPixel}},
		{"{decoder: yolo-end2end, tensors: {output: o}, box_format: cxcywh, box_unit: normalized}", Output{Decoder: DecoderEnd2End, BoxFormat: BoxCXCYWH, BoxUnit: BoxNormalized}},
		{"{decoder: rtdetr, tensors: {output: o}}", Output{Decoder: DecoderRTDETR}},
		{"{decoder: rfdetr, tensors: {scores: s, boxes: b}, activation: softmax}", Output{Decoder: DecoderRFDETR, Activation: ActivationSoftmax}},
		{"{decoder: detections, tensors: {scores: s, boxes: b, labels: l}}", Output{Decoder: DecoderDetections, BoxFormat: BoxXYXY, BoxUnit: BoxNormalized}},
		{"{decoder: detections, tensors: {scores: s, boxes: b, labels: l, count: n}, box_format: yxyx, box_unit: pixel, label_offset: 1}",
			Output{Decoder: DecoderDetections, BoxFormat: BoxYXYX, BoxUnit: BoxPixel, LabelOffset: 1}},
		{"{decoder: mmdeploy, tensors: {dets: d, labels: l}}", Output{Decoder: DecoderMMDeploy}},
	} {
		got := parse(t, withOutput(c.output)).Output
		c.want.Tensors, c.want.ScoreFloor = got.Tensors, 0.01
		if len(got.Tensors) == 0 || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.output, got, c.want)
		}
	}
}

func TestParseManifestReadsScaledDecode(t *testing.T) {
	got, err := ParseManifest("m.yaml", []byte(strings.Replace(minimal, "resize:", "decode: scaled\n    resize:", 1)))
	if err != nil || got.Inputs[0].Decode != DecodeScaled {
		t.Errorf("got %+v, %v; want a scaled decode", got.Inputs, err)
	}
}

// TestParseManifestRefuses changes one thing in the minimal manifest and wants the error to name file, line and field.
func TestParseManifestRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field", "labels:", "lables:", "m.yaml:12: lables: unknown field"},
		{"unknown field below", "    width: 320", "    widht: 320", "m.yaml:5: inputs[0].widht: unknown field"},
		{"field twice", "task: detect", "task: detect\ntask: detect", "m.yaml:2: task: given twice"},
		{"not a number", "width: 320", "width: wide", `m.yaml:5: inputs[0].width: want a whole number, got "wide"`},
		{"fraction", "width: 320", "width: 320.5", `m.yaml:5: inputs[0].width: want a whole number, got "320.5"`},
		{"not a list", "labels: [scratch, dent]", "labels: scratch", "m.yaml:12: labels: want a list"},
		{"not fields", "output:\n  decoder: ssd\n  tensors: {scores: s, boxes: b}", "output: ssd", `m.yaml:9: output: want fields, as in name: value, got "ssd"`},
		{"list for text", "task: detect", "task: [detect]", "m.yaml:1: task: want text, got a list"},
		{"anchor", "task: detect", "task: &t detect", "m.yaml:1: task: anchors"},
		{"alias", "labels: [scratch, dent]", "labels: [scratch, *t]", "m.yaml:1: not YAML"},
		{"two documents", "labels: [scratch, dent]", "labels: [a]\n---\ntask: detect", "m.yaml:1: more than one document"},
		{"syntax", "task: detect", "task: [", "not YAML"},
		{"no task", "task: detect\n", "", "m.yaml:1: task: required: want one of detect"},
		{"decoder of another task", "task: detect", "task: classify", "m.yaml:10: output.decoder: ssd does not suit task: classify: use classifier, or correct the task"},
		{"no inputs", minimal[strings.Index(minimal, "inputs"):strings.Index(minimal, "output")], "", "inputs: required"},
		{"no input name", "name: images", "name:", "m.yaml:3: inputs[0].name: required"},
		{"layout", "NCHW", "nchw", `m.yaml:4: inputs[0].layout: "nchw": want one of NCHW, NHWC`},
		{"width zero", "width: 320", "width: 0", "m.yaml:5: inputs[0].width: 0: want 1..8192"},
		{"height huge", "height: 240", "height: 9000", "m.yaml:6: inputs[0].height: 9000"},
		{"color", "color: rgb", "color: rgba", "m.yaml:7: inputs[0].color"},
		{"no sources", "color: rgb", "color: rgb\n    sources: []", "m.yaml:8: inputs[0].sources: empty"},
		{"source", "color: rgb", "color: rgb\n    sources: [frame, template]", "m.yaml:8: inputs[0].sources[1]"},
		{"source twice", "color: rgb", "color: rgb\n    sources: [frame, frame]", `inputs[0].sources[1]: "frame" is listed twice`},
		{"resize", "resize: letterbox", "resize: shrink", "m.yaml:8: inputs[0].resize"},
		{"crop for a detector", "resize: letterbox", "resize: crop", "m.yaml:8: inputs[0].resize: crop is for task: classify"},
		{"anchor of a crop", "resize: letterbox", "resize: crop\n    anchor: center", "m.yaml:9: inputs[0].anchor: has no effect"},
		{"decode", "resize: letterbox", "resize: letterbox\n    decode: half", `m.yaml:9: inputs[0].decode: "half": want one of full, scaled`},
		{"decode without effect", "resize: letterbox", "resize: none\n    decode: scaled", "m.yaml:9: inputs[0].decode: has no effect with resize: none"},
		{"scaled beside a template", "resize: letterbox", "resize: letterbox\n    decode: scaled\n    sources: [frame, difference]", "m.yaml:9: inputs[0].decode: scaled: a frame is laid over its template"},
		{"one input scaled", "    resize: letterbox\noutput:", "    resize: letterbox\n    decode: scaled\n  - {name: b, layout: NCHW, width: 8, height: 8, color: rgb, resize: stretch}\noutput:", "m.yaml:10: inputs[1].decode: full beside scaled"},
		{"interpolation without effect", "resize: letterbox", "resize: none\n    interpolation: area", "m.yaml:9: inputs[0].interpolation: has no effect"},
		{"anchor without effect", "resize: letterbox", "resize: stretch\n    anchor: center", "m.yaml:9: inputs[0].anchor: has no effect"},
		{"pad without effect", "resize: letterbox", "resize: stretch\n    pad: 114", "m.yaml:9: inputs[0].pad: has no effect"},
		{"pad", "resize: letterbox", "resize: letterbox\n    pad: 256", "m.yaml:9: inputs[0].pad: 256"},
		{"pad not a number", "resize: letterbox", "resize: letterbox\n    pad: .nan", "inputs[0].pad: NaN"},
		{"scale zero", "resize: letterbox", "resize: letterbox\n    scale: 0", "inputs[0].scale: 0"},
		{"mean length", "resize: letterbox", "resize: letterbox\n    mean: [1, 2]", "inputs[0].mean: 2 values for 3"},
		{"mean infinite", "resize: letterbox", "resize: letterbox\n    mean: [.inf]", "inputs[0].mean[0]: +Inf"},
		{"std zero", "resize: letterbox", "resize: letterbox\n    std: [1, 0, 1]", "inputs[0].std[1]: 0: pixels are divided by it"},
		{"uint8 scaled", "resize: letterbox", "resize: letterbox\n    type: uint8\n    scale: 2", "m.yaml:10: inputs[0].scale: type: uint8"},
		{"uint8 difference", "resize: letterbox", "resize: letterbox\n    type: uint8\n    sources: [difference]", "m.yaml:10: inputs[0].sources: type: uint8"},
		{"decoder", "decoder: ssd", "decoder: yolov3", "m.yaml:10: output.decoder"},
		{"role missing", "{scores: s, boxes: b}", "{scores: s}", "m.yaml:11: output.tensors.boxes: required by ssd"},
		{"role unknown", "{scores: s, boxes: b}", "{scores: s, boxes: b, masks: m}", "m.yaml:11: output.tensors.masks: ssd has no such role"},
		{"roles alike", "{scores: s, boxes: b}", "{scores: s, boxes: s}", "m.yaml:11: output.tensors"},
		{"strides for ssd", "decoder: ssd", "decoder: ssd\n  strides: [8]", "m.yaml:11: output.strides: has no effect"},
		{"box format", "decoder: ssd", "decoder: ssd\n  box_format: xywh", "m.yaml:11: output.box_format"},
		{"box unit", "decoder: ssd", "decoder: ssd\n  box_unit: mm", "m.yaml:11: output.box_unit"},
		{"background", "decoder: ssd", "decoder: ssd\n  background: 3", "m.yaml:11: output.background: 3"},
		{"background for detections", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: detections\n  tensors: {scores: s, boxes: b, labels: l}\n  background: 0", "m.yaml:12: output.background: has no effect with detections"},
		{"activation for ssd", "decoder: ssd", "decoder: ssd\n  activation: none", "m.yaml:11: output.activation: has no effect with ssd"},
		{"activation missing", "decoder: ssd", "decoder: rfdetr", "output.activation: required: want one of none, softmax, sigmoid"},
		{"activation", "decoder: ssd", "decoder: rfdetr\n  activation: relu", `m.yaml:11: output.activation: "relu": want one of`},
		{"label offset for ssd", "decoder: ssd", "decoder: ssd\n  label_offset: 1", "m.yaml:11: output.label_offset: has no effect with ssd"},
		{"label offset", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: detections\n  tensors: {scores: s, boxes: b, labels: l}\n  label_offset: 2", "m.yaml:12: output.label_offset: 2: want 0, or 1"},
		{"labels missing", "decoder: ssd", "decoder: detections", "output.tensors.labels: required by detections"},
		{"optional role empty", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolov8\n  tensors: {output: o, prototypes: ~}", "output.tensors.prototypes: empty"},
		{"prototypes for rtdetr", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: rtdetr\n  tensors: {output: o, prototypes: p}", "output.tensors.prototypes: rtdetr has no such role: use output"},
		{"strides for yolov8", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolov8\n  tensors: {output: o}\n  strides: [8]", "output.strides: has no effect with yolov8"},
		{"constant without name", "output:", "constants: [{type: int64, values: [1]}]\noutput:", "m.yaml:9: constants[0].name: required"},
		{"constant without type", "output:", "constants: [{name: a, values: [1]}]\noutput:", "m.yaml:9: constants[0].type: required"},
		{"constant type", "output:", "constants: [{name: a, type: string, values: [1]}]\noutput:", `constants[0].type: "string": want one of float32, float64, int64`},
		{"constant without values", "output:", "constants: [{name: a, type: int64}]\noutput:", "constants[0].values: 0 values: want 1..1024"},
		{"constant fraction", "output:", "constants: [{name: a, type: int64, values: [1, 1.5]}]\noutput:", "constants[0].values[1]: 1.5: want a number that int64 can hold"},
		{"constant too large", "output:", "constants: [{name: a, type: uint8, values: [256]}]\noutput:", "constants[0].values[0]: 256"},
		{"constant not a number", "output:", "constants: [{name: a, type: float32, values: [.nan]}]\noutput:", "constants[0].values[0]: NaN"},
		{"constant bool", "output:", "constants: [{name: a, type: bool, values: [2]}]\noutput:", "constants[0].values[0]: 2"},
		{"constant twice", "output:", "constants: [{name: a, type: bool, values: [1]}, {name: a, type: bool, values: [1]}]\noutput:", `constants[1].name: "a" is named twice`},
		{"constant is a picture", "output:", "constants: [{name: images, type: bool, values: [1]}]\noutput:", `constants[0].name: "images" is named twice`},
		{"floor zero", "decoder: ssd", "decoder: ssd\n  score_floor: 0", "m.yaml:11: output.score_floor: 0"},
		{"floor not a number", "decoder: ssd", "decoder: ssd\n  score_floor: .nan", "output.score_floor: NaN"},
		{"background for yolox", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolox\n  tensors: {output: o}\n  strides: [8, 16]\n  background: 0", "m.yaml:13: output.background: has no effect"},
		{"strides missing", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolox\n  tensors: {output: o}", "output.strides: required by yolox"},
		{"stride does not divide", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolox\n  tensors: {output: o}\n  strides: [8, 32]", "output.strides[1]: 32 does not divide the input's 320x240"},
		{"stride zero", "decoder: ssd\n  tensors: {scores: s, boxes: b}", "decoder: yolox\n  tensors: {output: o}\n  strides: [0]", "output.strides[0]: 0"},
		{"two levels of peaks", "decoder: ssd", "decoder: peak-grid\n  strides: [4, 8]", "output.strides: 2 strides"},
		{"no labels", "labels: [scratch, dent]", "labels: []", "m.yaml:12: labels: required"},
		{"label empty", "[scratch, dent]", "[scratch, ~]", "labels[1]"},
		{"label unprintable", "[scratch, dent]", `["a\tb"]`, "labels[0]"},
		{"label twice", "[scratch, dent]", "[dent, dent]", `labels[1]: "dent" is listed twice`},
		{"label star", "[scratch, dent]", `["*"]`, "labels[0]"},
		{"iou", "labels:", "nms: {iou: 1}\nlabels:", "m.yaml:12: nms.iou: 1"},
		{"agnostic without iou", "labels:", "nms: {class_agnostic: true}\nlabels:", "nms.class_agnostic: has no effect"},
		{"bool", "labels:", "nms: {class_agnostic: maybe}\nlabels:", "nms.class_agnostic: want true or false"},
		{"batch order", "labels:", "batch_sizes: [4, 2]\nlabels:", "m.yaml:12: batch_sizes[1]: 2"},
		{"batch huge", "labels:", "batch_sizes: [65]\nlabels:", "batch_sizes[0]: 65"},
		{"no batch", "labels:", "batch_sizes: []\nlabels:", "batch_sizes: empty"},
		{"provider", "labels:", "providers: [{name: gpu}]\nlabels:", "m.yaml:12: providers[0].name"},
		{"provider device", "labels:", "providers: [{name: cuda, device: first}]\nlabels:", "providers[0].device"},
		{"cpu device", "labels:", "providers: [{name: cpu, device: 1}]\nlabels:", "providers[0].device: cpu has no devices"},
		{"no variant", "labels:", "variants: []\nlabels:", "m.yaml:12: variants: empty"},
		{"variant without name", "labels:", "variants: [{file: a.onnx}]\nlabels:", `m.yaml:12: variants[0].name: "": use a-z`},
		{"variant name", "labels:", "variants: [{name: Int 8, file: a.onnx}]\nlabels:", `variants[0].name: "Int 8"`},
		{"variant named default", "labels:", "variants: [{name: default, file: a.onnx}]\nlabels:", `variants[0].name: "default" is taken`},
		{"variants named alike", "labels:", "variants: [{name: a, file: a.onnx}, {name: a, file: b.onnx}]\nlabels:", `variants[1].name: "a" is taken`},
		{"variant without file", "labels:", "variants: [{name: a}]\nlabels:", `variants[0].file: "": want the name of a graph`},
		{"variant elsewhere", "labels:", "variants: [{name: a, file: ../b/model.onnx}]\nlabels:", `variants[0].file: "../b/model.onnx"`},
		{"variant is the graph", "labels:", "variants: [{name: a, file: model.onnx}]\nlabels:", "variants[0].file: model.onnx is listed already"},
		{"variants share a file", "labels:", "variants: [{name: a, file: a.onnx}, {name: b, file: a.onnx}]\nlabels:", "variants[1].file: a.onnx is listed already"},
		{"provider twice", "labels:", "providers: [{name: cpu}, {name: cpu}]\nlabels:", "providers[1]: cpu is listed twice"},
		{"input twice", "output:", "  - {name: images, layout: NCHW, width: 1, height: 1, color: gray, resize: none}\noutput:", `m.yaml:9: inputs[1].name: "images" is named twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(minimal, c.old, c.new, 1)
			if text == minimal {
				t.Fatalf("%q is not in the manifest", c.old)
			}
			m, err := ParseManifest("m.yaml", []byte(text))
			if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error  %v\nwant one with %s", err, c.want)
			}
			if !reflect.DeepEqual(m, Manifest{}) {
				t.Errorf("got a manifest beside the error: %+v", m)
			}
		})
	}
}

func TestParseManifestSaysEverythingAtOnce(t *testing.T) {
	_, err := ParseManifest("m.yaml", []byte("task: guess\nlabels: [a, a]\nbatch_sizes: [0]\n"))
	for _, want := range []string{"m.yaml:1: task", "m.yaml:1: inputs", "m.yaml:1: output.decoder", "m.yaml:2: labels[1]", "m.yaml:3: batch_sizes[0]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s in it", err, want)
		}
	}
	_, err = ParseManifest("m.yaml", []byte("tusk: detect\ninputs: 3\n"))
	for _, want := range []string{"m.yaml:1: tusk", "m.yaml:2: inputs"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s in it", err, want)
		}
	}
}

func TestParseManifestRefusesWhatIsNone(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "a comment": "# nothing\n", "null": "~", "a list": "[1]", "a word": "hello",
		"huge": strings.Repeat("#", maxManifest+1), "bytes": "\x00\xff",
	} {
		if _, err := ParseManifest("m.yaml", []byte(data)); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestChannels(t *testing.T) {
	for _, c := range []struct {
		in        Input
		channels  int
		reference bool
	}{
		{Input{Color: Gray, Sources: []Source{SourceFrame}}, 1, false},
		{Input{Color: RGB, Sources: []Source{SourceFrame}}, 3, false},
		{Input{Color: Gray, Sources: []Source{SourceFrame, SourceReference, SourceDifference}}, 3, true},
		{Input{Color: BGR, Sources: []Source{SourceDifference}}, 3, true},
	} {
		if got := c.in.Channels(); got != c.channels {
			t.Errorf("%v %v: got %d channels, want %d", c.in.Color, c.in.Sources, got, c.channels)
		}
		if got := c.in.NeedsReference(); got != c.reference {
			t.Errorf("%v: NeedsReference: got %v, want %v", c.in.Sources, got, c.reference)
		}
	}
}

// FuzzManifest: whatever the bytes, ParseManifest returns an error that names the file and a line, or a manifest that an
// engine can build on.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(strings.Replace(minimal, "output:\n  decoder: ssd\n  tensors: {scores: s, boxes: b}", "constants: [{name: n, type: bool, values: [1]}]\noutput: {decoder: detections, tensors: {scores: s, boxes: b, labels: l, count: n}, label_offset: 1}", 1)))
	f.Add([]byte(strings.Replace(minimal, "ssd\n  tensors: {scores: s, boxes: b}", "yolov8\n  tensors: {output: o, prototypes: p}", 1)))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("inputs: [{<<: {name: x}}]"))
	f.Add([]byte("? {a: b}\n: c"))
	shippedText, err := shipped.ReadFile("pcb-pair/1/" + ManifestFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shippedText)
	files, _ := filepath.Glob("examples/*/1/" + ManifestFile)
	if len(files) == 0 {
		f.Fatal("no example manifests")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	where := regexp.MustCompile(`m\.yaml:\d+: `)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("m.yaml", data)
		if err != nil {
			if !errors.Is(err, inspection.ErrInvalid) || !where.MatchString(err.Error()) {
				t.Fatalf("got error %v, want ErrInvalid that names file and line", err)
			}
			return
		}
		for _, in := range m.Inputs {
			if in.Name == "" || in.Width < 1 || in.Height < 1 || in.Channels() < 1 || in.Scale == 0 ||
				len(in.Mean) != in.Color.Components() || len(in.Std) != in.Color.Components() {
				t.Fatalf("got input %+v", in)
			}
		}
		if len(m.Inputs) == 0 || len(m.Labels) == 0 || len(m.BatchSizes) == 0 || len(m.Providers) == 0 {
			t.Fatalf("got manifest %+v", m)
		}
		axes := m.OutputAxes()
		for role := range m.Output.Tensors {
			for _, a := range axes[role] {
				if a.Size == 0 || a.Size < -1 {
					t.Fatalf("output %s: got axes %v", role, axes[role])
				}
			}
		}
		if len(axes) != len(m.Output.Tensors) {
			t.Fatalf("got axes for %d roles, want %d", len(axes), len(m.Output.Tensors))
		}
	})
}
