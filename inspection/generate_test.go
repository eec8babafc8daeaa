package inspection

import (
	"math"
	"time"

	"pgregory.net/rapid"
)

// Generators for the property tests. Values come from small sets, so that thresholds, ties and edges are met often.

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func genScore() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.SampledFrom([]float64{0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.9, 1}), rapid.Float64Range(0, 1))
}

func genClass() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"short", "scratch", "dust", "alien"})
}

func genBox() *rapid.Generator[Box] {
	return rapid.Custom(func(t *rapid.T) Box {
		x, y := rapid.IntRange(0, 60).Draw(t, "x"), rapid.IntRange(0, 60).Draw(t, "y")
		w, h := rapid.IntRange(0, 30).Draw(t, "w"), rapid.IntRange(0, 30).Draw(t, "h")
		return Box{float64(x), float64(y), float64(x + w), float64(y + h)}
	})
}

func genCandidate() *rapid.Generator[Candidate] {
	return rapid.Custom(func(t *rapid.T) Candidate {
		return Candidate{Class: genClass().Draw(t, "class"), Score: genScore().Draw(t, "score"), Box: genBox().Draw(t, "box")}
	})
}

// genBroken is a candidate that no model may give.
func genBroken() *rapid.Generator[Candidate] {
	return rapid.Custom(func(t *rapid.T) Candidate {
		c := genCandidate().Draw(t, "candidate")
		bad := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "bad")
		switch rapid.IntRange(0, 6).Draw(t, "where") {
		case 0:
			c.Score = bad
		case 1:
			c.Box.X1 = bad
		case 2:
			c.Box.Y1 = bad
		case 3:
			c.Box.X2 = bad
		case 4:
			c.Box.Y2 = bad
		case 5:
			c.Score = rapid.SampledFrom([]float64{-0.001, 1.001, -7, 300}).Draw(t, "outside")
		default:
			c.Box.X2 = c.Box.X1 - 1
		}
		return c
	})
}

