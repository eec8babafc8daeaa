package inspection

import (
	"cmp"
	"slices"
)

// Effective folds everything that is known of one frame into its effective verdict. It does not depend on the order of js
// or announced (beyond the indices that dispositions name).
//
// The evidence comes first. The verdict is the most careful of every announcement and of every judgement that is no
// shadow; nothing at all is UNDETERMINED. A judgement never counts milder than its called defects ask for. PASS counts
// only from a judgement whose source is SourceModel, and as an announcement only where a primary judgement of a model
// says PASS, for a later one cannot be what was announced; any other PASS counts as UNDETERMINED. So evidence that comes
// late can harden and never soften.
//
// A person's words rule over the evidence. They are ordered by At, then by index, and the latest on a target wins; a word
// that was overtaken counts as never said. A false call takes its defect out of the evidence. A judgement falls to what
// its remaining called defects ask for, and one that failed by count only when all of them are false calls; it falls to
// PASS only where a model's word stood alone, and to UNDETERMINED where Judge had refused picture or output (SourceRule).
// Fallbacks, the camera's own announcements and UNDETERMINED are not explained by defects and stay. An announcement of
// REVIEW or FAIL with SourceModel repeats a model's verdict and falls with it.
//
//	target      word           effect
//	frame       judged_good    PASS, over all that was said before it and over the evidence
//	frame       judged_bad     FAIL
//	frame       inconclusive   the evidence with the false calls taken out, at least REVIEW
//	a defect    real           FAIL, also when it comes after judged_good; an earlier one yields to judged_good
//	a defect    false_call     the defect no longer counts; judged_bad, inconclusive and escape outlast it
//	no defect   escape         FAIL, also when it comes after judged_good; an earlier one yields to judged_good
//
// A word that names no defect of js softens nothing, and a kind that is none of these is not heard.
func Effective(js []Judgement, announced []Announcement, ds []Disposition) Effect {
	w := listen(ds)
	if w.bad {
		return Effect{Verdict: Fail, Source: SourceOperator, Reason: ReasonDefect}
	}
	if w.frame == JudgedGood {
		return Effect{Verdict: Pass, Source: SourceOperator}
	}
	e := evidence(js, announced, w)
	if w.frame == Inconclusive && Review.MoreCareful(e.Verdict) {
		return Effect{Verdict: Review, Source: SourceOperator}
	}
	return e
}

// target names one defect.
type target struct{ judgement, defect int }

// words is what stands of the dispositions.
type words struct {
	frame DispositionKind     // the ruling word on the frame, empty when there is none
	bad   bool                // judged_bad rules, or a real defect or an escape stands
	falls map[target]struct{} // defects whose latest word is false_call
}

func listen(ds []Disposition) words {
	order := make([]int, len(ds))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return ds[a].At.Compare(ds[b].At) })

	w := words{falls: map[target]struct{}{}}
	real := map[target]int{} // to the place of the word in the order
	frameAt, escapeAt := -1, -1
	for at, i := range order {
		t := target{ds[i].Judgement, ds[i].DefectID}
		switch ds[i].Kind {
		case JudgedGood, JudgedBad, Inconclusive:
			w.frame, frameAt = ds[i].Kind, at
		case Escape:
			escapeAt = at
		case RealDefect:
			real[t] = at
			delete(w.falls, t)
		case FalseCall:
			delete(real, t)
			w.falls[t] = struct{}{}
		}
	}
	since := -1 // only a judged_good that rules takes back what was said before it
	if w.frame == JudgedGood {
		since = frameAt
	}
	w.bad = w.frame == JudgedBad || escapeAt > since
	for _, at := range real {
		w.bad = w.bad || at > since
	}
	return w
}

// evidence folds judgements and announcements, with the false calls taken out.
func evidence(js []Judgement, announced []Announcement, w words) Effect {
	var claims []Effect
	inferred := false  // a primary model judgement says PASS
	repeatable := Pass // the most careful verdict that a model's called defects explain
	for i, j := range js {
		if j.Role == RoleShadow {
			continue
		}
		claims = append(claims, claim(i, j, w.falls))
		if j.Source != SourceModel {
			continue
		}
		if v := weigh(j); v == Pass {
			inferred = inferred || j.Role == RolePrimary
		} else if j.explained() && v.MoreCareful(repeatable) {
			repeatable = v
		}
	}
	for _, a := range announced {
		e := Effect{Verdict: a.Verdict, Source: a.Source, Reason: a.Reason}
		switch {
		case !a.Verdict.Valid(), a.Verdict == Pass && !inferred:
			e.Verdict = Undetermined
		case a.Source == SourceModel && (a.Verdict == Review || a.Verdict == Fail) && !a.Verdict.MoreCareful(repeatable):
			continue // says again what a judgement among the claims says
		}
		claims = append(claims, e)
	}
	if len(claims) == 0 {
		return Effect{}
	}
	return slices.MaxFunc(claims, compareEffects)
}

// weigh returns what a judgement counts for before a person spoke.
func weigh(j Judgement) Verdict {
	v := j.Verdict
	if !v.Valid() || (v == Pass && j.Source != SourceModel) {
		v = Undetermined
	}
	for _, d := range j.Defects {
		if d.Called {
			v = MostCareful(v, d.Verdict)
		}
	}
	return v
}

// explained reports whether the judgement's verdict stands on called defects alone: a model's, REVIEW or FAIL.
func (j Judgement) explained() bool {
	return j.Source == SourceModel && (j.Verdict == Review || j.Verdict == Fail) &&
		slices.ContainsFunc(j.Defects, func(d Defect) bool { return d.Called })
}

// claim returns what a judgement counts for once the false calls are taken out.
func claim(index int, j Judgement, falls map[target]struct{}) Effect {
	whole := weigh(j)
	e := Effect{Verdict: whole, Source: j.Source, Reason: j.Reason}
	if j.Source != SourceModel && j.Source != SourceRule {
		return e
	}
	all, rest := Pass, Pass
	called, fallen := 0, 0
	for _, d := range j.Defects {
		if !d.Called {
			continue
		}
		called++
		all = MostCareful(all, d.Verdict)
		if _, ok := falls[target{index, d.ID}]; ok {
			fallen++
		} else {
			rest = MostCareful(rest, d.Verdict)
		}
	}
	switch {
	case fallen == 0:
		return e
	case fallen < called && (whole != all || j.Reason == ReasonCount):
		return e // more than the defects alone spoke, a count for one
	case j.Source != SourceModel || j.Verdict == Undetermined || !j.Verdict.Valid():
		rest = MostCareful(rest, Undetermined)
	}
	if rest.MoreCareful(whole) {
		return e // a refused REVIEW, which no room makes
	}
	e.Verdict = rest
	if rest == Pass {
		e.Source, e.Reason = SourceOperator, ReasonNone
	}
	return e
}

// sourcePreference says who is named where several ask for the same verdict.
var sourcePreference = [...]int{SourceOperator: 4, SourceModel: 3, SourceRule: 2, SourceCamera: 1, SourceFallback: 0}

// compareEffects orders by care; the rest only makes the choice independent of order.
func compareEffects(a, b Effect) int {
	return cmp.Or(
		cmp.Compare(a.Verdict.rank(), b.Verdict.rank()),
		cmp.Compare(a.Source.preference(), b.Source.preference()),
		cmp.Compare(a.Reason, b.Reason), // any reason before none
	)
}

func (s Source) preference() int {
	if int(s) < len(sourcePreference) {
		return sourcePreference[s]
	}
	return -1
}
