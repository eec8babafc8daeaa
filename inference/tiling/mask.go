package tiling

import (
	"fmt"
	"image"
	"math"

	"github.com/assay-vision/assay/inspection"
)

// window is a part of the frame and which of its pixels belong, row by row.
type window struct {
	at   image.Rectangle // px of the frame
	bits []bool
}

// cutOut takes the pixels of a tile's mask that lie in the box, in pixels of the tile, and what else the mask holds.
func cutOut(m *inspection.Mask, tile image.Rectangle, b inspection.Box) (window, error) {
	if m.Width != tile.Dx() || m.Height != tile.Dy() {
		return window{}, fmt.Errorf("%w: a mask of %d x %d px for a tile of %d x %d", inspection.ErrModelOutput, m.Width, m.Height, tile.Dx(), tile.Dy())
	}
	all, err := m.Decode()
	if err != nil {
		return window{}, fmt.Errorf("%w: %w", inspection.ErrModelOutput, err)
	}
	w := window{at: image.Rect(int(math.Floor(b.X1)), int(math.Floor(b.Y1)), int(math.Ceil(b.X2)), int(math.Ceil(b.Y2)))}
	for i, set := range all {
		if set {
			x, y := i%m.Width, i/m.Width
			w.at = w.at.Union(image.Rect(x, y, x+1, y+1))
		}
	}
	w.at = w.at.Intersect(image.Rect(0, 0, m.Width, m.Height))
	w.bits = make([]bool, 0, w.at.Dx()*w.at.Dy())
	for y := w.at.Min.Y; y < w.at.Max.Y; y++ {
		w.bits = append(w.bits, all[y*m.Width+w.at.Min.X:y*m.Width+w.at.Max.X]...)
	}
	w.at = w.at.Add(tile.Min)
	return w, nil
}

// join makes the frame's mask of what belongs to any of the windows.
func (g Grid) join(ws []window) *inspection.Mask {
	var all image.Rectangle
	for _, w := range ws {
		all = all.Union(w.at)
	}
	bits := make([]bool, all.Dx()*all.Dy())
	for _, w := range ws {
		for y := range w.at.Dy() {
			to := bits[(w.at.Min.Y+y-all.Min.Y)*all.Dx()+w.at.Min.X-all.Min.X:]
			for x, set := range w.bits[y*w.at.Dx() : (y+1)*w.at.Dx()] {
				to[x] = to[x] || set
			}
		}
	}
	return inspection.EncodeMask(g.Width, g.Height, all.Min.X, all.Min.Y, all.Dx(), all.Dy(), bits)
}
