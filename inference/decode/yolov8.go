package decode

import "github.com/assay-vision/assay/inspection"

// yolov8 reads Ultralytics' YOLOv8, v9, 11, 12, and 26 without its own suppression: each column holds a box in pixels of the
// input, a score per class, and mask coefficients where the graph has prototypes. A column may speak of several classes.
type yolov8 struct{ base }

var _ Decoder = (*yolov8)(nil)

// Decode implements Decoder.
func (d *yolov8) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	out, protos, err := d.withPrototypes(outs, sample)
	if err != nil {
		return Answer{}, err
	}
	anchors, size := int(out.shape[1]), 4+len(d.labels)
	if err := protos.fit(out, int(out.shape[0]), size); err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	at := func(k, anchor int) float32 { return out.data[k*anchors+anchor] }
	for i, v := range out.data[4*anchors : size*anchors] {
		s, ok := score(v)
		if !ok {
			return Answer{}, out.badScore(4*anchors + i)
		}
		if s < d.floor {
			continue
		}
		class, a := i/anchors, i%anchors
		if err := l.addRow(a, class, s, centred(at(0, a), at(1, a), at(2, a), at(3, a))); err != nil {
			return Answer{}, err
		}
	}
	answer := Answer{Candidates: l.candidates()}
	l.addMasks(answer.Candidates, protos, func(a int, into []float32) {
		for k := range into {
			into[k] = at(size+k, a)
		}
	})
	return answer, nil
}
