package proposal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

// YOLO exports have one output of three axes: rows of box and scores for each anchor, or such columns. -seg exports have a
// second one, the prototypes of masks.

// maxRows is the most rows that an end-to-end export or a transformer has; YOLO grids have more unless the input is tiny.
const maxRows = 1000

// Decoders by the name that manifests have for them.
const (
	yolov5       = "yolov5"
	yolov8       = "yolov8"
	yoloEndToEnd = "yolo-end2end"
	rtdetr       = "rtdetr"
	rfdetr       = "rfdetr"
	detections   = "detections"
	mmdeploy     = "mmdeploy"
	classifier   = "classifier"
	segmentation = "segmentation"
	anomaly      = "anomaly"
)

const rolePrototypes = "prototypes"

var suppression = assumed("nms.iou", "0.45", "the overlap that most YOLO code suppresses at, check")

// rows is an output of three axes, with what the rules ask of it.
type rows struct {
	onnx.Tensor
	a, b       int64        // its second and third axis, 0 for an open one
	prototypes *onnx.Tensor // the output of four axes beside it, nil for none
	m          int64        // the mask coefficients that each row then has
	grid       string       // the strides whose cells number a, as YAML; "" for none
	columns    bool         // there are cells that number b
	triple     bool         // a is three for each cell: anchors
	few        bool         // a is no more than an end-to-end export has
}

// open reports whether neither axis has a length.
func (r rows) open() bool { return r.a == 0 && r.b == 0 }

// rows returns the graph's only output but for prototypes; ok is false for other outputs.
func (f *facts) rows() (r rows, ok bool) {
	n := len(f.outputs)
	if n < 1 || n > 2 || len(f.outputs[0].Shape) != 3 || !isFloat(f.outputs[0]) {
		return r, false
	}
	r.Tensor = f.outputs[0]
	if n == 2 {
		if len(f.outputs[1].Shape) != 4 || f.outputs[1].Shape[1] < 1 {
			return r, false
		}
		r.prototypes, r.m = &f.outputs[1], f.outputs[1].Shape[1]
	}
	r.a, r.b = max(r.Shape[1], 0), max(r.Shape[2], 0)
	r.grid, r.columns = f.grid(r.a), f.grid(r.b) != ""
	r.triple = r.a > 0 && (r.a == 3*f.anchors(8, 16, 32) || r.a == 3*f.anchors(8, 16, 32, 64))
	r.few = r.a <= maxRows && !r.triple
	return r, true
}

// yolo is a reading of a rows output.
func yolo(rank int, family, decoder, because string, classes int64, r rows) candidate {
	c := candidate{
		rank: rank, family: family, decoder: decoder, because: because, task: models.TaskDetect, classes: max(classes, 0),
		tensors: []tensor{{models.RoleOutput, r.Tensor}}, pixels: letterboxed(family), iou: suppression,
	}
	if r.prototypes != nil {
		c.tensors, c.task = append(c.tensors, tensor{rolePrototypes, *r.prototypes}), models.TaskSegment
	}
	switch decoder {
	case yoloEndToEnd: // gives each object once
		c.iou = field{}
	case rtdetr:
		c.iou, c.pixels = field{}, stretched(family)
	}
	return c
}

// unserved refuses what Ultralytics exports and no decoder reads.
func (f *facts) unserved() error {
	u := f.ultra
	switch {
	case !u.found || f.options.Decoder != "":
		return nil
	case u.task == "pose" || u.task == "obb" || u.task == "depth":
		return fmt.Errorf("%w: metadata task %q: no decoder reads key points, turned boxes or distances: export a detect, segment, semantic or classify model", inspection.ErrInvalid, u.task)
	}
	return nil
}

