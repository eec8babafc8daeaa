package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The decoders, one for each output layout. N is the batch, C the number of labels, H and W the input's size in cells of
// the stride, A the number of anchors, K of detections, M of mask prototypes. px are pixels of the first input.
const (
	DecoderPeakGrid   = "peak-grid"    // scores [N,C,H,W], zero but for peaks; boxes [N,4,H,W], x1 y1 x2 y2 in px
	DecoderYOLOX      = "yolox"        // output [N,A,5+C]: cx cy w h as offsets to their cell, objectness, class scores
	DecoderSSD        = "ssd"          // scores [N,A,C] (C+1 with a background class); boxes [N,A,4]
	DecoderYOLOv5     = "yolov5"       // output [N,A,5+C]: cx cy w h in px, objectness, class scores; 5+C+M with prototypes
	DecoderYOLOv8     = "yolov8"       // output [N,4+C,A]: cx cy w h in px, class scores; 4+C+M with prototypes
	DecoderEnd2End    = "yolo-end2end" // output [N,K,6]: box, mostly x1 y1 x2 y2 in px, score, class; 6+M with prototypes
	DecoderRTDETR     = "rtdetr"       // output [N,K,4+C]: cx cy w h of 0..1, class scores
	DecoderRFDETR     = "rfdetr"       // boxes [N,K,4]: cx cy w h of 0..1; scores [N,K,C] (C+1 with a background class), see Activation
	DecoderDetections = "detections"   // boxes [N,K,4]; scores [N,K]; labels [N,K]; count [N] of the rows that count. N may be missing
	DecoderMMDeploy   = "mmdeploy"     // dets [N,K,5]: x1 y1 x2 y2 in px, score; labels [N,K]
)

// The roles that a decoder's tensors have.
const (
	RoleScores     = "scores"
	RoleBoxes      = "boxes"
	RoleOutput     = "output"
	RolePrototypes = "prototypes" // [N,M,H,W], spread over the whole input
	RoleLabels     = "labels"
	RoleCount      = "count"
	RoleDets       = "dets"
)

// The ways in which boxes are written.
const (
	BoxXYXY       = "xyxy"
	BoxYXYX       = "yxyx"
	BoxCXCYWH     = "cxcywh"
	BoxNormalized = "normalized"
	BoxPixel      = "pixel"
)

// The functions that make scores of a graph's numbers.
const (
	ActivationNone    = "none"
	ActivationSoftmax = "softmax" // over the class axis
	ActivationSigmoid = "sigmoid"
)

// layout says what a decoder asks of a manifest.
type layout struct {
	roles    []string
	optional []string // roles that may be left out
	strides  strideRule
	fields   []string // of output, that not every decoder has
}

// strideRule says how many strides a decoder has.
type strideRule int

const (
	noStrides strideRule = iota
	oneStride
	strideForEachLevel
)

// The fields of output that not every decoder has.
const (
	fieldBoxFormat   = "output.box_format"
	fieldBoxUnit     = "output.box_unit"
	fieldBackground  = "output.background"
	fieldActivation  = "output.activation"
	fieldLabelOffset = "output.label_offset"
)

// decoders returns the names of all decoders.
func decoders() []string {
	return []string{
		DecoderPeakGrid, DecoderYOLOX, DecoderSSD, DecoderYOLOv5, DecoderYOLOv8, DecoderEnd2End, DecoderRTDETR, DecoderRFDETR, DecoderDetections, DecoderMMDeploy,
		DecoderClassifier, DecoderSegmentation, DecoderAnomaly,
	}
}

// layoutOf returns what a decoder asks for. Of an unknown one that is nothing.
func layoutOf(out Output) layout {
	switch out.Decoder {
	case DecoderPeakGrid:
		return layout{roles: []string{RoleScores, RoleBoxes}, strides: oneStride}
	case DecoderYOLOX:
		return layout{roles: []string{RoleOutput}, strides: strideForEachLevel}
	case DecoderSSD:
		return layout{roles: []string{RoleScores, RoleBoxes}, fields: []string{fieldBoxFormat, fieldBoxUnit, fieldBackground}}
	case DecoderYOLOv5, DecoderYOLOv8:
		return layout{roles: []string{RoleOutput}, optional: []string{RolePrototypes}}
	case DecoderEnd2End:
		return layout{roles: []string{RoleOutput}, optional: []string{RolePrototypes}, fields: []string{fieldBoxFormat, fieldBoxUnit}}
	case DecoderRTDETR:
		return layout{roles: []string{RoleOutput}}
	case DecoderRFDETR:
		return layout{roles: []string{RoleScores, RoleBoxes}, fields: []string{fieldActivation, fieldBackground}}
	case DecoderDetections:
		return layout{roles: []string{RoleScores, RoleBoxes, RoleLabels}, optional: []string{RoleCount}, fields: []string{fieldBoxFormat, fieldBoxUnit, fieldLabelOffset}}
	case DecoderMMDeploy:
		return layout{roles: []string{RoleDets, RoleLabels}}
	}
	return evidenceLayout(out)
}

