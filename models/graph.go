package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// TensorInfo is one input or output of a graph as its runtime reports it.
type TensorInfo struct {
	Name  string
	Type  string  // element type as a manifest writes it: float32, uint8, float16, int64 and so on
	Shape []int64 // negative (or 0) where the axis is dynamic or symbolic; nil where nothing is said of the axes, unlike that of a scalar
}

// GraphInfo is what a loaded graph says of itself. Inputs are those without which it does not run: an input that only
// names an initialiser has a value of its own and is left out, as ONNX Runtime does.
type GraphInfo struct {
	Inputs       []TensorInfo
	Outputs      []TensorInfo
	LargestBatch int // that the graph answers, whatever its shapes say, as LargestBatch returns it; 0: any
}

// openBatch reports whether an input takes batches of any size. One that takes a batch of 1 alone is run for each picture.
func (g GraphInfo) openBatch() bool {
	return slices.ContainsFunc(g.Inputs, func(t TensorInfo) bool { return len(t.Shape) == 4 && t.Shape[0] < 1 })
}

// LargestBatch returns the most pictures that a graph answers for together, by its metadata; 0 where they say nothing of that.
// Ultralytics' exports with nms=True loop over the pictures, and the loop is unrolled for the batch of the export: in what lies beyond
// nothing is found, without an error, though the batch of the input is open.
func LargestBatch(metadata map[string]string) int {
	if !strings.Contains(metadata["args"], "'nms': True") {
		return 0
	}
	n, err := strconv.Atoi(metadata["batch"])
	if err != nil {
		return 1 // the exporter's default
	}
	return max(n, 1)
}