func genRecipe() *rapid.Generator[*Recipe] {
	return rapid.Custom(func(t *rapid.T) *Recipe {
		r := &Recipe{
			Name: "board", ReportAt: rapid.SampledFrom([]float64{0, 0.05, 0.3}).Draw(t, "report_at"),
			MaxCandidates: rapid.IntRange(0, 3).Draw(t, "max_candidates"), MaxDefects: rapid.IntRange(0, 3).Draw(t, "max_defects"),
			Fallback: rapid.SampledFrom([]Verdict{Undetermined, Review, Fail}).Draw(t, "fallback"),
			Classes:  map[string]ClassRule{},
		}
		if rapid.Bool().Draw(t, "scale") {
			r.PxPerMM = map[string]float64{"*": 4}
		}
		for _, class := range []string{"short", "scratch", "dust"} {
			a, b := genScore().Draw(t, "a"), genScore().Draw(t, "b")
			r.Classes[class] = ClassRule{
				ReviewAt: min(a, b), RejectAt: max(a, b), Ignore: rapid.IntRange(0, 4).Draw(t, "ignore") == 0,
				MinSizePx: rapid.SampledFrom([]float64{0, 0, 10}).Draw(t, "px"), MinSizeMM: rapid.SampledFrom([]float64{0, 0, 3}).Draw(t, "mm"),
				MaxCount: rapid.IntRange(0, 2).Draw(t, "max_count"),
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "regions") {
			b := genBox().Draw(t, "region")
			r.Regions = append(r.Regions, Region{Name: "r", Exclude: rapid.Bool().Draw(t, "exclude"), Polygon: square(b.X1, b.Y1, b.X2+9, b.Y2+9)})
		}
		if rapid.Bool().Draw(t, "limits") {
			r.Image = ImageLimits{MinMean: ptr(50), MaxMean: ptr(200), MinContrast: ptr(10), MinSharpness: ptr(10), RefuseRepeated: true}
		}
		if rapid.IntRange(0, 3).Draw(t, "align") == 0 {
			r.Reference = ReferenceSpec{Align: AlignTranslation, MaxShiftPx: 5}
		}
		return r
	})
}

func genFacts() *rapid.Generator[*ImageFacts] {
	return rapid.Custom(func(t *rapid.T) *ImageFacts {
		pick := func(name string) float64 { return rapid.SampledFrom([]float64{100, 100, 100, 5, 250}).Draw(t, name) }
		return &ImageFacts{
			Width: 100, Height: 100, Mean: pick("mean"), Contrast: pick("contrast"), Sharpness: pick("sharpness"),
			Aligned: rapid.IntRange(0, 4).Draw(t, "aligned") > 0, ShiftX: rapid.SampledFrom([]float64{0, 3, 9}).Draw(t, "shift"),
			Repeated: rapid.IntRange(0, 4).Draw(t, "repeated") == 0,
		}
	})
}

func genObservation() *rapid.Generator[Observation] {
	return rapid.Custom(func(t *rapid.T) Observation {
		return Observation{
			Completed: true, View: "top", Facts: genFacts().Draw(t, "facts"),
			Candidates: rapid.SliceOfN(genCandidate(), 0, 6).Draw(t, "candidates"),
		}
	})
}

func genVerdict() *rapid.Generator[Verdict] {
	return rapid.SampledFrom([]Verdict{Undetermined, Pass, Review, Fail})
}

func genSource() *rapid.Generator[Source] {
	return rapid.SampledFrom([]Source{SourceModel, SourceModel, SourceModel, SourceFallback, SourceRule, SourceCamera, SourceOperator})
}

// genJudgement makes what rooms make, and also what none should: a PASS of a fallback, a PASS with called defects, a
// verdict that is none.
func genJudgement() *rapid.Generator[Judgement] {
	return rapid.Custom(func(t *rapid.T) Judgement {
		j := Judgement{
			Role:    rapid.SampledFrom([]Role{RolePrimary, RoleLate, RoleDuplicate, RoleRejudge, RoleShadow}).Draw(t, "role"),
			Verdict: rapid.OneOf(genVerdict(), rapid.Just(Verdict(9))).Draw(t, "verdict"),
			Source:  genSource().Draw(t, "source"),
			Reason:  rapid.SampledFrom([]Reason{ReasonNone, ReasonDefect, ReasonCount, ReasonDeadline}).Draw(t, "reason"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "defects") {
			d := Defect{ID: i + 1, Called: rapid.Bool().Draw(t, "called"), Verdict: Pass}
			if d.Called {
				d.Verdict = rapid.SampledFrom([]Verdict{Review, Fail}).Draw(t, "asks")
			}
			j.Defects = append(j.Defects, d)
		}
		if rapid.Bool().Draw(t, "consistent") && j.Source == SourceModel {
			j.Verdict = Pass
			for _, d := range j.Defects {
				if d.Called {
					j.Verdict = MostCareful(j.Verdict, d.Verdict)
				}
			}
		}
		return j
	})
}

func genAnnouncement() *rapid.Generator[Announcement] {
	return rapid.Custom(func(t *rapid.T) Announcement {
		return Announcement{Verdict: genVerdict().Draw(t, "verdict"), Source: genSource().Draw(t, "source")}
	})
}

// genDisposition speaks of one of n judgements; some times are equal.
func genDisposition(n int) *rapid.Generator[Disposition] {
	return rapid.Custom(func(t *rapid.T) Disposition {
		return Disposition{
			Kind: rapid.SampledFrom([]DispositionKind{
				RealDefect, FalseCall, FalseCall, FalseCall, FalseCall, FalseCall, Escape, Inconclusive, JudgedGood, JudgedBad, "shrug",
			}).Draw(t, "kind"),
			Judgement: rapid.IntRange(0, max(n-1, 0)).Draw(t, "judgement"),
			DefectID:  rapid.IntRange(1, 3).Draw(t, "defect"),
			At:        epoch.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "at")) * time.Second),
		}
	})
}
