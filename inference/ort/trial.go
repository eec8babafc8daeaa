package ort

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/models"
)

// How far the answers to one picture may be apart. What the trial is to find is gross, such as nothing at all for the second
// sample. What it must bear is that a kernel adds up in another order for two samples, rounds to half precision, or comes out
// at the next step of int8, which is 1/255 of the range.
const (
	ofLargest = 1e-2 // of the output's largest number
	ofNumber  = 1e-2 // of the smaller of the two numbers, on top
	ofAll     = 0.1  // of the numbers that are not 0 may differ more: a choice among near equals fell the other way
)

// fillNoise fills every sample of a batch with the same made-up picture: noise, the same at each load, in the range that pixels
// have in the tensor.
func (t *tensors) fillNoise() {
	for i, in := range t.session.manifest.Inputs {
		slab, rng := t.slabs[i], rand.New(rand.NewPCG(1, uint64(i)))
		sample := slab[:len(slab)/t.size]
		if in.Type == models.Uint8 {
			for k := range sample {
				sample[k] = byte(rng.IntN(256))
			}
		} else {
			values := asFloats(sample)
			for k := range values {
				values[k] = float32((float64(rng.IntN(256))*in.Scale - in.Mean[0]) / in.Std[0])
			}
		}
		for at := 1; at < t.size; at++ {
			copy(slab[at*len(sample):], sample)
		}
	}
}

// unlike says which output of a batch of 2 is not the same for both samples, which are the same picture, or not as that of the
// picture alone; "" where all are. alone is nil where the picture alone does not run. Of outputs whose rows are what was found, the
// order of rows does not count, and their number may depend on the batch.
func (s *Session) unlike(two, alone []decode.Output) string {
	axes := s.manifest.OutputAxes()
	for _, role := range slices.Sorted(maps.Keys(axes)) {
		name := s.manifest.Output.Tensors[role]
		at := slices.Index(s.outputs, name)
		if _, ok := models.AxesOfRank(axes[role], len(two[at].Shape)); !ok { // which no decoder reads
			continue
		}
		found := slices.IndexFunc(axes[role], func(a models.Axis) bool { return a.Empty })
		parts := [][]float32{two[at].Data[:len(two[at].Data)/2], two[at].Data[len(two[at].Data)/2:]}
		if alone != nil && (found < 0 || len(alone[at].Data) == len(parts[0])) {
			parts = append(parts, alone[at].Data)
		}
		if found >= 0 {
			width := 1
			for _, n := range two[at].Shape[found+1:] {
				width *= int(n)
			}
			for i, p := range parts {
				parts[i] = sortedColumns(p, width)
			}
		}
		switch {
		case differ(parts[0], parts[1]):
			return fmt.Sprintf("output %q of a batch of 2 is not the same for both samples when they are the same picture", name)
		case len(parts) > 2 && differ(parts[0], parts[2]):
			return fmt.Sprintf("output %q of a picture is not the same in a batch of 2 as alone", name)
		}
	}
	return ""
}

// sortedColumns sorts each column of rows so wide by itself.
func sortedColumns(rows []float32, width int) []float32 {
	out := make([]float32, 0, len(rows))
	for c := range width {
		from := len(out)
		for i := c; i < len(rows); i += width {
			out = append(out, rows[i])
		}
		slices.Sort(out[from:])
	}
	return out
}

// differ reports whether two answers to one picture are further apart than kernels make them. No number is like no number.
func differ(a, b []float32) bool {
	if len(a) != len(b) {
		return true
	}
	largest := 0.0
	for _, v := range slices.Concat(a, b) {
		if v := math.Abs(float64(v)); v <= math.MaxFloat32 {
			largest = max(largest, v)
		}
	}
	told, off := 0, 0
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if x == 0 && y == 0 {
			continue
		}
		told++
		alike := x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= ofLargest*largest+ofNumber*min(math.Abs(x), math.Abs(y))
		if !alike {
			off++
		}
	}
	return float64(off) > ofAll*float64(told)
}