// Axis is what a manifest says of one axis of an output: its length, -1 where the manifest leaves it open, and the field
// that the length follows from.
type Axis struct {
	Size     int64
	Field    string
	Empty    bool // it may be 0 long, which says that nothing was found
	Optional bool // the output may come without this axis, and then without every optional one
}

// AxesOfRank returns the axes that an output with so many has: all of them, or all but the optional ones. It reports
// whether there is such an output.
func AxesOfRank(axes []Axis, rank int) ([]Axis, bool) {
	if rank != len(axes) {
		axes = slices.DeleteFunc(slices.Clone(axes), func(a Axis) bool { return a.Optional })
	}
	return axes, rank == len(axes)
}

// Batched reports whether axis 0 of an output with so many axes is the batch. Where it is not, the output is of one sample.
func Batched(axes []Axis, rank int) bool {
	return len(axes) > 0 && (rank == len(axes) || !axes[0].Optional)
}

// OutputAxes returns the axes of every output that the decoder reads, by role. Axis 0 is the batch and open. It is nil for
// an unknown decoder. Strides must divide the input, as ParseManifest sees to.
func (m Manifest) OutputAxes() map[string][]Axis {
	axes := m.allAxes()
	maps.DeleteFunc(axes, func(role string, _ []Axis) bool { return m.Output.Tensors[role] == "" })
	return axes
}

// allAxes is OutputAxes with the roles that the manifest leaves out.
func (m Manifest) allAxes() map[string][]Axis {
	const tensors = "output.tensors."
	batch, classes := Axis{Size: -1, Field: "batch_sizes"}, Axis{Size: int64(len(m.Labels)), Field: "labels"}
	if m.Output.Background != nil {
		classes.Size++
	}
	fixed := func(n int64, role string) Axis { return Axis{Size: n, Field: tensors + role} }
	anchors := func(role string) Axis { return Axis{Size: -1, Field: tensors + role} }
	found := func(role string) Axis { return Axis{Size: -1, Field: tensors + role, Empty: true} }
	switch m.Output.Decoder {
	case DecoderPeakGrid:
		h, w := m.cells(m.Output.Strides[0])
		grid := func(axis1 Axis) []Axis {
			return []Axis{batch, axis1, {Size: h, Field: "output.strides"}, {Size: w, Field: "output.strides"}}
		}
		return map[string][]Axis{RoleScores: grid(classes), RoleBoxes: grid(fixed(4, RoleBoxes))}
	case DecoderYOLOX:
		return map[string][]Axis{RoleOutput: {batch, {Size: m.anchors(), Field: "output.strides"}, classes.after(5)}}
	case DecoderSSD:
		open := anchors(RoleScores)
		return map[string][]Axis{RoleScores: {batch, open, classes}, RoleBoxes: {batch, open, fixed(4, RoleBoxes)}}
	case DecoderYOLOv5:
		return map[string][]Axis{RoleOutput: {batch, anchors(RoleOutput), m.withMask(classes.after(5))}, RolePrototypes: prototypes(batch)}
	case DecoderYOLOv8:
		return map[string][]Axis{RoleOutput: {batch, m.withMask(classes.after(4)), anchors(RoleOutput)}, RolePrototypes: prototypes(batch)}
	case DecoderEnd2End:
		return map[string][]Axis{RoleOutput: {batch, found(RoleOutput), m.withMask(fixed(6, RoleOutput))}, RolePrototypes: prototypes(batch)}
	case DecoderRTDETR:
		return map[string][]Axis{RoleOutput: {batch, found(RoleOutput), classes.after(4)}}
	case DecoderRFDETR:
		return map[string][]Axis{RoleScores: {batch, found(RoleScores), classes}, RoleBoxes: {batch, found(RoleBoxes), fixed(4, RoleBoxes)}}
	case DecoderDetections:
		single := batch
		single.Optional = true
		return map[string][]Axis{
			RoleBoxes: {single, found(RoleBoxes), fixed(4, RoleBoxes)}, RoleScores: {single, found(RoleScores)}, RoleLabels: {single, found(RoleLabels)},
			RoleCount: {batch, {Size: 1, Field: tensors + RoleCount, Optional: true}},
		}
	case DecoderMMDeploy:
		return map[string][]Axis{RoleDets: {batch, found(RoleDets), fixed(5, RoleDets)}, RoleLabels: {batch, found(RoleLabels)}}
	}
	return m.evidenceAxes(batch, classes)
}

// after is the axis behind n more numbers.
func (a Axis) after(n int64) Axis {
	a.Size += n
	return a
}

// withMask is the axis of a row's numbers: open where mask coefficients, as many as there are prototypes, follow.
func (m Manifest) withMask(row Axis) Axis {
	if m.Output.Tensors[RolePrototypes] != "" {
		row.Size = -1
	}
	return row
}

func prototypes(batch Axis) []Axis {
	open := Axis{Size: -1, Field: "output.tensors." + RolePrototypes}
	return []Axis{batch, open, open, open}
}

