package decode

import (
	"fmt"
	"math"

	"github.com/assay-vision/assay/inspection"
)

// Bounds of the masks of one sample. The strongest candidates get theirs; those beyond the bounds are candidates like any
// other, without a mask: no evidence is lost, and no frame takes its worker for seconds.
const (
	maxMasks    = 300
	maxMaskArea = 1 << 25 // px of the frame that their boxes cover together; the first has its mask whatever it covers
)

// prototypes are the maps that a candidate's coefficients are multiplied with: M of them, spread over the whole input. The zero
// value has none.
type prototypes struct{ tensor }

// count returns the number of prototypes.
func (p prototypes) count() int {
	if p.shape == nil {
		return 0
	}
	return int(p.shape[0])
}

// fit checks that the rows of an output, width numbers each, hold size numbers and a coefficient for each prototype.
func (p prototypes) fit(out tensor, width, size int) error {
	if want := size + p.count(); width != want {
		return fmt.Errorf("%w: output %q has %d numbers for each box, want %d and one for each of %d prototypes: correct labels", inspection.ErrModelOutput, out.name, width, size, p.count())
	}
	return nil
}

// maskScratch is memory that masks are made in.
type maskScratch struct {
	coefficients []float32
	logits, line []float32
	columns      []tap
	bits         []bool
}

// tap says between which two values of a line a pixel lies: at and at+1, the second counting for part of 1.
type tap struct {
	at   int
	part float32
}

// addMasks gives each of the list's candidates its mask: the pixels of its box whose coefficients and prototypes, multiplied,
// added up and read between the prototypes' values as bilinear interpolation does, are 0 or more. That is where their sigmoid is
// 0.5 or more. coefficients reads those of a row.
func (l *list) addMasks(out []inspection.Candidate, p prototypes, coefficients func(row int, into []float32)) {
	if p.count() == 0 {
		return
	}
	s := &l.masks
	s.coefficients = resized(s.coefficients, p.count())
	area := 0
	for i := range out[:min(len(out), maxMasks)] {
		w := windowOf(out[i].Box)
		if area += w.width() * w.height(); i > 0 && area > maxMaskArea {
			return
		}
		coefficients(l.found[i].row, s.coefficients)
		out[i].Mask = l.mask(w, p)
	}
}

// window is a rectangle of whole pixels of the frame: x1, y1 belong to it, x2, y2 do not.
type window struct{ x1, y1, x2, y2 int }

// windowOf returns the pixels whose centres lie in a box. There may be none.
func windowOf(b inspection.Box) window {
	at := func(v float64) int { return int(math.Ceil(v - 0.5)) }
	return window{at(b.X1), at(b.Y1), at(b.X2), at(b.Y2)}
}

func (w window) width() int  { return w.x2 - w.x1 }
func (w window) height() int { return w.y2 - w.y1 }

// mask makes the mask of a window from the coefficients in the scratch.
func (l *list) mask(w window, p prototypes) *inspection.Mask {
	s, place := &l.masks, l.place
	s.bits = resized(s.bits, w.width()*w.height())
	if len(s.bits) > 0 {
		across := axis{place.ScaleX, place.OffsetX, float64(p.shape[2]) / l.base.width, int(p.shape[2])}
		down := axis{place.ScaleY, place.OffsetY, float64(p.shape[1]) / l.base.height, int(p.shape[1])}
		left, right := across.tap(w.x1).at, across.tap(w.x2-1).at+1
		top, bottom := down.tap(w.y1).at, down.tap(w.y2-1).at+1
		s.multiply(p, left, top, right+1, bottom+1)
		s.columns = resized(s.columns, w.width())
		for x := range s.columns {
			s.columns[x] = across.tap(w.x1 + x)
			s.columns[x].at -= left
		}
		for y := range w.height() {
			t := down.tap(w.y1 + y)
			s.readLine(t.at-top, t.part, right+1-left, s.bits[y*w.width():(y+1)*w.width()])
		}
	}
	return inspection.EncodeMask(place.Width, place.Height, w.x1, w.y1, w.width(), w.height(), s.bits)
}

// axis says how pixels of the frame lie among the prototypes' values along one axis.
type axis struct {
	scale, offset float64 // frame to input
	shrink        float64 // input to prototypes
	n             int     // values
}

// tap returns where a pixel's centre lies. Beyond the outermost values' centres the outermost count.
func (a axis) tap(pixel int) tap {
	at := ((float64(pixel)+0.5)*a.scale+a.offset)*a.shrink - 0.5
	at = min(max(at, 0), float64(a.n-1))
	low := min(int(at), max(a.n-2, 0))
	return tap{low, float32(at - float64(low))}
}

// multiply fills logits with the coefficients times the prototypes, over a rectangle of their values. What of it lies beyond the
// last row or column, as a map of one row or column needs, is 0, and counts for nothing there.
func (s *maskScratch) multiply(p prototypes, x1, y1, x2, y2 int) {
	h, w := int(p.shape[1]), int(p.shape[2])
	width, inside := x2-x1, min(x2, w)-x1
	s.logits = resized(s.logits, width*(y2-y1))
	clear(s.logits)
	for k, c := range s.coefficients {
		for y := y1; y < min(y2, h); y++ {
			from := (k*h+y)*w + x1
			into := s.logits[(y-y1)*width:]
			for x, v := range p.data[from : from+inside] {
				into[x] += c * v
			}
		}
	}
}

// readLine says which pixels of a line of the frame belong. The line lies part of the way from row at of the logits to the next.
func (s *maskScratch) readLine(at int, part float32, width int, bits []bool) {
	s.line = resized(s.line, width)
	upper, lower := s.logits[at*width:(at+1)*width], s.logits[(at+1)*width:(at+2)*width]
	for i := range s.line {
		s.line[i] = upper[i] + part*(lower[i]-upper[i])
	}
	for x, c := range s.columns {
		a, b := s.line[c.at], s.line[c.at+1]
		bits[x] = a+c.part*(b-a) >= 0
	}
}

// resized returns a slice of length n that uses the memory of s where that is enough. What it holds is anything.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
