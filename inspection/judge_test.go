package inspection

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func ptr(x float64) *float64 { return &x }

func square(x1, y1, x2, y2 float64) []Point {
	return []Point{{x1, y1}, {x2, y1}, {x2, y2}, {x1, y2}}
}

// boardRecipe rules "short" (review 0.3, reject 0.6), "scratch" (reviewed only), and ignores "dust".
func boardRecipe() *Recipe {
	return &Recipe{
		Name: "board", Revision: 3, Digest: "d3",
		ReportAt: 0.1, MaxCandidates: 100,
		Classes: map[string]ClassRule{
			"short":   {ReviewAt: 0.3, RejectAt: 0.6, Severity: 4, Code: "S1"},
			"scratch": {ReviewAt: 0.3, RejectAt: 1, Severity: 1},
			"dust":    {Ignore: true},
		},
		Fallback: Review,
	}
}

func seen(cs ...Candidate) Observation {
	return Observation{Completed: true, View: "top", Facts: &ImageFacts{Width: 640, Height: 640, Mean: 120, Contrast: 50, Sharpness: 300}, Candidates: cs}
}

func at(class string, score float64, b ...float64) Candidate {
	if len(b) == 0 {
		b = []float64{100, 100, 120, 110}
	}
	return Candidate{Class: class, Score: score, Box: Box{b[0], b[1], b[2], b[3]}}
}

