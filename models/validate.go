package models

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Bounds of a manifest. They catch slips of the keyboard; none is a limit of the engine.
const (
	maxInputSide = 8192
	maxBatch     = 64
	maxConstant  = 1024
)

// validate fills in what is left out and notes everything that is wrong.
func (d *document) validate(m *Manifest) {
	d.validateTask(m)
	if len(m.Inputs) == 0 {
		d.errorf("inputs", "required: name at least one picture input of the graph")
	}
	for i := range m.Inputs {
		field := fmt.Sprintf("inputs[%d]", i)
		d.validateInput(field, m.Task, &m.Inputs[i])
		if slices.ContainsFunc(m.Inputs[:i], func(in Input) bool { return in.Name == m.Inputs[i].Name }) {
			d.errorf(field+".name", "%q is named twice: give each input of the graph one entry", m.Inputs[i].Name)
		}
		if in := m.Inputs[i]; in.Decode != m.Inputs[0].Decode {
			d.errorf(field+".decode", "%s beside %s: a frame is decoded once: write the same for all inputs", in.Decode, m.Inputs[0].Decode)
		}
	}
	for i := range m.Constants {
		d.validateConstant(i, m)
	}
	d.validateLabels(m.Labels)
	d.validateOutput(m)
	if !(m.NMS.IoU >= 0 && m.NMS.IoU < 1) {
		d.errorf("nms.iou", "%v: want 0 (no suppression) or an overlap below 1, such as 0.45", m.NMS.IoU)
	}
	if m.NMS.ClassAgnostic && m.NMS.IoU == 0 {
		d.errorf("nms.class_agnostic", "has no effect without nms.iou: set it, or remove this")
	}
	d.validateBatches(m)
	d.validateProviders(m)
	d.validateVariants(m.Variants)
	d.validateGolden(m)
}

func (d *document) validateInput(field string, task Task, in *Input) {
	if in.Name == "" {
		d.errorf(field+".name", "required: write the graph's input name")
	}
	oneOf(d, field+".layout", in.Layout, NCHW, NHWC)
	fill(d, field+".type", &in.Type, Float32, Uint8)
	for _, side := range []struct {
		name string
		px   int
	}{{".width", in.Width}, {".height", in.Height}} {
		if side.px < 1 || side.px > maxInputSide {
			d.errorf(field+side.name, "%d: want 1..%d pixels", side.px, maxInputSide)
		}
	}
	oneOf(d, field+".color", in.Color, Gray, RGB, BGR)
	if !d.given(field + ".sources") {
		in.Sources = []Source{SourceFrame}
	}
	if len(in.Sources) == 0 {
		d.errorf(field+".sources", "empty: name what fills the channels, or leave it out for [frame]")
	}
	for i, s := range in.Sources {
		f := fmt.Sprintf("%s.sources[%d]", field, i)
		oneOf(d, f, s, SourceFrame, SourceReference, SourceDifference)
		if slices.Contains(in.Sources[:i], s) {
			d.errorf(f, "%q is listed twice: remove one", s)
		}
	}
	d.validateDecode(field, in)
	d.validateResize(field, task, in)
	d.validateValues(field, in)
}

func (d *document) validateDecode(field string, in *Input) {
	fill(d, field+".decode", &in.Decode, DecodeFull, DecodeScaled)
	switch {
	case in.Decode != DecodeScaled:
	case in.Resize == ResizeNone:
		d.errorf(field+".decode", "has no effect with resize: none: remove it")
	case in.NeedsReference():
		d.errorf(field+".decode", "scaled: a frame is laid over its template, which is decoded in full, and the two would differ everywhere: remove it, or remove reference and difference from sources")
	}
}

func (d *document) validateResize(field string, task Task, in *Input) {
	oneOf(d, field+".resize", in.Resize, Letterbox, Stretch, Crop, ResizeNone)
	if in.Resize == Crop && task != TaskClassify {
		d.errorf(field+".resize", "crop is for task: classify: elsewhere what lies beyond the middle would be missed: use letterbox or stretch")
	}
	fill(d, field+".interpolation", &in.Interpolation, Linear, Area)
	fill(d, field+".anchor", &in.Anchor, Center, TopLeft)
	if in.Resize == ResizeNone && d.given(field+".interpolation") {
		d.errorf(field+".interpolation", "has no effect with resize: none: remove it")
	}
	for _, f := range []string{".anchor", ".pad"} {
		if in.Resize != Letterbox && d.given(field+f) {
			d.errorf(field+f, "has no effect without resize: letterbox: remove it")
		}
	}
	if !(in.Pad >= 0 && in.Pad <= 255) {
		d.errorf(field+".pad", "%v: want a pixel value, 0..255", in.Pad)
	}
}

