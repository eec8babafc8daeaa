package proposal

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

var update = flag.Bool("update", false, "write testdata/*.yaml anew; read the difference before you commit it")

func read(t testing.TB, name string) *onnx.Model {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.CheckGraph(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

func propose(t testing.TB, name string, o Options) *Proposal {
	t.Helper()
	p, err := Propose(read(t, name), o)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

var three = []string{"scratch", "dent", "it's"}

// graphs are the fixtures with what each is read as. Those with a nil left are complete: ParseManifest takes them.
var graphs = []struct {
	name    string
	options Options
	decoder string
	left    []string // what is left to state, by path
}{
	{"yolov8", Options{}, yolov8, nil},
	{"yolov8-dynamic", Options{}, yolov8, nil},
	{"yolov8-seg", Options{}, yolov8, nil},
	{"yolov8-cls", Options{}, classifier, nil},
	{"yolo26", Options{}, yoloEndToEnd, nil},
	{"yolov8-nms", Options{}, yoloEndToEnd, nil},
	{"yolov8-nms-dynamic", Options{}, yoloEndToEnd, nil},
	{"yolo26-many", Options{}, yoloEndToEnd, nil},
	{"yolo26-sem", Options{}, segmentation, nil},
	{"yolo11-seg-open", Options{}, yolov8, nil},
	{"ultralytics-rtdetr", Options{}, rtdetr, nil},
	{"ultralytics-rtdetr-one-class", Options{}, yoloEndToEnd, nil},
	{"ultralytics-two-classes", Options{}, "", []string{"inputs[0].resize", "inputs[0].anchor", "inputs[0].pad", "output.decoder"}},
	{"ultralytics-two-classes", Options{Decoder: rtdetr}, rtdetr, nil},
	{"ultralytics-misfit", Options{}, yolov8, []string{"labels"}},
	{"yolov5", Options{}, yolov5, nil},
	{"yolov5-one-class", Options{}, yolov5, nil},
	{"yolov5-dynamic", Options{}, yolov5, []string{"inputs[0].width", "inputs[0].height"}},
	{"yolov5-seg", Options{}, yolov5, nil},
	{"yolov6", Options{}, yolov5, []string{"labels"}},
	{"yolov6", Options{Labels: three}, yolov5, nil},
	{"yolox-nano", Options{}, models.DecoderYOLOX, []string{"labels"}},
	{"yolox-decoded", Options{Labels: three}, yolov5, nil},
	{"rows-ambiguous", Options{Labels: three}, "", []string{
		"inputs[0].color", "inputs[0].anchor", "inputs[0].scale", "output.decoder", "output.strides",
	}},
	{"rows-ambiguous", Options{Labels: three, Decoder: models.DecoderYOLOX}, models.DecoderYOLOX, nil},
	{"columns", Options{Labels: three}, yolov8, nil},
	{"rtdetr", Options{}, detections, []string{"labels"}},
	{"rtdetr", Options{Labels: three}, detections, nil},
	{"rfdetr", Options{}, rfdetr, []string{"output.background", "labels"}},
	{"rfdetr", Options{Labels: append([]string{"chip"}, three...)}, rfdetr, nil},
	{"rfdetr", Options{Labels: three}, rfdetr, []string{"output.background"}},
	{"tf-detection", Options{}, detections, []string{"inputs[0].width", "inputs[0].height", "labels"}},
	{"tf-detection", Options{Labels: three, Width: 320, Height: 240}, detections, nil},
	{"ssd-zoo", Options{Labels: three}, detections, nil},
	{"ssd", Options{Labels: []string{"face"}}, models.DecoderSSD, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.box_format", "output.box_unit", "output.background",
	}},
	{"torchvision", Options{Labels: three}, detections, nil},
	{"mmdeploy", Options{Labels: three}, mmdeploy, []string{"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std"}},
	{"mmyolo", Options{Labels: three}, detections, nil},
	{"yolo-nas", Options{}, detections, []string{"labels"}},
	{"yolo-nas", Options{Labels: three}, detections, nil},
	{"yolo-nas-plain", Options{Labels: three, Decoder: detections}, detections, nil},
	{"unnamed-list", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.decoder", "output.tensors", "labels",
	}},
	{"unnamed-list", Options{Decoder: detections, Labels: three}, detections, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.box_format", "output.box_unit", "output.label_offset",
	}},
	{"softmax", Options{}, classifier, []string{"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "labels"}},
	{"logits", Options{}, classifier, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.activation", "labels",
	}},
	{"one-score", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std",
		"output.decoder", "output.tensors", "output.normalization", "output.activation", "labels",
	}},
	{"flat-rows", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.decoder", "output.tensors", "labels",
	}},
	{"segmenter", Options{Labels: append([]string{"chip"}, three...)}, segmentation, []string{"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std"}},
	{"segmenter-sigmoid", Options{Labels: append([]string{"chip"}, three...)}, segmentation, []string{"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std"}},
	{"class-map", Options{Labels: three}, segmentation, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.background",
	}},
	{"one-map", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std",
		"output.decoder", "output.tensors", "output.normalization", "output.activation", "labels",
	}},
	{"one-map", Options{Task: models.TaskAnomaly}, anomaly, []string{"output.normalization"}},
	{"anomalib1-patchcore", Options{}, anomaly, []string{"output.normalization"}},
	{"anomalib1-efficientad", Options{}, anomaly, []string{"output.normalization"}},
	{"anomalib1-efficientad", Options{Decoder: anomaly}, anomaly, []string{"output.normalization"}},
	{"anomalib1-padim", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std",
		"output.decoder", "output.tensors", "output.normalization", "output.activation", "output.background", "labels",
	}},
	{"anomalib1-padim", Options{Decoder: anomaly}, anomaly, []string{"output.normalization"}},
	{"anomalib2-raw", Options{}, anomaly, []string{"output.normalization"}},
	{"anomalib2", Options{}, anomaly, nil},
	{"peak-grid", Options{Labels: three}, models.DecoderPeakGrid, []string{"inputs[0].color", "inputs[0].sources"}},
	{"peak-grid-gray", Options{Labels: three}, models.DecoderPeakGrid, nil},
	{"unknown", Options{}, "", []string{
		"task", "inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "output.decoder", "output.tensors", "labels",
	}},
	{"another-input", Options{Labels: three}, classifier, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std", "constants[0]",
	}},
	{"two-pictures", Options{Labels: three}, classifier, []string{
		"inputs[0].color", "inputs[0].resize", "inputs[0].scale", "inputs[0].mean", "inputs[0].std",
		"inputs[1].color", "inputs[1].resize", "inputs[1].scale", "inputs[1].mean", "inputs[1].std",
	}},
}