func TestJudgeVerdict(t *testing.T) {
	facts := func(change func(*ImageFacts), cs ...Candidate) Observation {
		o := seen(cs...)
		change(o.Facts)
		return o
	}
	limits := func(l ImageLimits) *Recipe { r := boardRecipe(); r.Image = l; return r }
	aligned := boardRecipe()
	aligned.Reference = ReferenceSpec{Align: AlignTranslation, MaxShiftPx: 5}
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name    string
		recipe  *Recipe
		seen    Observation
		verdict Verdict
		source  Source
		reason  Reason
		detail  string // part of it
	}{
		{"nothing seen", nil, Observation{Completed: true}, Undetermined, SourceRule, ReasonUnknownRecipe, "no recipe"},
		{"the zero observation", boardRecipe(), Observation{}, Undetermined, SourceRule, ReasonModelOutput, "run to its end"},
		{"not completed, whatever was seen", boardRecipe(), Observation{Facts: seen().Facts, Candidates: []Candidate{at("short", 0.9)}}, Undetermined, SourceRule, ReasonModelOutput, "run to its end"},
		{"no facts", boardRecipe(), Observation{Completed: true}, Undetermined, SourceRule, ReasonModelOutput, "not measured"},
		{"mean is NaN", boardRecipe(), facts(func(f *ImageFacts) { f.Mean = nan }), Undetermined, SourceRule, ReasonModelOutput, "not finite"},
		{"sharpness is infinite", boardRecipe(), facts(func(f *ImageFacts) { f.Sharpness = inf }), Undetermined, SourceRule, ReasonModelOutput, "not finite"},
		{"score is NaN", boardRecipe(), seen(at("short", nan)), Undetermined, SourceRule, ReasonModelOutput, "candidate 0 (short)"},
		{"score is infinite", boardRecipe(), seen(at("dust", inf)), Undetermined, SourceRule, ReasonModelOutput, "not finite"},
		{"score above 1", boardRecipe(), seen(at("short", 1.01)), Undetermined, SourceRule, ReasonModelOutput, "outside 0..1"},
		{"score below 0", boardRecipe(), seen(at("short", -0.01)), Undetermined, SourceRule, ReasonModelOutput, "outside 0..1"},
		{"box is NaN", boardRecipe(), seen(at("short", 0.2, 0, nan, 5, 5)), Undetermined, SourceRule, ReasonModelOutput, "not finite"},
		{"box is inverted", boardRecipe(), seen(at("short", 0.2, 5, 0, 4, 9)), Undetermined, SourceRule, ReasonModelOutput, "inverted"},
		{"a bad candidate beside a rejectable one", boardRecipe(), seen(at("short", nan), at("short", 0.9)), Fail, SourceRule, ReasonDefect, "not finite"},

		{"clean", boardRecipe(), seen(), Pass, SourceModel, ReasonNone, ""},
		{"below review_at", boardRecipe(), seen(at("short", 0.29)), Pass, SourceModel, ReasonNone, ""},
		{"at review_at", boardRecipe(), seen(at("short", 0.3)), Review, SourceModel, ReasonDefect, "short"},
		{"below reject_at", boardRecipe(), seen(at("short", 0.59)), Review, SourceModel, ReasonDefect, "short"},
		{"at reject_at", boardRecipe(), seen(at("short", 0.6)), Fail, SourceModel, ReasonDefect, "asks for FAIL"},
		{"ignored class", boardRecipe(), seen(at("dust", 1)), Pass, SourceModel, ReasonNone, ""},
		{"unknown class", boardRecipe(), seen(at("alien", 0.1)), Undetermined, SourceRule, ReasonUnknownClass, `"alien"`},
		{"unknown class below report_at", boardRecipe(), seen(at("alien", 0.09)), Pass, SourceModel, ReasonNone, ""},
		{"unknown class beside a review", boardRecipe(), seen(at("alien", 0.5), at("short", 0.4)), Undetermined, SourceRule, ReasonUnknownClass, `"alien"`},
		{"unknown class beside a reject", boardRecipe(), seen(at("alien", 0.5), at("short", 0.9)), Fail, SourceRule, ReasonDefect, `"alien"`},
		{"threshold is NaN", &Recipe{Classes: map[string]ClassRule{"*": {ReviewAt: nan, RejectAt: nan}}}, seen(at("short", 0.01)), Fail, SourceModel, ReasonDefect, ""},

		{"too dark", limits(ImageLimits{MinMean: ptr(130)}), seen(), Undetermined, SourceRule, ReasonImageLimits, "mean 120.00 is below min_mean 130"},
		{"just bright enough", limits(ImageLimits{MinMean: ptr(120)}), seen(), Pass, SourceModel, ReasonNone, ""},
		{"too bright", limits(ImageLimits{MaxMean: ptr(119)}), seen(), Undetermined, SourceRule, ReasonImageLimits, "max_mean 119"},
		{"flat", limits(ImageLimits{MinContrast: ptr(51)}), seen(), Undetermined, SourceRule, ReasonImageLimits, "min_contrast 51"},
		{"blurred", limits(ImageLimits{MinSharpness: ptr(301)}), seen(), Undetermined, SourceRule, ReasonImageLimits, "min_sharpness 301"},
		{"limit is NaN", limits(ImageLimits{MinSharpness: ptr(nan)}), seen(), Undetermined, SourceRule, ReasonImageLimits, "sharpness"},
		{"repeated, refused", limits(ImageLimits{RefuseRepeated: true}), facts(func(f *ImageFacts) { f.Repeated = true }), Undetermined, SourceRule, ReasonRepeatedImage, "frame before"},
		{"repeated, allowed", boardRecipe(), facts(func(f *ImageFacts) { f.Repeated = true }), Pass, SourceModel, ReasonNone, ""},
		{"too dark with a rejectable defect", limits(ImageLimits{MinMean: ptr(130)}), seen(at("short", 0.9)), Fail, SourceRule, ReasonDefect, "min_mean 130"},
		{"too dark with a defect to review", limits(ImageLimits{MinMean: ptr(130)}), seen(at("short", 0.4)), Undetermined, SourceRule, ReasonImageLimits, "min_mean 130"},

		{"shift within", aligned, facts(func(f *ImageFacts) { f.Aligned, f.ShiftX, f.ShiftY = true, 3, -4 }), Pass, SourceModel, ReasonNone, ""},
		{"shift beyond on the diagonal", aligned, facts(func(f *ImageFacts) { f.Aligned, f.ShiftX, f.ShiftY = true, 4, -4 }), Undetermined, SourceRule, ReasonAlignment, "max_shift_px is 5"},
		{"not aligned", aligned, seen(), Undetermined, SourceRule, ReasonAlignment, "could not be measured"},
		{"shift is of no interest", boardRecipe(), facts(func(f *ImageFacts) { f.ShiftX = 99 }), Pass, SourceModel, ReasonNone, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.recipe.Judge(tt.seen)
			if got.Verdict != tt.verdict || got.Source != tt.source || got.Reason != tt.reason {
				t.Errorf("got %v %v %q, want %v %v %q", got.Verdict, got.Source, got.Reason, tt.verdict, tt.source, tt.reason)
			}
			if !strings.Contains(got.Detail, tt.detail) || (got.Verdict == Pass) != (got.Detail == "") {
				t.Errorf("got detail %q, want one that holds %q and is empty only for PASS", got.Detail, tt.detail)
			}
		})
	}
}

