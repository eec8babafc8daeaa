package imaging

import (
	"fmt"
	"math"
	"slices"

	"github.com/assay-vision/assay/inspection"
)

// Colour is the order of a picture's components.
type Colour uint8

// The colour orders.
const (
	Gray Colour = iota
	BGR
	RGB
)

// Components returns the number of channels.
func (c Colour) Components() int {
	if c == Gray {
		return 1
	}
	return 3
}

// Source says which picture fills a group of a tensor's channels.
type Source uint8

// The sources. Difference is frame minus reference, after scale, mean and std.
const (
	FromFrame Source = iota
	FromReference
	FromDifference
)

// Resize says how a picture is brought to the input's size.
type Resize uint8

// The ways to resize.
const (
	Letterbox  Resize = iota // keep the aspect ratio, fill the border with Pad
	Stretch                  // each axis on its own
	Crop                     // bring the shorter side to the input's, cut the middle out of the longer one
	ResizeNone               // the picture must have the input's size
)

// Spec says how a picture becomes one sample of a model's input. A pixel value v (0..255, after the resize) becomes
// (v*Scale - Mean[c]) / Std[c] for its component c; for each source, for each component of Colour is the order of channels.
type Spec struct {
	Width, Height int // px
	Colour        Colour
	Sources       []Source
	ChannelsLast  bool // NHWC instead of NCHW
	Uint8         bool // the tensor holds bytes as they are; Scale, Mean and Std must change nothing
	Scaled        bool // a JPEG may be decoded at a smaller scale, as long as that is not below what it is resized to; without effect beside a template
	Resize        Resize
	Area          bool    // filter by area instead of bilinear
	Center        bool    // a letterboxed picture lies in the middle instead of top left
	Pad           float64 // pixel value of a letterbox's border, 0..255, rounded
	Scale         float64
	Mean, Std     []float64 // one for each component of Colour
}

// Validate names the first field that breaks a rule; the error wraps inspection.ErrInvalid.
func (s Spec) Validate() error {
	n := s.Colour.Components()
	switch {
	case s.Width <= 0 || s.Height <= 0:
		return fmt.Errorf("%w: input is %d x %d px", inspection.ErrInvalid, s.Width, s.Height)
	case len(s.Sources) == 0:
		return fmt.Errorf("%w: input has no sources: name frame, reference or difference", inspection.ErrInvalid)
	case len(s.Mean) != n || len(s.Std) != n:
		return fmt.Errorf("%w: input has %d means and %d stds: give one for each of the %d components of its colour", inspection.ErrInvalid, len(s.Mean), len(s.Std), n)
	case s.Pad < 0 || s.Pad > 255 || math.IsNaN(s.Pad):
		return fmt.Errorf("%w: pad %v: give a pixel value, 0 to 255", inspection.ErrInvalid, s.Pad)
	}
	for c := range n {
		if err := s.validateComponent(c); err != nil {
			return err
		}
	}
	if s.Uint8 && slices.Contains(s.Sources, FromDifference) {
		return fmt.Errorf("%w: a uint8 input cannot hold a difference, which may be negative: use float32", inspection.ErrInvalid)
	}
	return nil
}

func (s Spec) validateComponent(c int) error {
	a, b := s.affine(c)
	sum := float64(a) + float64(b) // not finite where either is not
	if a == 0 || math.IsInf(sum, 0) || math.IsNaN(sum) {
		return fmt.Errorf("%w: scale %v, mean %v, std %v: they give no usable pixel values", inspection.ErrInvalid, s.Scale, s.Mean[c], s.Std[c])
	}
	if s.Uint8 && (a != 1 || b != 0) {
		return fmt.Errorf("%w: a uint8 input takes pixels as they are: leave scale, mean and std out", inspection.ErrInvalid)
	}
	return nil
}

// NeedsReference reports whether any channel is filled from a template.
func (s Spec) NeedsReference() bool {
	for _, src := range s.Sources {
		if src != FromFrame {
			return true
		}
	}
	return false
}

