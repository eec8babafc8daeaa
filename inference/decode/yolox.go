package decode

import (
	"math"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// yolox reads YOLOX's raw grid. Row a of the output belongs to one cell: the levels follow each other in the order of the
// strides, each row by row. A row holds the centre's offset from the cell's corner and the logarithm of the size, both in
// cells, the objectness, and a score per class. A cell may speak of several classes.
type yolox struct {
	base
	cells []cell
}

var _ Decoder = (*yolox)(nil)

// cell is where one row of the output stands: its corner in cells, and the cell's size in input pixels.
type cell struct{ x, y, stride float64 }

func newYOLOX(b base, m models.Manifest) *yolox {
	d := &yolox{base: b}
	for _, stride := range m.Output.Strides {
		for y := range m.Inputs[0].Height / stride {
			for x := range m.Inputs[0].Width / stride {
				d.cells = append(d.cells, cell{float64(x), float64(y), float64(stride)})
			}
		}
	}
	return d
}

// Decode implements Decoder.
func (d *yolox) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	out, err := d.tensor(outs, models.RoleOutput, sample)
	if err != nil {
		return Answer{}, err
	}
	l, err := d.list(p)
	if err != nil {
		return Answer{}, err
	}
	defer l.release()
	width := 5 + len(d.labels)
	for a, c := range d.cells {
		row := out.data[a*width : (a+1)*width]
		var box inspection.Box
		if float64(row[4]) >= d.floor { // else no class reaches it either, and the exponentials are saved
			box = c.box(row)
		}
		if err := l.addObject(out, a, a*width, row, box); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Candidates: l.candidates()}, nil
}

func (c cell) box(row []float32) inspection.Box {
	cx, cy := (c.x+float64(row[0]))*c.stride, (c.y+float64(row[1]))*c.stride
	w, h := math.Exp(float64(row[2]))*c.stride, math.Exp(float64(row[3]))*c.stride
	return inspection.Box{X1: cx - w/2, Y1: cy - h/2, X2: cx + w/2, Y2: cy + h/2}
}
