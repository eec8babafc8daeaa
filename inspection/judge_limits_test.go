package inspection

import "testing"

// A defect that is just as long as the recipe's limit, or just as sure, is called wherever in the picture it lies.
func TestJudgeCallsWhatReachesALimitEverywhere(t *testing.T) {
	for _, c := range []struct {
		scale, mm float64
		px        int
	}{{10, 0.1, 1}, {10, 0.5, 5}, {10, 1, 10}, {12, 0.25, 3}, {20, 0.3, 6}, {25, 0.2, 5}, {48, 0.125, 6}, {48, 0.5, 24}, {50, 0.1, 5}} {
		r := boardRecipe()
		r.PxPerMM = map[string]float64{"*": c.scale}
		r.Classes["scratch"] = ClassRule{ReviewAt: 0.9, RejectAt: 0.9, MinSizeMM: c.mm, MinSizePx: float64(c.px)}
		missed, small := 0, 0
		for x := range 1000 {
			k := Candidate{Class: "scratch", Score: float64(float32(0.9)), Box: Box{X1: float64(x), Y1: 3, X2: float64(x + c.px), Y2: 3.5}}
			if got := r.Judge(seen(k)); got.Verdict != Fail {
				missed++
			}
			// As it comes back from a network that saw the picture at 0.64 of its size, in float32.
			k.Box.X1, k.Box.X2 = float64(float32(0.64*float64(x)))/0.64, float64(float32(0.64*float64(x+c.px)))/0.64
			if got := r.Judge(seen(k)); got.Verdict != Fail {
				missed++
			}
			k.Box.X2 -= 0.01
			if got := r.Judge(seen(k)); got.Verdict != Pass {
				small++
			}
		}
		if missed > 0 || small > 0 {
			t.Errorf("%v px/mm, limits %v mm and %d px: %d of 2000 defects of just that length are missed, %d of 1000 that are a hundredth of a px less are called", c.scale, c.mm, c.px, missed, small)
		}
	}
	r := boardRecipe()
	r.Classes["scratch"] = ClassRule{ReviewAt: 0.3, RejectAt: 0.9}
	if got := r.Judge(seen(Candidate{Class: "scratch", Score: 0.8999, Box: Box{X2: 9, Y2: 9}})); got.Verdict != Review {
		t.Errorf("a score of 0.8999 where 0.9 rejects: got %v, want REVIEW", got.Verdict)
	}
}
