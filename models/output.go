package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The decoders, one for each output layout. N is the batch, C the number of labels, H and W the input's size in cells of
// the stride, A the number of anchors.
const (
	DecoderPeakGrid = "peak-grid" // scores [N,C,H,W], zero but for peaks; boxes [N,4,H,W], x1 y1 x2 y2 in input px
	DecoderYOLOX    = "yolox"     // output [N,A,5+C]: cx cy w h as offsets to their cell, objectness, class scores
	DecoderSSD      = "ssd"       // scores [N,A,C] (C+1 with a background class); boxes [N,A,4]
)

// The roles that a decoder's tensors have.
const (
	RoleScores = "scores"
	RoleBoxes  = "boxes"
	RoleOutput = "output"
)

// The ways in which the ssd decoder's boxes are written.
const (
	BoxXYXY       = "xyxy"
	BoxYXYX       = "yxyx"
	BoxCXCYWH     = "cxcywh"
	BoxNormalized = "normalized"
	BoxPixel      = "pixel"
)

// Axis is what a manifest says of one axis of an output: its length, -1 where the manifest leaves it open, and the field
// that the length follows from.
type Axis struct {
	Size  int64
	Field string
}

// OutputAxes returns the axes of every output that the decoder reads, by role. Axis 0 is the batch and open. It is nil for
// an unknown decoder. Strides must divide the input, as ParseManifest sees to.
func (m Manifest) OutputAxes() map[string][]Axis {
	const tensors = "output.tensors."
	batch, classes := Axis{-1, "batch_sizes"}, int64(len(m.Labels))
	switch m.Output.Decoder {
	case DecoderPeakGrid:
		h, w := m.cells(m.Output.Strides[0])
		grid := func(axis1 Axis) []Axis {
			return []Axis{batch, axis1, {h, "output.strides"}, {w, "output.strides"}}
		}
		return map[string][]Axis{RoleScores: grid(Axis{classes, "labels"}), RoleBoxes: grid(Axis{4, tensors + RoleBoxes})}
	case DecoderYOLOX:
		anchors := int64(0)
		for _, s := range m.Output.Strides {
			h, w := m.cells(s)
			anchors += h * w
		}
		return map[string][]Axis{RoleOutput: {batch, {anchors, "output.strides"}, {5 + classes, "labels"}}}
	case DecoderSSD:
		if m.Output.Background != nil {
			classes++
		}
		open := Axis{-1, tensors + RoleScores}
		return map[string][]Axis{RoleScores: {batch, open, {classes, "labels"}}, RoleBoxes: {batch, open, {4, tensors + RoleBoxes}}}
	}
	return nil
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
	if !oneOf(d, "output.decoder", out.Decoder, DecoderPeakGrid, DecoderYOLOX, DecoderSSD) {
		return
	}
	roles := []string{RoleScores, RoleBoxes}
	if out.Decoder == DecoderYOLOX {
		roles = []string{RoleOutput}
	}
	d.validateTensors(out, roles)
	d.validateStrides(m)
	d.validateSSD(m)
}

func (d *document) validateTensors(out *Output, roles []string) {
	for _, r := range roles {
		if out.Tensors[r] == "" {
			d.errorf("output.tensors."+r, "required by %s: write the graph's output name", out.Decoder)
		}
	}
	for _, r := range slices.Sorted(maps.Keys(out.Tensors)) {
		if !slices.Contains(roles, r) {
			d.errorf("output.tensors."+r, "%s has no such role: use %s", out.Decoder, strings.Join(roles, ", "))
		}
	}
	if name := out.Tensors[RoleScores]; len(roles) == 2 && name != "" && name == out.Tensors[RoleBoxes] {
		d.errorf("output.tensors", "%q cannot be scores and boxes at once: name two outputs", name)
	}
}

func (d *document) validateStrides(m *Manifest) {
	const field = "output.strides"
	strides := m.Output.Strides
	switch m.Output.Decoder {
	case DecoderSSD:
		if d.given(field) {
			d.errorf(field, "has no effect with ssd: remove it")
		}
		return
	case DecoderPeakGrid:
		if len(strides) != 1 {
			d.errorf(field, "%d strides: peak-grid has one level: give its pixels per cell, as in [4]", len(strides))
		}
	default:
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

// validateSSD checks the fields that only the ssd decoder has.
func (d *document) validateSSD(m *Manifest) {
	out := &m.Output
	if out.Decoder == DecoderSSD {
		fill(d, "output.box_format", &out.BoxFormat, BoxXYXY, BoxYXYX, BoxCXCYWH)
		fill(d, "output.box_unit", &out.BoxUnit, BoxNormalized, BoxPixel)
		if b := out.Background; b != nil && (*b < 0 || *b > len(m.Labels)) {
			d.errorf("output.background", "%d: want an index of the graph's class axis, 0..%d (the labels and the background)", *b, len(m.Labels))
		}
		return
	}
	for _, f := range []string{"output.box_format", "output.box_unit", "output.background"} {
		if d.given(f) {
			d.errorf(f, "has no effect with %s: remove it", out.Decoder)
		}
	}
}
