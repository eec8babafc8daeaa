package models

// Manifest is a model version's model.yaml: everything about a graph that its file cannot say. Field comments give the
// YAML key, the effect, and what leaving it out means. ParseManifest makes one, with what is left out filled in.
type Manifest struct {
	Task        Task       `yaml:"task"`        // detect, classify, anomaly or segment; required
	Description string     `yaml:"description"` // one line for people
	License     string     `yaml:"license"`     // of the weights, for people
	Inputs      []Input    `yaml:"inputs"`      // the picture inputs, as the graph names them; required. Boxes are in pixels of the first
	Constants   []Constant `yaml:"constants"`   // the graph's inputs that are no pictures, with what they are fed; left out: none
	Output      Output     `yaml:"output"`      // how outputs become candidates; required
	Labels      []string   `yaml:"labels"`      // class names in the order of the graph's class axis; required
	NMS         NMS        `yaml:"nms"`         // non-maximum suppression; left out: none
	BatchSizes  []int      `yaml:"batch_sizes"` // tensor batches to prepare and warm, ascending; left out: [1]
	Providers   []Provider `yaml:"providers"`   // execution providers in the order of preference; left out: [cpu]
	Variants    []Variant  `yaml:"variants"`    // other graphs of this version, which are used where they are faster; left out: none
	Golden      Golden     `yaml:"golden"`      // pictures with known answers, which are asked for whenever the version is loaded; left out: none
}

// DefaultVariant is the name of GraphFile among the graphs of a version.
const DefaultVariant = "default"

// Variant is another graph of the same version, such as one in int8: the same inputs and outputs, and answers that the
// manifest's author vouches for. Which one runs is decided by measuring both where they run.
type Variant struct {
	Name string `yaml:"name"` // a-z, 0-9, _ and -; required
	File string `yaml:"file"` // beside model.onnx, such as model.int8.onnx; required
}

// VariantNames returns the names of all graphs of the version, the default first.
func (m Manifest) VariantNames() []string {
	names := []string{DefaultVariant}
	for _, v := range m.Variants {
		names = append(names, v.Name)
	}
	return names
}

// Task is what a model does.
type Task string

// The tasks.
const (
	TaskDetect   Task = "detect"
	TaskClassify Task = "classify"
	TaskAnomaly  Task = "anomaly"
	TaskSegment  Task = "segment"
)

// Input describes one picture input of the graph. A pixel value v (0..255, after resize) becomes
// (v*scale - mean) / std; the channels of source "difference" are those of the frame minus those of the reference, after
// that. The channel order of the tensor is: for each source, for each component of color.
type Input struct {
	Name          string        `yaml:"name"`          // the graph's input name; required
	Layout        Layout        `yaml:"layout"`        // NCHW or NHWC; required
	Type          TensorType    `yaml:"type"`          // float32 or uint8; left out: float32
	Width         int           `yaml:"width"`         // input width, px; required
	Height        int           `yaml:"height"`        // input height, px; required
	Color         Color         `yaml:"color"`         // gray, rgb or bgr; required
	Sources       []Source      `yaml:"sources"`       // frame, reference, difference; left out: [frame]
	Decode        Decode        `yaml:"decode"`        // full or scaled; left out: full
	Resize        Resize        `yaml:"resize"`        // letterbox, stretch or none; required
	Interpolation Interpolation `yaml:"interpolation"` // linear or area; left out: linear
	Anchor        Anchor        `yaml:"anchor"`        // letterbox: top-left or center; left out: center
	Pad           float64       `yaml:"pad"`           // letterbox: pixel value of the border, 0..255; left out: 0
	Scale         float64       `yaml:"scale"`         // left out: 1
	Mean          []float64     `yaml:"mean"`          // one, or one per component of color; left out: 0. Parsed: one per component
	Std           []float64     `yaml:"std"`           // one, or one per component of color; left out: 1. Parsed: one per component
}

// Layout is the order of a picture tensor's axes.
type Layout string

// The layouts.
const (
	NCHW Layout = "NCHW"
	NHWC Layout = "NHWC"
)

// TensorType is the element type of a tensor.
type TensorType string

// The element types. A picture is Float32 or Uint8; outputs of all of them are read.
const (
	Float32 TensorType = "float32"
	Uint8   TensorType = "uint8"
	Float16 TensorType = "float16"
	Float64 TensorType = "float64"
	Int64   TensorType = "int64"
	Int32   TensorType = "int32"
	Bool    TensorType = "bool"
)

// Color is the colour order of an input.
type Color string

// The colour orders.
const (
	Gray Color = "gray"
	RGB  Color = "rgb"
	BGR  Color = "bgr"
)

