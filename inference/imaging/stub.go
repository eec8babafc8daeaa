//go:build !gocv_specific_modules

package imaging

import (
	"fmt"
	"image"

	"github.com/assay-vision/assay/inspection"
)

// This file stands in where the program was built without OpenCV and libturbojpeg: NewWorker fails, so that nothing else
// here is ever reached.

var errMissing = fmt.Errorf("%w: built without OpenCV and libturbojpeg: run `make setup && make build`, or build with -tags gocv_specific_modules", inspection.ErrUnavailable)

// Worker does the imaging of one native thread.
type Worker struct{}

// NewWorker says how to build a program that can decode. The error wraps inspection.ErrUnavailable.
func NewWorker(Limits) (*Worker, error) { return nil, errMissing }

// Close does nothing.
func (w *Worker) Close() {}

// Decode fails.
func (w *Worker) Decode(inspection.Image, Colour, *Picture) error { return errMissing }

// DecodeFor fails.
func (w *Worker) DecodeFor(inspection.Image, []Spec, bool, *Picture) error { return errMissing }

// Measure fails.
func (w *Worker) Measure(*Picture) (inspection.ImageFacts, error) {
	return inspection.ImageFacts{}, errMissing
}

// NewTemplate fails.
func (w *Worker) NewTemplate(inspection.Template, Spec, bool) (*Template, error) {
	return nil, errMissing
}

// Align fails.
func (w *Worker) Align(*Template, *Picture) (Shift, bool, error) { return Shift{}, false, errMissing }

// Fill fails.
func (w *Worker) Fill([]byte, Spec, *Picture, *Template, Shift) (inspection.Placement, error) {
	return inspection.Placement{}, errMissing
}

// FillTile fails.
func (w *Worker) FillTile([]byte, Spec, *Picture, image.Rectangle, *Template, Shift) (inspection.Placement, error) {
	return inspection.Placement{}, errMissing
}

// NewTiledTemplate fails.
func (w *Worker) NewTiledTemplate(inspection.Template, Spec, bool, image.Point) (*Template, error) {
	return nil, errMissing
}

// Picture is 8-bit pixels.
type Picture struct{}

// NewPicture returns an empty picture.
func NewPicture() *Picture { return &Picture{} }

// Width returns 0.
func (p *Picture) Width() int { return 0 }

// Height returns 0.
func (p *Picture) Height() int { return 0 }

// Channels returns 0.
func (p *Picture) Channels() int { return 0 }

// Bytes returns nil.
func (p *Picture) Bytes() []byte { return nil }

// Forget does nothing.
func (p *Picture) Forget() {}

// Close does nothing.
func (p *Picture) Close() {}

// Template is a decoded defect-free picture.
type Template struct{}

// Key returns "".
func (t *Template) Key() string { return "" }

// Close does nothing.
func (t *Template) Close() {}
