package decode

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// boxReader reads boxes that are written as a manifest says.
type boxReader struct {
	corners        func(b []float32) inspection.Box
	scaleX, scaleY float64 // box unit to pixels of the input
}

func newBoxReader(m models.Manifest) (boxReader, error) {
	r := boxReader{scaleX: 1, scaleY: 1}
	if m.Output.BoxUnit == models.BoxNormalized {
		r.scaleX, r.scaleY = float64(m.Inputs[0].Width), float64(m.Inputs[0].Height)
	}
	switch m.Output.BoxFormat {
	case models.BoxXYXY:
		r.corners = corners
	case models.BoxYXYX:
		r.corners = func(b []float32) inspection.Box {
			return inspection.Box{X1: float64(b[1]), Y1: float64(b[0]), X2: float64(b[3]), Y2: float64(b[2])}
		}
	case models.BoxCXCYWH:
		r.corners = func(b []float32) inspection.Box { return centred(b[0], b[1], b[2], b[3]) }
	default:
		return boxReader{}, fmt.Errorf("%w: output.box_format: no format is called %q", inspection.ErrInvalid, m.Output.BoxFormat)
	}
	return r, nil
}

// box returns the box of four numbers in pixels of the input.
func (r boxReader) box(b []float32) inspection.Box {
	return scaled(r.corners(b), r.scaleX, r.scaleY)
}

// corners reads x1 y1 x2 y2.
func corners(b []float32) inspection.Box {
	return inspection.Box{X1: float64(b[0]), Y1: float64(b[1]), X2: float64(b[2]), Y2: float64(b[3])}
}

// centred returns the box about a point.
func centred(cx, cy, w, h float32) inspection.Box {
	x, y, halfW, halfH := float64(cx), float64(cy), float64(w)/2, float64(h)/2
	return inspection.Box{X1: x - halfW, Y1: y - halfH, X2: x + halfW, Y2: y + halfH}
}

func scaled(b inspection.Box, x, y float64) inspection.Box {
	return inspection.Box{X1: b.X1 * x, Y1: b.Y1 * y, X2: b.X2 * x, Y2: b.Y2 * y}
}
