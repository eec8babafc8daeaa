package decode

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// detections reads graphs that suppress by themselves and name the class of each box: RT-DETR and D-FINE as their authors export
// them, TensorFlow's Object Detection API, the SSD of the ONNX model zoo, torchvision. The number of rows may differ from run
// to run. What a row below the score floor holds besides is padding.
type detections struct {
	base
	boxes boxReader
	first int // number of the first label
}

var _ Decoder = (*detections)(nil)

func newDetections(b base, m models.Manifest) (*detections, error) {
	boxes, err := newBoxReader(m)
	if err != nil {
		return nil, err
	}
	return &detections{base: b, boxes: boxes, first: m.Output.LabelOffset}, nil
}

// Decode implements Decoder.
func (d *detections) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	scores, boxes, err := d.rows(outs, sample, "detections")
	if err != nil {
		return Answer{}, err
	}
	labels, err := d.tensor(outs, models.RoleLabels, sample)
	if err != nil {
		return Answer{}, err
	}
	if err := alike(scores, labels, "detections"); err != nil {
		return Answer{}, err
	}
	n, err := d.count(outs, sample, len(scores.data))
	if err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	for r, v := range scores.data[:n] {
		s, ok := score(v)
		if !ok {
			return Answer{}, scores.badScore(r)
		}
		if s < d.floor {
			continue
		}
		class, err := d.label(labels, r, d.first)
		if err != nil {
			return Answer{}, err
		}
		if err := l.add(class, s, d.boxes.box(boxes.data[4*r:])); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}

// count returns how many of the rows count.
func (d *detections) count(outs []Output, sample, rows int) (int, error) {
	if d.names[models.RoleCount] == "" {
		return rows, nil
	}
	t, err := d.tensor(outs, models.RoleCount, sample)
	if err != nil {
		return 0, err
	}
	n := int(t.data[0])
	if float32(n) != t.data[0] || n < 0 || n > rows {
		return 0, fmt.Errorf("%w: output %q counts %v detections, of %d", inspection.ErrModelOutput, t.name, t.data[0], rows)
	}
	return n, nil
}
