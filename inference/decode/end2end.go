package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// end2end reads YOLOv10, YOLO26, RT-DETR of Ultralytics from 8.4.48 on and other graphs of theirs that give each object once: each
// row holds a box, the score, the class, and mask coefficients where the graph has prototypes. What a row below the score
// floor holds besides is padding.
type end2end struct {
	base
	boxes boxReader
}

func newEnd2End(b base, m models.Manifest) (*end2end, error) {
	boxes, err := newBoxReader(m)
	if err != nil {
		return nil, err
	}
	return &end2end{base: b, boxes: boxes}, nil
}

var _ Decoder = (*end2end)(nil)

// Decode implements Decoder.
func (d *end2end) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	const size = 6
	out, protos, err := d.withPrototypes(outs, sample)
	if err != nil {
		return Answer{}, err
	}
	width := int(out.shape[1])
	if err := protos.fit(out, width, size); err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	for r := range int(out.shape[0]) {
		row := out.data[r*width : (r+1)*width]
		s, ok := score(row[4])
		if !ok {
			return Answer{}, out.badScore(r*width + 4)
		}
		if s < d.floor {
			continue
		}
		class, err := d.label(out, r*width+5, 0)
		if err != nil {
			return Answer{}, err
		}
		if err := l.addRow(r, class, s, d.boxes.box(row)); err != nil {
			return Answer{}, err
		}
	}
	answer := Answer{Candidates: l.candidates()}
	l.addMasks(answer.Candidates, protos, func(r int, into []float32) { copy(into, out.data[r*width+size:(r+1)*width]) })
	return answer, nil
}
