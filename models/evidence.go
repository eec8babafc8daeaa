package models

import "slices"

// The decoders of models that give no boxes. H and W are open: a map is spread evenly over the whole input.
const (
	DecoderClassifier   = "classifier"   // scores [N,C], see Activation
	DecoderSegmentation = "segmentation" // scores [N,C,H,W] (C+1 with a background class), see Activation; or labels [N,H,W] or [N,1,H,W]
	DecoderAnomaly      = "anomaly"      // map and mask [N,1,H,W] or [N,H,W]; score and label [N] or [N,1]: as anomalib names them
)

// The roles of their tensors beyond those that box decoders have.
const (
	RoleMap   = "map"
	RoleScore = "score"
	RoleLabel = "label" // 0 or 1
	RoleMask  = "mask"  // 0 or 1
)

// The fields of output that they alone have.
const (
	fieldRegionAt      = "output.region_at"
	fieldMinRegion     = "output.min_region"
	fieldNormalization = "output.normalization"
)

// Normalization is what anomalib 1 writes into metadata.json beside a graph whose scores are raw. A raw score s becomes
// (s - threshold) / (max - min) + 0.5, cut to 0..1: the threshold of the picture's score is image_threshold, that of the map
// pixel_threshold. All are finite, and each max above its min.
type Normalization struct {
	ImageThreshold float64 `yaml:"image_threshold"` // required
	PredScoresMin  float64 `yaml:"pred_scores.min"` // required
	PredScoresMax  float64 `yaml:"pred_scores.max"` // required

	PixelThreshold float64 `yaml:"pixel_threshold"`  // these three: required with the role map, and not to be given without it
	MapsMin        float64 `yaml:"anomaly_maps.min"` //
	MapsMax        float64 `yaml:"anomaly_maps.max"` //
}

// evidenceAxes is OutputAxes for the decoders here, with the roles that the manifest leaves out. It is nil for others.
func (m Manifest) evidenceAxes(batch, classes Axis) map[string][]Axis {
	open := func(role string) Axis { return Axis{Size: -1, Field: "output.tensors." + role} }
	one := func(role string) Axis { return Axis{Size: 1, Field: "output.tensors." + role, Optional: true} }
	picture := func(role string) []Axis { return []Axis{batch, one(role), open(role), open(role)} }
	number := func(role string) []Axis { return []Axis{batch, one(role)} }
	switch m.Output.Decoder {
	case DecoderClassifier:
		return map[string][]Axis{RoleScores: {batch, classes}}
	case DecoderSegmentation:
		return map[string][]Axis{RoleScores: {batch, classes, open(RoleScores), open(RoleScores)}, RoleLabels: picture(RoleLabels)}
	case DecoderAnomaly:
		return map[string][]Axis{
			RoleMap: picture(RoleMap), RoleMask: picture(RoleMask), RoleScore: number(RoleScore), RoleLabel: number(RoleLabel),
		}
	}
	return nil
}

// evidenceLayout is layoutOf for the decoders here. What has no effect beside the roles that are named is left out of it.
func evidenceLayout(out Output) layout {
	named := func(role string) bool { return out.Tensors[role] != "" }
	switch out.Decoder {
	case DecoderClassifier:
		return layout{roles: []string{RoleScores}, fields: []string{fieldActivation}}
	case DecoderSegmentation:
		l := layout{optional: []string{RoleScores, RoleLabels}, fields: []string{fieldBackground, fieldMinRegion}}
		if named(RoleScores) {
			l.fields = append(l.fields, fieldActivation, fieldRegionAt)
		}
		return l
	case DecoderAnomaly:
		l := layout{optional: []string{RoleMap, RoleScore, RoleLabel, RoleMask}, fields: []string{fieldNormalization}}
		if named(RoleMap) || named(RoleMask) {
			l.fields = append(l.fields, fieldMinRegion)
		}
		if named(RoleMap) && !named(RoleMask) {
			l.fields = append(l.fields, fieldRegionAt)
		}
		return l
	}
	return layout{}
}

// decodersOf returns the decoders that suit a task.
func decodersOf(t Task) []string {
	switch t {
	case TaskClassify:
		return []string{DecoderClassifier}
	case TaskAnomaly:
		return []string{DecoderAnomaly}
	case TaskSegment:
		return []string{DecoderSegmentation, DecoderYOLOv5, DecoderYOLOv8, DecoderEnd2End}
	default:
		return slices.DeleteFunc(decoders(), evidenceDecoder)
	}
}

// evidenceDecoder reports whether a decoder is one of those here.
func evidenceDecoder(decoder string) bool {
	return slices.Contains([]string{DecoderClassifier, DecoderSegmentation, DecoderAnomaly}, decoder)
}

