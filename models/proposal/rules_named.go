package proposal

import (
	"fmt"

	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

// Roles of the decoders that read several outputs.
const (
	roleLabels = "labels"
	roleCount  = "count"
	roleDets   = "dets"
)

// gridRule knows the layout of the models that models/training makes: peaks and boxes on one grid.
func gridRule(f *facts) []candidate {
	ts, ok := f.named("scores", "boxes")
	if !ok || !like(ts[0], 0, 0, 0, 0) || !like(ts[1], 0, 4, ts[0].Shape[2], ts[0].Shape[3]) {
		return nil
	}
	c := candidate{
		rank: byName, family: "Assay's own peak grid", decoder: models.DecoderPeakGrid, task: models.TaskDetect, classes: max(ts[0].Shape[1], 0),
		because: "the outputs are " + sayAll(ts) + " on one grid", tensors: []tensor{{models.RoleScores, ts[0]}, {models.RoleBoxes, ts[1]}},
		pixels: stretched("models that models/training makes"), iou: suppression,
	}
	if f.first().channels == 3 {
		c.pixels.color = unknown("color", "gray with sources, or rgb or bgr without")
		c.pixels.sources = unknown("sources", "[frame, reference, difference] with gray; remove it for rgb or bgr")
	}
	stride := unknown("strides", "px for each cell, as in [4]")
	if w, cells := f.first().w, int(ts[0].Shape[3]); w > 0 && cells > 0 && w%cells == 0 {
		stride = known("strides", fmt.Sprintf("[%d]", w/cells), fmt.Sprintf("%d px of input for %d cells", w, cells))
	}
	c.output = []field{stride}
	return []candidate{c}
}

// found makes a reading of the decoder detections.
func found(family, because string, boxes, scores, labels onnx.Tensor, format, unit, offset field) candidate {
	return candidate{
		rank: byName, family: family, decoder: detections, because: because, task: models.TaskDetect,
		tensors: []tensor{{models.RoleBoxes, boxes}, {models.RoleScores, scores}, {roleLabels, labels}},
		output:  []field{format, unit, offset},
	}
}

func format(v, family string) field { return assumed("box_format", v, usual(family)) }
func unit(v, family string) field   { return assumed("box_unit", v, usual(family)) }
func offset(v int, why string) field {
	return assumed("label_offset", fmt.Sprint(v), why+", check")
}

// detectionsRule knows graphs that give boxes, scores and classes of what they found, by their names.
func detectionsRule(f *facts) []candidate {
	if ts, ok := f.named("detection_boxes", "detection_scores", "detection_classes"); ok {
		const family = "TensorFlow's Object Detection API"
		c := found(family, "the outputs have its names", ts[0], ts[1], ts[2], format(models.BoxYXYX, family), unit(models.BoxNormalized, family), offset(1, "its label maps begin with 1"))
		if n, ok := f.output("num_detections"); ok {
			c.tensors = append(c.tensors, tensor{roleCount, n})
		}
		c.pixels = stretched(family)
		c.pixels.scale = unknown("scale", "1 for values of 0..255, "+perByte+" (1/255) for 0..1")
		return []candidate{c}
	}
	if ts, ok := f.named("bboxes", "scores", "labels"); ok {
		const family = "SSD of the ONNX model zoo"
		c := found(family, "the outputs are "+sayAll(ts), ts[0], ts[1], ts[2], format(models.BoxXYXY, family), unit(models.BoxNormalized, family), offset(1, "its class 0 is the background"))
		c.pixels = stretched(family).normalised(family)
		return []candidate{c}
	}
	ts, ok := f.named("boxes", "scores", "labels")
	if !ok {
		return nil
	}
	return []candidate{boxesScoresLabels(f, ts)}
}

// boxesScoresLabels tells the families apart whose outputs are called boxes, scores and labels.
func boxesScoresLabels(f *facts, ts []onnx.Tensor) candidate {
	because := "the outputs are " + sayAll(ts)
	if i := indexOf(f.extras, "orig_target_sizes"); i >= 0 {
		const family = "RT-DETR or D-FINE, official export"
		c := found(family, because+" and an input is orig_target_sizes", ts[0], ts[1], ts[2], format(models.BoxXYXY, family), unit(models.BoxPixel, "it, in px of the size given as orig_target_sizes"), offset(0, "its classes begin with 0"))
		c.pixels = stretched(family)
		in := f.first()
		values, why := fmt.Sprintf("[%d, %d]", in.w, in.h), "width and height of the input, in which boxes then are"
		name := f.extras[i].Name
		constant := assumed(name, fmt.Sprintf("{name: %s, type: %s, values: %s}", name, f.extras[i].Type, values), why+", check")
		if in.w == 0 || in.h == 0 {
			constant = unknown(name, why)
			constant.Value = fmt.Sprintf("{name: %s, type: %s, values: %s}", name, f.extras[i].Type, models.Unstated)
		}
		c.constants = []field{constant}
		return c
	}
	if n, ok := f.output("num_dets"); ok {
		const family = "MMYOLO"
		c := found(family, because+" and num_dets", ts[0], ts[1], ts[2], format(models.BoxXYXY, family), unit(models.BoxPixel, family), offset(0, "its classes begin with 0"))
		c.tensors = append(c.tensors, tensor{roleCount, n})
		c.pixels = letterboxed(family)
		return c
	}
	if like(ts[0], 0, 4) {
		const family = "torchvision"
		c := found(family, because+" without a batch axis", ts[0], ts[1], ts[2], format(models.BoxXYXY, family), unit(models.BoxPixel, family), offset(1, "its class 0 is the background"))
		c.single = true
		c.pixels = stretched(family)
		c.pixels.scale = assumed("scale", perByte, "values of 0..1: it normalises in the graph, check")
		return c
	}
	return anyDetector(because, ts[0], ts[1], ts[2])
}

// anyDetector is a reading of which nothing is known but what the outputs are.
func anyDetector(because string, boxes, scores, labels onnx.Tensor) candidate {
	c := found("a detector with decoded boxes", because, boxes, scores, labels, unknown("box_format", "xyxy, yxyx or cxcywh"), unknown("box_unit", "normalized (0..1) or pixel"), unknown("label_offset", "0, or 1 if the first class is number 1"))
	c.pixels = unknownPixels()
	return c
}

// superGradientsRule knows what SuperGradients' export makes of YOLO-NAS and its other detectors. A graph that begins with the
// preprocessing was joined of several, which its names say.
func superGradientsRule(f *facts) []candidate {
	for _, prefix := range []string{"", "graph2_"} {
		ts, ok := f.named(prefix+"pred_boxes", prefix+"pred_scores", prefix+"pred_classes", prefix+"num_predictions")
		if !ok || !like(ts[0], 0, 0, 4) || !like(ts[1], 0, 0) || !like(ts[2], 0, 0) {
			continue
		}
		const family = "YOLO-NAS"
		c := found(family, "the outputs "+sayAll(ts)+" have the names that SuperGradients gives", ts[0], ts[1], ts[2], format(models.BoxXYXY, family), unit(models.BoxPixel, family), offset(0, "its classes begin with 0"))
		c.tensors = append(c.tensors, tensor{roleCount, ts[3]})
		c.pixels = letterboxed(family + " with the weights of COCO")
		c.pixels.anchor.Why += "; top-left where training had DetectionPaddedRescale"
		return []candidate{c}
	}
	return nil
}

// listRule reads one output of boxes, one of scores and one of classes, whatever they are called, where the person who imports says
// that they are what was found.
func listRule(f *facts) []candidate {
	var boxes, scores, labels, counts []onnx.Tensor
	for _, t := range f.outputs {
		switch {
		case isFloat(t) && like(t, 0, 0, 4):
			boxes = append(boxes, t)
		case isFloat(t) && like(t, 0, 0):
			scores = append(scores, t)
		case isInteger(t) && (like(t, 0) || like(t, 0, 1) && t.Shape[1] == 1):
			counts = append(counts, t)
		case isInteger(t) && like(t, 0, 0):
			labels = append(labels, t)
		default:
			return nil
		}
	}
	if len(boxes) != 1 || len(scores) != 1 || len(labels) != 1 || len(counts) > 1 {
		return nil
	}
	c := anyDetector("the outputs are "+sayAll(f.outputs), boxes[0], scores[0], labels[0])
	c.rank = byDecoder
	for _, n := range counts {
		c.tensors = append(c.tensors, tensor{roleCount, n})
	}
	return []candidate{c}
}

func indexOf(ts []onnx.Tensor, name string) int {
	for i, t := range ts {
		if t.Name == name && len(t.Shape) <= 2 {
			return i
		}
	}
	return -1
}

// twoOutputRule knows graphs with two outputs: MMDeploy's, RF-DETR's and SSD heads.
func twoOutputRule(f *facts) []candidate {
	if ts, ok := f.named("dets", "labels"); ok {
		switch {
		case like(ts[0], 0, 0, 5) && len(ts[1].Shape) == 2:
			return []candidate{mmdeployCandidate(ts)}
		case like(ts[0], 0, 0, 4) && len(ts[1].Shape) == 3:
			return []candidate{rfdetrCandidate(byName, ts[0], ts[1])}
		}
	}
	if ts, ok := f.named("scores", "boxes"); ok && len(f.outputs) == 2 && len(ts[0].Shape) == 3 && like(ts[1], 0, 0, 4) {
		return []candidate{ssdCandidate(f, byName, ts[0], ts[1])}
	}
	if len(f.outputs) != 2 {
		return nil
	}
	a, b := f.outputs[0], f.outputs[1]
	if !like(a, 0, 0, 4) {
		a, b = b, a
	}
	if !like(a, 0, 0, 4) || len(b.Shape) != 3 || a.Shape[2] != 4 || !isFloat(a) || !isFloat(b) {
		return nil
	}
	return []candidate{ssdCandidate(f, byShape, b, a), rfdetrCandidate(byShape, a, b)}
}

func mmdeployCandidate(ts []onnx.Tensor) candidate {
	p := unknownPixels()
	const either = "; Faster R-CNN and RetinaNet: rgb, scale 1, mean [123.675, 116.28, 103.53], std [58.395, 57.12, 57.375]; RTMDet: bgr and these reversed"
	p.color.Why = "rgb or bgr, as data_preprocessor of the training configuration says" + either
	return candidate{
		rank: byName, family: "MMDeploy", decoder: mmdeploy, task: models.TaskDetect, because: "the outputs are " + sayAll(ts),
		tensors: []tensor{{roleDets, ts[0]}, {roleLabels, ts[1]}}, pixels: p,
	}
}

// rfdetrCandidate reads boxes and the logits of their classes.
func rfdetrCandidate(rank int, boxes, logits onnx.Tensor) candidate {
	const family = "RF-DETR"
	return candidate{
		rank: rank, family: family, decoder: rfdetr, task: models.TaskDetect, classes: max(logits.Shape[2], 0), background: true, lastMeans: true,
		because: "the outputs are boxes " + say(boxes) + " and logits " + say(logits),
		tensors: []tensor{{models.RoleBoxes, boxes}, {models.RoleScores, logits}},
		output: []field{
			assumed("activation", "sigmoid", "as RF-DETR's own code does; Frigate takes softmax, check"),
			unknown("background", "index of the class that means nothing, the last where RF-DETR was trained on classes of one's own; remove it if every class is a label"),
		},
		pixels: stretched(family).normalised(family),
	}
}

func ssdCandidate(f *facts, rank int, scores, boxes onnx.Tensor) candidate {
	c := candidate{
		rank: rank, family: "SSD with decoded boxes", decoder: models.DecoderSSD, task: models.TaskDetect, classes: max(scores.Shape[2], 0), background: true,
		because: "the outputs are scores " + say(scores) + " and boxes " + say(boxes),
		tensors: []tensor{{models.RoleScores, scores}, {models.RoleBoxes, boxes}},
		output: []field{
			unknown("box_format", "xyxy, yxyx or cxcywh"), unknown("box_unit", "normalized (0..1) or pixel"),
			unknown("background", "index of the class that means nothing, mostly 0; remove it if every class is a label"),
		},
		pixels: unknownPixels(), iou: suppression,
	}
	if maker := f.model.Maker(scores.Name); maker != "Softmax" && maker != "Sigmoid" {
		c.because += "; scores must lie in 0..1, and the graph's last step for them is " + maker
	}
	return c
}
