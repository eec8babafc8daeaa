package inspection

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Judge rules on what an engine observed. The verdict is the most careful of everything that speaks, so that a further
// candidate, or a higher score within [0, 1], can only harden it:
//
//	no recipe, or the model did not run to its end      UNDETERMINED  UNKNOWN_RECIPE, MODEL_OUTPUT; candidates are not looked at
//	facts missing or not finite                         UNDETERMINED  MODEL_OUTPUT
//	a candidate that is no number, inverted, out of 0..1 UNDETERMINED MODEL_OUTPUT; it is not kept
//	shift unknown or beyond the limit                   UNDETERMINED  ALIGNMENT
//	picture repeated, or out of the recipe's limits     UNDETERMINED  REPEATED_IMAGE, IMAGE_LIMITS
//	a class without a rule at or above report_at        UNDETERMINED  UNKNOWN_CLASS
//	a called defect                                     FAIL, REVIEW  DEFECT
//	more called defects than allowed                    FAIL          COUNT, also where one of them fails by itself
//	none of these                                       PASS
//
// A defect that reaches reject_at therefore fails a frame whose picture or output was refused as well. Source tells such
// a frame apart: it is SourceModel only where the model's word stands alone, and SourceRule as soon as anything was
// refused, so that false calls alone never turn it into a PASS (see Effective).
//
// A defect is called when its score reaches review_at or reject_at, unless its class is ignored, its longer side is below
// the minimum size (a size in mm that cannot be told, for want of a scale for the view, counts as reached), it lies wholly
// inside one exclude region, or the view has include regions and it touches none.
//
// Defects holds every called defect, first FAIL, then REVIEW, each by falling score, then the best MaxCandidates of the
// others at or above report_at. A candidate of a class without a rule carries UNDETERMINED there. Counting and ruling
// come before the cut.
func (r *Recipe) Judge(o Observation) Ruling {
	switch {
	case r == nil:
		return Ruling{Source: SourceRule, Reason: ReasonUnknownRecipe, Detail: "there is no recipe to rule by"}
	case !o.Completed:
		return Ruling{Source: SourceRule, Reason: ReasonModelOutput, Detail: "the model did not run to its end or an output is missing"}
	}
	c := &court{recipe: r, view: o.View, scale: r.Scale(o.View)}
	c.lookAtFacts(o.Facts)
	for i := range o.Candidates {
		c.hear(i, o.Candidates[i])
	}
	c.count()
	ruling := c.rule()
	ruling.Heatmap = o.Heatmap
	return ruling
}

// court is one sitting of Judge.
type court struct {
	recipe   *Recipe
	view     string
	scale    float64
	refusals []refusal
	called   []Defect
	kept     []Defect
	counts   []string // what was exceeded
}

// refusal is a ground on which no PASS can stand.
type refusal struct {
	reason Reason
	detail string
}

// refuse notes a ground, the first few in words: a broken output can hold thousands.
func (c *court) refuse(reason Reason, format string, args ...any) {
	r := refusal{reason: reason}
	if len(c.refusals) < refusalsInWords {
		r.detail = fmt.Sprintf(format, args...)
	}
	c.refusals = append(c.refusals, r)
}

const refusalsInWords = 5

// lookAtFacts holds the picture against the recipe's image limits. Comparisons are written so that a limit that is no
// number refuses.
func (c *court) lookAtFacts(f *ImageFacts) {
	if f == nil {
		c.refuse(ReasonModelOutput, "the picture was not measured")
		return
	}
	if !finite(f.Mean, f.Contrast, f.Sharpness, f.ShiftX, f.ShiftY) {
		c.refuse(ReasonModelOutput, "a measure of the picture is not finite: mean %v, contrast %v, sharpness %v, shift %v %v", f.Mean, f.Contrast, f.Sharpness, f.ShiftX, f.ShiftY)
		return
	}
	if c.recipe.Reference.Align == AlignTranslation {
		shift, limit := math.Hypot(f.ShiftX, f.ShiftY), c.recipe.Reference.MaxShiftPx
		switch {
		case !f.Aligned:
			c.refuse(ReasonAlignment, "the shift against the reference could not be measured")
		case !(shift <= limit):
			c.refuse(ReasonAlignment, "the picture is shifted by %.2f px against the reference, max_shift_px is %g", shift, limit)
		}
	}
	l := c.recipe.Image
	if l.RefuseRepeated && f.Repeated {
		c.refuse(ReasonRepeatedImage, "the picture equals the camera's frame before")
	}
	c.atLeast("mean", f.Mean, l.MinMean)
	if l.MaxMean != nil && !(f.Mean <= *l.MaxMean) {
		c.refuse(ReasonImageLimits, "mean %.2f is above max_mean %g", f.Mean, *l.MaxMean)
	}
	c.atLeast("contrast", f.Contrast, l.MinContrast)
	c.atLeast("sharpness", f.Sharpness, l.MinSharpness)
}