// validateValues checks what is done to pixel values and brings mean and std to one value per component.
func (d *document) validateValues(field string, in *Input) {
	if !d.given(field + ".scale") {
		in.Scale = 1
	}
	if in.Scale == 0 || !finite(in.Scale) {
		d.errorf(field+".scale", "%v: want a number that is not 0, such as 1 or 0.00392156862745098 (1/255)", in.Scale)
	}
	in.Mean = d.perComponent(field+".mean", in.Mean, 0, in.Color.Components())
	in.Std = d.perComponent(field+".std", in.Std, 1, in.Color.Components())
	for i, s := range in.Std {
		if s <= 0 {
			d.errorf(fmt.Sprintf("%s.std[%d]", field, i), "%v: pixels are divided by it: want a number above 0", s)
		}
	}
	if in.Type != Uint8 {
		return
	}
	for _, f := range []string{".scale", ".mean", ".std"} {
		if d.given(field + f) {
			d.errorf(field+f, "type: uint8 takes pixels as they are: remove it, or use type: float32")
		}
	}
	if slices.Contains(in.Sources, SourceDifference) {
		d.errorf(field+".sources", "type: uint8 cannot hold a difference, which may be negative: use type: float32")
	}
}

func (d *document) validateConstant(i int, m *Manifest) {
	field, c := fmt.Sprintf("constants[%d]", i), m.Constants[i]
	switch {
	case c.Name == "":
		d.errorf(field+".name", "required: write the graph's input name")
	case slices.ContainsFunc(m.Inputs, func(in Input) bool { return in.Name == c.Name }) || slices.ContainsFunc(m.Constants[:i], func(o Constant) bool { return o.Name == c.Name }):
		d.errorf(field+".name", "%q is named twice: give each input of the graph one entry", c.Name)
	}
	if !oneOf(d, field+".type", c.Type, Float32, Float64, Int64, Int32, Uint8, Bool) {
		return
	}
	if len(c.Values) == 0 || len(c.Values) > maxConstant {
		d.errorf(field+".values", "%d values: want 1..%d", len(c.Values), maxConstant)
	}
	low, high := c.Type.bounds()
	for k, v := range c.Values {
		whole := c.Type == Float32 || c.Type == Float64 || v == math.Trunc(v)
		if !(v >= low && v <= high) || !whole {
			d.errorf(fmt.Sprintf("%s.values[%d]", field, k), "%v: want a number that %s can hold", v, c.Type)
		}
	}
}

// bounds returns the least and the greatest value that is taken for an element type. Those of int64 are the whole numbers that
// a manifest's numbers, which are float64, hold exactly.
func (t TensorType) bounds() (low, high float64) {
	switch t {
	case Float32:
		return -math.MaxFloat32, math.MaxFloat32
	case Int64:
		return -1 << 53, 1 << 53
	case Int32:
		return math.MinInt32, math.MaxInt32
	case Uint8:
		return 0, math.MaxUint8
	case Bool:
		return 0, 1
	default:
		return -math.MaxFloat64, math.MaxFloat64
	}
}

func (d *document) perComponent(field string, vs []float64, missing float64, n int) []float64 {
	if !d.given(field) {
		vs = []float64{missing}
	}
	for i, v := range vs {
		if !finite(v) {
			d.errorf(fmt.Sprintf("%s[%d]", field, i), "%v: want a finite number", v)
		}
	}
	if len(vs) == 1 {
		return slices.Repeat(vs, n)
	}
	if len(vs) != n {
		d.errorf(field, "%d values for %d color components: give one for all, or one for each", len(vs), n)
	}
	return vs
}

// CheckLabels checks class names as ParseManifest does. file is the name under which errors speak of them. The error wraps
// inspection.ErrInvalid.
func CheckLabels(file string, labels []string) error {
	d := document{file: file}
	d.validateLabels(labels)
	if len(d.errs) > 0 {
		return fmt.Errorf("%w: %w", inspection.ErrInvalid, errors.Join(d.errs...))
	}
	return nil
}

