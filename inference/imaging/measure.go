//go:build gocv_specific_modules

package imaging

import (
	"fmt"
	"math"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/inspection"
)

// Measure returns the facts of a decoded picture: its size, and mean, contrast and sharpness of its grey form.
func (w *Worker) Measure(p *Picture) (inspection.ImageFacts, error) {
	gray, err := w.grayOf(p)
	if err != nil {
		return inspection.ImageFacts{}, fmt.Errorf("measure picture: %w", err)
	}
	mean, variance, sharpness := moments(gray)
	return inspection.ImageFacts{Width: p.w, Height: p.h, Mean: mean, Contrast: math.Sqrt(variance), Sharpness: sharpness}, nil
}

// grayOf returns p itself when it is grey, else its grey form in the worker's scratch, good until the next call.
func (w *Worker) grayOf(p *Picture) (*Picture, error) {
	if p.c == 1 {
		return p, nil
	}
	if err := w.gray.convert(p, 1, gocv.ColorBGRToGray); err != nil {
		return nil, err
	}
	return &w.gray, nil
}
