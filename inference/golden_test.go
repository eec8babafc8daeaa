package inference

import (
	"image"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

func candidate(class string, score float64, box ...float64) inspection.Candidate {
	return inspection.Candidate{Class: class, Score: score, Box: inspection.Box{X1: box[0], Y1: box[1], X2: box[2], Y2: box[3]}}
}

func TestAnAnswerIsHeldAgainstTheExpectedOne(t *testing.T) {
	set := models.Golden{ReportAt: 0.3, Tolerance: models.Tolerance{Score: 0.02, BoxPx: 2, MaskIoU: 0.9, Heatmap: 0.02}}
	x := expectation{GoldenPicture: models.GoldenPicture{Image: "golden/a.png", Expect: []models.GoldenCandidate{
		{Class: "open", Score: 0.97, Box: []float64{10, 10, 20, 20}},
		{Class: "open", Score: 0.60, Box: []float64{12, 10, 22, 20}}, // beside the first: the surer one takes the nearer match
		{Class: "spur", Score: 0.31, Box: []float64{100, 100, 120, 120}},
	}}}
	right := []inspection.Candidate{candidate("open", 0.97, 10, 10, 20, 20), candidate("open", 0.60, 12, 10, 22, 20), candidate("spur", 0.31, 100, 100, 120, 120)}
	with := func(i int, c inspection.Candidate) []inspection.Candidate {
		out := append([]inspection.Candidate(nil), right...)
		out[i] = c
		return out
	}
	for _, c := range []struct {
		name string
		got  []inspection.Candidate
		want []string
	}{
		{"as expected", right, nil},
		{"within the tolerance", []inspection.Candidate{candidate("open", 0.985, 11, 9, 21.9, 18.1), candidate("open", 0.59, 12, 10, 22, 20), candidate("spur", 0.291, 100, 100, 120, 120)}, nil},
		{"a lower score", with(0, candidate("open", 0.91, 10, 10, 20, 20)), []string{"golden/a.png: open at [10.0 10.0 20.0 20.0] score 0.910, want 0.970 +- 0.02"}},
		{"a higher score", with(1, candidate("open", 0.70, 12, 10, 22, 20)), []string{"score 0.700, want 0.600 +- 0.02"}},
		{"another place", with(2, candidate("spur", 0.31, 103, 100, 120, 120)), []string{"spur at [103.0 100.0 120.0 120.0], want [100.0 100.0 120.0 120.0] +- 2 px: off by 3.0"}},
		{"one missing", right[:2], []string{"no spur at [100.0 100.0 120.0 120.0], want one of score 0.310"}},
		{"far away", with(2, candidate("spur", 0.4, 300, 100, 320, 120)), []string{"no spur at [100.0", "spur at [300.0 100.0 320.0 120.0] score 0.400 is not expected"}},
		{"another class", with(2, candidate("open", 0.5, 100, 100, 120, 120)), []string{"no spur at", "open at [100.0 100.0 120.0 120.0] score 0.500 is not expected"}},
		{"one more", append(with(0, right[0]), candidate("spur", 0.4, 300, 300, 310, 310)), []string{"spur at [300.0 300.0 310.0 310.0] score 0.400 is not expected"}},
		{"one more that the tolerance alone lifts over report_at", append(with(0, right[0]), candidate("spur", 0.315, 300, 300, 310, 310)), nil},
		{"nothing", nil, []string{"no open at [10.0", "no open at [12.0", "no spur at"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := x.compare(set, decode.Answer{Candidates: c.got})
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func TestMasksAndHeatmapsAreHeldAgainstTheExpectedOnes(t *testing.T) {
	square := func(x int) *inspection.Mask {
		bits := make([]bool, 100)
		for i := range bits {
			bits[i] = true
		}
		return inspection.EncodeMask(64, 64, x, 10, 10, 10, bits)
	}
	heat := image.NewGray(image.Rect(0, 0, 2, 1))
	heat.Pix = []byte{0, 255}
	set := models.Golden{ReportAt: 0.3, Tolerance: models.Tolerance{Score: 0.02, BoxPx: 2, MaskIoU: 0.8, Heatmap: 0.05}}
	x := expectation{heatmap: heat, GoldenPicture: models.GoldenPicture{
		Image: "a.png", Heatmap: models.GoldenHeatmap{File: "h.png", Low: -1, High: 3},
		Expect: []models.GoldenCandidate{{Class: "open", Score: 0.9, Box: []float64{10, 10, 20, 20}, Mask: square(10).Counts}},
	}}
	answer := func(m *inspection.Mask, values ...float32) decode.Answer {
		c := candidate("open", 0.9, 10, 10, 20, 20)
		c.Mask = m
		return decode.Answer{Candidates: []inspection.Candidate{c}, Heatmap: &decode.Map{Width: len(values), Height: 1, Values: values}}
	}
	for _, c := range []struct {
		name string
		got  decode.Answer
		want string
	}{
		{"as expected", answer(square(10), -1, 3), ""},
		{"within the tolerance", answer(square(11), -1.04, 3.04), ""}, // 90 of 110 px
		{"a shifted mask", answer(square(12), -1, 3), "mask of open at [10.0 10.0 20.0 20.0] overlaps the expected one by 0.667, want 0.8 or more"},
		{"no mask", answer(nil, -1, 3), "mask of open at [10.0 10.0 20.0 20.0]: there is none"},
		{"another map", answer(square(10), -1, 2.8), "the heatmap is off by 0.1000 on average, want 0.05 at most"},
		{"a map of another size", answer(square(10), -1, 3, 3), "the heatmap is of 3x1, want 2x1 as in h.png"},
		{"no map", decode.Answer{Candidates: answer(square(10), 1).Candidates}, "there is no heatmap"},
	} {
		got := strings.Join(x.compare(set, c.got), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// What is recorded of an answer holds against that answer.
func TestWhatIsRecordedIsExpected(t *testing.T) {
	a := decode.Answer{
		Candidates: []inspection.Candidate{candidate("open", 0.912345, 10.123456, 10, 20, 20), candidate("open", 0.30004, 50, 50, 60, 60), candidate("open", 0.29, 70, 70, 80, 80)},
		Heatmap:    &decode.Map{Width: 2, Height: 2, Values: []float32{-0.5, 0.1, 0.2, 7}},
	}
	p := recorded(a, 0.3)
	if len(p.Expect) != 2 || p.Expect[0].Score != 0.9123 || p.Expect[0].Box[0] != 10.12 || p.Expect[1].Score != 0.3 || p.Low != -0.5 || p.High != 7 {
		t.Fatalf("got %+v", p)
	}
	heat, err := readHeatmap(p.Heatmap)
	if err != nil {
		t.Fatal(err)
	}
	x := expectation{heatmap: heat, GoldenPicture: models.GoldenPicture{Image: "a.png", Expect: p.Expect, Heatmap: models.GoldenHeatmap{Low: p.Low, High: p.High}}}
	set := models.Golden{ReportAt: 0.3, Tolerance: models.Tolerance{Score: 0.001, BoxPx: 0.01, MaskIoU: 0.9, Heatmap: 0.02}}
	if off := x.compare(set, a); len(off) != 0 {
		t.Errorf("got %q, want that it is as expected", off)
	}
}
