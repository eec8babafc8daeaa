package proposal

import (
	"fmt"
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

// rows returns the output with three axes and its rows and columns, 0 for an open axis; prototypes is the second output
// of four axes, if there is one. ok is false for other outputs.
func (f *facts) rows() (out onnx.Tensor, a, b int64, prototypes *onnx.Tensor, ok bool) {
	n := len(f.outputs)
	if n < 1 || n > 2 || len(f.outputs[0].Shape) != 3 || !isFloat(f.outputs[0]) {
		return onnx.Tensor{}, 0, 0, nil, false
	}
	if n == 2 {
		if len(f.outputs[1].Shape) != 4 || f.outputs[1].Shape[1] < 1 {
			return onnx.Tensor{}, 0, 0, nil, false
		}
		prototypes = &f.outputs[1]
	}
	out = f.outputs[0]
	return out, max(out.Shape[1], 0), max(out.Shape[2], 0), prototypes, true
}

// yolo is a reading of a rows output.
func yolo(rank int, family, decoder, because string, classes int64, out onnx.Tensor, prototypes *onnx.Tensor) candidate {
	c := candidate{
		rank: rank, family: family, decoder: decoder, because: because, task: models.TaskDetect, classes: classes,
		tensors: []tensor{{models.RoleOutput, out}}, pixels: letterboxed(family), iou: suppression,
	}
	if prototypes != nil {
		c.tensors, c.task = append(c.tensors, tensor{rolePrototypes, *prototypes}), models.TaskSegment
	}
	return c
}

// masks returns the number of mask coefficients that each row has.
func masks(prototypes *onnx.Tensor) int64 {
	if prototypes == nil {
		return 0
	}
	return prototypes.Shape[1]
}

// unserved refuses what Ultralytics exports and no decoder reads.
func (f *facts) unserved() error {
	u := f.ultra
	switch {
	case !u.found || f.options.Decoder != "":
		return nil
	case u.task == "pose" || u.task == "obb":
		return fmt.Errorf("%w: metadata task %q: no decoder reads key points or turned boxes: export a detect, segment or classify model", inspection.ErrInvalid, u.task)
	}
	return nil
}

// ultralyticsRule reads graphs with Ultralytics' metadata, YOLOv5's included, by the number of names that they list.
func ultralyticsRule(f *facts) []candidate {
	u := f.ultra
	out, a, b, prototypes, ok := f.rows()
	if !u.found || !ok || u.task == "classify" {
		return nil
	}
	nc, m := int64(len(u.names)), masks(prototypes)
	meta := fmt.Sprintf("metadata names lists %d classes and the output is %s", nc, say(out))
	if prototypes != nil {
		meta += fmt.Sprintf(" with prototypes %s", say(*prototypes))
	}
	description := strings.ToLower(u.description)
	transformer := strings.Contains(description, "rtdetr") || strings.Contains(description, "rt-detr")
	endToEnd, gridded := u.endToEnd == "True" || u.nms, u.endToEnd == "False" && !u.nms
	triple := a > 0 && (a == 3*f.anchors(8, 16, 32) || a == 3*f.anchors(8, 16, 32, 64))
	few := a <= maxRows && !triple
	var cs []candidate
	add := func(family, decoder, layout string) {
		cs = append(cs, yolo(byMetadata, family, decoder, meta+", so "+layout, nc, out, prototypes))
	}
	if a == 4+nc+m && !transformer && !endToEnd {
		add("Ultralytics YOLOv8 or later", yolov8, "[N,4+C,A]")
	}
	if b == 5+nc+m && a != 4+nc+m && !transformer && !endToEnd && (a == 0 || triple || a > maxRows) {
		add("YOLOv5", yolov5, "[N,A,5+C]")
	}
	if b == 6+m && few && !transformer && !gridded {
		add("Ultralytics, end to end", yoloEndToEnd, "[N,K,6]")
	}
	if b == 4+nc && few && a != 4+nc && prototypes == nil && !endToEnd && !strings.Contains(description, "yolo") {
		add("Ultralytics RT-DETR", rtdetr, "[N,K,4+C]")
	}
	for i := range cs {
		cs[i] = cs[i].withoutSuppression()
		if cs[i].decoder == rtdetr {
			cs[i].pixels = stretched(cs[i].family)
		}
	}
	return cs
}

// withoutSuppression drops nms where the graph gives each object once.
func (c candidate) withoutSuppression() candidate {
	if c.decoder == yoloEndToEnd || c.decoder == rtdetr {
		c.iou = field{}
	}
	return c
}

// yoloxRule knows YOLOX by its names: input images, output output, and one row for each cell.
func yoloxRule(f *facts) []candidate {
	out, a, b, prototypes, ok := f.rows()
	if !ok || prototypes != nil || f.ultra.found || f.first().Name != "images" || out.Name != "output" || b < 6 {
		return nil
	}
	strides := f.grid(a)
	if strides == "" {
		return nil
	}
	why := fmt.Sprintf("the input is images, the output %s has one row for each cell of strides %s", say(out), strides)
	c := yolo(byName, "YOLOX, raw", models.DecoderYOLOX, why+", and no Exp is in the graph, so boxes are not decoded", b-5, out, nil)
	if f.model.Uses("Exp") {
		c = yolo(byName, "YOLOX, decoded", yolov5, why+", and boxes are decoded in the graph, which has an Exp", b-5, out, nil)
	} else {
		c.output = []field{known("strides", strides, fmt.Sprintf("its cells are the graph's %d rows", a))}
	}
	c.pixels = yoloxPixels()
	return []candidate{c}
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
	out, a, b, prototypes, ok := f.rows()
	if !ok || prototypes != nil || f.ultra.found || f.first().Name != "images" || out.Name != "outputs" || b < 6 || f.grid(a) == "" {
		return nil
	}
	return []candidate{yolo(byName, "YOLOv6", yolov5, fmt.Sprintf("the input is images, the output %s has one decoded row for each cell", say(out)), b-5, out, nil)}
}

// rowsRule reads a rows output by its shape alone.
func rowsRule(f *facts) []candidate {
	out, a, b, prototypes, ok := f.rows()
	if !ok {
		return nil
	}
	m, grid := masks(prototypes), f.grid(max(a, 1))
	rank := func(typical bool) int {
		if typical {
			return byShape
		}
		return byDecoder
	}
	triple := a > 0 && (a == 3*f.anchors(8, 16, 32) || a == 3*f.anchors(8, 16, 32, 64))
	columns := f.grid(max(b, 1)) != "" // as many as there are cells
	var cs []candidate
	add := func(typical bool, family, decoder, layout string, classes int64) {
		c := yolo(rank(typical), family, decoder, fmt.Sprintf("the output is %s, as %s", say(out), layout), max(classes, 0), out, prototypes)
		cs = append(cs, c.withoutSuppression())
	}
	if a == 0 || a >= 5+m {
		add(columns, "YOLOv8 or later", yolov8, "[N,4+C,A] with one column for each cell", a-4-m)
	}
	if b == 0 || b >= 6+m {
		add(triple || grid != "", "YOLOv5, or decoded YOLOX", yolov5, "[N,A,5+C] with decoded rows for each cell", b-5-m)
	}
	few := a > 0 && a <= maxRows && grid == "" && !triple && !(columns && a < b)
	if b == 6+m {
		add(few, "YOLO, end to end", yoloEndToEnd, "[N,K,6]", 0)
	}
	if prototypes != nil {
		return cs
	}
	if b == 0 || b >= 6 {
		add(grid != "", "YOLOX, raw", models.DecoderYOLOX, "[N,A,5+C] with raw rows for each cell", b-5)
		c := &cs[len(cs)-1]
		c.pixels = yoloxPixels()
		c.output = []field{unknown("strides", "px of each level, as in [8, 16, 32]")}
		if grid != "" {
			c.output[0] = known("strides", grid, fmt.Sprintf("its cells are the graph's %d rows", a))
		}
	}
	if b == 0 || b >= 5 {
		add(few && b > 0, "RT-DETR as Ultralytics exports it", rtdetr, "[N,K,4+C]", b-4)
		cs[len(cs)-1].pixels = stretched("RT-DETR")
	}
	return cs
}