// Check compares the manifest with what the loaded graph says. The error wraps inspection.ErrInvalid and lists every
// disagreement, one per line, with its field and both values.
func (m Manifest) Check(g GraphInfo) error {
	var c comparison
	for i, in := range m.Inputs {
		c.input(m, fmt.Sprintf("inputs[%d]", i), in, g.Inputs)
	}
	for i, k := range m.Constants {
		c.constant(m, fmt.Sprintf("constants[%d]", i), k, g.Inputs)
	}
	for _, t := range g.Inputs {
		if !m.feeds(t.Name) {
			c.differ("inputs", "the manifest has no entry for the graph's input %q %v: add one, or one of constants if it is no picture", t.Name, t.Shape)
		}
	}
	axes := m.OutputAxes()
	for _, role := range slices.Sorted(maps.Keys(axes)) {
		c.output(m, role, axes[role], g.Outputs)
	}
	c.masks(m, g.Outputs)
	for _, size := range m.BatchSizes {
		if g.LargestBatch > 0 && size > g.LargestBatch && g.openBatch() {
			c.differ("batch_sizes", "%d: the graph was exported with nms=True for a batch of %d and finds nothing in the pictures beyond: remove %d, or export with batch=%d", size, g.LargestBatch, size, size)
		}
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

// feeds reports whether the manifest has an entry for an input of the graph.
func (m Manifest) feeds(input string) bool {
	return slices.ContainsFunc(m.Inputs, func(in Input) bool { return in.Name == input }) ||
		slices.ContainsFunc(m.Constants, func(k Constant) bool { return k.Name == input })
}

// tensor looks up a tensor.
func (c *comparison) tensor(field, kind, name string, all []TensorInfo) (TensorInfo, bool) {
	i := slices.IndexFunc(all, func(t TensorInfo) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range all {
			names = append(names, t.Name)
		}
		c.differ(field, "the manifest says %q, the graph's %ss are %s", name, kind, strings.Join(names, ", "))
		return TensorInfo{}, false
	}
	return all[i], true
}

// inputType checks an input's type.
func (c *comparison) inputType(field string, want TensorType, t TensorInfo) {
	if t.Type != string(want) {
		c.differ(field+".type", "the manifest asks for %s, the graph's input %q is %s", want, t.Name, t.Type)
	}
}

func (c *comparison) input(m Manifest, field string, in Input, all []TensorInfo) {
	t, ok := c.tensor(field+".name", "input", in.Name, all)
	if !ok {
		return
	}
	c.inputType(field, in.Type, t)
	axes, other := in.axes(), in.otherLayout()
	fields := map[Layout][]string{NCHW: {"", ".color and sources", ".height", ".width"}, NHWC: {"", ".height", ".width", ".color and sources"}}[in.Layout]
	switch len(t.Shape) {
	case 4:
		c.batch(m, t)
	case 3: // one picture, and no batch
		axes, fields = axes[1:], fields[1:]
	default:
		c.differ(field+".name", "the manifest asks for 4 axes, or 3 without a batch, the graph's input %q has %d: %v", t.Name, len(t.Shape), t.Shape)
		return
	}
	if o := other.axes()[4-len(axes):]; !fits(axes, t.Shape) && fits(o, t.Shape) {
		c.differ(field+".layout", "the manifest says %s, the graph's input %q %v is %s", in.Layout, t.Name, t.Shape, other.Layout)
		return
	}
	for i, want := range axes {
		c.axis(Axis{Size: want, Field: field + fields[i]}, "input", t, i)
	}
}

func (c *comparison) constant(m Manifest, field string, k Constant, all []TensorInfo) {
	t, ok := c.tensor(field+".name", "input", k.Name, all)
	if !ok {
		return
	}
	c.inputType(field, k.Type, t)
	switch len(t.Shape) {
	case 2:
		c.batch(m, t)
	case 1:
	default:
		c.differ(field+".name", "a constant has 1 axis, or 2 with the batch, the graph's input %q has %d: %v: fix its value in the graph", t.Name, len(t.Shape), t.Shape)
		return
	}
	c.axis(Axis{Size: int64(len(k.Values)), Field: field + ".values"}, "input", t, len(t.Shape)-1)
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

// output compares what the graph declares of an output. That it does not say how many axes there are is no disagreement: the
// output itself will show.
func (c *comparison) output(m Manifest, role string, axes []Axis, all []TensorInfo) {
	field := "output.tensors." + role
	t, ok := c.tensor(field, "output", m.Output.Tensors[role], all)
	if !ok {
		return
	}
	if !slices.Contains(readable(), TensorType(t.Type)) {
		c.differ(field, "the graph's output %q is %s: cast it to one of %s in the graph", t.Name, t.Type, list(readable()))
	}
	if t.Shape == nil {
		return
	}
	of, ok := AxesOfRank(axes, len(t.Shape))
	if !ok {
		c.differ(field, "the manifest asks for %s axes, the graph's output %q has %d: %v", ranks(axes), t.Name, len(t.Shape), t.Shape)
		return
	}
	for i, a := range of {
		c.axis(a, "output", t, i)
	}
}

// ranks says how many axes an output may have, as in "1 or 2".
func ranks(axes []Axis) string {
	least := slices.DeleteFunc(slices.Clone(axes), func(a Axis) bool { return a.Optional })
	if len(least) == len(axes) {
		return strconv.Itoa(len(axes))
	}
	return fmt.Sprintf("%d or %d", len(least), len(axes))
}

// NoAxes is the error for an output that turned out to have no axes when the graph was run, whatever it declares. It wraps
// inspection.ErrModelOutput.
func (m Manifest) NoAxes(output string) error {
	for role, axes := range m.OutputAxes() {
		if m.Output.Tensors[role] == output {
			return fmt.Errorf("%w: output %q has 0 axes, the decoder %s asks for %s (output.tensors.%s): export the graph so that it keeps the axes, such as with Squeeze of named axes alone",
				inspection.ErrModelOutput, output, m.Output.Decoder, ranks(axes), role)
		}
	}
	return fmt.Errorf("%w: output %q has 0 axes", inspection.ErrModelOutput, output)
}

// readable are the element types of outputs that can be read. Each value becomes a float32, so whole numbers are exact below
// 2^24.
func readable() []TensorType {
	return []TensorType{Float32, Float16, Float64, Int64, Int32, Uint8, Bool}
}

// masks compares the row of an output with what its classes and the prototypes make of it.
func (c *comparison) masks(m Manifest, all []TensorInfo) {
	if m.Output.Tensors[RolePrototypes] == "" {
		return
	}
	find := func(role string, rank int) TensorInfo {
		i := slices.IndexFunc(all, func(t TensorInfo) bool { return t.Name == m.Output.Tensors[role] && len(t.Shape) == rank })
		if i < 0 {
			return TensorInfo{Shape: make([]int64, rank)}
		}
		return all[i]
	}
	out, protos := find(RoleOutput, 3), find(RolePrototypes, 4)
	row := out.Shape[2]
	if m.Output.Decoder == DecoderYOLOv8 {
		row = out.Shape[1]
	}
	if n := protos.Shape[1]; row > 0 && n > 0 && row != int64(m.RowSize())+n {
		c.differ("labels", "the manifest and %d prototypes make rows of %d numbers, the graph's output %q has %d: %v", n, int64(m.RowSize())+n, out.Name, row, out.Shape)
	}
}

// axis compares one axis where both sides fix it.
func (c *comparison) axis(want Axis, kind string, t TensorInfo, i int) {
	if got := t.Shape[i]; want.Size > 0 && got > 0 && want.Size != got {
		c.differ(want.Field, "the manifest makes axis %d of the graph's %s %q %d long, the graph %d: %v", i, kind, t.Name, want.Size, got, t.Shape)
	}
}

// batch compares a fixed batch of an input with the batch sizes that the manifest asks for. One of 1 is no disagreement:
// samples are then run one by one.
func (c *comparison) batch(m Manifest, t TensorInfo) {
	n := t.Shape[0]
	if n > 1 && slices.ContainsFunc(m.BatchSizes, func(b int) bool { return int64(b) != n }) {
		c.differ("batch_sizes", "the manifest says %v, the graph's input %q has a fixed batch of %d: write [%d]", m.BatchSizes, t.Name, n, n)
	}
}
