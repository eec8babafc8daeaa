package proposal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

// Roles of the decoder anomaly.
const (
	roleMap   = "map"
	roleScore = "score"
	roleLabel = "label"
	roleMask  = "mask"
)

var oneLabel = assumed("labels", "[anomaly]", "what is found has one name; recipes use it, choose your own")

// anomalibRule knows anomalib 2's exports by the names of their outputs, and 1's by a map beside an unnamed score, or beside the
// two maps that EfficientAD makes it of.
func anomalibRule(f *facts) []candidate {
	c := candidate{rank: byName, decoder: anomaly, task: models.TaskAnomaly, classes: 1, labels: oneLabel}
	for _, r := range [][2]string{{"anomaly_map", roleMap}, {"pred_score", roleScore}, {"pred_label", roleLabel}, {"pred_mask", roleMask}} {
		if t, ok := f.output(r[0]); ok {
			c.tensors = append(c.tensors, tensor{r[1], t})
		}
	}
	if len(c.tensors) > 0 && c.tensors[0].role != roleLabel && c.tensors[0].role != roleMask {
		if f.model.Maker("pred_score") == "ReduceMax" {
			c = anomalib1(byName, "the outputs have anomalib 2's names, and scores are raw: it was exported without having been validated", c.tensors...)
			c.family, c.tensors = "anomalib 2", slices.DeleteFunc(c.tensors, func(t tensor) bool { return t.role == roleLabel || t.role == roleMask })
			c.pixels = stretched("anomalib 2, which resizes and normalises in the graph")
			c.output[0].Why = "better run engine.test of anomalib, export it again and import that; else {image_threshold: .., pred_scores.min: .., pred_scores.max: .., pixel_threshold: .., anomaly_maps.min: .., anomaly_maps.max: ..} of pictures that you know"
			return []candidate{c}
		}
		c.family, c.because = "anomalib 2", "the outputs have its names: "+c.sayTensors()
		c.pixels = stretched("anomalib 2, which resizes and normalises in the graph")
		return []candidate{c}
	}
	out, ok := f.output("output")
	if !ok || !like(out, 0, 1, 0, 0) {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(f.outputs), func(t onnx.Tensor) bool { return t.Name == out.Name })
	switch {
	case len(others) == 1 && isScore(others[0]):
		return []candidate{anomalib1(byName, "the outputs are the map "+say(out)+" and the score "+say(others[0]), tensor{roleMap, out}, tensor{roleScore, others[0]})}
	case len(others) == 2 && isFloat(out) && isMapLike(others[0], out) && isMapLike(others[1], out):
		return []candidate{anomalib1(byName, "the outputs are the map "+say(out)+" and two more, "+sayAll(others)+", as of EfficientAD, whose student and autoencoder have one each; "+
			"which is which the file does not say, and only the first is read", tensor{roleMap, out})}
	}
	return nil
}

// isScore reports whether an output may be the score that anomalib 1 leaves without a name.
func isScore(t onnx.Tensor) bool {
	_, err := strconv.Atoi(strings.TrimPrefix(t.Name, "onnx::"))
	return err == nil || like(t, 0) || like(t, 0, 1)
}

// isMapLike reports whether an output has the form of a map.
func isMapLike(t, m onnx.Tensor) bool { return isFloat(t) && like(t, m.Shape...) }

// anomalib1 is a reading as anomalib 1, whose scores are raw: metadata.json beside the graph has the thresholds.
func anomalib1(rank int, because string, ts ...tensor) candidate {
	const family = "anomalib 1"
	return candidate{
		rank: rank, family: family, decoder: anomaly, task: models.TaskAnomaly, classes: 1, labels: oneLabel, because: because, tensors: ts,
		pixels: stretched(family + ", which resizes and normalises in the graph"),
		output: []field{unknown("normalization", "the values of anomalib's metadata.json: {image_threshold: .., pred_scores.min: .., pred_scores.max: ..}, and with a map pixel_threshold, anomaly_maps.min and anomaly_maps.max")},
	}
}

