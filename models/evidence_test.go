package models

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// evidenceManifest is a manifest of a task with the output fields and labels given.
func evidenceManifest(task, output, labels string) string {
	return "task: " + task + "\ninputs:\n  - {name: x, layout: NCHW, width: 64, height: 32, color: gray, resize: stretch}\noutput: " + output + "\nlabels: " + labels + "\n"
}

const anomalib1 = "image_threshold: 4, pred_scores.min: 1, pred_scores.max: 9"

func TestEvidenceManifestsFillInWhatIsLeftOut(t *testing.T) {
	zero := 0
	for _, c := range []struct {
		task, output, labels string
		want                 Output
	}{
		{"classify", "{decoder: classifier, tensors: {scores: s}, activation: softmax}", "[good, bad]", Output{Activation: ActivationSoftmax}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, background: 0}", "[a]", Output{Activation: ActivationSoftmax, Background: &zero, MinRegion: 1}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none, region_at: 0}", "[a, b]", Output{Activation: ActivationNone, MinRegion: 1}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none, region_at: 0.5}", "[a, b]", Output{Activation: ActivationNone, MinRegion: 1, RegionAt: 0.5}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none, background: 0}", "[a, b]", Output{Activation: ActivationNone, Background: &zero, MinRegion: 1}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none}", "[a]", Output{Activation: ActivationNone, MinRegion: 1, RegionAt: 0.5}},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: sigmoid, min_region: 7}", "[a, b]", Output{Activation: ActivationSigmoid, MinRegion: 7, RegionAt: 0.5}},
		{"segment", "{decoder: segmentation, tensors: {labels: l}, background: 0}", "[a, b]", Output{Background: &zero, MinRegion: 1}},
		{"anomaly", "{decoder: anomaly, tensors: {map: m, score: s}}", "[odd]", Output{MinRegion: 1, RegionAt: 0.5}},
		{"anomaly", "{decoder: anomaly, tensors: {map: m, score: s, label: l, mask: k}}", "[odd]", Output{MinRegion: 1}},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, normalization: {" + anomalib1 + "}}", "[odd]", Output{Normalization: &Normalization{ImageThreshold: 4, PredScoresMin: 1, PredScoresMax: 9}}},
		{
			"anomaly", "{decoder: anomaly, tensors: {map: m}, region_at: 0.7, normalization: {" + anomalib1 + ", pixel_threshold: 5, anomaly_maps.min: 2, anomaly_maps.max: 3}}", "[odd]",
			Output{RegionAt: 0.7, MinRegion: 1, Normalization: &Normalization{4, 1, 9, 5, 2, 3}},
		},
	} {
		m, err := ParseManifest("m.yaml", []byte(evidenceManifest(c.task, c.output, c.labels)))
		if err != nil {
			t.Errorf("%s: %v", c.output, err)
			continue
		}
		c.want.Decoder, c.want.Tensors, c.want.ScoreFloor = m.Output.Decoder, m.Output.Tensors, 0.01
		if !reflect.DeepEqual(m.Output, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.output, m.Output, c.want)
		}
		if axes := m.OutputAxes(); len(axes) != len(m.Output.Tensors) {
			t.Errorf("%s: got axes for %d roles, want %d", c.output, len(axes), len(m.Output.Tensors))
		}
	}
}

