package decode

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// ssd reads one row of class scores and one box per anchor, the boxes already decoded by the graph.
type ssd struct {
	base
	background     int // class that means nothing; -1 where the graph has none
	corners        func(b []float32) inspection.Box
	scaleX, scaleY float64 // box unit to input pixels
}

var _ Decoder = (*ssd)(nil)

func newSSD(b base, m models.Manifest) (*ssd, error) {
	d := &ssd{base: b, background: -1, scaleX: 1, scaleY: 1}
	if m.Output.Background != nil {
		d.background = *m.Output.Background
	}
	if m.Output.BoxUnit == models.BoxNormalized {
		d.scaleX, d.scaleY = float64(m.Inputs[0].Width), float64(m.Inputs[0].Height)
	}
	switch m.Output.BoxFormat {
	case models.BoxXYXY:
		d.corners = func(b []float32) inspection.Box {
			return inspection.Box{X1: float64(b[0]), Y1: float64(b[1]), X2: float64(b[2]), Y2: float64(b[3])}
		}
	case models.BoxYXYX:
		d.corners = func(b []float32) inspection.Box {
			return inspection.Box{X1: float64(b[1]), Y1: float64(b[0]), X2: float64(b[3]), Y2: float64(b[2])}
		}
	case models.BoxCXCYWH:
		d.corners = func(b []float32) inspection.Box {
			x, y, w, h := float64(b[0]), float64(b[1]), float64(b[2])/2, float64(b[3])/2
			return inspection.Box{X1: x - w, Y1: y - h, X2: x + w, Y2: y + h}
		}
	default:
		return nil, fmt.Errorf("%w: output.box_format: no format is called %q", inspection.ErrInvalid, m.Output.BoxFormat)
	}
	return d, nil
}

// Decode implements Decoder.
func (d *ssd) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	scores, err := d.tensor(outs, models.RoleScores, sample)
	if err != nil {
		return Answer{}, err
	}
	boxes, err := d.tensor(outs, models.RoleBoxes, sample)
	if err != nil {
		return Answer{}, err
	}
	if scores.shape[0] != boxes.shape[0] {
		return Answer{}, fmt.Errorf("%w: output %q speaks of %d anchors, output %q of %d", inspection.ErrModelOutput, scores.name, scores.shape[0], boxes.name, boxes.shape[0])
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	classes := int(scores.shape[1])
	for i, v := range scores.data {
		s, ok := score(v)
		if !ok {
			return Answer{}, scores.badScore(i)
		}
		anchor, class := i/classes, i%classes
		if s < d.floor || class == d.background {
			continue
		}
		if d.background >= 0 && class > d.background {
			class--
		}
		if err := l.add(class, s, d.box(boxes.data[4*anchor:4*anchor+4])); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}

// box returns an anchor's box in pixels of the input.
func (d *ssd) box(b []float32) inspection.Box {
	c := d.corners(b)
	return inspection.Box{X1: c.X1 * d.scaleX, Y1: c.Y1 * d.scaleY, X2: c.X2 * d.scaleX, Y2: c.Y2 * d.scaleY}
}
