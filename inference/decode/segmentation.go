package decode

import (
	"fmt"
	"math"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// segmentation reads which class each place of the picture is of. Regions of one class that hang together are candidates.
type segmentation struct {
	mapped
	background int // class that means nothing; -1 where the graph has none
	classes    int // of the graph
}

var _ Decoder = (*segmentation)(nil)

func newSegmentation(b base, m models.Manifest) *segmentation {
	d := &segmentation{mapped: newMapped(b, m), background: -1, classes: len(m.Labels)}
	if m.Output.Background != nil {
		d.background = *m.Output.Background
		d.classes++
	}
	return d
}

// Decode implements Decoder.
func (d *segmentation) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	role, read := models.RoleScores, d.readScores
	if d.names[models.RoleLabels] != "" {
		role, read = models.RoleLabels, d.readLabels
	}
	out, err := d.tensor(outs, role, sample)
	if err != nil {
		return Answer{}, err
	}
	w, h := sides(out)
	s, err := d.scratch(w, h, p)
	if err != nil {
		return Answer{}, err
	}
	defer d.scratches.Put(s)
	if err := read(s, out); err != nil {
		return Answer{}, err
	}
	regions := s.labeller.find(w, h, s.class, s.value)
	var seen []scored
	for i, r := range regions {
		if mean := r.sum / float64(r.cells); r.cells >= d.minRegion && mean >= d.floor {
			seen = append(seen, scored{number: i, class: r.class, score: min(mean, 1)})
		}
	}
	strongest(seen)
	candidates, err := d.candidates(s, regions, seen)
	return Answer{Candidates: candidates}, err
}

// sides returns the size of a map.
func sides(t tensor) (w, h int) {
	n := len(t.shape)
	return int(t.shape[n-1]), int(t.shape[n-2])
}

// readScores gives every cell the class that is strongest there, the first of equals, and its score.
func (d *segmentation) readScores(s *scratch, out tensor) error {
	cells := s.w * s.h
	copy(s.value, out.data)
	clear(s.class)
	for i, v := range out.data {
		if _, ok := score(v); !ok && d.activation == models.ActivationNone {
			return out.badScore(i)
		}
	}
	for class := 1; class < d.classes; class++ {
		for i, v := range out.data[class*cells : (class+1)*cells] {
			if v > s.value[i] {
				s.class[i], s.value[i] = int32(class), v
			}
		}
	}
	for i := range s.class {
		s.class[i] = d.label(s, i, s.class[i])
		if s.class[i] < 0 {
			continue
		}
		v := d.strength(out, i, float64(s.value[i]))
		if s.value[i] = float32(v); v < d.regionAt {
			s.class[i] = -1
		}
	}
	return nil
}

// strength is the score of the class that is strongest at one cell, of which top is the graph's number.
func (d *segmentation) strength(out tensor, cell int, top float64) float64 {
	switch d.activation {
	case models.ActivationSoftmax:
		sum := 0.0
		for at := cell; at < len(out.data); at += len(out.data) / d.classes {
			sum += math.Exp(float64(out.data[at]) - top)
		}
		return 1 / sum
	case models.ActivationSigmoid:
		return 1 / (1 + math.Exp(-top))
	default:
		return min(max(top, 0), 1)
	}
}

// readLabels gives every cell the class that the graph names, with score 1.
func (d *segmentation) readLabels(s *scratch, out tensor) error {
	for i, v := range out.data {
		class := int32(v)
		if float32(class) != v || class < 0 || int(class) >= d.classes {
			return fmt.Errorf("%w: output %q: value %d is %v, want the number of a class, 0..%d", inspection.ErrModelOutput, out.name, i, v, d.classes-1)
		}
		s.class[i], s.value[i] = d.label(s, i, class), 1
	}
	return nil
}

// label turns the graph's class into the index of a label, -1 where a cell shows nothing.
func (d *segmentation) label(s *scratch, cell int, class int32) int32 {
	switch {
	case int(class) == d.background || !s.shows(cell):
		return -1
	case d.background >= 0 && int(class) > d.background:
		return class - 1
	}
	return class
}