func (c *court) atLeast(name string, value float64, limit *float64) {
	if limit != nil && !(value >= *limit) {
		c.refuse(ReasonImageLimits, "%s %.2f is below min_%s %g", name, value, name, *limit)
	}
}

// hear rules on one candidate.
func (c *court) hear(i int, k Candidate) {
	switch {
	case !finite(k.Score, k.Box.X1, k.Box.Y1, k.Box.X2, k.Box.Y2):
		c.refuse(ReasonModelOutput, "candidate %d (%s): score %v or box %v is not finite", i, k.Class, k.Score, k.Box)
		return
	case k.Score < 0 || k.Score > 1:
		c.refuse(ReasonModelOutput, "candidate %d (%s): score %v is outside 0..1", i, k.Class, k.Score)
		return
	case k.Box.X2 < k.Box.X1 || k.Box.Y2 < k.Box.Y1:
		c.refuse(ReasonModelOutput, "candidate %d (%s): box %v is inverted", i, k.Class, k.Box)
		return
	}
	d := Defect{Class: k.Class, Score: k.Score, Box: k.Box, Mask: k.Mask, Verdict: Pass}
	if c.scale > 0 && finite(c.scale) {
		s := c.scale
		d.BoxMM = &Box{X1: k.Box.X1 / s, Y1: k.Box.Y1 / s, X2: k.Box.X2 / s, Y2: k.Box.Y2 / s}
	}
	inPlace := c.place(&d)
	report := reaches(k.Score, c.recipe.ReportAt)
	rule, known := c.recipe.Rule(k.Class)
	if known {
		d.Code, d.Severity = rule.Code, rule.Severity
		d.Verdict = c.asks(rule, d, inPlace)
		d.Called = d.Verdict != Pass
	} else if report {
		d.Verdict = Undetermined
		c.refuse(ReasonUnknownClass, "class %q (score %.3f) has no rule in the recipe", k.Class, k.Score)
	}
	switch {
	case d.Called:
		c.called = append(c.called, d)
	case report:
		c.kept = append(c.kept, d)
	}
}

// asks returns what a class rule alone asks for on a defect: FAIL, REVIEW, or PASS when it is not called.
func (c *court) asks(rule ClassRule, d Defect, inPlace bool) Verdict {
	size := max(d.Box.W(), d.Box.H()) + hair
	switch {
	case rule.Ignore, !inPlace, size < rule.MinSizePx:
		return Pass
	case d.BoxMM != nil && size/c.scale < rule.MinSizeMM: // not by BoxMM, whose sides are rounded each by itself
		return Pass
	case reaches(d.Score, rule.RejectAt):
		return Fail
	case reaches(d.Score, rule.ReviewAt):
		return Review
	}
	return Pass
}

// hair is a length in px that rounding may take from a box: a defect that is as long as a limit is called wherever it lies.
const hair = 1e-3

// reaches reports whether a score is a threshold or more. Models say float32, in which 0.9 is less than 0.9.
func reaches(score, threshold float64) bool { return !(float32(score) < float32(threshold)) }

// place writes the region and unit in which a defect lies and reports whether it may be called there. An exclude region
// that covers it comes first; of several include regions that it touches, the one with its centre, else the first.
func (c *court) place(d *Defect) bool {
	var home *Region
	centred, includes := false, false
	centre := Box{X1: (d.Box.X1 + d.Box.X2) / 2, Y1: (d.Box.Y1 + d.Box.Y2) / 2}
	centre.X2, centre.Y2 = centre.X1, centre.Y1
	for i := range c.recipe.Regions {
		g := &c.recipe.Regions[i]
		if !g.applies(c.view) {
			continue
		}
		if g.Exclude {
			if g.covers(d.Box) {
				d.Region, d.Unit = g.Name, g.Unit
				return false
			}
			continue
		}
		includes = true
		if !centred && g.touches(d.Box) {
			at := g.touches(centre)
			if home == nil || at {
				home, centred = g, at
			}
		}
	}
	if home != nil {
		d.Region, d.Unit = home.Name, home.Unit
	}
	return !includes || home != nil
}

