package inspection

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func milder(a, b Verdict) bool { return b.MoreCareful(a) }

func TestJudgeNeverPassesWhatIsBroken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := genRecipe().Draw(t, "recipe"), genObservation().Draw(t, "observation")
		switch rapid.IntRange(0, 4).Draw(t, "fault") {
		case 0:
			r = nil
		case 1:
			o.Completed = false
		case 2:
			o.Facts = nil
		case 3:
			bad := genBroken().Draw(t, "broken")
			o.Candidates = slices.Insert(o.Candidates, rapid.IntRange(0, len(o.Candidates)).Draw(t, "place"), bad)
		default:
			class := rapid.StringMatching(`[a-z]{1,3}x`).Draw(t, "class") // none of the recipe's
			o.Candidates = append(o.Candidates, Candidate{Class: class, Score: rapid.Float64Range(r.ReportAt, 1).Draw(t, "score")})
		}
		got := r.Judge(o)
		if got.Verdict != Undetermined && got.Verdict != Fail {
			t.Fatalf("got %v, want UNDETERMINED or FAIL", got.Verdict)
		}
		if got.Source != SourceRule || got.Reason == ReasonNone || got.Detail == "" {
			t.Fatalf("got source %v, reason %q, detail %q, want a rule with reason and detail", got.Source, got.Reason, got.Detail)
		}
	})
}

func TestJudgePassMeansNothingCalled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := genRecipe().Draw(t, "recipe"), genObservation().Draw(t, "observation")
		got := r.Judge(o)
		called := len(Judgement{Defects: got.Defects}.Called())
		if got.Verdict == Pass && (called > 0 || got.Source != SourceModel || got.Reason != ReasonNone) {
			t.Fatalf("got PASS with %d called, source %v, reason %q", called, got.Source, got.Reason)
		}
		f, l := o.Facts, r.Image
		if got.Verdict == Pass && l.MinMean != nil && (f.Mean < 50 || f.Mean > 200 || f.Contrast < 10 || f.Sharpness < 10 || f.Repeated) {
			t.Fatalf("got PASS for %+v", *f)
		}
		for _, d := range got.Defects {
			if milder(got.Verdict, d.Verdict) {
				t.Fatalf("got %v, defect %+v asks for more", got.Verdict, d)
			}
		}
	})
}

func TestJudgeHardensWithScoreAndCandidates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := genRecipe().Draw(t, "recipe"), genObservation().Draw(t, "observation")
		before := r.Judge(o).Verdict
		harder := o
		harder.Candidates = slices.Clone(o.Candidates)
		if n := len(harder.Candidates); n > 0 && rapid.Bool().Draw(t, "raise") {
			c := &harder.Candidates[rapid.IntRange(0, n-1).Draw(t, "which")]
			c.Score = rapid.Float64Range(c.Score, 1).Draw(t, "score")
		} else {
			more := rapid.OneOf(genCandidate(), genCandidate(), genBroken()).Draw(t, "more")
			harder.Candidates = slices.Insert(harder.Candidates, rapid.IntRange(0, n).Draw(t, "place"), more)
		}
		if after := r.Judge(harder).Verdict; milder(after, before) {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestJudgeDoesNotDependOnOrderOrCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, o := genRecipe().Draw(t, "recipe"), genObservation().Draw(t, "observation")
		first := r.Judge(o)
		shuffled := o
		shuffled.Candidates = rapid.Permutation(o.Candidates).Draw(t, "candidates")
		second := r.Judge(shuffled)
		if first.Verdict != second.Verdict || first.Reason != second.Reason || !reflect.DeepEqual(first.Defects, second.Defects) {
			t.Fatalf("got %v, and in another order %v", first, second)
		}
		wide := *r
		wide.MaxCandidates = 100
		all := wide.Judge(o)
		if all.Verdict != first.Verdict || all.Reason != first.Reason {
			t.Fatalf("max_candidates %d: got %v %q, without a cut %v %q", r.MaxCandidates, first.Verdict, first.Reason, all.Verdict, all.Reason)
		}
		called := Judgement{Defects: first.Defects}.Called()
		if kept := len(first.Defects) - len(called); kept > r.MaxCandidates {
			t.Fatalf("got %d kept candidates, max_candidates is %d", kept, r.MaxCandidates)
		}
		if n := len(first.Defects); n > 0 && !reflect.DeepEqual(first.Defects, all.Defects[:n]) {
			t.Fatalf("the cut changed what stands before it:\n%v\n%v", first.Defects, all.Defects)
		}
	})
}

// TestRegionAgainstSampling compares the exact geometry with counting grid points, on polygons whose corners lie on even
// coordinates and boxes whose corners do too: then the centres of unit cells tell inside from outside without doubt.
func TestRegionAgainstSampling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Region{Polygon: genStaircase().Draw(t, "polygon")}
		b := genBox().Draw(t, "box")
		b.X2, b.Y2 = b.X2+1, b.Y2+1
		all, some := true, false
		for x := b.X1; x < b.X2; x++ {
			for y := b.Y1; y < b.Y2; y++ {
				in := inStaircase(g.Polygon, x+0.5, y+0.5)
				all, some = all && in, some || in
			}
		}
		if got := g.covers(b); got != all {
			t.Fatalf("covers %v: got %v, want %v", b, got, all)
		}
		if some && !g.touches(b) {
			t.Fatalf("touches %v: got false, but they share a cell", b)
		}
		grown := Box{b.X1 - 1, b.Y1 - 1, b.X2 + 1, b.Y2 + 1}
		near := false
		for x := grown.X1; x < grown.X2; x++ {
			for y := grown.Y1; y < grown.Y2; y++ {
				near = near || inStaircase(g.Polygon, x+0.5, y+0.5)
			}
		}
		if g.touches(b) && !near {
			t.Fatalf("touches %v: got true, but no cell of it or around it is inside", b)
		}
	})
}

// genStaircase is a skyline: columns of width 10 between y 0 and their height, concave in general, with no height twice in
// a row so that no point is doubled.
func genStaircase() *rapid.Generator[[]Point] {
	return rapid.Custom(func(t *rapid.T) []Point {
		points := []Point{{0, 0}}
		x, last := 0.0, 0
		for range rapid.IntRange(1, 7).Draw(t, "columns") {
			h := rapid.IntRange(1, 70).Filter(func(h int) bool { return h != last }).Draw(t, "height")
			last = h
			points = append(points, Point{x, float64(h)}, Point{x + 10, float64(h)})
			x += 10
		}
		return append(points, Point{x, 0})
	})
}

// inStaircase reads the columns' heights off the polygon; x and y are centres of cells.
func inStaircase(p []Point, x, y float64) bool {
	for i := 1; i+1 < len(p)-1; i += 2 {
		if x > p[i].X && x < p[i+1].X {
			return y > 0 && y < p[i].Y
		}
	}
	return false
}
