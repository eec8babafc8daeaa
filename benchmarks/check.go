package benchmarks

import (
	"math"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// How far a served answer may lie from the raw one: a batch of another size adds up floats in another order.
const (
	scoreSlack = 0.01
	boxSlack   = 1.0 // px of the frame, or a hundredth of the box where that is more
)

// reportAt is the recipes' floor of what is reported.
const reportAt = 0.05

// checker compares served answers with what the raw model found in the same picture, by each of its graphs: which of them a
// node runs is its own choice.
type checker [][][]inspection.Candidate // by graph, then picture

// right reports whether an answer names what was expected of a picture, all of it and nothing else. What lies at the floor
// may be there or not.
func (c checker) right(picture int, a *assayv1.Answer) bool {
	j := proto.ToJudgement(a.GetJudgement())
	for _, found := range c {
		if agrees(j, found[picture%len(found)]) {
			return true
		}
	}
	return false
}

func agrees(j inspection.Judgement, expected []inspection.Candidate) bool {
	taken := make([]bool, len(expected))
	fails := false
	for _, d := range j.Defects {
		if !match(d, expected, taken) && d.Score > reportAt+scoreSlack {
			return false
		}
		fails = fails || d.Called
	}
	for i, e := range expected {
		if !taken[i] && e.Score > reportAt+scoreSlack {
			return false
		}
	}
	if fails {
		return j.Verdict == inspection.Fail
	}
	return j.Verdict == inspection.Pass
}

// match takes the first expected candidate that a defect can be.
func match(d inspection.Defect, expected []inspection.Candidate, taken []bool) bool {
	for i, e := range expected {
		if !taken[i] && e.Class == d.Class && math.Abs(e.Score-d.Score) <= scoreSlack && near(e.Box, d.Box) {
			taken[i] = true
			return true
		}
	}
	return false
}

func near(a, b inspection.Box) bool {
	slack := max(boxSlack, 0.01*max(a.W(), a.H()))
	for _, d := range [...]float64{a.X1 - b.X1, a.Y1 - b.Y1, a.X2 - b.X2, a.Y2 - b.Y2} {
		if !(math.Abs(d) <= slack) {
			return false
		}
	}
	return true
}