// wholeRule reads graphs that answer for the whole picture, or for each of its pixels, by their shapes.
func wholeRule(f *facts) []candidate {
	if len(f.outputs) != 1 {
		return nil
	}
	out := f.outputs[0]
	switch {
	case isFloat(out) && len(out.Shape) == 1:
		return []candidate{anomalib1(byShape, "the only output is a score for each picture, "+say(out), tensor{roleScore, out})}
	case isFloat(out) && len(out.Shape) == 2 && (out.Shape[0] > 0 || f.first().batch == 0): // else rows of what was found
		return scoresOfPicture(f, out)
	case isFloat(out) && len(out.Shape) == 4:
		return scoresOfPixels(f, out)
	case isInteger(out) && (len(out.Shape) == 3 || like(out, 0, 1, 0, 0)):
		c := candidate{
			rank: byShape, family: "semantic segmentation", decoder: segmentation, task: models.TaskSegment, because: "the only output is a class for each pixel, " + say(out),
			tensors: []tensor{{roleLabels, out}}, pixels: unknownPixels(), background: true, output: []field{backgroundClass()},
		}
		if u := f.ultra; u.found && u.task == "semantic" {
			c.rank, c.family = byMetadata, "Ultralytics semantic segmentation"
			c.pixels, c.background, c.output = letterboxed(c.family), false, nil
		}
		return []candidate{c}
	}
	return nil
}

func scoresOfPicture(f *facts, out onnx.Tensor) []candidate {
	c := candidate{
		rank: byShape, family: "a classifier", decoder: classifier, task: models.TaskClassify, classes: max(out.Shape[1], 0),
		because: "the only output has one row of scores for each picture, " + say(out),
		tensors: []tensor{{models.RoleScores, out}}, pixels: unknownPixels(), output: []field{f.activation(out)},
	}
	if u := f.ultra; u.found && u.task == "classify" {
		c.rank, c.family = byMetadata, "Ultralytics classifier"
		c.pixels = stretched(c.family)
		c.pixels.resize.Value = string(models.Crop)
		c.pixels.interpolation = assumed("interpolation", string(models.Area), "nearest to the filter that Ultralytics shrinks with, check")
	}
	cs := []candidate{c}
	if out.Shape[1] == 1 {
		cs = append(cs, anomalib1(byShape, "the only score, "+say(out)+", may say how anomalous the picture is", tensor{roleScore, out}))
	}
	return cs
}

func scoresOfPixels(f *facts, out onnx.Tensor) []candidate {
	c := candidate{
		rank: byShape, family: "semantic segmentation", decoder: segmentation, task: models.TaskSegment, classes: max(out.Shape[1], 0), background: true,
		because: "the only output has scores for each pixel, " + say(out),
		tensors: []tensor{{models.RoleScores, out}}, pixels: unknownPixels(), output: []field{f.activation(out)},
	}
	switch maker := f.model.Maker(out.Name); {
	case slices.Contains(alone, maker):
		c.output = append(c.output, known("region_at", "0.5", fmt.Sprintf("%s decides each class alone, and the strongest may be next to nothing", maker)))
	case maker == "Softmax" && out.Shape[1] != 1:
		c.output = append(c.output, known("region_at", "0", "the classes share one total, and the strongest is enough"))
	}
	if out.Shape[1] == 1 {
		c.background = false
	} else {
		c.output = append(c.output, backgroundClass())
	}
	cs := []candidate{c}
	if out.Shape[1] <= 1 {
		cs = append(cs, anomalib1(byShape, "the only output, "+say(out)+", may be a map of how anomalous each pixel is", tensor{roleMap, out}))
	}
	return cs
}

func backgroundClass() field {
	return unknown("background", "index of the class that means nothing, mostly 0; remove it if every class is a label")
}

// alone are the operators that make a score of each number by itself.
var alone = []string{"Sigmoid", "HardSigmoid"}

// activation says what is left to do with scores, by what the graph did last.
func (f *facts) activation(t onnx.Tensor) field {
	maker := f.model.Maker(t.Name)
	if maker == "Softmax" || slices.Contains(alone, maker) {
		return known("activation", "none", fmt.Sprintf("the graph's last step is %s", maker))
	}
	return unknown("activation", fmt.Sprintf("softmax if one class of many is right, sigmoid if each is decided alone, none if scores lie in 0..1; the graph's last step is %s", maker))
}
