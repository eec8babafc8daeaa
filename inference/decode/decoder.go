package decode

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Output is one output of a graph for a whole batch. Data is row-major; axis 0 of Shape is the batch.
type Output struct {
	Name  string
	Shape []int64
	Data  []float32
}

// Decoder turns the outputs of one sample into candidates. A Decoder may be shared by goroutines.
type Decoder interface {
	// Decode reads the sample at index sample of the batch and returns what the model says in pixels of the frame that p
	// describes; what lies wholly outside the frame is left out. An output that is missing, empty,
	// misshapen, or holds a value that cannot be right (not finite, a score outside 0..1, a box without area) is an error
	// that wraps inspection.ErrModelOutput: never a candidate, and never silently left out. A placement that is none wraps
	// inspection.ErrInvalid. Decode keeps none of outs.
	Decode(outs []Output, sample int, p inspection.Placement) (Answer, error)
}

// Answer is what a model says of one sample, in pixels of the frame.
type Answer struct {
	Candidates []inspection.Candidate // by falling score
	Heatmap    *Map                   // nil where the model gives none
}

// Map is a raw anomaly map: Values row by row, Width of them a row, spread evenly over Area.
type Map struct {
	Width, Height int
	Values        []float32
	Area          inspection.Box // px of the frame; it may reach over the frame's edge by part of a value
}

// New returns the decoder that m.Output names. m must come from models.ParseManifest. The error wraps
// inspection.ErrInvalid.
func New(m models.Manifest) (Decoder, error) {
	axes := m.OutputAxes()
	if axes == nil || len(m.Inputs) == 0 {
		return nil, fmt.Errorf("%w: output.decoder: no decoder is called %q", inspection.ErrInvalid, m.Output.Decoder)
	}
	in := m.Inputs[0]
	b := base{
		labels: m.Labels, floor: floor(m.Output.ScoreFloor), nms: m.NMS, activation: m.Output.Activation, names: m.Output.Tensors, axes: axes,
		width: float64(in.Width), height: float64(in.Height), lists: new(sync.Pool),
	}
	switch m.Output.Decoder {
	case models.DecoderPeakGrid:
		return &peakGrid{base: b}, nil
	case models.DecoderYOLOX:
		return newYOLOX(b, m), nil
	case models.DecoderSSD:
		return newSSD(b, m)
	case models.DecoderYOLOv5:
		return &yolov5{base: b}, nil
	case models.DecoderYOLOv8:
		return &yolov8{base: b}, nil
	case models.DecoderEnd2End:
		return newEnd2End(b, m)
	case models.DecoderRTDETR:
		return &rtdetr{base: b}, nil
	case models.DecoderRFDETR:
		return newRFDETR(b, m), nil
	case models.DecoderDetections:
		return newDetections(b, m)
	case models.DecoderClassifier:
		return &classifier{base: b}, nil
	case models.DecoderSegmentation:
		return newSegmentation(b, m), nil
	case models.DecoderAnomaly:
		return newAnomaly(b, m), nil
	default:
		return &mmdeploy{base: b}, nil
	}
}

// base is what all decoders share: where outputs are found, what they must look like, and the list that takes what is
// seen. Lists are used again, so that a frame allocates little beyond its candidates.
type base struct {
	labels        []string
	floor         float64
	nms           models.NMS
	activation    string
	names         map[string]string        // role to output name
	axes          map[string][]models.Axis // role to the shape that is asked for
	width, height float64                  // of the first input, px
	lists         *sync.Pool
}

// tensor is one sample's part of an output.
type tensor struct {
	name  string
	shape []int64 // without the batch
	data  []float32
}

