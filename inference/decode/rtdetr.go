package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// rtdetr reads RT-DETR as Ultralytics exports it: each row holds a box about its centre, in parts of the input, and a score per
// class. A row may speak of several classes.
type rtdetr struct{ base }

var _ Decoder = (*rtdetr)(nil)

// Decode implements Decoder.
func (d *rtdetr) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	out, err := d.tensor(outs, models.RoleOutput, sample)
	if err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	width := 4 + len(d.labels)
	for r := range int(out.shape[0]) {
		row := out.data[r*width : (r+1)*width]
		for class, v := range row[4:] {
			s, ok := score(v)
			if !ok {
				return Answer{}, out.badScore(r*width + 4 + class)
			}
			if s < d.floor {
				continue
			}
			if err := l.add(class, s, scaled(centred(row[0], row[1], row[2], row[3]), d.width, d.height)); err != nil {
				return Answer{}, err
			}
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}