// Components returns the number of channels that one source fills.
func (c Color) Components() int {
	if c == Gray {
		return 1
	}
	return 3
}

// Source says which picture fills a group of channels.
type Source string

// The sources.
const (
	SourceFrame      Source = "frame"
	SourceReference  Source = "reference"
	SourceDifference Source = "difference" // frame minus reference
)

// Decode says at which size a JPEG is decoded before it is resized.
type Decode string

// The sizes.
const (
	DecodeFull   Decode = "full"
	DecodeScaled Decode = "scaled" // at a half, a quarter or an eighth, where that is still enough for the input
)

// Resize says how a frame is brought to the input's size.
type Resize string

// The ways to resize.
const (
	Letterbox  Resize = "letterbox" // keep the aspect ratio, fill the border with Pad
	Crop       Resize = "crop"      // keep the aspect ratio, cut the middle out: what lies beyond is not seen; TaskClassify alone
	Stretch    Resize = "stretch"
	ResizeNone Resize = "none" // the frame must have the input's size, else it is refused
)

// Interpolation is the filter of a resize.
type Interpolation string

// The filters.
const (
	Linear Interpolation = "linear"
	Area   Interpolation = "area"
)

// Anchor says where a letterboxed picture lies.
type Anchor string

// The anchors.
const (
	TopLeft Anchor = "top-left"
	Center  Anchor = "center"
)

// Channels returns the number of channels of the input tensor.
func (in Input) Channels() int { return len(in.Sources) * in.Color.Components() }

// NeedsReference reports whether any channel is filled from the template.
func (in Input) NeedsReference() bool {
	for _, s := range in.Sources {
		if s != SourceFrame {
			return true
		}
	}
	return false
}

// Constant is an input of the graph that is no picture, such as the size to which RT-DETR scales its boxes. Every sample gets
// the same values: a graph whose input has two axes gets them once for each sample, one whose input has one axis once.
type Constant struct {
	Name   string     `yaml:"name"`   // the graph's input name; required
	Type   TensorType `yaml:"type"`   // float32, float64, int64, int32, uint8 or bool; required
	Values []float64  `yaml:"values"` // one or more; required. bool: 0 or 1
}

// Output says how the graph's outputs become candidates.
type Output struct {
	Decoder       string            `yaml:"decoder"`       // the layout of the outputs, such as yolov8; required
	Tensors       map[string]string `yaml:"tensors"`       // the decoder's roles (such as scores, boxes, output) to the graph's output names; required
	Strides       []int             `yaml:"strides"`       // px per cell, one for each level, in the graph's order; required by peak-grid (one) and yolox
	BoxFormat     string            `yaml:"box_format"`    // ssd, detections: xyxy, yxyx or cxcywh; left out: xyxy
	BoxUnit       string            `yaml:"box_unit"`      // ssd, detections: normalized (0..1 of the input) or pixel; left out: normalized
	Background    *int              `yaml:"background"`    // ssd, rfdetr, segmentation: index of the class that means nothing, if the graph has one; not counted in Labels
	Activation    string            `yaml:"activation"`    // rfdetr, classifier, segmentation with scores: what makes scores of the graph's numbers: none, softmax or sigmoid; required there
	LabelOffset   int               `yaml:"label_offset"`  // detections: the graph's number of the first label, 0 or 1; left out: 0
	RegionAt      float64           `yaml:"region_at"`     // segmentation with scores, anomaly: score from which a pixel belongs to a region; left out: 0.5, and 0 where a segmentation's classes share one total; required where nobody can know whether they do
	MinRegion     int               `yaml:"min_region"`    // segmentation, anomaly: regions of fewer px of the map are left out; left out: 1
	Normalization *Normalization    `yaml:"normalization"` // anomaly: how anomalib 1's raw scores become scores; left out: the graph does it
	ScoreFloor    float64           `yaml:"score_floor"`   // candidates below are never decoded, above 0 and below 1; left out: 0.01. A recipe's report_at may not lie below
}

// NMS is non-maximum suppression over decoded candidates, per class unless said otherwise. It keeps the highest score and
// drops what overlaps it by more than IoU.
type NMS struct {
	IoU           float64 `yaml:"iou"`            // 0: no suppression
	ClassAgnostic bool    `yaml:"class_agnostic"` // across classes too
}

// Provider names an ONNX Runtime execution provider and its device.
type Provider struct {
	Name   string `yaml:"name"`   // cpu, cuda, tensorrt or openvino
	Device string `yaml:"device"` // cuda, tensorrt: device id; openvino: device name; left out: the first
}

// The execution providers.
const (
	ProviderCPU      = "cpu"
	ProviderCUDA     = "cuda"
	ProviderTensorRT = "tensorrt"
	ProviderOpenVINO = "openvino"
)
