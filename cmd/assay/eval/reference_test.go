package eval

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// reference holds what testdata/figures_reference.py got from scikit-learn, pycocotools and scipy.
type reference struct {
	Classify []struct {
		Classes, Truth, Guess, Used, Present []string
		Confusion                            [][]int
		Accuracy                             float64
		MacroF1                              float64 `json:"macro_f1"`
		F1                                   []float64
	}
	ROC []struct {
		Normal, Anomalous, FPR, TPR, Scores []float64
		Area                                float64
	}
	Boxes []struct {
		IoU           float64
		Truths, Found []struct {
			Image    int       `json:"image_id"`
			Category int       `json:"category_id"`
			Box      []float64 `json:"bbox"`
			Crowd    int       `json:"iscrowd"`
			Score    float64
		}
		AP map[string]float64
	}
	Pixels []struct {
		Pictures []struct {
			PNG           []byte
			Low, High     float64
			Width, Height int
			Mask          string
			Corner        []float64
		}
		AUROC, AUPRO float64
		Defects      int
	}
}

func readReference(t *testing.T) reference {
	t.Helper()
	raw, err := os.ReadFile("testdata/figures_reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Classify) == 0 || len(r.ROC) == 0 || len(r.Boxes) == 0 || len(r.Pixels) == 0 {
		t.Fatal("the reference lacks a part")
	}
	return r
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestConfusionAgreesWithScikitLearn(t *testing.T) {
	for i, c := range readReference(t).Classify {
		got, err := NewConfusion(c.Classes, c.Truth, c.Guess)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if !slices.Equal(got.Classes, c.Used) || fmt.Sprint(got.Counts) != fmt.Sprint(c.Confusion) {
			t.Errorf("case %d: confusion %v %v, want %v %v", i, got.Classes, got.Counts, c.Used, c.Confusion)
			continue
		}
		near(t, fmt.Sprintf("case %d: accuracy", i), got.Accuracy(), c.Accuracy, 1e-12)
		near(t, fmt.Sprintf("case %d: macro F1", i), got.MacroF1(), c.MacroF1, 1e-12)
		for j, class := range c.Present {
			near(t, fmt.Sprintf("case %d: F1 of %s", i, class), got.Of(slices.Index(got.Classes, class)).F(), c.F1[j], 1e-12)
		}
	}
}

func TestROCAgreesWithScikitLearn(t *testing.T) {
	for i, c := range readReference(t).ROC {
		got := NewROC(c.Normal, c.Anomalous)
		near(t, fmt.Sprintf("case %d: area", i), got.Area, c.Area, 1e-12)
		if len(got.Points) != len(c.FPR) {
			t.Errorf("case %d: %d points, want %d", i, len(got.Points), len(c.FPR))
			continue
		}
		for j, p := range got.Points {
			near(t, fmt.Sprintf("case %d, point %d: false rate", i, j), p.FalseRate, c.FPR[j], 1e-12)
			near(t, fmt.Sprintf("case %d, point %d: true rate", i, j), p.TrueRate, c.TPR[j], 1e-12)
			if j > 0 && p.Score != c.Scores[j-1] {
				t.Errorf("case %d, point %d: score %v, want %v", i, j, p.Score, c.Scores[j-1])
			}
		}
	}
}

func TestAPAgreesWithPycocotools(t *testing.T) {
	for i, c := range readReference(t).Boxes {
		var truths []Truth
		var found []Detection
		box := func(b []float64) inspection.Box {
			return inspection.Box{X1: b[0], Y1: b[1], X2: b[0] + b[2], Y2: b[1] + b[3]}
		}
		for _, o := range c.Truths {
			truths = append(truths, Truth{Image: o.Image, Class: fmt.Sprint(o.Category), Box: box(o.Box), Crowd: o.Crowd != 0})
		}
		for _, o := range c.Found {
			found = append(found, Detection{Image: o.Image, Class: fmt.Sprint(o.Category), Score: o.Score, Box: box(o.Box)})
		}
		got, err := Evaluate([]string{"1", "2"}, truths, found, c.IoU)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		for _, r := range got.Classes {
			if want, ok := c.AP[r.Class]; ok {
				near(t, fmt.Sprintf("case %d: AP of class %s", i, r.Class), r.AP, want, 1e-9)
			}
		}
	}
}

func TestPixelFiguresAgreeWithScikitLearnAndScipy(t *testing.T) {
	for i, c := range readReference(t).Pixels {
		low, high := math.Inf(1), math.Inf(-1)
		for _, p := range c.Pictures {
			low, high = min(low, p.Low), max(high, p.High)
		}
		h := NewHistogram(low, high)
		for j, p := range c.Pictures {
			m, err := DecodeHeatmap(inspection.Heatmap{PNG: p.PNG, Area: inspection.Box{X2: float64(p.Width), Y2: float64(p.Height)}, Low: p.Low, High: p.High})
			if err != nil {
				t.Fatal(err)
			}
			scores := m.Scores(p.Width, p.Height)
			for k, at := range [...]int{0, len(scores) - 1, p.Height/2*p.Width + p.Width/2} {
				near(t, fmt.Sprintf("case %d, picture %d: score at %d", i, j, at), scores[at], p.Corner[k], 1e-9)
			}
			mask := make([]bool, len(p.Mask))
			for k := range mask {
				mask[k] = p.Mask[k] == '1'
			}
			h.Add(scores, mask, p.Width)
		}
		if h.Defects() != c.Defects {
			t.Errorf("case %d: %d defects, want %d", i, h.Defects(), c.Defects)
		}
		roc, within := h.ROC()
		if !(within < 1e-3) {
			t.Errorf("case %d: the area is known within %v only", i, within)
		}
		near(t, fmt.Sprintf("case %d: pixel AUROC", i), roc.Area, c.AUROC, within+1e-12)
		near(t, fmt.Sprintf("case %d: AUPRO", i), h.AUPRO(), c.AUPRO, 2e-3)
	}
}
