package eval

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func scoresOf(t *rapid.T, name string, least int) []float64 {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 12), func(i int) float64 { return float64(i) / 12 }), least, 30).Draw(t, name)
}

func TestROCAreaIsTheChanceOfScoringHigher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		normal, anomalous := scoresOf(t, "normal", 1), scoresOf(t, "anomalous", 1)
		want := 0.0
		for _, a := range anomalous {
			for _, n := range normal {
				switch {
				case a > n:
					want++
				case a == n:
					want += 0.5
				}
			}
		}
		want /= float64(len(normal) * len(anomalous))
		r := NewROC(normal, anomalous)
		if math.Abs(r.Area-want) > 1e-12 {
			t.Fatalf("area %v, want %v", r.Area, want)
		}
		trapezoids := 0.0
		for i, p := range r.Points[1:] {
			before := r.Points[i]
			if p.FalseRate < before.FalseRate || p.TrueRate < before.TrueRate || p.Score >= before.Score {
				t.Fatalf("point %+v after %+v: rates must rise and scores fall", p, before)
			}
			trapezoids += (p.FalseRate - before.FalseRate) * (p.TrueRate + before.TrueRate) / 2
		}
		if last := r.Points[len(r.Points)-1]; last.FalseRate != 1 || last.TrueRate != 1 {
			t.Fatalf("the curve ends at %+v", last)
		}
		if math.Abs(trapezoids-want) > 1e-12 {
			t.Fatalf("area below the points %v, want %v", trapezoids, want)
		}
		// The histogram of the same scores tells 13 steps apart, so that it is exact but for its stated error.
		h := NewHistogram(0, 1)
		mask := make([]bool, len(anomalous))
		for i := range mask {
			mask[i] = true
		}
		h.Add(normal, nil, 1)
		h.Add(anomalous, mask, 1)
		binned, within := h.ROC()
		if math.Abs(binned.Area-want) > within+1e-12 {
			t.Fatalf("area by histogram %v within %v, want %v", binned.Area, within, want)
		}
	})
}

func TestROCOfOneSideIsUnknown(t *testing.T) {
	for _, r := range []ROC{NewROC(nil, []float64{1}), NewROC([]float64{1}, nil)} {
		if !math.IsNaN(r.Area) {
			t.Errorf("area %v, want NaN", r.Area)
		}
	}
	h := NewHistogram(0, 1)
	h.Add([]float64{0.5}, nil, 1)
	if r, _ := h.ROC(); !math.IsNaN(r.Area) || !math.IsNaN(h.AUPRO()) {
		t.Errorf("without a defect: area %v, AUPRO %v, want NaN", r.Area, h.AUPRO())
	}
}

func TestAUPROCountsSmallDefectsAsMuchAsLargeOnes(t *testing.T) {
	// 1 normal row of 0, a defect of 1 pixel that is found before all and one of 3 that never is before a third of the normal.
	h := NewHistogram(0, 1)
	h.Add([]float64{
		0.9, 0.2, 0.1, 0.1, 0.1,
		0.5, 0.5, 0.5, 0.5, 0.5,
	}, []bool{
		true, false, true, true, true,
		false, false, false, false, false,
	}, 5)
	if h.Defects() != 2 {
		t.Fatalf("%d defects, want 2", h.Defects())
	}
	if got := h.AUPRO(); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("AUPRO %v, want 0.5: one of two defects whole, the other not at all", got)
	}
}

func TestAUPROEndsWithinAStep(t *testing.T) {
	// Half of the defect is found before all, the rest with every normal pixel: from 0.5 at 0 straight to 1 at 1, so 0.65 at 0.3.
	h := NewHistogram(0, 1)
	h.Add([]float64{0.9, 0.5, 0.5, 0.5}, []bool{true, true, false, false}, 4)
	if got := h.AUPRO(); math.Abs(got-0.575) > 1e-9 {
		t.Errorf("AUPRO %v, want 0.575", got)
	}
}

func TestRegionsDoNotWrapAround(t *testing.T) {
	_, sizes := regions([]bool{
		false, false, true,
		true, false, false,
		false, true, false,
	}, 3)
	if len(sizes) != 2 || sizes[0] != 1 || sizes[1] != 2 {
		t.Errorf("sizes %v, want 1 and 2", sizes)
	}
}

func TestConfusionCountsEveryPictureOnce(t *testing.T) {
	classes := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		truth := rapid.SliceOfN(rapid.SampledFrom(classes), 1, 40).Draw(t, "truth")
		guess := rapid.SliceOfN(rapid.SampledFrom(append(classes, "")), len(truth), len(truth)).Draw(t, "guess")
		c, err := NewConfusion(classes, truth, guess)
		if err != nil {
			t.Fatal(err)
		}
		right, all := 0, 0
		for i := range truth {
			if truth[i] == guess[i] {
				right++
			}
		}
		found := 0
		for i := range c.Classes {
			of := c.Of(i)
			all, found = all+c.Pictures(i), found+of.Right
			if of.Right+of.Missed != c.Pictures(i) || of.Wrong < 0 {
				t.Fatalf("class %s: %+v of %d pictures", c.Classes[i], of, c.Pictures(i))
			}
		}
		if all != len(truth) || found != right {
			t.Fatalf("%d pictures and %d right, want %d and %d", all, found, len(truth), right)
		}
		if f := c.MacroF1(); f < 0 || f > 1 || (f == 1) != (right == len(truth)) {
			t.Fatalf("macro F1 %v with %d of %d right", f, right, len(truth))
		}
	})
}

func TestConfusionRefuses(t *testing.T) {
	for _, c := range []struct{ truths, guesses []string }{
		{[]string{"x"}, []string{"a"}}, {[]string{"a"}, []string{"x"}}, {[]string{""}, []string{"a"}}, {[]string{"a"}, nil},
	} {
		if _, err := NewConfusion([]string{"a"}, c.truths, c.guesses); err == nil {
			t.Errorf("truths %q, predictions %q: no error", c.truths, c.guesses)
		}
	}
}
