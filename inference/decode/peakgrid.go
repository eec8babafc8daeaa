package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// peakGrid reads score maps that are zero but for peaks, and the box of every cell in pixels of the input.
type peakGrid struct{ base }

var _ Decoder = (*peakGrid)(nil)

// Decode implements Decoder.
func (d *peakGrid) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	scores, err := d.tensor(outs, models.RoleScores, sample)
	if err != nil {
		return Answer{}, err
	}
	boxes, err := d.tensor(outs, models.RoleBoxes, sample)
	if err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	cells := len(boxes.data) / 4
	x1, y1, x2, y2 := boxes.data[:cells], boxes.data[cells:2*cells], boxes.data[2*cells:3*cells], boxes.data[3*cells:]
	for i, v := range scores.data {
		s, ok := score(v)
		if !ok {
			return Answer{}, scores.badScore(i)
		}
		if s < d.floor {
			continue
		}
		cell := i % cells
		box := inspection.Box{X1: float64(x1[cell]), Y1: float64(y1[cell]), X2: float64(x2[cell]), Y2: float64(y2[cell])}
		if err := l.add(i/cells, s, box); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}
