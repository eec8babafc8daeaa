package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// yolov5 reads YOLOv5, and YOLOX with its decoding step: each row holds a box in pixels of the input, the objectness, a score per
// class, and mask coefficients where the graph has prototypes. A row may speak of several classes.
type yolov5 struct{ base }

var _ Decoder = (*yolov5)(nil)

// Decode implements Decoder.
func (d *yolov5) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	out, protos, err := d.withPrototypes(outs, sample)
	if err != nil {
		return Answer{}, err
	}
	width, size := int(out.shape[1]), 5+len(d.labels)
	if err := protos.fit(out, width, size); err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	for a := range int(out.shape[0]) {
		row := out.data[a*width : (a+1)*width]
		if err := l.addObject(out, a, a*width, row[:size], centred(row[0], row[1], row[2], row[3])); err != nil {
			return Answer{}, err
		}
	}
	answer := Answer{Candidates: l.candidates()}
	l.addMasks(answer.Candidates, protos, func(row int, into []float32) { copy(into, out.data[row*width+size:(row+1)*width]) })
	return answer, nil
}

// addObject takes what a row says whose fifth number is the objectness and whose others from there on are class scores. at is
// the row's place among the values of the output.
func (l *list) addObject(out tensor, row, at int, values []float32, box inspection.Box) error {
	object, ok := score(values[4])
	if !ok {
		return out.badScore(at + 4)
	}
	for class, v := range values[5:] {
		s, ok := score(v)
		if !ok {
			return out.badScore(at + 5 + class)
		}
		if s *= object; s < l.base.floor {
			continue
		}
		if err := l.addRow(row, class, s, box); err != nil {
			return err
		}
	}
	return nil
}

// withPrototypes finds the output, and the prototypes where the manifest names them.
func (b *base) withPrototypes(outs []Output, sample int) (out tensor, p prototypes, err error) {
	if out, err = b.tensor(outs, models.RoleOutput, sample); err != nil {
		return tensor{}, prototypes{}, err
	}
	if b.names[models.RolePrototypes] != "" {
		p.tensor, err = b.tensor(outs, models.RolePrototypes, sample)
	}
	return out, p, err
}