// golden is the file with the manifest that is proposed.
func golden(name string, o Options) string {
	for _, more := range []string{o.Decoder, string(o.Task)} {
		if more != "" {
			name += "+" + more
		}
	}
	if o.Labels != nil {
		name += "+labels" + strings.Repeat("_", len(o.Labels)-1)
	}
	return filepath.Join("testdata", name+".yaml")
}

func TestProposals(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range graphs {
		file := golden(c.name, c.options)
		seen[file] = true
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			p := propose(t, c.name, c.options)
			if p.Decoder != c.decoder {
				t.Errorf("got decoder %q, want %q", p.Decoder, c.decoder)
			}
			var left []string
			for _, f := range p.Left() {
				left = append(left, f.Path)
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("left to state: got %q, want %q", left, c.left)
			}
			text := string(p.Manifest(c.name + ".onnx"))
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", text, want)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f] {
			t.Errorf("%s is no graph's proposal: delete it", f)
		}
	}
}

// TestEveryFixtureIsRead: a fixture without a row in graphs would prove nothing.
func TestEveryFixtureIsRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) < 30 {
		t.Fatalf("got %d fixtures, %v", len(files), err)
	}
	rows := map[string]bool{"yolov8-pose": true, "yolo26-depth": true} // TestProposeRefuses
	for _, c := range graphs {
		rows[c.name] = true
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".onnx"); !rows[name] {
			t.Errorf("%s has no row in graphs", f)
		}
	}
}