func TestJudgeCounts(t *testing.T) {
	r := boardRecipe()
	r.Classes["scratch"] = ClassRule{ReviewAt: 0.3, RejectAt: 1, MaxCount: 2}
	r.MaxDefects = 3
	tests := []struct {
		name    string
		seen    []Candidate
		verdict Verdict
		reason  Reason
		detail  string
	}{
		{"as many of the class as allowed", []Candidate{at("scratch", 0.5), at("scratch", 0.5)}, Review, ReasonDefect, ""},
		{"one more of the class", []Candidate{at("scratch", 0.5), at("scratch", 0.5), at("scratch", 0.4)}, Fail, ReasonCount, "3 of class scratch were called, its max_count is 2"},
		{"one more that is not called", []Candidate{at("scratch", 0.5), at("scratch", 0.5), at("scratch", 0.2)}, Review, ReasonDefect, ""},
		{"as many as allowed", []Candidate{at("short", 0.4), at("short", 0.4), at("scratch", 0.4)}, Review, ReasonDefect, ""},
		{"one more", []Candidate{at("short", 0.4), at("short", 0.4), at("short", 0.4), at("scratch", 0.4)}, Fail, ReasonCount, "4 defects were called, max_defects is 3"},
		{"one more, and one rejects", []Candidate{at("short", 0.4), at("short", 0.4), at("short", 0.9), at("scratch", 0.4)}, Fail, ReasonCount, "max_defects is 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.Judge(seen(tt.seen...))
			if got.Verdict != tt.verdict || got.Reason != tt.reason || !strings.Contains(got.Detail, tt.detail) {
				t.Errorf("got %v %q %q, want %v %q and a detail with %q", got.Verdict, got.Reason, got.Detail, tt.verdict, tt.reason, tt.detail)
			}
		})
	}
}

func TestJudgeSizes(t *testing.T) {
	r := boardRecipe()
	r.PxPerMM = map[string]float64{"top": 10}
	r.Classes["px"] = ClassRule{RejectAt: 0.5, MinSizePx: 20}
	r.Classes["mm"] = ClassRule{RejectAt: 0.5, MinSizeMM: 2}
	tests := []struct {
		name, class, view string
		box               []float64
		want              Verdict
	}{
		{"longer side reaches it", "px", "top", []float64{0, 0, 3, 20}, Fail},
		{"neither side reaches it", "px", "top", []float64{0, 0, 19.9, 19.9}, Pass},
		{"longer side in mm reaches it", "mm", "top", []float64{0, 0, 20, 1}, Fail},
		{"in mm too small", "mm", "top", []float64{0, 0, 19, 19}, Pass},
		{"no scale for the view: size counts as reached", "mm", "side", []float64{0, 0, 1, 1}, Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := seen(at(tt.class, 0.9, tt.box...))
			o.View = tt.view
			got := r.Judge(o)
			if got.Verdict != tt.want {
				t.Errorf("got %v, want %v", got.Verdict, tt.want)
			}
			mm := got.Defects[0].BoxMM
			if (mm != nil) != (tt.view == "top") {
				t.Fatalf("view %s: got a box in mm %v", tt.view, mm)
			}
			if mm != nil && mm.X2 != tt.box[2]/10 {
				t.Errorf("got x2 %v mm, want %v", mm.X2, tt.box[2]/10)
			}
		})
	}
}

// u is a concave polygon: a block of 30 x 30 with a notch of 10 x 20 cut into its top, from x 10 to 20.
var u = []Point{{0, 0}, {10, 0}, {10, 20}, {20, 20}, {20, 0}, {30, 0}, {30, 30}, {0, 30}}

func TestRegionGeometry(t *testing.T) {
	tests := []struct {
		name            string
		box             Box
		covers, touches bool
	}{
		{"inside the left leg", Box{2, 2, 8, 8}, true, true},
		{"filling the left leg, edge on edge", Box{0, 0, 10, 30}, true, true},
		{"across the bottom", Box{1, 21, 29, 29}, true, true},
		{"bottom, up to the notch's floor", Box{1, 20, 29, 30}, true, true},
		{"all corners inside, the notch between them", Box{5, 5, 25, 25}, false, true},
		{"corners inside, the notch's floor just within", Box{5, 19.99, 25, 29}, false, true},
		{"in the notch", Box{12, 2, 18, 18}, false, false},
		{"in the notch, touching its floor", Box{12, 2, 18, 20}, false, true},
		{"in the notch, touching its wall", Box{10, 2, 18, 18}, false, true},
		{"over the whole", Box{-5, -5, 35, 35}, false, true},
		{"sticking out", Box{-1, 2, 8, 8}, false, true},
		{"beside", Box{-9, 0, -1, 30}, false, false},
		{"beside, edge on edge", Box{-9, 0, 0, 30}, false, true},
		{"corner on corner", Box{30, 30, 40, 40}, false, true},
		{"above the notch's mouth", Box{11, -5, 19, -1}, false, false},
		{"a point inside", Box{5, 5, 5, 5}, false, true},
		{"a point in the notch", Box{15, 5, 15, 5}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for turn := range u { // the polygon may begin at any corner and run either way
				p := append(slices.Clone(u[turn:]), u[:turn]...)
				if turn%2 == 1 {
					slices.Reverse(p)
				}
				g := Region{Polygon: p}
				if got := g.covers(tt.box); got != tt.covers {
					t.Errorf("from corner %d: covers: got %v, want %v", turn, got, tt.covers)
				}
				if got := g.touches(tt.box); got != tt.touches {
					t.Errorf("from corner %d: touches: got %v, want %v", turn, got, tt.touches)
				}
			}
		})
	}
}

