package proposal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

// Options is what the person who imports a graph knows and the graph may not say.
type Options struct {
	Decoder string      // "": as recognised
	Task    models.Task // "": as recognised
	Labels  []string    // nil: from the graph's metadata
	Width   int         // px of the picture input, 0: from the graph
	Height  int
}

// facts are what the file says, as the rules ask for it.
type facts struct {
	model    *onnx.Model
	options  Options
	pictures []picture
	extras   []onnx.Tensor // inputs that are no pictures
	outputs  []onnx.Tensor
	ultra    ultralytics
}

// picture is an input that takes a picture. A side is 0 where nobody says it.
type picture struct {
	onnx.Tensor
	batch         int64 // 0 where it is open; 1 where there is no such axis
	layout        models.Layout
	channels      int
	width, height field // the paths' last parts
	w, h          int
}

// ultralytics is what Ultralytics' exporters, and YOLOv5's, write into a graph's metadata.
type ultralytics struct {
	found       bool
	task        string // "" in YOLOv5's
	names       []string
	width       int
	height      int
	endToEnd    string // "", True or False
	nms         bool
	description string
	head        string // the class of the last layer, from 8.4.110 on at the latest
	version     string
}

// pictureChannels are the channels that frame, reference and difference in grey or colour can fill.
var pictureChannels = []int64{1, 3, 2, 6, 9}

func gather(m *onnx.Model, o Options) (*facts, error) {
	f := &facts{model: m, options: o, outputs: m.Outputs, ultra: readUltralytics(m.Metadata)}
	for _, t := range m.Inputs {
		if !models.TakesPicture(t) {
			f.extras = append(f.extras, t)
			continue
		}
		p, err := f.picture(t)
		if err != nil {
			return nil, err
		}
		f.pictures = append(f.pictures, p)
	}
	return f, nil
}

func readUltralytics(meta map[string]string) ultralytics {
	u := ultralytics{task: meta["task"], endToEnd: meta["end2end"], description: meta["description"]}
	var named bool
	u.names, named = names(meta["names"])
	u.found = named && (meta["stride"] != "" || u.task != "")
	u.height, u.width, _ = size(meta["imgsz"])
	u.nms = models.LargestBatch(meta) > 0
	u.head, u.version = meta["head"], meta["version"]
	return u
}

// picture finds out an input's layout, channels and size.
func (f *facts) picture(t onnx.Tensor) (picture, error) {
	p := picture{Tensor: t, layout: models.NCHW, batch: 1}
	at := len(t.Shape) - 3 // of the channels in NCHW
	if at == 1 {
		p.batch = max(t.Shape[0], 0)
	}
	first, last := slices.Contains(pictureChannels, t.Shape[at]), slices.Contains(pictureChannels, t.Shape[at+2])
	c, h := at, at+1
	switch {
	case first && last && t.Shape[at] != t.Shape[at+2]:
		return p, fmt.Errorf("%w: input %s: axis %d and axis %d could both be the channels: export it for a larger picture", inspection.ErrInvalid, say(t), at, at+2)
	case !first && !last:
		return p, fmt.Errorf("%w: input %s: no axis has 1, 3, 2, 6 or 9 channels, which frame, reference and difference can fill: export it with the channels fixed", inspection.ErrInvalid, say(t))
	case !first:
		p.layout, c, h = models.NHWC, at+2, at
	}
	p.channels = int(t.Shape[c])
	var err error
	if p.h, p.height, err = side("height", t, h, f.options.Height, f.ultra.height); err != nil {
		return p, err
	}
	p.w, p.width, err = side("width", t, h+1, f.options.Width, f.ultra.width)
	return p, err
}

// side takes an input's side from the graph, else from the options, else from the metadata.
func side(name string, t onnx.Tensor, axis, option, meta int) (int, field, error) {
	fixed := int(t.Shape[axis])
	switch {
	case fixed > 0 && option > 0 && option != fixed:
		return 0, field{}, fmt.Errorf("%w: --input-size: %s %d for an input %s that has %d: leave it out", inspection.ErrInvalid, name, option, say(t), fixed)
	case fixed > 0:
		return fixed, known(name, fmt.Sprint(fixed), "from the graph's input"), nil
	case option > 0:
		return option, known(name, fmt.Sprint(option), "from --input-size; the graph leaves it open"), nil
	case meta > 0:
		return meta, known(name, fmt.Sprint(meta), "from metadata imgsz; the graph leaves it open"), nil
	}
	return 0, unknown(name, "px; the graph leaves it open: the size it was trained with"), nil
}

// first returns the input whose pixels boxes are in.
func (f *facts) first() picture { return f.pictures[0] }

// anchors returns the number of cells of all levels, 0 where the input's size is not known.
func (f *facts) anchors(strides ...int) int64 {
	p := f.first()
	n := 0
	for _, s := range strides {
		if p.w == 0 || p.h == 0 || p.w%s != 0 || p.h%s != 0 {
			return 0
		}
		n += (p.w / s) * (p.h / s)
	}
	return int64(n)
}

// output finds an output by name; a name may carry TensorFlow's ":0".
func (f *facts) output(name string) (onnx.Tensor, bool) {
	i := slices.IndexFunc(f.outputs, func(t onnx.Tensor) bool { return strings.TrimSuffix(t.Name, ":0") == name })
	if i < 0 {
		return onnx.Tensor{}, false
	}
	return f.outputs[i], true
}

// named returns the outputs of these names, ok if all are there.
func (f *facts) named(names ...string) (out []onnx.Tensor, ok bool) {
	for _, n := range names {
		t, ok := f.output(n)
		if !ok {
			return nil, false
		}
		out = append(out, t)
	}
	return out, true
}

// like reports whether a tensor has as many axes as want, and none that differs. 0 stands for any length, on both sides.
func like(t onnx.Tensor, want ...int64) bool {
	if len(t.Shape) != len(want) {
		return false
	}
	for i, w := range want {
		if w > 0 && t.Shape[i] > 0 && w != t.Shape[i] {
			return false
		}
	}
	return true
}

// say writes a tensor for people: its name and its shape, ? for an open axis.
func say(t onnx.Tensor) string {
	axes := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		axes[i] = fmt.Sprint(d)
		if d < 1 {
			axes[i] = "?"
		}
	}
	return fmt.Sprintf("%.60q [%s]", t.Name, strings.Join(axes, ","))
}

func sayAll(ts []onnx.Tensor) string {
	all := make([]string, len(ts))
	for i, t := range ts {
		all[i] = say(t)
	}
	return strings.Join(all, ", ")
}

// isFloat reports whether a tensor's values can be scores or boxes.
func isFloat(t onnx.Tensor) bool { return strings.HasPrefix(t.Type, "float") }

// isInteger reports whether a tensor's values can be class indices.
func isInteger(t onnx.Tensor) bool {
	return strings.HasPrefix(t.Type, "int") || strings.HasPrefix(t.Type, "uint")
}