// TestCompleteProposalsParse: what is complete is a manifest that fits its graph, and what is not is none.
func TestCompleteProposalsParse(t *testing.T) {
	for _, c := range graphs {
		p := propose(t, c.name, c.options)
		m, err := models.ParseManifest("model.yaml", p.Manifest(c.name))
		switch {
		case len(c.left) > 0:
			if !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("%s: got %v, want a manifest that is refused until all is stated", c.name, err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.Contains(line, models.Unstated+": state it") {
					t.Errorf("%s: %s: want no fault but what is left to state", c.name, line)
				}
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		default:
			if err := m.Check(models.InfoOf(read(t, c.name))); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestProposeRefuses(t *testing.T) {
	for _, c := range []struct {
		graph   string
		options Options
		wants   []string
	}{
		{"yolov8-pose", Options{}, []string{`metadata task "pose"`, "export a detect"}},
		{"yolo26-depth", Options{}, []string{`metadata task "depth"`, "distances"}},
		{"yolov8", Options{Labels: []string{"a", "b"}}, []string{"labels: 2 for a graph of 3 classes: add 1"}},
		{"yolov8", Options{Labels: []string{"a", "b", "c", "d"}}, []string{"labels: 4 for a graph of 3 classes: remove 1"}},
		{"yolov8", Options{Labels: []string{"a", "b", "b"}}, []string{"--labels", `labels[2]: "b" is listed twice`}},
		{"yolov8", Options{Decoder: rfdetr}, []string{`--decoder "rfdetr" does not fit`, `"output0" [1,7,84]`, "yolov8 (detect)"}},
		{"yolov8", Options{Task: models.TaskAnomaly}, []string{`--task "anomaly" does not fit`}},
		{"unknown", Options{Decoder: yolov8}, []string{"no decoder is known to read such outputs", "by hand"}},
		{"yolov8", Options{Width: 32, Height: 64}, []string{"--input-size: width 32", "has 64"}},
		{"ssd", Options{Labels: []string{"a", "b", "c"}}, []string{"labels: 3 for a graph of 2 classes"}},
	} {
		p, err := Propose(read(t, c.graph), c.options)
		if !errors.Is(err, inspection.ErrInvalid) || p != nil {
			t.Errorf("%s %+v: got %v, %v; want ErrInvalid alone", c.graph, c.options, p, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %+v: got %v\nwant %s in it", c.graph, c.options, err, want)
			}
		}
	}
}

// TestEveryFieldHasItsReason: nothing stands in a proposal without saying how sure it is and why.
func TestEveryFieldHasItsReason(t *testing.T) {
	standings := map[Standing]int{}
	for _, c := range graphs {
		for _, f := range propose(t, c.name, c.options).Fields {
			standings[f.Standing]++
			if f.Why == "" || f.Path == "" || f.Value == "" {
				t.Errorf("%s: got %+v", c.name, f)
			}
			if (f.Standing == Unknown) != strings.Contains(f.Value, models.Unstated) {
				t.Errorf("%s: %s is %q and %s", c.name, f.Path, f.Value, f.Standing)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(standings)); !slices.Equal(got, []Standing{Unknown, Assumed, Known}) {
		t.Errorf("got standings %q", got)
	}
}

// TestHostileNamesStayText: names come from a file that somebody made; none may become YAML, or a line of its own.
func TestHostileNamesStayText(t *testing.T) {
	for _, name := range []string{"a: b", "x}, decoder: y", "# c", "line\nbreak", "UNKNOWN", "~", "1", "[", "'", `"`, "&a", "*a", "é", "\u2028", " "} {
		m := read(t, "peak-grid-gray")
		m.Inputs[0].Name, m.Outputs[0].Name = name, "scores"
		m.Metadata["description"], m.Metadata["license"] = name, name
		p, err := Propose(m, Options{Labels: three})
		if err != nil {
			t.Fatal(err)
		}
		got, err := models.ParseManifest("model.yaml", p.Manifest(name))
		if err != nil || got.Inputs[0].Name != name || got.Description != strings.TrimSpace(name) {
			t.Errorf("%q: got input %+v, %v\n%s", name, got.Inputs, err, p.Manifest(name))
		}
	}
}

// TestHostileLabelsStayText: labels are written into a list.
func TestHostileLabelsStayText(t *testing.T) {
	want := []string{"a, b", "c: d", "]", "e # f", models.Unstated, "null", "3", "- g", "{", strings.Repeat("long", 25)}
	m := read(t, "peak-grid-gray")
	m.Outputs[0].Shape[1] = int64(len(want))
	p, err := Propose(m, Options{Labels: want})
	if err != nil {
		t.Fatal(err)
	}
	got, err := models.ParseManifest("model.yaml", p.Manifest("g"))
	if err != nil || !slices.Equal(got.Labels, want) {
		t.Errorf("got %q, %v; want %q\n%s", got.Labels, err, want, p.Manifest("g"))
	}
}

// TestNearMisses: graphs that have a family's names and not its shapes, or the other way round.
func TestNearMisses(t *testing.T) {
	picture := onnx.Tensor{Name: "input", Type: "float32", Shape: []int64{1, 3, 64, 64}}
	out := func(name, elem string, shape ...int64) onnx.Tensor {
		return onnx.Tensor{Name: name, Type: elem, Shape: shape}
	}
	for _, c := range []struct {
		name    string
		outputs []onnx.Tensor
		decoder string
	}{
		{"dets without scores", []onnx.Tensor{out("dets", "float32", 1, 100, 4), out("labels", "int64", 1, 100)}, ""},
		{"dets with logits of their own", []onnx.Tensor{out("dets", "float32", 1, 100, 5), out("labels", "float32", 1, 100, 4)}, ""},
		{"boxes without classes", []onnx.Tensor{out("boxes", "float32", 1, 100, 4), out("scores", "float32", 1, 100)}, ""},
		{"two grids of other sizes", []onnx.Tensor{out("scores", "float32", 1, 3, 16, 16), out("boxes", "float32", 1, 4, 8, 8)}, ""},
		{"a map and two of another size", []onnx.Tensor{out("output", "float32", 1, 1, 64, 64), out("1234", "float32", 1, 1, 32, 32), out("1235", "float32", 1, 1, 64, 64)}, ""},
		{"a map and three more", []onnx.Tensor{out("output", "float32", 1, 1, 64, 64), out("1", "float32", 1, 1, 64, 64), out("2", "float32", 1, 1, 64, 64), out("3", "float32", 1, 1, 64, 64)}, ""},
		{"YOLO-NAS without a count", []onnx.Tensor{out("pred_boxes", "float32", 1, 100, 4), out("pred_scores", "float32", 1, 100), out("pred_classes", "int64", 1, 100)}, ""},
		{"a label alone", []onnx.Tensor{out("pred_label", "bool", 1)}, ""},
		{"a class for each picture", []onnx.Tensor{out("class", "int64", 1, 1)}, ""},
		{"rows of five numbers", []onnx.Tensor{out("out", "float32", 1, 300, 5)}, rtdetr},
		{"rows of four numbers", []onnx.Tensor{out("out", "float32", 1, 300, 4)}, ""},
		{"integer rows", []onnx.Tensor{out("out", "int64", 1, 300, 6)}, segmentation}, // whose picture they may be
		{"no shape", []onnx.Tensor{{Name: "out", Type: "float32"}}, ""},
		{"a sequence", []onnx.Tensor{{Name: "out", Type: "sequence"}}, ""},
		{"open rows", []onnx.Tensor{out("a", "float32", 1, -1, -1), out("b", "float32", 1, -1, -1)}, ""},
		{"nothing", nil, ""},
	} {
		m := &onnx.Model{Inputs: []onnx.Tensor{picture}, Outputs: c.outputs, Metadata: map[string]string{}}
		p, err := Propose(m, Options{})
		if err != nil || p.Decoder != c.decoder || c.name == "open rows" && p.Family != "" {
			t.Errorf("%s: got %+v, %v; want decoder %q", c.name, p, err, c.decoder)
		}
	}
}

// TestMetadataTellsExportsApart: with two classes the rows of a transformer are as long as those of an end-to-end export, and
// as those that it has from 8.4.48 on.
func TestMetadataTellsExportsApart(t *testing.T) {
	for _, c := range []struct {
		meta    map[string]string
		decoder string
	}{
		{map[string]string{"description": "Ultralytics best model"}, ""},
		{map[string]string{"description": "Ultralytics YOLOv8n model"}, yoloEndToEnd},
		{map[string]string{"description": "Ultralytics RT-DETR-l model"}, rtdetr},
		{map[string]string{"description": "Ultralytics best model", "end2end": "False"}, rtdetr},
		{map[string]string{"description": "Ultralytics best model", "end2end": "True"}, yoloEndToEnd},
		{map[string]string{"description": "Ultralytics best model", "end2end": "False", "args": "{'nms': True}"}, yoloEndToEnd},
		{map[string]string{"description": "Ultralytics RT-DETR-l model", "end2end": "False", "version": "8.4.45"}, rtdetr},
		{map[string]string{"description": "Ultralytics RT-DETR-l model", "end2end": "False", "version": "8.4.46"}, ""},
		{map[string]string{"description": "Ultralytics RT-DETR-l model", "end2end": "False", "version": ""}, ""},
		{map[string]string{"description": "Ultralytics RT-DETR-l model", "end2end": "False", "version": "8.4.48"}, yoloEndToEnd},
		{map[string]string{"description": "Ultralytics best model", "end2end": "False", "version": "8.4.110", "head": "RTDETRDecoder"}, yoloEndToEnd},
		{map[string]string{"description": "Ultralytics best model", "end2end": "True", "version": "8.4.110", "head": "Detect"}, yoloEndToEnd},
	} {
		m := read(t, "ultralytics-two-classes")
		maps.Copy(m.Metadata, c.meta)
		p, err := Propose(m, Options{})
		if err != nil || p.Decoder != c.decoder {
			t.Errorf("%v: got %+v, %v; want decoder %q", c.meta, p, err, c.decoder)
		}
	}
}

// TestMixedReadingsAreAsSureAsTheLesser: what one reading assumes is not known because another knows it.
func TestMixedReadingsAreAsSureAsTheLesser(t *testing.T) {
	a := &Proposal{Decoder: "a", Fields: []Field{known("task", "detect", "w"), assumed("nms.iou", "1", "w"), known("labels", "[x]", "w")}}
	a.mix(&Proposal{Decoder: "b", Fields: []Field{assumed("task", "detect", "w"), known("nms.iou", "1", "w"), unknown("labels", "w")}})
	for i, want := range []Standing{Assumed, Assumed, Unknown} {
		if got := a.Fields[i]; got.Standing != want {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
}

// TestChannels: what three channels are in colour, one is in grey, and others compare pictures.
func TestChannels(t *testing.T) {
	boxes, logits := onnx.Tensor{Name: "dets", Type: "float32", Shape: []int64{1, 300, 4}}, onnx.Tensor{Name: "labels", Type: "float32", Shape: []int64{1, 300, 3}}
	for channels, want := range map[int64]map[string]string{
		1: {"color": "gray", "mean": models.Unstated}, 2: {"color": "gray", "sources": models.Unstated}, 3: {"color": "rgb", "mean": imageNetMean},
		6: {"color": models.Unstated, "sources": models.Unstated}, 9: {"color": models.Unstated, "sources": models.Unstated},
	} {
		for _, layout := range []models.Layout{models.NCHW, models.NHWC} {
			in := onnx.Tensor{Name: "input", Type: "float32", Shape: []int64{1, channels, 64, 48}}
			if layout == models.NHWC {
				in.Shape = []int64{1, 64, 48, channels}
			}
			p, err := Propose(&onnx.Model{Inputs: []onnx.Tensor{in}, Outputs: []onnx.Tensor{boxes, logits}}, Options{Labels: three})
			if err != nil {
				t.Fatal(err)
			}
			want["layout"], want["height"], want["width"] = string(layout), "64", "48"
			for name, value := range want {
				i := slices.IndexFunc(p.Fields, func(f Field) bool { return f.Path == "inputs[0]."+name })
				if i < 0 || p.Fields[i].Value != value {
					t.Errorf("%d channels, %s: %s: got %+v, want %s", channels, layout, name, p.Fields, value)
				}
			}
		}
	}
	for _, shape := range [][]int64{{1, 4, 64, 64}, {1, -1, 64, 64}, {1, 1, 64, 3}} {
		_, err := Propose(&onnx.Model{Inputs: []onnx.Tensor{{Name: "input", Type: "float32", Shape: shape}}, Outputs: []onnx.Tensor{boxes, logits}}, Options{})
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "channels") {
			t.Errorf("%v: got %v, want ErrInvalid that says what is wrong with the channels", shape, err)
		}
	}
}

// FuzzPropose: whatever graph, the proposal is ErrInvalid, or text that ParseManifest takes only if nothing is left.
func FuzzPropose(f *testing.F) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "", "", 0)
	}
	f.Add([]byte{}, yolov8, "a,b", 32)
	f.Fuzz(func(t *testing.T, data []byte, decoder, labels string, side int) {
		m, err := models.CheckGraph(data)
		if err != nil {
			return
		}
		o := Options{Decoder: decoder, Width: side, Height: side}
		if labels != "" {
			o.Labels = strings.Split(labels, ",")
		}
		p, err := Propose(m, o)
		if err != nil {
			if !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			return
		}
		_, err = models.ParseManifest("m.yaml", p.Manifest("a graph"))
		if err == nil && len(p.Left()) > 0 {
			t.Fatalf("%d fields are left to state, and the manifest is taken:\n%s", len(p.Left()), p.Manifest("a graph"))
		}
		if err != nil && strings.Contains(err.Error(), "not YAML") {
			t.Fatalf("%v\n%s", err, p.Manifest("a graph"))
		}
	})
}
