package inspection

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type known struct {
	js []Judgement
	as []Announcement
	ds []Disposition
}

func (k known) effect() Effect { return Effective(k.js, k.as, k.ds) }

func genKnown() *rapid.Generator[known] {
	return rapid.Custom(func(t *rapid.T) known {
		k := known{js: rapid.SliceOfN(genJudgement(), 0, 4).Draw(t, "judgements"), as: rapid.SliceOfN(genAnnouncement(), 0, 2).Draw(t, "announced")}
		if len(k.js) > 0 {
			k.ds = rapid.SliceOfN(genDisposition(len(k.js)), 0, 4).Draw(t, "dispositions")
		}
		return k
	})
}

func counted(js []Judgement) []Judgement {
	return slices.DeleteFunc(slices.Clone(js), func(j Judgement) bool { return j.Role == RoleShadow })
}

func says(ds []Disposition, kinds ...DispositionKind) bool {
	return slices.ContainsFunc(ds, func(d Disposition) bool { return slices.Contains(kinds, d.Kind) })
}

func TestEffectivePassNeedsInferenceOrAPerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		if k.effect().Verdict != Pass || says(k.ds, JudgedGood) {
			return
		}
		js := counted(k.js)
		if len(js) == 0 {
			t.Fatalf("got PASS without a judgement that counts")
		}
		for _, j := range js {
			if j.Source != SourceModel || j.Verdict == Undetermined || !j.Verdict.Valid() {
				t.Fatalf("got PASS over %v of %v", j.Verdict, j.Source)
			}
			if j.Verdict != Pass && !says(k.ds, FalseCall) {
				t.Fatalf("got PASS over %v, and nobody spoke of a false call", j.Verdict)
			}
		}
	})
}

func TestEffectiveIsTheMostCarefulOfTheEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		k.ds = nil
		got := k.effect().Verdict
		for _, j := range counted(k.js) {
			if milder(got, j.Verdict) || (got == Pass && j.Source != SourceModel) {
				t.Fatalf("got %v, a judgement of %v says %v", got, j.Source, j.Verdict)
			}
		}
		for _, a := range k.as {
			if milder(got, a.Verdict) {
				t.Fatalf("got %v, %v was announced", got, a.Verdict)
			}
		}
	})
}

func TestEffectiveLateEvidenceNeverSoftens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		if len(counted(k.js)) == 0 && len(k.as) == 0 {
			return // nobody has judged yet: any word is the first
		}
		before := k.effect().Verdict
		late := genJudgement().Filter(func(j Judgement) bool { return j.Role != RolePrimary }).Draw(t, "late")
		k.js = append(k.js, late)
		if after := k.effect().Verdict; milder(after, before) {
			t.Fatalf("a %v judgement %v of %v made %v of %v", late.Role, late.Verdict, late.Source, after, before)
		}
		before = k.effect().Verdict
		told := genAnnouncement().Draw(t, "told")
		k.as = append(k.as, told)
		if after := k.effect().Verdict; milder(after, before) {
			t.Fatalf("announcing %v made %v of %v", told.Verdict, after, before)
		}
	})
}

func TestEffectiveShadowsDoNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		before := k.effect()
		k.js = append(k.js, genJudgement().Draw(t, "shadow").as(RoleShadow))
		if after := k.effect(); after != before {
			t.Fatalf("a shadow made %v of %v", after, before)
		}
	})
}

func TestEffectiveDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		order := make([]int, len(k.js))
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(t, "order")
		other := known{as: rapid.Permutation(k.as).Draw(t, "announced"), ds: slices.Clone(k.ds)}
		for _, i := range order {
			other.js = append(other.js, k.js[i])
		}
		for i := range other.ds {
			other.ds[i].Judgement = slices.Index(order, k.ds[i].Judgement)
		}
		if a, b := k.effect(), other.effect(); a != b {
			t.Fatalf("got %v, in another order %v", a, b)
		}
	})
}

func TestEffectiveFalseCallsSoftenOnlyWhatDefectsExplain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKnown().Draw(t, "known")
		k.ds = nil
		before := k.effect().Verdict
		for i, j := range k.js {
			for _, d := range j.Defects {
				if rapid.IntRange(0, 5).Draw(t, "false") > 0 {
					k.ds = append(k.ds, Disposition{Kind: FalseCall, Judgement: i, DefectID: d.ID, At: epoch})
				}
			}
		}
		after := k.effect().Verdict
		if milder(before, after) {
			t.Fatalf("false calls made %v of %v", after, before)
		}
		for i, j := range k.js {
			if j.Role == RoleShadow {
				continue
			}
			if (j.Verdict == Undetermined || !j.Verdict.Valid() || j.Source != SourceModel && j.Source != SourceRule && j.Verdict != Pass) && milder(after, MostCareful(j.Verdict)) {
				t.Fatalf("got %v over %v of %v", after, j.Verdict, j.Source)
			}
			for _, d := range j.Defects {
				isFalse := slices.ContainsFunc(k.ds, func(w Disposition) bool { return w.Judgement == i && w.DefectID == d.ID })
				if d.Called && !isFalse && milder(after, d.Verdict) {
					t.Fatalf("got %v, a remaining defect asks for %v", after, d.Verdict)
				}
			}
		}
	})
}