func TestRegionSlanted(t *testing.T) {
	g := Region{Polygon: []Point{{50, 0}, {100, 50}, {50, 100}, {0, 50}}} // a diamond
	if b := (Box{0, 0, 20, 20}); g.touches(b) {
		t.Errorf("box %v in the corner of the diamond's bounding box: got touches", b)
	}
	if b := (Box{0, 0, 25, 25}); !g.touches(b) {
		t.Errorf("box %v with its corner on the diamond's edge: got no touch", b)
	}
	if b := (Box{25, 25, 75, 75}); !g.covers(b) {
		t.Errorf("box %v inscribed in the diamond: got not covered", b)
	}
	if b := (Box{24, 25, 75, 75}); g.covers(b) {
		t.Errorf("box %v with two corners out of the diamond: got covered", b)
	}
}

func TestJudgeRegions(t *testing.T) {
	r := boardRecipe()
	r.Regions = []Region{
		{Name: "fiducial", View: "top", Exclude: true, Polygon: square(0, 0, 50, 50)},
		{Name: "left", View: "top", Unit: "A", Polygon: square(0, 0, 200, 200)},
		{Name: "right", View: "top", Unit: "B", Polygon: square(200, 0, 400, 200)},
		{Name: "rim", Exclude: true, Polygon: square(600, 600, 640, 640)},
	}
	tests := []struct {
		name, view   string
		box          []float64
		called       bool
		region, unit string
	}{
		{"in an include region", "top", []float64{60, 60, 80, 80}, true, "left", "A"},
		{"wholly in the exclude region", "top", []float64{10, 10, 50, 50}, false, "fiducial", ""},
		{"partly in the exclude region", "top", []float64{10, 10, 51, 50}, true, "left", "A"},
		{"touching an include region from outside", "top", []float64{400, 50, 450, 90}, true, "right", "B"},
		{"outside every include region", "top", []float64{401, 50, 450, 90}, false, "", ""},
		{"over two: the one with the centre", "top", []float64{150, 50, 300, 90}, true, "right", "B"},
		{"another view has no include regions", "side", []float64{401, 50, 450, 90}, true, "", ""},
		{"an exclude region of every view", "side", []float64{610, 610, 630, 630}, false, "rim", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := seen(at("short", 0.9, tt.box...))
			o.View = tt.view
			got := r.Judge(o)
			want := Pass
			if tt.called {
				want = Fail
			}
			d := got.Defects[0]
			if got.Verdict != want || d.Called != tt.called || d.Region != tt.region || d.Unit != tt.unit {
				t.Errorf("got %v called %v in %q of unit %q, want %v %v %q %q", got.Verdict, d.Called, d.Region, d.Unit, want, tt.called, tt.region, tt.unit)
			}
		})
	}
}

func TestJudgeDefectOrderAndCut(t *testing.T) {
	r := boardRecipe()
	r.MaxCandidates = 2
	got := r.Judge(seen(
		at("short", 0.2), at("scratch", 0.9), at("dust", 0.8), at("short", 0.05), at("short", 0.7),
		at("short", 0.25), at("short", 0.95), at("scratch", 0.35), at("dust", 0.15),
	))
	var order []string
	for i, d := range got.Defects {
		if d.ID != i+1 {
			t.Errorf("defect %d has ID %d, want %d", i, d.ID, i+1)
		}
		order = append(order, d.Verdict.String()+" "+d.Class)
	}
	want := []string{"FAIL short", "FAIL short", "REVIEW scratch", "REVIEW scratch", "PASS dust", "PASS short"}
	if !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	if d := got.Defects[0]; d.Score != 0.95 || d.Code != "S1" || d.Severity != 4 {
		t.Errorf("worst defect: got score %v code %q severity %d, want 0.95 S1 4", d.Score, d.Code, d.Severity)
	}
	if n := len(Judgement{Defects: got.Defects}.Called()); n != 4 {
		t.Errorf("got %d called, want 4", n)
	}
}

func TestJudgeLongListOfRefusals(t *testing.T) {
	cs := make([]Candidate, 5000)
	for i := range cs {
		cs[i] = at("short", math.NaN())
	}
	got := boardRecipe().Judge(seen(cs...))
	if got.Verdict != Undetermined || !strings.Contains(got.Detail, "and 4995 more refusals") || len(got.Detail) > 1000 {
		t.Errorf("got %v with a detail of %d bytes: %q", got.Verdict, len(got.Detail), got.Detail)
	}
}
