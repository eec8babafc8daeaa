package eval

import (
	"math"
	"slices"
)

// ROCPoint is the share of normal and of anomalous things at or above Score.
type ROCPoint struct{ Score, FalseRate, TrueRate float64 }

// ROC is a receiver operating characteristic: points by falling score, the first at 0, 0 (score +Inf).
type ROC struct {
	Points []ROCPoint
	Area   float64 // the probability that an anomalous thing scores above a normal one, equal scores counted half
}

// NewROC makes the curve of scores, which hold no NaN. Its area is NaN where one side is empty.
func NewROC(normal, anomalous []float64) ROC {
	n, a := slices.Sorted(slices.Values(normal)), slices.Sorted(slices.Values(anomalous))
	r := ROC{Points: []ROCPoint{{Score: math.Inf(1)}}, Area: math.NaN()}
	if len(n) == 0 || len(a) == 0 {
		return r
	}
	i, j, area := len(n), len(a), 0.0
	for i > 0 || j > 0 {
		score := math.Inf(-1)
		if i > 0 {
			score = n[i-1]
		}
		if j > 0 {
			score = max(score, a[j-1])
		}
		before, aboves := i, len(a)-j
		for i > 0 && n[i-1] == score {
			i--
		}
		for j > 0 && a[j-1] == score {
			j--
		}
		area += float64(before-i) * float64(aboves+len(a)-j) / 2
		r.Points = append(r.Points, ROCPoint{score, float64(len(n)-i) / float64(len(n)), float64(len(a)-j) / float64(len(a))})
	}
	r.Area = area / float64(len(n)) / float64(len(a))
	return r
}

// levels is how many steps of score a Histogram tells apart.
const levels = 1 << 16

// Histogram counts the pixels of a set by score, in equal steps from the lowest to the highest score there is, so that a
// set of any size takes the same memory.
type Histogram struct {
	low, high         float64
	normal, anomalous []uint64
	// regions sums, for each step, the share that a pixel is of its defect: a defect's pixels together weigh 1.
	regions []float64
	defects int
}

// NewHistogram makes one for scores from low to high; what lies outside is counted at its end.
func NewHistogram(low, high float64) *Histogram {
	return &Histogram{low: low, high: high, normal: make([]uint64, levels), anomalous: make([]uint64, levels), regions: make([]float64, levels)}
}

func (h *Histogram) level(score float64) int {
	if h.high <= h.low {
		return 0
	}
	return int(min(max((score-h.low)/(h.high-h.low)*levels, 0), levels-1))
}

// Add counts one picture's pixels: scores row by row, and which of them are anomalous (nil: none). width is the length of a row.
func (h *Histogram) Add(scores []float64, mask []bool, width int) {
	var region []int32
	var sizes []int
	if mask != nil {
		region, sizes = regions(mask, width)
		h.defects += len(sizes)
	}
	for i, s := range scores {
		l := h.level(s)
		if mask == nil || !mask[i] {
			h.normal[l]++
			continue
		}
		h.anomalous[l]++
		h.regions[l] += 1 / float64(sizes[region[i]])
	}
}

// Merge adds what another of the same range has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i := range h.normal {
		h.normal[i] += o.normal[i]
		h.anomalous[i] += o.anomalous[i]
		h.regions[i] += o.regions[i]
	}
	h.defects += o.defects
}

// Levels is how many steps of score are told apart.
func (h *Histogram) Levels() int { return len(h.normal) }

// Defects is how many separate defects the masks show, pixels that touch at an edge or corner being one.
func (h *Histogram) Defects() int { return h.defects }

// ROC is the pixels' curve. Scores within one step count as equal: the area of the exact scores lies within err of Area.
func (h *Histogram) ROC() (r ROC, err float64) {
	r = ROC{Points: []ROCPoint{{Score: math.Inf(1)}}, Area: math.NaN()}
	n, a := float64(total(h.normal)), float64(total(h.anomalous))
	if n == 0 || a == 0 {
		return r, math.NaN()
	}
	area, seenN, seenA := 0.0, 0.0, 0.0
	for l := len(h.normal) - 1; l >= 0; l-- {
		hn, ha := float64(h.normal[l]), float64(h.anomalous[l])
		if hn == 0 && ha == 0 {
			continue
		}
		area += hn * (seenA + ha/2)
		err += hn * ha / 2
		seenN, seenA = seenN+hn, seenA+ha
		score := h.low + (h.high-h.low)*float64(l)/float64(len(h.normal))
		r.Points = append(r.Points, ROCPoint{score, seenN / n, seenA / a})
	}
	r.Area = area / n / a
	return r, err / n / a
}

// proLimit is the share of normal pixels up to which AUPRO looks, as MVTec AD's own evaluation does.
const proLimit = 0.3

// AUPRO is the mean over all defects of the share of the defect that is found, averaged over the shares of normal pixels
// from 0 to 0.3 that are taken for defects: small defects count as much as large ones. NaN without defects or normal pixels.
func (h *Histogram) AUPRO() float64 {
	n := float64(total(h.normal))
	if n == 0 || h.defects == 0 {
		return math.NaN()
	}
	area, x, y, seen := 0.0, 0.0, 0.0, 0.0
	for l := len(h.normal) - 1; l >= 0 && x < proLimit; l-- {
		seen += float64(h.normal[l])
		nextX, nextY := seen/n, y+h.regions[l]/float64(h.defects)
		if nextX > proLimit {
			nextY = y + (nextY-y)*(proLimit-x)/(nextX-x)
			nextX = proLimit
		}
		area += (nextX - x) * (y + nextY) / 2
		x, y = nextX, nextY
	}
	return area / proLimit
}

func total(xs []uint64) uint64 {
	sum := uint64(0)
	for _, x := range xs {
		sum += x
	}
	return sum
}
