package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/assay-vision/assay/inspection"
)

// Truth is one annotated object. Crowd marks a region in which detections are neither right nor wrong.
type Truth struct {
	Image int
	Class string
	Box   inspection.Box
	Crowd bool
}

// Detection is one thing that was found. Called says that the recipe called it a defect, and is used for Called counts alone.
type Detection struct {
	Image  int
	Class  string
	Score  float64
	Box    inspection.Box
	Called bool
}

// ClassReport is one class's figures. AP is NaN when the set holds no truth of the class.
type ClassReport struct {
	Class      string
	AP         float64
	Truths     int // crowd regions not counted
	Detections int // inside crowd regions not counted
	Counts         // at the recipe's own thresholds
	Curve      []PRPoint
}

// PRPoint is what recall and precision are when every detection from Score on is called. A curve's scores fall and its
// recall rises.
type PRPoint struct{ Score, Recall, Precision float64 }

// Counts are the outcomes of the called detections.
type Counts struct {
	Right  int // called and matched
	Wrong  int // called and not matched
	Missed int // truths that no called detection matched
}

// Precision is the share of called detections that are right, NaN when nothing was called.
func (c Counts) Precision() float64 { return ratio(c.Right, c.Right+c.Wrong) }

// Recall is the share of truths that were called, NaN when there are none.
func (c Counts) Recall() float64 { return ratio(c.Right, c.Right+c.Missed) }

// F is the harmonic mean of precision and recall, 2PR/(P+R).
func (c Counts) F() float64 { return ratio(2*c.Right, 2*c.Right+c.Wrong+c.Missed) }

func ratio(a, b int) float64 {
	if b == 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}

// Report is the outcome of Evaluate.
type Report struct {
	IoU     float64
	Classes []ClassReport // in the order asked for
	MeanAP  float64       // over the classes that have truths; NaN when none has
	Total   Counts
}

// Truths is how many truths all classes have together, crowd regions not counted.
func (r Report) Truths() int {
	n := 0
	for _, c := range r.Classes {
		n += c.Truths
	}
	return n
}

// Evaluate computes average precision per class at one IoU threshold.
//
// Detections of a class are taken over the whole set by falling score (ties by image, then by the order given). A
// detection is right if its IoU with a not yet matched truth of its class and image exceeds iou; of several it takes the
// one that it overlaps most. One that overlaps a crowd region by more than iou of its own area, and no truth, is left out.
// AP is the area under the precision envelope over recall at every recall that was reached (no 11- or 101-point
// sampling). iou lies in (0, 1). Detections or truths of a class that is not in classes are an error.
func Evaluate(classes []string, truths []Truth, detections []Detection, iou float64) (Report, error) {
	if !(iou > 0 && iou < 1) {
		return Report{}, fmt.Errorf("iou %v: give more than 0 and less than 1", iou)
	}
	for i, t := range truths {
		if !slices.Contains(classes, t.Class) {
			return Report{}, fmt.Errorf("truth %d is of class %q, which is none of %q", i, t.Class, classes)
		}
	}
	for i, d := range detections {
		if !slices.Contains(classes, d.Class) {
			return Report{}, fmt.Errorf("detection %d is of class %q, which is none of %q", i, d.Class, classes)
		}
		if math.IsNaN(d.Score) {
			return Report{}, fmt.Errorf("detection %d has no score", i)
		}
	}
	report := Report{IoU: iou, MeanAP: math.NaN()}
	sum, n := 0.0, 0
	for _, class := range classes {
		c := evaluateClass(class, truths, detections, iou)
		report.Classes = append(report.Classes, c)
		report.Total.Right += c.Right
		report.Total.Wrong += c.Wrong
		report.Total.Missed += c.Missed
		if c.Truths > 0 {
			sum, n = sum+c.AP, n+1
		}
	}
	if n > 0 {
		report.MeanAP = sum / float64(n)
	}
	return report, nil
}

func evaluateClass(class string, truths []Truth, detections []Detection, iou float64) ClassReport {
	report := ClassReport{Class: class, AP: math.NaN()}
	byImage := map[int][]*candidate{}
	for _, t := range truths {
		if t.Class != class {
			continue
		}
		byImage[t.Image] = append(byImage[t.Image], &candidate{Truth: t})
		if !t.Crowd {
			report.Truths++
		}
	}
	var mine []Detection
	for _, d := range detections {
		if d.Class == class {
			mine = append(mine, d)
		}
	}
	slices.SortStableFunc(mine, func(a, b Detection) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Image, b.Image))
	})
	var right []bool // of each counted detection, by falling score
	var scores []float64
	for _, d := range mine {
		hit, ignored := match(d, byImage[d.Image], iou)
		if ignored {
			continue
		}
		right, scores = append(right, hit), append(scores, d.Score)
		switch {
		case d.Called && hit:
			report.Right++
		case d.Called:
			report.Wrong++
		}
	}
	report.Detections = len(right)
	report.Missed = report.Truths - report.Right
	if report.Truths > 0 {
		report.AP = averagePrecision(right, report.Truths)
		report.Curve = prCurve(right, scores, report.Truths)
	}
	return report
}

// prCurve has one point for each different score; detections of one score are called together.
func prCurve(right []bool, scores []float64, truths int) []PRPoint {
	var curve []PRPoint
	hits := 0
	for i, r := range right {
		if r {
			hits++
		}
		if i+1 == len(right) || scores[i+1] != scores[i] {
			curve = append(curve, PRPoint{scores[i], float64(hits) / float64(truths), float64(hits) / float64(i+1)})
		}
	}
	return curve
}

type candidate struct {
	Truth
	taken bool
}

// match takes the truth that d overlaps most, and says whether there was one, and whether d lies in a crowd instead.
func match(d Detection, truths []*candidate, iou float64) (hit, ignored bool) {
	var best *candidate
	most := iou
	for _, t := range truths {
		if t.taken || t.Crowd {
			continue
		}
		if o := IoU(d.Box, t.Box); o > most {
			best, most = t, o
		}
	}
	if best != nil {
		best.taken = true
		return true, false
	}
	for _, t := range truths {
		if t.Crowd && intersection(d.Box, t.Box) > iou*area(d.Box) {
			return false, true
		}
	}
	return false, false
}

// averagePrecision is the area under the precision envelope: at each newly reached recall, the best precision from there on.
func averagePrecision(right []bool, truths int) float64 {
	precision := make([]float64, len(right))
	hits := 0
	for i, r := range right {
		if r {
			hits++
		}
		precision[i] = float64(hits) / float64(i+1)
	}
	sum, best := 0.0, 0.0
	for i := len(right) - 1; i >= 0; i-- {
		best = max(best, precision[i])
		if right[i] {
			sum += best
		}
	}
	return sum / float64(truths)
}

// IoU returns the intersection over union of two boxes in the same unit, 0 when either is empty.
func IoU(a, b inspection.Box) float64 {
	i := intersection(a, b)
	if i <= 0 {
		return 0
	}
	return i / (area(a) + area(b) - i)
}

func intersection(a, b inspection.Box) float64 {
	w := min(a.X2, b.X2) - max(a.X1, b.X1)
	h := min(a.Y2, b.Y2) - max(a.Y1, b.Y1)
	return max(w, 0) * max(h, 0)
}

func area(b inspection.Box) float64 { return max(b.W(), 0) * max(b.H(), 0) }
