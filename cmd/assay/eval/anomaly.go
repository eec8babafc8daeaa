package eval

import (
	"fmt"
	"math"

	"github.com/assay-vision/assay/inspection"
)

// Scored is what was said of one picture.
type Scored struct {
	Image   int     // index of Set.Images
	Score   float64 // the picture's: the higher, the less normal
	Called  bool    // the recipe did not let it pass
	Heatmap *inspection.Heatmap
}

// KindReport is how well one kind is told from the normal.
type KindReport struct {
	Kind     string
	Pictures int
	Called   int
	Image    ROC // of the pictures' scores
	// Of the pixels of this kind's and the normal pictures; Area is NaN without heatmaps or masks.
	Pixel      ROC
	PixelError float64 // the exact area lies within this of Pixel.Area
	AUPRO      float64
	Defects    int // in the masks
}

// AnomalyReport is the outcome of EvaluateAnomaly.
type AnomalyReport struct {
	Kinds  []KindReport // those that are not normal, in the set's order
	All    KindReport   // all of them together
	Normal KindReport   // counts alone
	Counts              // of pictures, at the recipe's own thresholds
	// MapWidth and MapHeight are the largest heatmap's, Levels how many steps of score between Low and High the pixels'
	// figures tell apart. All are 0 without pixel figures.
	MapWidth, MapHeight int
	Levels              int
	Low, High           float64
	NoPixels            string // why there are no pixel figures; empty: there are
	Unjudged            int    // pictures of which nothing was said: they are in no figure
}

// EvaluateAnomaly measures how well pictures' scores and heatmaps tell what is not normal from what is. found has an entry
// for each picture of the set that was judged; tick is called after each heatmap. Pixel figures need masks, and a heatmap of
// every one.
func EvaluateAnomaly(set Set, found []Scored, tick func()) (AnomalyReport, error) {
	if len(found) == 0 {
		return AnomalyReport{}, fmt.Errorf("none of %d pictures was judged by the model: there is nothing to measure", len(set.Images))
	}
	r := AnomalyReport{Unjudged: len(set.Images) - len(found), Normal: KindReport{Kind: set.Normal}, All: KindReport{Pixel: ROC{Area: math.NaN()}, AUPRO: math.NaN()}}
	scores, kinds := map[string][]float64{}, map[string]*KindReport{set.Normal: &r.Normal}
	r.Kinds = make([]KindReport, len(set.Classes))
	for i, c := range set.Classes {
		r.Kinds[i] = r.All
		r.Kinds[i].Kind, kinds[c] = c, &r.Kinds[i]
	}
	var anomalous []float64
	for _, f := range found {
		kind := set.Images[f.Image].Class
		if math.IsNaN(f.Score) {
			return AnomalyReport{}, fmt.Errorf("%s has no score", set.Images[f.Image].File)
		}
		scores[kind] = append(scores[kind], f.Score)
		k := kinds[kind]
		k.Pictures++
		if f.Called {
			k.Called++
		}
		if kind != set.Normal {
			anomalous = append(anomalous, f.Score)
		}
	}
	for i := range r.Kinds {
		k := &r.Kinds[i]
		k.Image = NewROC(scores[set.Normal], scores[k.Kind])
		r.All.Pictures, r.All.Called = r.All.Pictures+k.Pictures, r.All.Called+k.Called
	}
	r.All.Image = NewROC(scores[set.Normal], anomalous)
	r.Counts = Counts{Right: r.All.Called, Wrong: r.Normal.Called, Missed: r.All.Pictures - r.All.Called}
	if r.NoPixels = noPixels(set, found); r.NoPixels != "" {
		return r, nil
	}
	return r, r.pixels(set, found, tick)
}

// noPixels says why pixels cannot be measured.
func noPixels(set Set, found []Scored) string {
	without := 0
	for _, f := range found {
		if f.Heatmap == nil {
			without++
		}
	}
	switch {
	case !set.Masked():
		return "the set has no masks"
	case without == len(found):
		return "the model gives no heatmap"
	case without > 0:
		return fmt.Sprintf("%d of %d results have no heatmap", without, len(found))
	}
	return ""
}

// pixels counts the pixels of every picture, and reads their figures off.
func (r *AnomalyReport) pixels(set Set, found []Scored, tick func()) error {
	r.Low, r.High = math.Inf(1), math.Inf(-1)
	for _, f := range found {
		r.Low, r.High = min(r.Low, f.Heatmap.Low), max(r.High, f.Heatmap.High)
	}
	counted := map[string]*Histogram{set.Normal: NewHistogram(r.Low, r.High)}
	for _, c := range set.Classes {
		counted[c] = NewHistogram(r.Low, r.High)
	}
	for _, f := range found {
		im := set.Images[f.Image]
		if err := r.count(counted[im.Class], set, im, *f.Heatmap); err != nil {
			return fmt.Errorf("%s: %w", im.File, err)
		}
		tick()
	}
	all := NewHistogram(r.Low, r.High)
	all.Merge(counted[set.Normal])
	for i := range r.Kinds {
		h := counted[r.Kinds[i].Kind]
		all.Merge(h)
		h.Merge(counted[set.Normal])
		r.Kinds[i].read(h)
	}
	r.All.read(all)
	r.Levels = all.Levels()
	return nil
}

func (k *KindReport) read(h *Histogram) {
	k.Pixel, k.PixelError = h.ROC()
	k.AUPRO, k.Defects = h.AUPRO(), h.Defects()
}

func (r *AnomalyReport) count(into *Histogram, set Set, im Image, heat inspection.Heatmap) error {
	width, height, err := ReadSize(set.Path(im.File))
	if err != nil {
		return err
	}
	m, err := DecodeHeatmap(heat)
	if err != nil {
		return err
	}
	w, h := m.Size()
	r.MapWidth, r.MapHeight = max(r.MapWidth, w), max(r.MapHeight, h)
	var mask []bool
	if im.Mask != "" {
		if mask, err = ReadMask(set.Path(im.Mask), width, height); err != nil {
			return err
		}
	}
	into.Add(m.Scores(width, height), mask, width)
	return nil
}