// ultralyticsRule reads graphs with Ultralytics' metadata, YOLOv5's included, by the number of names that they list.
func ultralyticsRule(f *facts) []candidate {
	u := f.ultra
	r, ok := f.rows()
	if !u.found || !ok || u.task == "classify" {
		return nil
	}
	meta := fmt.Sprintf("metadata names lists %d classes and the output is %s", len(u.names), say(r.Tensor))
	if r.prototypes != nil {
		meta += " with prototypes " + say(*r.prototypes)
	}
	var cs []candidate
	for _, reading := range []struct {
		fits                    bool
		family, decoder, layout string
	}{
		{u.isColumns(r), "Ultralytics YOLOv8 or later", yolov8, "[N,4+C,A]"},
		{u.isAnchors(r), "YOLOv5", yolov5, "[N,A,5+C]"},
		{u.isEndToEnd(r), "Ultralytics, end to end", yoloEndToEnd, "[N,K,6]"},
		{u.isQueries(r), "Ultralytics RT-DETR", rtdetr, "[N,K,4+C]"},
	} {
		if reading.fits {
			c := yolo(byMetadata, reading.family, reading.decoder, meta+", so "+reading.layout, int64(len(u.names)), r)
			c.guessed = r.open()
			cs = append(cs, c)
		}
	}
	if u.isFewQueries(r) {
		cs = append(cs, fewQueries(meta, r))
	}
	return cs
}

// fewQueries is a reading as Ultralytics exports RT-DETR from 8.4.48 on: each row has one class instead of scores for all.
func fewQueries(meta string, r rows) candidate {
	const family = "Ultralytics RT-DETR"
	c := yolo(byMetadata, family, yoloEndToEnd, meta+", so [N,K,6] with boxes about their middle", 0, r)
	c.pixels = stretched(family)
	c.output = []field{format(models.BoxCXCYWH, family+" from 8.4.48 on"), unit(models.BoxNormalized, family+" from 8.4.48 on")}
	return c
}

// says reports what the metadata say of the kind of export, if they do: exporters before end2end only describe the model.
func (u ultralytics) says() (endToEnd, transformer bool) {
	d := strings.ToLower(u.description)
	return u.endToEnd == "True" || u.nms, u.head == headRTDETR || strings.Contains(d, "rtdetr") || strings.Contains(d, "rt-detr")
}

const headRTDETR = "RTDETRDecoder"

// The last version that is known to write RT-DETR's scores for all classes, and the first that is known to write one class.
var lastAllClasses, firstOneClass = []int{8, 4, 45}, []int{8, 4, 48}

// rowsOfRTDETR reports which rows the exporter may write for RT-DETR: with scores for all classes, with one class.
func (u ultralytics) rowsOfRTDETR() (all, one bool) {
	var v []int
	for part := range strings.SplitSeq(u.version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return true, true
		}
		v = append(v, n)
	}
	return slices.Compare(v, firstOneClass) < 0, slices.Compare(v, lastAllClasses) > 0
}

func (u ultralytics) isColumns(r rows) bool {
	endToEnd, transformer := u.says()
	return !endToEnd && (r.a == 4+int64(len(u.names))+r.m || r.open() && !transformer && u.task != "")
}

func (u ultralytics) isAnchors(r rows) bool {
	endToEnd, _ := u.says()
	return !endToEnd && !u.isColumns(r) && (r.b == 5+int64(len(u.names))+r.m && (r.a == 0 || !r.few) || r.open() && u.task == "")
}

func (u ultralytics) isEndToEnd(r rows) bool {
	endToEnd, transformer := u.says()
	return (endToEnd || u.endToEnd != "False" && r.few) && !transformer && r.b == 6+r.m
}

func (u ultralytics) isQueries(r rows) bool {
	endToEnd, _ := u.says()
	all, _ := u.rowsOfRTDETR()
	return all && !endToEnd && !u.isYOLO() && !u.isColumns(r) && r.few && r.prototypes == nil && r.b == 4+int64(len(u.names))
}

func (u ultralytics) isFewQueries(r rows) bool {
	endToEnd, transformer := u.says()
	_, one := u.rowsOfRTDETR()
	return one && !endToEnd && !u.isYOLO() && (transformer || u.endToEnd == "False") && !u.isColumns(r) && r.few && r.prototypes == nil && r.b == 6
}

// isYOLO reports whether the metadata say that it is no transformer.
func (u ultralytics) isYOLO() bool {
	return u.head != headRTDETR && (u.head != "" || strings.Contains(strings.ToLower(u.description), "yolo"))
}

