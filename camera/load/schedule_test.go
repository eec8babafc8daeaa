package load

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestTimetablesComeFromTheirSeedAlone(t *testing.T) {
	make := func(seed uint64) Schedule {
		s, err := Poisson(200, 10*time.Second, seed)
		if err != nil {
			t.Fatal(err)
		}
		s.Budgets(0.3, 25*time.Millisecond, 150*time.Millisecond, seed)
		return s
	}
	if a, b := make(7), make(7); !slices.Equal(a, b) {
		t.Error("the same seed gave two timetables")
	}
	if a, b := make(7), make(8); slices.Equal(a, b) {
		t.Error("two seeds gave one timetable")
	}
}

func TestPoissonHasItsRateAndItsSpread(t *testing.T) {
	s, err := Poisson(500, 100*time.Second, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := float64(len(s)), 50000.0; math.Abs(got-want) > 4*math.Sqrt(want) {
		t.Errorf("%v frames, want about %v", got, want)
	}
	var sum, squares float64
	for i := 1; i < len(s); i++ {
		gap := (s[i].At - s[i-1].At).Seconds()
		if gap < 0 {
			t.Fatalf("frame %d is due before frame %d", i, i-1)
		}
		sum, squares = sum+gap, squares+gap*gap
	}
	mean := sum / float64(len(s)-1)
	deviation := math.Sqrt(squares/float64(len(s)-1) - mean*mean)
	if deviation < 0.95*mean || deviation > 1.05*mean {
		t.Errorf("gaps of %.6f s vary by %.6f s: a Poisson timetable's vary by their mean", mean, deviation)
	}
}

func TestBurstsComeTogether(t *testing.T) {
	s, err := Bursts(600, 6, 10*time.Second, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s {
		if s[i].At != s[i-i%6].At || s[i].Picture != i {
			t.Fatalf("frame %d: due at %v with picture %d, its burst at %v", i, s[i].At, s[i].Picture, s[i-i%6].At)
		}
	}
	if got := len(s); got < 5400 || got > 6600 {
		t.Errorf("%d frames, want about 6000", got)
	}
}

func TestCamerasKeepTheirPeriod(t *testing.T) {
	for _, together := range []bool{true, false} {
		s, err := Cameras(5, 10, together, 2*time.Second, 9)
		if err != nil {
			t.Fatal(err)
		}
		last, phases := map[int]time.Duration{}, map[time.Duration]bool{}
		for i, a := range s {
			if i > 0 && a.At < s[i-1].At {
				t.Fatalf("frame %d is due before the one before", i)
			}
			if at, seen := last[a.Stream]; seen {
				if gap := a.At - at; gap < 99999*time.Microsecond || gap > 100001*time.Microsecond {
					t.Fatalf("camera %d: %v between two frames, want 100ms", a.Stream, gap)
				}
			} else {
				phases[a.At] = true
			}
			last[a.Stream] = a.At
		}
		if len(last) != 5 || len(s) != 100 {
			t.Errorf("together %v: %d frames of %d cameras, want 100 of 5", together, len(s), len(last))
		}
		if want := map[bool]int{true: 1, false: 5}[together]; len(phases) != want {
			t.Errorf("together %v: %d phases, want %d", together, len(phases), want)
		}
	}
}

func TestBudgetsAreSharedOut(t *testing.T) {
	s, err := Poisson(1000, 10*time.Second, 5)
	if err != nil {
		t.Fatal(err)
	}
	s.Budgets(0.3, time.Millisecond, time.Second, 6)
	n := 0
	for _, a := range s {
		switch a.Budget {
		case time.Millisecond:
			n++
		case time.Second:
		default:
			t.Fatalf("a budget of %v", a.Budget)
		}
	}
	if share := float64(n) / float64(len(s)); share < 0.28 || share > 0.32 {
		t.Errorf("%.3f have the tight budget, want 0.3", share)
	}
}

func TestTimetablesThatCannotBeAreRefused(t *testing.T) {
	for _, err := range []error{
		second(Poisson(0, time.Second, 1)), second(Poisson(math.NaN(), time.Second, 1)), second(Poisson(1, 0, 1)), second(Bursts(1, 0, time.Second, 1)),
		second(Cameras(0, 1, true, time.Second, 1)), second(Cameras(1, math.Inf(1), true, time.Second, 1)), second(Cameras(1, 1, true, -1, 1)),
	} {
		if err == nil {
			t.Error("a timetable was made that has no rate or no length")
		}
	}
}

func second(_ Schedule, err error) error { return err }