func (d *document) validateLabels(labels []string) {
	if len(labels) == 0 {
		d.errorf("labels", "required: name the classes in the order of the graph's class axis")
	}
	seen := map[string]bool{}
	for i, l := range labels {
		field := fmt.Sprintf("labels[%d]", i)
		switch {
		case l == "" || l != strings.TrimSpace(l) || inspection.ValidName(field, l) != nil:
			d.errorf(field, "%.40q: want a name of at most %d printable bytes, without blanks around it", l, inspection.MaxName)
		case l == "*":
			d.errorf(field, "\"*\" stands for every other class in recipes: choose another name")
		case seen[l]:
			d.errorf(field, "%q is listed twice: class names must differ", l)
		}
		seen[l] = true
	}
}

func (d *document) validateBatches(m *Manifest) {
	if !d.given("batch_sizes") {
		m.BatchSizes = []int{1}
	}
	if len(m.BatchSizes) == 0 {
		d.errorf("batch_sizes", "empty: list at least one, or leave it out for [1]")
	}
	before := 0
	for i, n := range m.BatchSizes {
		if n <= before || n > maxBatch {
			d.errorf(fmt.Sprintf("batch_sizes[%d]", i), "%d: want ascending sizes of 1..%d, such as [1, 2, 4, 8]", n, maxBatch)
		}
		before = n
	}
}

func (d *document) validateProviders(m *Manifest) {
	if !d.given("providers") {
		m.Providers = []Provider{{Name: ProviderCPU}}
	}
	if len(m.Providers) == 0 {
		d.errorf("providers", "empty: list at least one, or leave it out for cpu")
	}
	for i, p := range m.Providers {
		field := fmt.Sprintf("providers[%d]", i)
		oneOf(d, field+".name", p.Name, ProviderCPU, ProviderCUDA, ProviderTensorRT, ProviderOpenVINO)
		switch p.Name {
		case ProviderCPU:
			if p.Device != "" {
				d.errorf(field+".device", "cpu has no devices: remove it")
			}
		case ProviderCUDA, ProviderTensorRT:
			if n, err := strconv.Atoi(p.Device); p.Device != "" && (err != nil || n < 0) {
				d.errorf(field+".device", "%q: want a device id, 0 or higher", p.Device)
			}
		}
		if slices.Contains(m.Providers[:i], p) {
			d.errorf(field, "%s is listed twice: remove one", p.Name)
		}
	}
}

func (d *document) validateVariants(vs []Variant) {
	if d.given("variants") && len(vs) == 0 {
		d.errorf("variants", "empty: list the other graphs, or leave it out for none")
	}
	names, files := []string{DefaultVariant}, []string{GraphFile}
	for i, v := range vs {
		field := fmt.Sprintf("variants[%d]", i)
		switch {
		case !validName(v.Name):
			d.errorf(field+".name", "%.40q: use a-z, 0-9, _ and -, and begin with a letter or digit", v.Name)
		case slices.Contains(names, v.Name):
			d.errorf(field+".name", "%q is taken: %s is %q, and each other graph needs a name of its own", v.Name, GraphFile, DefaultVariant)
		}
		switch {
		case !strings.HasSuffix(v.File, ".onnx") || strings.ContainsAny(v.File, `/\`) || strings.HasPrefix(v.File, "."):
			d.errorf(field+".file", "%.40q: want the name of a graph beside %s, such as model.int8.onnx", v.File, GraphFile)
		case slices.Contains(files, v.File):
			d.errorf(field+".file", "%s is listed already: name another graph, or remove this", v.File)
		}
		names, files = append(names, v.Name), append(files, v.File)
	}
}

// oneOf notes a value that is none of known, and reports whether it is one of them.
func oneOf[T ~string](d *document, field string, got T, known ...T) bool {
	switch {
	case slices.Contains(known, got):
		return true
	case got == "":
		d.errorf(field, "required: want one of %s", list(known))
	default:
		d.errorf(field, "%.40q: want one of %s", got, list(known))
	}
	return false
}

// fill is oneOf for a field that may be left out; the first of known stands in for it.
func fill[T ~string](d *document, field string, v *T, known ...T) {
	if !d.given(field) {
		*v = known[0]
	}
	oneOf(d, field, *v, known...)
}

func list[T ~string](vs []T) string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