// validateTask checks that the decoder suits the task.
func (d *document) validateTask(m *Manifest) {
	if !oneOf(d, "task", m.Task, TaskDetect, TaskClassify, TaskAnomaly, TaskSegment) || !slices.Contains(decoders(), m.Output.Decoder) {
		return
	}
	suit := decodersOf(m.Task)
	switch {
	case !slices.Contains(suit, m.Output.Decoder):
		d.errorf("output.decoder", "%s does not suit task: %s: use %s, or correct the task", m.Output.Decoder, m.Task, list(suit))
	case m.Task == TaskSegment && m.Output.Decoder != DecoderSegmentation && m.Output.Tensors[RolePrototypes] == "":
		d.errorf("output.tensors."+RolePrototypes, "required by task: segment: without it %s gives boxes alone, which is task: detect", m.Output.Decoder)
	}
}

// validateEvidence checks what only the decoders here ask for, and fills in what is left out. fields are those of output that
// have an effect.
func (d *document) validateEvidence(m *Manifest, fields []string) {
	out := &m.Output
	for _, f := range []string{fieldRegionAt, fieldMinRegion, fieldNormalization} {
		if !slices.Contains(fields, f) && d.given(f) {
			d.errorf(f, "has no effect with %s and these tensors: remove it", out.Decoder)
		}
	}
	if !evidenceDecoder(out.Decoder) {
		return
	}
	if d.given("nms") {
		d.errorf("nms", "has no effect with %s: remove it", out.Decoder)
	}
	d.validateRoles(m)
	channels := len(m.Labels)
	if out.Background != nil {
		channels++
	}
	if out.Activation == ActivationSoftmax && channels == 1 {
		d.errorf(fieldActivation, "softmax over one class is always 1: use sigmoid or none, or state the background")
	}
	if slices.Contains(fields, fieldRegionAt) {
		d.validateRegionAt(out, channels)
	}
	if slices.Contains(fields, fieldMinRegion) {
		if !d.given(fieldMinRegion) {
			out.MinRegion = 1
		}
		if out.MinRegion < 1 {
			d.errorf(fieldMinRegion, "%d: want 1 px of the map or more", out.MinRegion)
		}
	}
	if n := out.Normalization; n != nil && slices.Contains(fields, fieldNormalization) {
		d.validateNormalization(*n, out.Tensors[RoleMap] != "")
	}
}

// validateRoles checks that the roles that may be left out are not left out all, and the labels that an anomaly model may have.
func (d *document) validateRoles(m *Manifest) {
	named := func(role string) bool { return m.Output.Tensors[role] != "" }
	switch m.Output.Decoder {
	case DecoderSegmentation:
		if named(RoleScores) == named(RoleLabels) {
			d.errorf("output.tensors", "segmentation reads either scores or labels: name one of them")
		}
	case DecoderAnomaly:
		if !named(RoleMap) && !named(RoleScore) {
			d.errorf("output.tensors", "anomaly needs a map, a score or both: name the graph's outputs")
		}
		if len(m.Labels) > 1 {
			d.errorf("labels", "%d labels: an anomaly model tells no kinds apart: give one, such as [anomaly]", len(m.Labels))
		}
	}
}

// validateRegionAt checks the score from which a pixel belongs to a region. It is 0.5 where nothing else says so: where the
// strongest class may be as weak as it likes and be the strongest all the same. Of scores that the graph made ready nobody
// but the manifest knows which.
func (d *document) validateRegionAt(out *Output, channels int) {
	half := out.Decoder == DecoderAnomaly || out.Activation == ActivationSigmoid || channels == 1
	if !half && out.Activation == ActivationNone && out.Background == nil && !d.given(fieldRegionAt) {
		d.errorf(fieldRegionAt, "required by activation: none without a background: 0.5 where the graph decides each class alone (sigmoid), "+
			"0 where the classes share one total (softmax), so that every pixel is of its strongest")
	}
	if !d.given(fieldRegionAt) && half {
		out.RegionAt = 0.5
	}
	if !(out.RegionAt >= 0 && out.RegionAt <= 1) || half && out.RegionAt == 0 {
		d.errorf(fieldRegionAt, "%v: want a score above 0 and up to 1", out.RegionAt)
	}
}

func (d *document) validateNormalization(n Normalization, hasMap bool) {
	type number struct {
		name  string
		value float64
	}
	check := func(threshold, low, high number) {
		for _, v := range []number{threshold, low, high} {
			field := join(fieldNormalization, v.name)
			switch {
			case !d.given(field):
				d.errorf(field, "required: copy it from metadata.json")
			case !finite(v.value):
				d.errorf(field, "%v: want a finite number: export the model again after a validation run", v.value)
			}
		}
		if high.value <= low.value {
			d.errorf(join(fieldNormalization, high.name), "%v is not above %s %v: copy both from metadata.json", high.value, low.name, low.value)
		}
	}
	check(number{"image_threshold", n.ImageThreshold}, number{"pred_scores.min", n.PredScoresMin}, number{"pred_scores.max", n.PredScoresMax})
	if hasMap {
		check(number{"pixel_threshold", n.PixelThreshold}, number{"anomaly_maps.min", n.MapsMin}, number{"anomaly_maps.max", n.MapsMax})
		return
	}
	for _, name := range []string{"pixel_threshold", "anomaly_maps.min", "anomaly_maps.max"} {
		if field := join(fieldNormalization, name); d.given(field) {
			d.errorf(field, "has no effect without the role map: remove it")
		}
	}
}