// yoloxRule knows YOLOX by its names: input images, output output, and one row for each cell.
func yoloxRule(f *facts) []candidate {
	r, ok := f.rows()
	if !ok || r.prototypes != nil || f.ultra.found || f.first().Name != "images" || r.Name != "output" || r.b < 6 || r.grid == "" {
		return nil
	}
	why := fmt.Sprintf("the input is images, the output %s has one row for each cell of strides %s", say(r.Tensor), r.grid)
	if f.model.Uses("Exp") {
		c := yolo(byName, "YOLOX, decoded", yolov5, why+", and boxes are decoded in the graph, which has an Exp", r.b-5, r)
		c.pixels = yoloxPixels()
		return []candidate{c}
	}
	return []candidate{rawYOLOX(byName, why+", and no Exp is in the graph, so boxes are not decoded", r)}
}

// rawYOLOX is a reading of rows whose boxes are not decoded.
func rawYOLOX(rank int, because string, r rows) candidate {
	c := yolo(rank, "YOLOX, raw", models.DecoderYOLOX, because, r.b-5, r)
	c.pixels = yoloxPixels()
	c.output = []field{unknown("strides", "px of each level, as in [8, 16, 32]")}
	if r.grid != "" {
		c.output[0] = known("strides", r.grid, fmt.Sprintf("its cells are the graph's %d rows", r.a))
	}
	return c
}

// yoloxPixels are BGR as they are, since YOLOX 0.2.
func yoloxPixels() pixels {
	why := usual("YOLOX from 0.2 on")
	return pixels{
		color: assumed("color", string(models.BGR), why), resize: assumed("resize", string(models.Letterbox), why),
		anchor: assumed("anchor", string(models.TopLeft), why), pad: assumed("pad", "114", why),
		scale: assumed("scale", "1", "values of 0..255, "+why),
	}
}

// grid returns the strides whose cells number a, as YAML; "" for none.
func (f *facts) grid(a int64) string {
	for _, s := range [][]int{{8, 16, 32}, {8, 16, 32, 64}, {4, 8, 16, 32}} {
		if n := f.anchors(s...); n > 0 && n == a {
			return strings.ReplaceAll(fmt.Sprint(s), " ", ", ")
		}
	}
	return ""
}

// yolov6Rule knows YOLOv6 by its names: input images, output outputs.
func yolov6Rule(f *facts) []candidate {
	r, ok := f.rows()
	if !ok || r.prototypes != nil || f.ultra.found || f.first().Name != "images" || r.Name != "outputs" || r.b < 6 || r.grid == "" {
		return nil
	}
	return []candidate{yolo(byName, "YOLOv6", yolov5, fmt.Sprintf("the input is images, the output %s has one decoded row for each cell", say(r.Tensor)), r.b-5, r)}
}

// rowsRule reads a rows output by its shape alone.
func rowsRule(f *facts) []candidate {
	r, ok := f.rows()
	if !ok {
		return nil
	}
	holds := func(axis, least int64) bool { return axis == 0 || axis >= least }
	queries := r.few && r.a > 0 && r.grid == "" && !(r.columns && r.a < r.b)
	alone := r.prototypes == nil
	var cs []candidate
	for _, reading := range []struct {
		fits, typical           bool
		family, decoder, layout string
		classes                 int64
	}{
		{holds(r.a, 5+r.m), r.columns, "YOLOv8 or later", yolov8, "[N,4+C,A] with one column for each cell", r.a - 4 - r.m},
		{holds(r.b, 6+r.m), r.triple || r.grid != "", "YOLOv5, or decoded YOLOX", yolov5, "[N,A,5+C] with decoded rows for each cell", r.b - 5 - r.m},
		{holds(r.b, 6) && alone, r.grid != "", "YOLOX, raw", models.DecoderYOLOX, "[N,A,5+C] with raw rows for each cell", r.b - 5},
		{r.b == 6+r.m, queries, "YOLO, end to end", yoloEndToEnd, "[N,K,6]", 0},
		{holds(r.b, 5) && alone, queries && r.b > 0, "RT-DETR as Ultralytics exports it", rtdetr, "[N,K,4+C]", r.b - 4},
	} {
		rank := byDecoder
		if reading.typical {
			rank = byShape
		}
		because := fmt.Sprintf("the output is %s, as %s", say(r.Tensor), reading.layout)
		switch {
		case !reading.fits:
		case reading.decoder == models.DecoderYOLOX:
			cs = append(cs, rawYOLOX(rank, because, r))
		default:
			cs = append(cs, yolo(rank, reading.family, reading.decoder, because, reading.classes, r))
		}
	}
	return cs
}