// count holds the called defects against the recipe's maximum counts.
func (c *court) count() {
	if limit := c.recipe.MaxDefects; limit > 0 && len(c.called) > limit {
		c.counts = append(c.counts, fmt.Sprintf("%d defects were called, max_defects is %d", len(c.called), limit))
	}
	byClass := map[string]int{}
	for _, d := range c.called {
		byClass[d.Class]++
	}
	for class, n := range byClass {
		if rule, _ := c.recipe.Rule(class); rule.MaxCount > 0 && n > rule.MaxCount {
			c.counts = append(c.counts, fmt.Sprintf("%d of class %s were called, its max_count is %d", n, class, rule.MaxCount))
		}
	}
	slices.Sort(c.counts)
}

// rule sums up.
func (c *court) rule() Ruling {
	slices.SortFunc(c.called, compareDefects)
	slices.SortFunc(c.kept, compareDefects)
	verdicts := []Verdict{Pass}
	out := Ruling{Source: SourceModel}
	var details []string
	if len(c.called) > 0 {
		worst := c.called[0]
		verdicts = append(verdicts, worst.Verdict)
		details = append(details, fmt.Sprintf("%d called, first %s at score %.3f asks for %s", len(c.called), worst.Class, worst.Score, worst.Verdict))
	}
	if len(c.counts) > 0 {
		verdicts = append(verdicts, Fail)
		details = append(details, c.counts...)
	}
	if len(c.refusals) > 0 {
		verdicts = append(verdicts, Undetermined)
		out.Source = SourceRule
		details = append(details, refusalDetails(c.refusals)...)
	}
	out.Verdict = MostCareful(verdicts...)
	out.Reason = c.reason(out.Verdict)
	out.Detail = strings.Join(details, "; ")
	out.Defects = append(c.called, c.kept[:min(len(c.kept), max(c.recipe.MaxCandidates, 0))]...)
	for i := range out.Defects {
		out.Defects[i].ID = i + 1
	}
	return out
}

// reason names the ground on which the verdict stands.
func (c *court) reason(v Verdict) Reason {
	switch v {
	case Pass:
		return ReasonNone
	case Undetermined:
		return firstRefusal(c.refusals).reason
	case Fail:
		if len(c.counts) > 0 { // which stands though a person should clear the worst defect
			return ReasonCount
		}
	case Review:
	}
	return ReasonDefect
}

// refusalOrder says which of several refusals names the reason: what broke comes before what was measured.
var refusalOrder = []Reason{ReasonModelOutput, ReasonRepeatedImage, ReasonImageLimits, ReasonAlignment, ReasonUnknownClass}

func firstRefusal(rs []refusal) refusal {
	return slices.MinFunc(rs, func(a, b refusal) int {
		return cmp.Compare(slices.Index(refusalOrder, a.reason), slices.Index(refusalOrder, b.reason))
	})
}

func refusalDetails(rs []refusal) []string {
	var out []string
	for _, r := range rs[:min(len(rs), refusalsInWords)] {
		out = append(out, r.detail)
	}
	if more := len(rs) - refusalsInWords; more > 0 {
		out = append(out, fmt.Sprintf("and %d more refusals", more))
	}
	return out
}

// compareDefects orders called defects before others, by what they ask for, then by falling score; the rest only makes
// the order the same on every node.
func compareDefects(a, b Defect) int {
	return cmp.Or(
		cmp.Compare(b.calledRank(), a.calledRank()),
		cmp.Compare(b.Score, a.Score),
		cmp.Compare(a.Class, b.Class),
		cmp.Compare(a.Box.Y1, b.Box.Y1), cmp.Compare(a.Box.X1, b.Box.X1),
		cmp.Compare(a.Box.Y2, b.Box.Y2), cmp.Compare(a.Box.X2, b.Box.X2),
	)
}

func (d Defect) calledRank() int {
	if !d.Called {
		return 0
	}
	return 1 + int(d.Verdict.rank())
}