// tensor finds the output with a role, checks its shape and that every value of the sample is finite.
func (b *base) tensor(outs []Output, role string, sample int) (tensor, error) {
	name := b.names[role]
	i := slices.IndexFunc(outs, func(o Output) bool { return o.Name == name })
	if i < 0 {
		return tensor{}, fmt.Errorf("%w: no output %q among %s", inspection.ErrModelOutput, name, nameList(outs))
	}
	o := outs[i]
	axes, ok := models.AxesOfRank(b.axes[role], len(o.Shape))
	if !ok || !o.fits(axes) {
		return tensor{}, fmt.Errorf("%w: output %q has shape %v and %d values, want %s", inspection.ErrModelOutput, name, o.Shape, len(o.Data), shapeText(b.axes[role]))
	}
	batch, shape := 1, o.Shape
	if models.Batched(b.axes[role], len(o.Shape)) {
		batch, shape = int(o.Shape[0]), o.Shape[1:]
	}
	if sample < 0 || sample >= batch {
		return tensor{}, fmt.Errorf("%w: output %q has a batch of %d, sample %d is asked for", inspection.ErrModelOutput, name, batch, sample)
	}
	n := len(o.Data) / batch
	data := o.Data[sample*n : (sample+1)*n]
	for i, v := range data {
		if v-v != 0 { // NaN and both infinities, and nothing else
			return tensor{}, fmt.Errorf("%w: output %q: value %d of sample %d is %v", inspection.ErrModelOutput, name, i, sample, v)
		}
	}
	return tensor{name: name, shape: shape, data: data}, nil
}

// fits reports whether an output has the axes asked for, none of length 0 that may not be, and as many values as its shape
// says.
func (o Output) fits(axes []models.Axis) bool {
	left, empty := int64(len(o.Data)), false
	for i, n := range o.Shape {
		switch {
		case n == 0 && axes[i].Empty:
			empty = true
		case n < 1 || left%n != 0 || axes[i].Size >= 0 && n != axes[i].Size:
			return false
		default:
			left /= n
		}
	}
	return left == 1 && !empty || empty && len(o.Data) == 0
}

// alike checks that two outputs have as many rows.
func alike(a, b tensor, rows string) error {
	if a.shape[0] != b.shape[0] {
		return fmt.Errorf("%w: output %q speaks of %d %s, output %q of %d", inspection.ErrModelOutput, a.name, a.shape[0], rows, b.name, b.shape[0])
	}
	return nil
}

// rows finds a sample's scores and boxes, which speak of the same rows; what says of which.
func (b *base) rows(outs []Output, sample int, what string) (scores, boxes tensor, err error) {
	if scores, err = b.tensor(outs, models.RoleScores, sample); err != nil {
		return tensor{}, tensor{}, err
	}
	if boxes, err = b.tensor(outs, models.RoleBoxes, sample); err != nil {
		return tensor{}, tensor{}, err
	}
	return scores, boxes, alike(scores, boxes, what)
}

// label reads value i of an output as a class number. first is the number of the first label.
func (b *base) label(t tensor, i, first int) (int, error) {
	v := float64(t.data[i]) - float64(first)
	if v != math.Trunc(v) || v < 0 || v >= float64(len(b.labels)) {
		return 0, fmt.Errorf("%w: output %q: value %d is %v, which is none of the %d labels, numbered from %d: correct labels or label_offset", inspection.ErrModelOutput, t.name, i, t.data[i], len(b.labels), first)
	}
	return int(v), nil
}

// scoreSlack is how far a score may lie outside 0..1: what is left of a rounding in the graph's last layers.
const scoreSlack = 1e-4

// score brings a value into 0..1, or reports that it is no score.
func score(v float32) (float64, bool) {
	s := float64(v)
	if !(s >= -scoreSlack && s <= 1+scoreSlack) {
		return 0, false
	}
	return min(max(s, 0), 1), true
}

// floor returns the threshold that a manifest states as float32 may hold it: graphs speak in float32, and the one nearest to 0.9
// is below it. Their 0.9 reaches a threshold of 0.9.
func floor(threshold float64) float64 { return min(threshold, float64(float32(threshold))) }

// decimal returns the score that a candidate gets: s, or the number of seven decimals that is nearest to it where that is higher. So a
// graph's 0.9 reaches a recipe's 0.9 too, and no score is ever less than the graph's.
func decimal(s float64) float64 { return max(s, math.Round(s*1e7)/1e7) }

func (t tensor) badScore(i int) error {
	return fmt.Errorf("%w: output %q: value %d is %v, want a score of 0..1", inspection.ErrModelOutput, t.name, i, t.data[i])
}

func nameList(outs []Output) string {
	names := map[string]bool{}
	for _, o := range outs {
		names[fmt.Sprintf("%q", o.Name)] = true
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

func shapeText(axes []models.Axis) string {
	parts := make([]string, len(axes))
	for i, a := range axes {
		parts[i] = "any"
		if a.Size >= 0 {
			parts[i] = fmt.Sprint(a.Size)
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}