// RowSize is the count of numbers of a row of the output of a decoder that has prototypes, without the mask coefficients.
func (m Manifest) RowSize() int {
	switch m.Output.Decoder {
	case DecoderYOLOv5:
		return 5 + len(m.Labels)
	case DecoderYOLOv8:
		return 4 + len(m.Labels)
	default:
		return 6
	}
}

// anchors returns the number of cells of all levels.
func (m Manifest) anchors() (n int64) {
	for _, s := range m.Output.Strides {
		h, w := m.cells(s)
		n += h * w
	}
	return n
}

// cells returns the first input's size in cells of stride px.
func (m Manifest) cells(stride int) (h, w int64) {
	return int64(m.Inputs[0].Height / stride), int64(m.Inputs[0].Width / stride)
}

func (d *document) validateOutput(m *Manifest) {
	out := &m.Output
	if !d.given("output.score_floor") {
		out.ScoreFloor = 0.01
	}
	if !(out.ScoreFloor > 0 && out.ScoreFloor < 1) {
		d.errorf("output.score_floor", "%v: want a score above 0 (which would keep every cell) and below 1", out.ScoreFloor)
	}
	if !oneOf(d, "output.decoder", out.Decoder, decoders()...) {
		return
	}
	l := layoutOf(*out)
	d.validateTensors(out, l)
	d.validateStrides(m, l.strides)
	d.validateLayoutFields(m, l.fields)
	d.validateEvidence(m, l.fields)
}

func (d *document) validateTensors(out *Output, l layout) {
	for _, r := range l.roles {
		if out.Tensors[r] == "" {
			d.errorf("output.tensors."+r, "required by %s: write the graph's output name", out.Decoder)
		}
	}
	known := slices.Concat(l.roles, l.optional)
	roles := map[string]string{}
	for _, r := range slices.Sorted(maps.Keys(out.Tensors)) {
		name := out.Tensors[r]
		switch {
		case !slices.Contains(known, r):
			d.errorf("output.tensors."+r, "%s has no such role: use %s", out.Decoder, strings.Join(known, ", "))
		case name == "" && slices.Contains(l.optional, r):
			d.errorf("output.tensors."+r, "empty: write the graph's output name, or leave the role out")
		case name != "" && roles[name] != "":
			d.errorf("output.tensors", "%q cannot be %s and %s at once: name two outputs", name, roles[name], r)
		}
		roles[name] = r
	}
}

func (d *document) validateStrides(m *Manifest, rule strideRule) {
	const field = "output.strides"
	strides := m.Output.Strides
	switch rule {
	case noStrides:
		if d.given(field) {
			d.errorf(field, "has no effect with %s: remove it", m.Output.Decoder)
		}
		return
	case oneStride:
		if len(strides) != 1 {
			d.errorf(field, "%d strides: %s has one level: give its pixels per cell, as in [4]", len(strides), m.Output.Decoder)
		}
	case strideForEachLevel:
		if len(strides) == 0 {
			d.errorf(field, "required by %s: give the pixels per cell of each level, as in [8, 16, 32]", m.Output.Decoder)
		}
	}
	for i, s := range strides {
		f := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case s < 1:
			d.errorf(f, "%d: want 1 px or more", s)
		case len(m.Inputs) > 0 && (m.Inputs[0].Width%s != 0 || m.Inputs[0].Height%s != 0):
			d.errorf(f, "%d does not divide the input's %dx%d: correct the stride or the size", s, m.Inputs[0].Width, m.Inputs[0].Height)
		case slices.Contains(strides[:i], s):
			d.errorf(f, "%d is listed twice: remove one", s)
		}
	}
}

// validateLayoutFields checks the fields that not every decoder has.
func (d *document) validateLayoutFields(m *Manifest, fields []string) {
	out := &m.Output
	for _, f := range []struct {
		name  string
		check func(name string)
	}{
		{fieldBoxFormat, func(f string) { fill(d, f, &out.BoxFormat, BoxXYXY, BoxYXYX, BoxCXCYWH) }},
		{fieldBoxUnit, func(f string) {
			if out.Decoder == DecoderEnd2End {
				fill(d, f, &out.BoxUnit, BoxPixel, BoxNormalized)
				return
			}
			fill(d, f, &out.BoxUnit, BoxNormalized, BoxPixel)
		}},
		{fieldBackground, func(f string) {
			if b := out.Background; b != nil && (*b < 0 || *b > len(m.Labels)) {
				d.errorf(f, "%d: want an index of the graph's class axis, 0..%d (the labels and the background)", *b, len(m.Labels))
			}
		}},
		{fieldActivation, func(f string) { oneOf(d, f, out.Activation, ActivationNone, ActivationSoftmax, ActivationSigmoid) }},
		{fieldLabelOffset, func(f string) {
			if out.LabelOffset < 0 || out.LabelOffset > 1 {
				d.errorf(f, "%d: want 0, or 1 where the graph's labels begin at 1", out.LabelOffset)
			}
		}},
	} {
		switch {
		case slices.Contains(fields, f.name):
			f.check(f.name)
		case d.given(f.name):
			d.errorf(f.name, "has no effect with %s: remove it", out.Decoder)
		}
	}
}
