package decode

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// anomaly reads how unlike normal pictures one is: a score for the whole, a map that says where, or both, as anomalib exports
// them.
type anomaly struct {
	mapped
	picture, places *minMax // how raw scores become scores; nil: they are scores already
}

// minMax is anomalib's normalisation: the threshold becomes 0.5.
type minMax struct{ threshold, spread float64 }

var _ Decoder = (*anomaly)(nil)

func newAnomaly(b base, m models.Manifest) *anomaly {
	d := &anomaly{mapped: newMapped(b, m)}
	if n := m.Output.Normalization; n != nil {
		d.picture = &minMax{n.ImageThreshold, n.PredScoresMax - n.PredScoresMin}
		d.places = &minMax{n.PixelThreshold, n.MapsMax - n.MapsMin}
	}
	return d
}

// Decode implements Decoder.
func (d *anomaly) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	if err := checkPlacement(p); err != nil {
		return Answer{}, err
	}
	in, err := d.read(outs, sample)
	if err != nil {
		return Answer{}, err
	}
	where := in.places
	if in.mask != nil {
		where = in.mask
	}
	if where == nil {
		s, err := d.pictureScore(in, nil)
		return Answer{Candidates: d.whole(s, p)}, err
	}
	w, h := sides(*where)
	s, err := d.scratch(w, h, p)
	if err != nil {
		return Answer{}, err
	}
	defer d.scratches.Put(s)
	return d.answer(s, in)
}

// answers are the outputs of one sample; nil for those that the manifest does not name.
type answers struct{ score, places, label, mask *tensor }

// read finds the outputs and checks what can be said of each alone, and that map and mask are of one size.
func (d *anomaly) read(outs []Output, sample int) (in answers, err error) {
	for _, o := range [...]struct {
		role string
		into **tensor
	}{{models.RoleScore, &in.score}, {models.RoleMap, &in.places}, {models.RoleLabel, &in.label}, {models.RoleMask, &in.mask}} {
		if d.names[o.role] == "" {
			continue
		}
		t, err := d.tensor(outs, o.role, sample)
		if err != nil {
			return answers{}, err
		}
		*o.into = &t
	}
	for _, t := range [...]*tensor{in.label, in.mask} {
		if err := t.checkBits(); err != nil {
			return answers{}, err
		}
	}
	if in.places != nil && in.mask != nil {
		w, h := sides(*in.places)
		if mw, mh := sides(*in.mask); mw != w || mh != h {
			return answers{}, fmt.Errorf("%w: output %q is a map of %dx%d, output %q a mask of %dx%d", inspection.ErrModelOutput, in.places.name, w, h, in.mask.name, mw, mh)
		}
	}
	return in, nil
}

// checkBits checks that every value is 0 or 1.
func (t *tensor) checkBits() error {
	if t == nil {
		return nil
	}
	for i, v := range t.data {
		if v != 0 && v != 1 {
			return fmt.Errorf("%w: output %q: value %d is %v, want 0 or 1", inspection.ErrModelOutput, t.name, i, v)
		}
	}
	return nil
}

// answer finds the regions of a map or mask. The strongest gets the picture's score and none a higher one; where there is
// none, the picture as a whole gets it.
func (d *anomaly) answer(s *scratch, in answers) (Answer, error) {
	value := []float32(nil)
	if in.places != nil {
		value = s.value
		for i, v := range in.places.data {
			normal, ok := d.places.score(v)
			if !ok {
				return Answer{}, in.places.rawScore(i)
			}
			value[i] = float32(normal)
		}
	}
	for i := range s.class {
		s.class[i] = -1
		if s.shows(i) && (in.mask != nil && in.mask.data[i] == 1 || in.mask == nil && float64(value[i]) >= d.regionAt) {
			s.class[i] = 0
		}
	}
	picture, err := d.pictureScore(in, s)
	if err != nil {
		return Answer{}, err
	}
	candidates, err := d.regions(s, value, picture)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Candidates: candidates, Heatmap: s.heatmap(in.places, d.width, d.height)}, nil
}

func (d *anomaly) regions(s *scratch, value []float32, picture float64) ([]inspection.Candidate, error) {
	regions := s.labeller.find(s.w, s.h, s.class, value)
	var seen []scored
	for i, r := range regions {
		if r.cells >= d.minRegion {
			seen = append(seen, scored{number: i, score: r.top})
		}
	}
	if len(seen) == 0 {
		return d.whole(picture, s.place), nil
	}
	strongest(seen)
	seen[0].score = picture
	kept := seen[:0]
	for _, f := range seen {
		if f.score = min(f.score, picture); f.score >= d.floor {
			kept = append(kept, f)
		}
	}
	return d.candidates(s, regions, kept)
}

// whole is the answer that speaks of no place.
func (d *anomaly) whole(picture float64, p inspection.Placement) []inspection.Candidate {
	if picture < d.floor {
		return nil
	}
	return []inspection.Candidate{{Class: d.labels[0], Score: decimal(picture), Box: wholeFrame(p)}}
}

// pictureScore is the graph's score of the whole picture, or the highest of its map where that shows the frame.
func (d *anomaly) pictureScore(in answers, s *scratch) (float64, error) {
	t, at := in.score, 0
	if t == nil {
		t, at = in.places, s.y1*s.w+s.x1
		for i, v := range t.data {
			if v > t.data[at] && s.shows(i) {
				at = i
			}
		}
	}
	v, ok := d.picture.score(t.data[at])
	if !ok {
		return 0, t.rawScore(at)
	}
	return v, nil
}

// score makes a score of a raw one, or reports that it is none. Without a normalisation it must be one already.
func (m *minMax) score(v float32) (float64, bool) {
	if m == nil {
		return score(v)
	}
	return min(max((float64(v)-m.threshold)/m.spread+0.5, 0), 1), true
}

// rawScore is badScore with the usual cause.
func (t *tensor) rawScore(i int) error {
	return fmt.Errorf("%w: an anomalib 2 model that was exported without a validation run has no minimum and maximum, and gives raw scores: "+
		"run engine.test or engine.validate and export it again; for anomalib 1, copy metadata.json into output.normalization", t.badScore(i))
}

// heatmap copies the part of a map that shows the frame.
func (s *scratch) heatmap(t *tensor, width, height float64) *Map {
	if t == nil {
		return nil
	}
	m := &Map{Width: s.x2 - s.x1, Height: s.y2 - s.y1}
	m.Values = make([]float32, 0, m.Width*m.Height)
	for y := s.y1; y < s.y2; y++ {
		m.Values = append(m.Values, t.data[y*s.w+s.x1:y*s.w+s.x2]...)
	}
	cellW, cellH := width/float64(s.w), height/float64(s.h)
	m.Area = s.place.ToFrame(inspection.Box{
		X1: float64(s.x1) * cellW, Y1: float64(s.y1) * cellH, X2: float64(s.x2) * cellW, Y2: float64(s.y2) * cellH,
	})
	return m
}
