package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// rfdetr reads RF-DETR: a box about its centre in parts of the input, and a row of class scores before their activation. A row
// may speak of several classes.
type rfdetr struct {
	base
	background int // class that means nothing; -1 where the graph has none
}

var _ Decoder = (*rfdetr)(nil)

func newRFDETR(b base, m models.Manifest) *rfdetr { return &rfdetr{base: b, background: background(m)} }

// Decode implements Decoder.
func (d *rfdetr) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	scores, boxes, err := d.rows(outs, sample, "boxes")
	if err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	l.row = resized(l.row, int(scores.shape[1]))
	for r := range int(scores.shape[0]) {
		if err := d.activate(scores, r*len(l.row), l.row); err != nil {
			return Answer{}, err
		}
		b := boxes.data[4*r:]
		for class, s := range l.row {
			if s < d.floor || class == d.background {
				continue
			}
			if d.background >= 0 && class > d.background {
				class--
			}
			if err := l.add(class, s, scaled(centred(b[0], b[1], b[2], b[3]), d.width, d.height)); err != nil {
				return Answer{}, err
			}
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}
