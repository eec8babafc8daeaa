package eval

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

type object struct {
	Image int        `json:"image"`
	Class string     `json:"class"`
	Score float64    `json:"score"`
	Box   [4]float64 `json:"box"`
}

func (o object) box() inspection.Box {
	return inspection.Box{X1: o.Box[0], Y1: o.Box[1], X2: o.Box[2], Y2: o.Box[3]}
}

// The cases and their AP come from testdata/ap_reference.py, which shares no code with Evaluate.
func TestAPAgreesWithTheSecondImplementation(t *testing.T) {
	raw, err := os.ReadFile("testdata/ap_reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Classes    []string           `json:"classes"`
		IoU        float64            `json:"iou"`
		Truths     []object           `json:"truths"`
		Detections []object           `json:"detections"`
		AP         map[string]float64 `json:"ap"`
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, c := range cases {
		var truths []Truth
		for _, o := range c.Truths {
			truths = append(truths, Truth{Image: o.Image, Class: o.Class, Box: o.box()})
		}
		var detections []Detection
		for _, o := range c.Detections {
			detections = append(detections, Detection{Image: o.Image, Class: o.Class, Score: o.Score, Box: o.box()})
		}
		report, err := Evaluate(c.Classes, truths, detections, c.IoU)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		sum := 0.0
		for _, r := range report.Classes {
			want, ok := c.AP[r.Class]
			if !ok {
				if !math.IsNaN(r.AP) {
					t.Errorf("case %d, class %s without truths: AP %v, want NaN", i, r.Class, r.AP)
				}
				continue
			}
			compared++
			sum += want
			if math.Abs(r.AP-want) > 1e-12 {
				t.Errorf("case %d, class %s: AP %v, want %v", i, r.Class, r.AP, want)
			}
		}
		if want := sum / float64(len(c.AP)); math.Abs(report.MeanAP-want) > 1e-12 {
			t.Errorf("case %d: mean AP %v, want %v", i, report.MeanAP, want)
		}
	}
	if compared < 60 {
		t.Errorf("only %d classes were compared", compared)
	}
}

func unit(x float64) inspection.Box { return inspection.Box{X1: x, X2: x + 10, Y2: 10} }

func TestEvaluateCountsWhatTheRecipeCalled(t *testing.T) {
	truths := []Truth{{Class: "a", Box: unit(0)}, {Class: "a", Box: unit(100)}, {Class: "a", Box: unit(200)}, {Class: "a", Box: unit(300), Crowd: true}}
	detections := []Detection{
		{Class: "a", Score: 0.9, Box: unit(1), Called: true},   // right
		{Class: "a", Score: 0.8, Box: unit(2), Called: true},   // its truth is taken
		{Class: "a", Score: 0.2, Box: unit(100)},               // right, but not called
		{Class: "a", Score: 0.7, Box: unit(301), Called: true}, // in a crowd: left out
	}
	report, err := Evaluate([]string{"a"}, truths, detections, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	got := report.Classes[0]
	if want := (Counts{Right: 1, Wrong: 1, Missed: 2}); got.Counts != want {
		t.Errorf("counts %+v, want %+v", got.Counts, want)
	}
	if got.Truths != 3 || got.Detections != 3 {
		t.Errorf("truths %d, detections %d; want 3 and 3", got.Truths, got.Detections)
	}
	if p, r, f := got.Precision(), got.Recall(), got.F(); p != 0.5 || r != 1.0/3 || f != 0.4 {
		t.Errorf("P %v R %v F %v, want 0.5 0.333 0.4", p, r, f)
	}
}

func TestPRCurveHasOnePointForEachScore(t *testing.T) {
	truths := []Truth{{Class: "a", Box: unit(0)}, {Class: "a", Box: unit(100)}}
	detections := []Detection{{Class: "a", Score: 0.9, Box: unit(0)}, {Class: "a", Score: 0.5, Box: unit(500)}, {Class: "a", Score: 0.5, Box: unit(100)}, {Class: "a", Score: 0.1, Box: unit(600)}}
	report, err := Evaluate([]string{"a"}, truths, detections, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	want := []PRPoint{{0.9, 0.5, 1}, {0.5, 1, 2.0 / 3}, {0.1, 1, 0.5}}
	if got := report.Classes[0].Curve; !slices.Equal(got, want) {
		t.Errorf("curve %v, want %v", got, want)
	}
	if report.Truths() != 2 {
		t.Errorf("%d truths, want 2", report.Truths())
	}
}

func TestEvaluateRefuses(t *testing.T) {
	a := []Truth{{Class: "a", Box: unit(0)}}
	for _, c := range []struct {
		classes    []string
		truths     []Truth
		detections []Detection
		iou        float64
		want       string
	}{
		{[]string{"a"}, a, nil, 0, "iou"},
		{[]string{"a"}, a, nil, math.NaN(), "iou"},
		{[]string{"b"}, a, nil, 0.5, `"a"`},
		{[]string{"a"}, a, []Detection{{Class: "x"}}, 0.5, `"x"`},
		{[]string{"a"}, a, []Detection{{Class: "a", Score: math.NaN()}}, 0.5, "score"},
	} {
		if _, err := Evaluate(c.classes, c.truths, c.detections, c.iou); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Evaluate: %v, want an error that says %q", err, c.want)
		}
	}
}

func TestParseCOCO(t *testing.T) {
	good := `{"images":[{"id":7,"file_name":"x/a.png","width":3,"height":4,"reference":"t1","view":"top"}],"categories":[{"id":2,"name":"scratch"}],
		"annotations":[{"image_id":7,"category_id":2,"bbox":[1,2,3,4],"iscrowd":1}]}`
	set, err := parseCOCO(strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Image{File: "x/a.png", Width: 3, Height: 4, Reference: "t1", View: "top"}); set.Images[0] != want {
		t.Errorf("image %+v, want %+v", set.Images[0], want)
	}
	if want := (Truth{Class: "scratch", Box: inspection.Box{X1: 1, Y1: 2, X2: 4, Y2: 6}, Crowd: true}); set.Truths[0] != want {
		t.Errorf("truth %+v, want %+v", set.Truths[0], want)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"file_name":"x/a.png"`, `"file_name":"../a.png"`, "images[0]"},
		{`"image_id":7`, `"image_id":8`, "image_id 8"},
		{`"category_id":2`, `"category_id":9`, "category_id 9"},
		{`[1,2,3,4]`, `[1,2,0,4]`, "bbox"},
		{`[1,2,3,4]`, `[1,2]`, "bbox"},
		{`"name":"scratch"`, `"name":""`, "categories[0]"},
		{`"images":[`, `"pictures":[`, "images is empty"},
		{`{"images"`, `images`, "COCO"},
	} {
		if _, err := parseCOCO(strings.NewReader(strings.Replace(good, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.new, err, c.want)
		}
	}
}
