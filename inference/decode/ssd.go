package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// ssd reads one row of class scores and one box per anchor, the boxes already decoded by the graph.
type ssd struct {
	base
	background int // class that means nothing; -1 where the graph has none
	boxes      boxReader
}

var _ Decoder = (*ssd)(nil)

func newSSD(b base, m models.Manifest) (*ssd, error) {
	boxes, err := newBoxReader(m)
	if err != nil {
		return nil, err
	}
	return &ssd{base: b, background: background(m), boxes: boxes}, nil
}

// background returns the class that means nothing, -1 where the graph has none.
func background(m models.Manifest) int {
	if m.Output.Background == nil {
		return -1
	}
	return *m.Output.Background
}

// Decode implements Decoder.
func (d *ssd) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	scores, boxes, err := d.rows(outs, sample, "anchors")
	if err != nil {
		return Answer{}, err
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
		if err := l.add(class, s, d.boxes.box(boxes.data[4*anchor:])); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}
