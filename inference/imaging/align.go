//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"image"
	"math"

	"gocv.io/x/gocv"
)

// coarseSide is the longer side in px at which the first guess is made, by phase correlation.
const coarseSide = 128

// finePixels is about how many pixels one comparison of the fine search looks at.
const finePixels = 200_000

// coarse returns the size of the small picture and how many px of the full one lie in one of its.
func coarse(w, h int) (size image.Point, factor float64) {
	factor = max(float64(max(w, h))/coarseSide, 1)
	shrink := func(n int) int { return max(int(math.Round(float64(n)/factor)), 2) }
	return image.Pt(shrink(w), shrink(h)), factor
}

// shrink writes the small float form of a grey picture into dst.
func (w *Worker) shrink(gray *Picture, dst *gocv.Mat) error {
	size, _ := coarse(gray.w, gray.h)
	if err := w.small.resize(gray, size.X, size.Y, gocv.InterpolationArea); err != nil {
		return err
	}
	m, err := w.small.mat()
	if err != nil {
		return err
	}
	defer m.Close()
	return m.ConvertTo(dst, gocv.MatTypeCV32F)
}

// Align measures the shift of p against t, to about half a px. Two guesses, by phase correlation and no shift at all, are
// each walked downhill in squared difference, one px at a time; the better end wins, refined by a parabola. ok is false
// where there is nothing to measure: a picture without any contrast. t must have been made to align. An error wraps
// inspection.ErrImage when the sizes differ.
func (w *Worker) Align(t *Template, p *Picture) (s Shift, ok bool, err error) {
	if err := t.sameSize(p); err != nil {
		return Shift{}, false, err
	}
	gray, err := w.grayOf(p)
	if err != nil {
		return Shift{}, false, fmt.Errorf("align picture: %w", err)
	}
	reference := &t.full
	if reference.c == 3 {
		reference = &t.gray
	}
	if isFlat(gray) || isFlat(reference) {
		return Shift{}, false, nil
	}
	guess, err := w.correlate(t, gray)
	if err != nil {
		return Shift{}, false, fmt.Errorf("align picture: %w", err)
	}
	f := finder{frame: gray, reference: reference, step: max(gray.w*gray.h/finePixels, 1), seen: map[image.Point]float64{}}
	best := f.descend(guess)
	if other := f.descend(image.Point{}); f.at(other) < f.at(best) {
		best = other
	}
	return f.refine(best), true, nil
}

func isFlat(p *Picture) bool {
	for _, v := range p.buf {
		if v != p.buf[0] {
			return false
		}
	}
	return true
}

// correlate returns the first guess in whole px of the frame.
func (w *Worker) correlate(t *Template, gray *Picture) (image.Point, error) {
	small := gocv.NewMat()
	defer small.Close()
	if err := w.shrink(gray, &small); err != nil {
		return image.Point{}, err
	}
	found, _ := gocv.PhaseCorrelate(t.small, small, t.window)
	size, _ := coarse(gray.w, gray.h)
	x, y := float64(found.X)*float64(gray.w)/float64(size.X), float64(found.Y)*float64(gray.h)/float64(size.Y)
	if math.IsNaN(x) || math.IsNaN(y) || math.Abs(x) > float64(gray.w) || math.Abs(y) > float64(gray.h) {
		return image.Point{}, nil
	}
	return image.Pt(int(math.Round(x)), int(math.Round(y))), nil
}

// finder looks for the least squared difference between a frame and its reference.
type finder struct {
	frame, reference *Picture
	step             int
	seen             map[image.Point]float64
}

// at returns the mean squared difference at a shift, infinite where too little of the two overlaps to mean anything.
func (f *finder) at(s image.Point) float64 {
	if d, ok := f.seen[s]; ok {
		return d
	}
	d := math.Inf(1)
	if 2*abs(s.X) < f.frame.w && 2*abs(s.Y) < f.frame.h {
		d = shiftedDistance(f.frame, f.reference, s.X, s.Y, f.step)
	}
	f.seen[s] = d
	return d
}

// maxSteps bounds one walk downhill; a guess is off by a few px.
const maxSteps = 16

func (f *finder) descend(s image.Point) image.Point {
	for range maxSteps {
		next := s
		for _, d := range [...]image.Point{{X: -1}, {X: 1}, {Y: -1}, {Y: 1}, {X: -1, Y: -1}, {X: 1, Y: -1}, {X: -1, Y: 1}, {X: 1, Y: 1}} {
			if f.at(s.Add(d)) < f.at(next) {
				next = s.Add(d)
			}
		}
		if next == s {
			break
		}
		s = next
	}
	return s
}

// refine places the least difference between pixels, by a parabola through both neighbours on each axis.
func (f *finder) refine(s image.Point) Shift {
	axis := func(d image.Point) float64 {
		before, here, after := f.at(s.Sub(d)), f.at(s), f.at(s.Add(d))
		bend := before - 2*here + after
		if !(bend > 0) || math.IsInf(bend, 1) {
			return 0
		}
		return min(max((before-after)/(2*bend), -0.5), 0.5)
	}
	return Shift{X: float64(s.X) + axis(image.Pt(1, 0)), Y: float64(s.Y) + axis(image.Pt(0, 1))}
}

func abs(n int) int { return max(n, -n) }