func TestEvidenceManifestsRefuse(t *testing.T) {
	for _, c := range []struct{ task, output, labels, want string }{
		{"detect", "{decoder: classifier, tensors: {scores: s}, activation: none}", "[a]", "output.decoder: classifier does not suit task: detect: use peak-grid"},
		{"segment", "{decoder: anomaly, tensors: {score: s}}", "[a]", "use segmentation, yolov5, yolov8, yolo-end2end"},
		{"segment", "{decoder: yolov8, tensors: {output: o}}", "[a]", "output.tensors.prototypes: required by task: segment"},
		{"classify", "{decoder: classifier, tensors: {scores: s}}", "[a]", "output.activation: required: want one of none, softmax, sigmoid"},
		{"classify", "{decoder: classifier, tensors: {scores: s}, activation: softmax}", "[a]", "output.activation: softmax over one class"},
		{"classify", "{decoder: classifier, tensors: {scores: s}, activation: none, min_region: 1}", "[a]", "output.min_region: has no effect"},
		{"classify", "{decoder: classifier, tensors: {scores: s}, activation: none, background: 0}", "[a]", "output.background: has no effect"},
		{"classify", "{decoder: classifier, tensors: {scores: s}, activation: none}", "[a]\nnms: {iou: 0.5}", "nms: has no effect with classifier"},
		{"segment", "{decoder: segmentation, activation: none}", "[a, b]", "segmentation reads either scores or labels"},
		{"segment", "{decoder: segmentation, tensors: {scores: s, labels: l}, activation: none}", "[a, b]", "segmentation reads either scores or labels"},
		{"segment", "{decoder: segmentation, tensors: {labels: l}, activation: none}", "[a, b]", "output.activation: has no effect"},
		{"segment", "{decoder: segmentation, tensors: {labels: l}, region_at: 0.5}", "[a, b]", "output.region_at: has no effect"},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, region_at: 1.5}", "[a, b]", "output.region_at: 1.5"},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: sigmoid, region_at: 0}", "[a, b]", "output.region_at: 0"},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: none}", "[a, b]", "output.region_at: required by activation: none without a background: 0.5 where"},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, normalization: {" + anomalib1 + "}}", "[a, b]", "output.normalization: has no effect"},
		{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, min_region: 0}", "[a, b]", "output.min_region: 0"},
		{"anomaly", "{decoder: anomaly, tensors: {label: l}}", "[a]", "anomaly needs a map, a score or both"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}}", "[a, b]", "labels: 2 labels"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, region_at: 0.5}", "[a]", "output.region_at: has no effect"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, min_region: 5}", "[a]", "output.min_region: has no effect"},
		{"anomaly", "{decoder: anomaly, tensors: {map: m, mask: k}, region_at: 0.5}", "[a]", "output.region_at: has no effect"},
		{"anomaly", "{decoder: anomaly, tensors: {map: m, score: m}}", "[a]", "cannot be"},
		{"anomaly", "{decoder: anomaly, tensors: {map: m}, activation: none}", "[a]", "output.activation: has no effect"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, normalization: {image_threshold: 1}}", "[a]", "m.yaml:4: output.normalization.pred_scores.min: required"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, normalization: {image_threshold: .nan, pred_scores.min: 1, pred_scores.max: 2}}", "[a]", "image_threshold: NaN: want a finite number"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, normalization: {image_threshold: 1, pred_scores.min: 2, pred_scores.max: 2}}", "[a]", "pred_scores.max: 2 is not above pred_scores.min 2"},
		{"anomaly", "{decoder: anomaly, tensors: {score: s}, normalization: {" + anomalib1 + ", pixel_threshold: 1}}", "[a]", "pixel_threshold: has no effect without the role map"},
		{"anomaly", "{decoder: anomaly, tensors: {map: m}, normalization: {" + anomalib1 + "}}", "[a]", "output.normalization.pixel_threshold: required"},
		{"detect", "{decoder: ssd, tensors: {scores: s, boxes: b}, region_at: 0.5}", "[a]", "output.region_at: has no effect"},
	} {
		_, err := ParseManifest("m.yaml", []byte(evidenceManifest(c.task, c.output, c.labels)))
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s:\ngot  %v\nwant ErrInvalid with %s", c.task, c.output, err, c.want)
		}
	}
}

// TestEvidenceFitsItsGraph holds manifests against what graphs declare: those of anomalib leave axes out or open.
func TestEvidenceFitsItsGraph(t *testing.T) {
	input := []TensorInfo{{"x", "float32", []int64{-1, 1, 32, 64}}}
	anomalib2 := func(score, places []int64) []TensorInfo {
		return []TensorInfo{{"pred_score", "float32", score}, {"pred_label", "bool", score}, {"anomaly_map", "float32", places}, {"pred_mask", "bool", places}}
	}
	all := "{decoder: anomaly, tensors: {map: anomaly_map, score: pred_score, label: pred_label, mask: pred_mask}}"
	for _, c := range []struct {
		name, task, output, labels string
		outputs                    []TensorInfo
		want                       string
	}{
		{"PatchCore", "anomaly", all, "[a]", anomalib2([]int64{-1}, []int64{-1, 1, 32, 64}), ""},
		{"PaDiM", "anomaly", all, "[a]", anomalib2([]int64{-1, 1}, []int64{-1, 1, -1, -1}), ""},
		{"WinCLIP", "anomaly", all, "[a]", anomalib2([]int64{1}, []int64{1, 32, 64}), ""},
		{"three channels", "anomaly", all, "[a]", anomalib2([]int64{-1}, []int64{-1, 3, 32, 64}), "output.tensors.map: the manifest makes axis 1"},
		{"a row of scores", "anomaly", all, "[a]", anomalib2([]int64{-1, 2}, []int64{-1, 1, 32, 64}), "output.tensors.score"},
		{"classifier", "classify", "{decoder: classifier, tensors: {scores: s}, activation: softmax}", "[a, b]", []TensorInfo{{"s", "float32", []int64{-1, 2}}}, ""},
		{"a class more", "classify", "{decoder: classifier, tensors: {scores: s}, activation: softmax}", "[a, b]", []TensorInfo{{"s", "float32", []int64{-1, 3}}}, "labels: the manifest makes axis 1"},
		{"segmenter", "segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, background: 0}", "[a, b]", []TensorInfo{{"s", "float32", []int64{-1, 3, 8, 16}}}, ""},
		{"no background", "segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax}", "[a, b]", []TensorInfo{{"s", "float32", []int64{-1, 3, 8, 16}}}, "labels: the manifest makes axis 1"},
		{"label map", "segment", "{decoder: segmentation, tensors: {labels: l}}", "[a, b]", []TensorInfo{{"l", "int64", []int64{-1, 8, 16}}}, ""},
		{"label map with a channel", "segment", "{decoder: segmentation, tensors: {labels: l}}", "[a, b]", []TensorInfo{{"l", "uint8", []int64{-1, 1, 8, 16}}}, ""},
	} {
		m, err := ParseManifest("m.yaml", []byte(evidenceManifest(c.task, c.output, c.labels)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		err = m.Check(GraphInfo{Inputs: input, Outputs: c.outputs})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