// SampleBytes returns the size of one sample of the tensor.
func (s Spec) SampleBytes() int {
	n := s.Width * s.Height * s.Colour.Components() * len(s.Sources)
	if s.Uint8 {
		return n
	}
	return 4 * n
}

// affine returns a and b so that a pixel v of component c becomes a*v + b.
func (s Spec) affine(c int) (a, b float32) {
	return float32(s.Scale / s.Std[c]), float32(-s.Mean[c] / s.Std[c])
}

// mostCut is how many times as long as the input a picture that is cut may be once its shorter side fits: it is resized whole, and
// one of 65535 x 1 px would fill the memory.
const mostCut = 16

// Place says where a picture of w x h px lies in the input. The error wraps inspection.ErrImage: ResizeNone and another size, or
// Crop of which next to nothing would be left.
func (s Spec) Place(w, h int) (inspection.Placement, error) {
	p := inspection.Placement{ScaleX: 1, ScaleY: 1, Width: w, Height: h}
	switch s.Resize {
	case Stretch:
		p.ScaleX, p.ScaleY = float64(s.Width)/float64(w), float64(s.Height)/float64(h)
	case ResizeNone:
		if w != s.Width || h != s.Height {
			return p, fmt.Errorf("%w: picture is %d x %d px, and the model takes %d x %d without resizing", inspection.ErrImage, w, h, s.Width, s.Height)
		}
	default:
		iw, ih := s.inner(w, h)
		if s.Resize == Crop && (iw > mostCut*s.Width || ih > mostCut*s.Height) {
			return p, fmt.Errorf("%w: picture is %d x %d px, and the model, which looks at the middle, would see less than a sixteenth of it", inspection.ErrImage, w, h)
		}
		// Whole pixels: the scale is what the picture really got, not the ratio that was rounded.
		p.ScaleX, p.ScaleY = float64(iw)/float64(w), float64(ih)/float64(h)
		switch {
		case s.Resize == Crop: // as torchvision's CenterCrop
			p.OffsetX, p.OffsetY = -math.RoundToEven(float64(iw-s.Width)/2), -math.RoundToEven(float64(ih-s.Height)/2)
		case s.Center:
			p.OffsetX, p.OffsetY = float64((s.Width-iw)/2), float64((s.Height-ih)/2)
		}
	}
	return p, nil
}

// scaleFor returns by how much smaller than its w x h px, 1, 2, 4 or 8 times, a JPEG may be decoded for inputs of specs: all
// allow it and none is compared with a template, which is decoded in full, both sides remain at least what they are then resized to, and both are divided without a rest, so that
// the smaller picture shows the frame from edge to edge, no more and no less.
func scaleFor(specs []Spec, w, h int) int {
	for scale := 8; scale > 1; scale /= 2 {
		enough := len(specs) > 0 && w%scale == 0 && h%scale == 0
		for _, s := range specs {
			iw, ih := s.inner(w, h)
			enough = enough && s.Scaled && !s.NeedsReference() && s.Resize != ResizeNone && w/scale >= iw && h/scale >= ih
		}
		if enough {
			return scale
		}
	}
	return 1
}

// inner returns the size in px that a picture of w x h px has inside the input, or beyond it where it is cut.
func (s Spec) inner(w, h int) (int, int) {
	switch s.Resize {
	case Letterbox:
	case Crop:
		// As torchvision's Resize: whole numbers, for a ratio in floats is a pixel short where the division has no rest.
		if s.Width*h > s.Height*w {
			return s.Width, s.Width * h / w
		}
		return s.Height * w / h, s.Height
	default:
		return s.Width, s.Height
	}
	r := min(float64(s.Width)/float64(w), float64(s.Height)/float64(h))
	fit := func(n, limit int) int { return min(max(int(math.Round(float64(n)*r)), 1), limit) }
	return fit(w, s.Width), fit(h, s.Height)
}
