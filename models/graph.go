package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// TensorInfo is one input or output of a graph as its runtime reports it.
type TensorInfo struct {
	Name  string
	Type  string  // element type as a manifest writes it: float32, uint8, float16, int64 and so on
	Shape []int64 // negative (or 0) where the axis is dynamic or symbolic
}

// GraphInfo is what a loaded graph says of itself. Inputs are those without which it does not run: an input that only
// names an initialiser has a value of its own and is left out, as ONNX Runtime does.
type GraphInfo struct {
	Inputs  []TensorInfo
	Outputs []TensorInfo
}

// Check compares the manifest with what the loaded graph says. The error wraps inspection.ErrInvalid and lists every
// disagreement, one per line, with its field and both values.
func (m Manifest) Check(g GraphInfo) error {
	var c comparison
	for i, in := range m.Inputs {
		c.input(m, fmt.Sprintf("inputs[%d]", i), in, g.Inputs)
	}
	for _, t := range g.Inputs {
		if !slices.ContainsFunc(m.Inputs, func(in Input) bool { return in.Name == t.Name }) {
			c.differ("inputs", "the manifest has no entry for the graph's input %q %v: add one", t.Name, t.Shape)
		}
	}
	axes := m.OutputAxes()
	for _, role := range slices.Sorted(maps.Keys(axes)) {
		c.output(m, role, axes[role], g.Outputs)
	}
	if len(c.errs) > 0 {
		return fmt.Errorf("%w: manifest and graph disagree: %w", inspection.ErrInvalid, errors.Join(c.errs...))
	}
	return nil
}

// comparison collects disagreements.
type comparison struct{ errs []error }

func (c *comparison) differ(field, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
}

// tensor looks up a tensor and checks its type and rank. It reports whether its axes can be compared.
func (c *comparison) tensor(field, kind, name string, elem TensorType, rank int, all []TensorInfo) (TensorInfo, bool) {
	i := slices.IndexFunc(all, func(t TensorInfo) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range all {
			names = append(names, t.Name)
		}
		c.differ(field, "the manifest says %q, the graph's %ss are %s", name, kind, strings.Join(names, ", "))
		return TensorInfo{}, false
	}
	t := all[i]
	if t.Type != string(elem) {
		c.differ(strings.TrimSuffix(field, ".name")+".type", "the manifest asks for %s, the graph's %s %q is %s", elem, kind, name, t.Type)
	}
	if len(t.Shape) != rank {
		c.differ(field, "the manifest asks for %d axes, the graph's %s %q has %d: %v", rank, kind, name, len(t.Shape), t.Shape)
		return t, false
	}
	return t, true
}

func (c *comparison) input(m Manifest, field string, in Input, all []TensorInfo) {
	t, ok := c.tensor(field+".name", "input", in.Name, in.Type, 4, all)
	if !ok {
		return
	}
	c.batch(m, "input", t)
	if other := in.otherLayout(); !fits(in.axes(), t.Shape) && fits(other.axes(), t.Shape) {
		c.differ(field+".layout", "the manifest says %s, the graph's input %q %v is %s", in.Layout, t.Name, t.Shape, other.Layout)
		return
	}
	fields := map[Layout][]string{NCHW: {"", ".color and sources", ".height", ".width"}, NHWC: {"", ".height", ".width", ".color and sources"}}
	for i, want := range in.axes() {
		c.axis(Axis{want, field + fields[in.Layout][i]}, "input", t, i)
	}
}

// axes are the lengths of the input tensor's axes, the batch being open.
func (in Input) axes() []int64 {
	c, h, w := int64(in.Channels()), int64(in.Height), int64(in.Width)
	if in.Layout == NHWC {
		return []int64{-1, h, w, c}
	}
	return []int64{-1, c, h, w}
}

func (in Input) otherLayout() Input {
	if in.Layout == NHWC {
		in.Layout = NCHW
	} else {
		in.Layout = NHWC
	}
	return in
}

// fits reports whether no axis of shape contradicts want. Both may leave axes open.
func fits(want, shape []int64) bool {
	for i, w := range want {
		if w > 0 && shape[i] > 0 && w != shape[i] {
			return false
		}
	}
	return true
}

func (c *comparison) output(m Manifest, role string, axes []Axis, all []TensorInfo) {
	t, ok := c.tensor("output.tensors."+role, "output", m.Output.Tensors[role], Float32, len(axes), all)
	if !ok {
		return
	}
	c.batch(m, "output", t)
	for i, a := range axes {
		c.axis(a, "output", t, i)
	}
}

// axis compares one axis where both sides fix it.
func (c *comparison) axis(want Axis, kind string, t TensorInfo, i int) {
	if got := t.Shape[i]; want.Size > 0 && got > 0 && want.Size != got {
		c.differ(want.Field, "the manifest makes axis %d of the graph's %s %q %d long, the graph %d: %v", i, kind, t.Name, want.Size, got, t.Shape)
	}
}

// batch compares a fixed batch axis with the batch sizes that the manifest asks for.
func (c *comparison) batch(m Manifest, kind string, t TensorInfo) {
	n := t.Shape[0]
	if n > 0 && slices.ContainsFunc(m.BatchSizes, func(b int) bool { return int64(b) != n }) {
		c.differ("batch_sizes", "the manifest says %v, the graph's %s %q has a fixed batch of %d: write [%d]", m.BatchSizes, kind, t.Name, n, n)
	}
}
