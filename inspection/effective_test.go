package inspection

import (
	"testing"
	"time"
)

// model is a model's judgement with called defects of these verdicts, numbered from 1.
func model(v Verdict, called ...Verdict) Judgement {
	j := Judgement{Verdict: v, Source: SourceModel}
	for i, c := range called {
		j.Defects = append(j.Defects, Defect{ID: i + 1, Called: true, Verdict: c})
	}
	if v != Pass {
		j.Reason = ReasonDefect
	}
	return j
}

func (j Judgement) as(r Role) Judgement        { j.Role = r; return j }
func (j Judgement) because(r Reason) Judgement { j.Reason = r; return j }
func (j Judgement) from(s Source) Judgement    { j.Source = s; return j }

func fallback(v Verdict) Judgement {
	return Judgement{Verdict: v, Source: SourceFallback, Reason: ReasonDeadline}
}

func told(v Verdict, s Source) Announcement { return Announcement{Verdict: v, Source: s} }

func TestEffectiveEvidence(t *testing.T) {
	tests := []struct {
		name      string
		js        []Judgement
		announced []Announcement
		want      Effect
	}{
		{"nothing", nil, nil, Effect{}},
		{"only a shadow", []Judgement{model(Pass).as(RoleShadow)}, nil, Effect{}},
		{"a model's PASS", []Judgement{model(Pass)}, nil, Effect{Verdict: Pass, Source: SourceModel}},
		{"a model's PASS, announced", []Judgement{model(Pass)}, []Announcement{told(Pass, SourceModel)}, Effect{Verdict: Pass, Source: SourceModel}},
		{"a fallback's PASS", []Judgement{fallback(Pass)}, nil, Effect{Undetermined, SourceFallback, ReasonDeadline}},
		{"a rule's PASS", []Judgement{model(Pass).from(SourceRule)}, nil, Effect{Undetermined, SourceRule, ReasonNone}},
		{"a camera's PASS beside a model's REVIEW", []Judgement{model(Review, Review)}, []Announcement{told(Pass, SourceCamera)}, Effect{Verdict: Undetermined, Source: SourceCamera}},
		{"a PASS announced before the model said it", []Judgement{fallback(Review), model(Pass).as(RoleLate)}, []Announcement{told(Pass, SourceModel)}, Effect{Verdict: Undetermined, Source: SourceModel}},
		{"a PASS that only a shadow said", []Judgement{model(Pass).as(RoleShadow)}, []Announcement{told(Pass, SourceModel)}, Effect{Verdict: Undetermined, Source: SourceModel}},
		{"a late FAIL hardens", []Judgement{model(Pass), model(Fail, Fail).as(RoleLate)}, []Announcement{told(Pass, SourceModel)}, Effect{Fail, SourceModel, ReasonDefect}},
		{"a late PASS does not soften", []Judgement{fallback(Review), model(Pass).as(RoleLate)}, []Announcement{told(Review, SourceFallback)}, Effect{Review, SourceFallback, ReasonDeadline}},
		{"a shadow's FAIL does not count", []Judgement{model(Pass), model(Fail, Fail).as(RoleShadow)}, nil, Effect{Verdict: Pass, Source: SourceModel}},
		{"a duplicate and a rejudgement count", []Judgement{model(Pass), model(Review, Review).as(RoleDuplicate), fallback(Undetermined).as(RoleRejudge)}, nil, Effect{Undetermined, SourceFallback, ReasonDeadline}},
		{"the camera announced FAIL", []Judgement{model(Pass).as(RoleLate)}, []Announcement{told(Fail, SourceCamera)}, Effect{Verdict: Fail, Source: SourceCamera}},
		{"PASS with a called defect", []Judgement{model(Pass, Fail)}, nil, Effect{Fail, SourceModel, ReasonNone}},
		{"no verdict at all", []Judgement{model(Verdict(7))}, nil, Effect{Undetermined, SourceModel, ReasonDefect}},
		{"an announcement of no verdict", []Judgement{model(Pass)}, []Announcement{told(Verdict(7), SourceModel)}, Effect{Undetermined, SourceModel, ReasonNone}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Effective(tt.js, tt.announced, nil); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// word is a disposition said at second s about defect d of judgement j.
func word(s int, k DispositionKind, jd ...int) Disposition {
	w := Disposition{Kind: k, At: epoch.Add(time.Duration(s) * time.Second)}
	if len(jd) == 2 {
		w.Judgement, w.DefectID = jd[0], jd[1]
	}
	return w
}

func TestEffectiveDispositions(t *testing.T) {
	one := []Judgement{model(Fail, Fail)}
	two := []Judgement{model(Fail, Fail, Review)}
	pass := []Judgement{model(Pass)}
	count := []Judgement{model(Fail, Review, Review).because(ReasonCount)}
	hard := []Judgement{model(Fail, Fail, Review, Review).because(ReasonCount)}
	told1 := []Announcement{told(Fail, SourceModel)}
	tests := []struct {
		name      string
		js        []Judgement
		announced []Announcement
		ds        []Disposition
		want      Verdict
		source    Source
	}{
		{"judged good", one, told1, []Disposition{word(1, JudgedGood)}, Pass, SourceOperator},
		{"judged good without any judgement", nil, nil, []Disposition{word(1, JudgedGood)}, Pass, SourceOperator},
		{"judged good outlasts the late judgement", []Judgement{model(Pass), model(Fail, Fail).as(RoleLate)}, nil, []Disposition{word(1, JudgedGood)}, Pass, SourceOperator},
		{"judged bad", pass, nil, []Disposition{word(1, JudgedBad)}, Fail, SourceOperator},
		{"escape", pass, nil, []Disposition{word(1, Escape)}, Fail, SourceOperator},
		{"a real defect of a review", []Judgement{model(Review, Review)}, nil, []Disposition{word(1, RealDefect, 0, 1)}, Fail, SourceOperator},
		{"inconclusive lifts PASS", pass, nil, []Disposition{word(1, Inconclusive)}, Review, SourceOperator},
		{"inconclusive leaves FAIL", one, nil, []Disposition{word(1, Inconclusive)}, Fail, SourceModel},
		{"a kind that nobody knows", one, nil, []Disposition{word(1, "fine")}, Fail, SourceModel},

		{"a count outlasts a false call on its worst defect", hard, nil, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},
		{"a count of false calls alone falls", hard, nil, []Disposition{word(1, FalseCall, 0, 1), word(2, FalseCall, 0, 2), word(3, FalseCall, 0, 3)}, Pass, SourceOperator},
		{"the only defect is a false call", one, told1, []Disposition{word(1, FalseCall, 0, 1)}, Pass, SourceOperator},
		{"one of two is a false call", two, told1, []Disposition{word(1, FalseCall, 0, 1)}, Review, SourceModel},
		{"the other of two is a false call", two, told1, []Disposition{word(1, FalseCall, 0, 2)}, Fail, SourceModel},
		{"both are false calls", two, told1, []Disposition{word(1, FalseCall, 0, 1), word(2, FalseCall, 0, 2)}, Pass, SourceOperator},
		{"failed by count, one false call", count, nil, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},
		{"failed by count, all false calls", count, nil, []Disposition{word(1, FalseCall, 0, 1), word(1, FalseCall, 0, 2)}, Pass, SourceOperator},
		{"a false call on a defect that is not there", one, nil, []Disposition{word(1, FalseCall, 0, 2), word(1, FalseCall, 5, 1)}, Fail, SourceModel},
		{"a false call in one of two judgements", []Judgement{model(Fail, Fail), model(Fail, Fail).as(RoleDuplicate)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},
		{"a false call in both", []Judgement{model(Fail, Fail), model(Fail, Fail).as(RoleDuplicate)}, nil, []Disposition{word(1, FalseCall, 0, 1), word(1, FalseCall, 1, 1)}, Pass, SourceOperator},
		{"a shadow's defects need no word", []Judgement{model(Fail, Fail), model(Fail, Fail).as(RoleShadow)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Pass, SourceOperator},
		{"false calls in a shadow only", []Judgement{model(Fail, Fail).as(RoleShadow)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Undetermined, SourceFallback},

		{"UNDETERMINED and one false call", []Judgement{model(Undetermined, Review)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Undetermined, SourceModel},
		{"a refused picture that failed by a defect", []Judgement{model(Fail, Fail).from(SourceRule)}, []Announcement{told(Fail, SourceModel)}, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},
		{"the same, announced by nobody", []Judgement{model(Fail, Fail).from(SourceRule)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Undetermined, SourceRule},
		{"a fallback beside a false call", []Judgement{fallback(Review), model(Fail, Fail).as(RoleLate)}, nil, []Disposition{word(1, FalseCall, 1, 1)}, Review, SourceFallback},
		{"a fallback announced beside a false call", []Judgement{model(Fail, Fail).as(RoleLate)}, []Announcement{told(Review, SourceFallback)}, []Disposition{word(1, FalseCall, 0, 1)}, Review, SourceFallback},
		{"a camera's FAIL beside a false call", one, []Announcement{told(Fail, SourceCamera)}, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceCamera},
		{"announced harder than any judgement", []Judgement{model(Review, Review)}, told1, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},
		{"a camera's PASS beside a false call", one, []Announcement{told(Pass, SourceCamera)}, []Disposition{word(1, FalseCall, 0, 1)}, Undetermined, SourceCamera},
		{"a FAIL without defects", []Judgement{model(Fail)}, nil, []Disposition{word(1, FalseCall, 0, 1)}, Fail, SourceModel},

		{"false call, then real", one, nil, []Disposition{word(1, FalseCall, 0, 1), word(2, RealDefect, 0, 1)}, Fail, SourceOperator},
		{"real, then false call", one, nil, []Disposition{word(1, RealDefect, 0, 1), word(2, FalseCall, 0, 1)}, Pass, SourceOperator},
		{"later by time, earlier by index", one, nil, []Disposition{word(2, FalseCall, 0, 1), word(1, RealDefect, 0, 1)}, Pass, SourceOperator},
		{"at the same time the later index wins", one, nil, []Disposition{word(1, FalseCall, 0, 1), word(1, RealDefect, 0, 1)}, Fail, SourceOperator},
		{"judged good, then real", one, nil, []Disposition{word(1, JudgedGood), word(2, RealDefect, 0, 1)}, Fail, SourceOperator},
		{"real, then judged good", one, nil, []Disposition{word(1, RealDefect, 0, 1), word(2, JudgedGood)}, Pass, SourceOperator},
		{"judged good, then escape", pass, nil, []Disposition{word(1, JudgedGood), word(2, Escape)}, Fail, SourceOperator},
		{"escape, then judged good", pass, nil, []Disposition{word(1, Escape), word(2, JudgedGood)}, Pass, SourceOperator},
		{"judged good, then judged bad", pass, nil, []Disposition{word(1, JudgedGood), word(2, JudgedBad)}, Fail, SourceOperator},
		{"judged bad, then judged good", one, nil, []Disposition{word(1, JudgedBad), word(2, JudgedGood)}, Pass, SourceOperator},
		{"judged bad, then inconclusive", pass, nil, []Disposition{word(1, JudgedBad), word(2, Inconclusive)}, Review, SourceOperator},
		{"judged good, then inconclusive", one, nil, []Disposition{word(1, JudgedGood), word(2, Inconclusive)}, Fail, SourceModel},
		{"judged bad, then false call", one, nil, []Disposition{word(1, JudgedBad), word(2, FalseCall, 0, 1)}, Fail, SourceOperator},
		{"escape, then false call", one, nil, []Disposition{word(1, Escape), word(2, FalseCall, 0, 1)}, Fail, SourceOperator},
		{"inconclusive, then false call", one, nil, []Disposition{word(1, Inconclusive), word(2, FalseCall, 0, 1)}, Review, SourceOperator},
		{"real, then inconclusive", one, nil, []Disposition{word(1, RealDefect, 0, 1), word(2, Inconclusive)}, Fail, SourceOperator},
		{"escape, judged good, inconclusive", pass, nil, []Disposition{word(1, Escape), word(2, JudgedGood), word(3, Inconclusive)}, Fail, SourceOperator},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Effective(tt.js, tt.announced, tt.ds); got.Verdict != tt.want || got.Source != tt.source {
				t.Errorf("got %v, want %v of %v", got, tt.want, tt.source)
			}
		})
	}
}

func TestEffectiveOfARefusedPicture(t *testing.T) {
	r := boardRecipe()
	r.Image.MinMean = ptr(200)
	j := r.Judge(seen(at("short", 0.9))).Judgement(Job{Recipe: r}, "n1", nil, Timings{}, epoch)
	if got := Effective([]Judgement{j}, nil, nil); got.Verdict != Fail {
		t.Fatalf("a dark picture with a short: got %v, want FAIL", got)
	}
	if got := Effective([]Judgement{j}, nil, []Disposition{word(1, FalseCall, 0, 1)}); got.Verdict != Undetermined {
		t.Errorf("the short is a false call, the picture stays dark: got %v, want UNDETERMINED", got)
	}
}
