package decode

import "github.com/assay-vision/assay/inspection"

// end2end reads YOLOv10, YOLO26 and other graphs of Ultralytics that suppress by themselves: each row holds a box in pixels of
// the input, the score, the class, and mask coefficients where the graph has prototypes. What a row below the score floor holds
// besides is padding.
type end2end struct{ base }

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
		if err := l.addRow(r, class, s, corners(row)); err != nil {
			return Answer{}, err
		}
	}
	answer := Answer{Candidates: l.candidates()}
	l.addMasks(answer.Candidates, protos, func(r int, into []float32) { copy(into, out.data[r*width+size:(r+1)*width]) })
	return answer, nil
}
