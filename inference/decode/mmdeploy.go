package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// mmdeploy reads detectors that MMDeploy exported: each row holds a box in pixels of the input and its score, another output the
// class. The number of rows may differ from run to run. What a row below the score floor holds besides is padding.
type mmdeploy struct{ base }

var _ Decoder = (*mmdeploy)(nil)

// Decode implements Decoder.
func (d *mmdeploy) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	dets, err := d.tensor(outs, models.RoleDets, sample)
	if err != nil {
		return Answer{}, err
	}
	labels, err := d.tensor(outs, models.RoleLabels, sample)
	if err != nil {
		return Answer{}, err
	}
	if err := alike(dets, labels, "detections"); err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	for r := range labels.data {
		row := dets.data[5*r : 5*r+5]
		s, ok := score(row[4])
		if !ok {
			return Answer{}, dets.badScore(5*r + 4)
		}
		if s < d.floor {
			continue
		}
		class, err := d.label(labels, r, 0)
		if err != nil {
			return Answer{}, err
		}
		if err := l.add(class, s, corners(row)); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}
