package synthetic

import "image"

// The scan's box: five pixels, so that corners round off as in an etched and scanned board and an edge can fray by up to two pixels.
const (
	boxSide = 5
	boxFull = boxSide * unit * boxSide * unit // the weight of a box full of copper
	perPx   = boxFull / boxSide               // what one pixel of a straight edge changes
)

// scanner turns the master into a picture: box filter, shift by sixteenths of a pixel, noisy threshold.
type scanner struct {
	width, height  int // of the picture
	shiftX, shiftY int // in sixteenths: the picture shows master(x-shift)
	noise          int // how far edges wander at most, in units of threshold; 0 gives clean edges
	seed           uint64
}

// scan is linear in the area and keeps only one row of sums beside the picture.
func (s scanner) scan(c *canvas) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, s.width, s.height))
	ix, fx := floorDiv(s.shiftX, unit), s.shiftX-floorDiv(s.shiftX, unit)*unit
	iy, fy := floorDiv(s.shiftY, unit), s.shiftY-floorDiv(s.shiftY, unit)*unit
	// One column of sums per master column that the box reaches: the box and, for the fraction, one more at the low end.
	left := c.border - ix - boxSide/2 - 1
	sums := make([]int32, s.width+boxSide+1)
	for y := range s.height {
		top := (y + c.border - iy - boxSide/2 - 1) * c.width
		clear(sums)
		for k := range boxSide + 1 {
			weight := int32(unit)
			switch k {
			case 0:
				weight = int32(fy)
			case boxSide:
				weight = int32(unit - fy)
			}
			row := c.pix[top+k*c.width+left:][:len(sums)]
			for x, v := range row {
				sums[x] += weight * int32(v)
			}
		}
		s.threshold(sums, int32(fx), y, out.Pix[y*out.Stride:][:s.width])
	}
	return out
}

// threshold writes one row: black where the box holds more copper than the noisy half.
func (s scanner) threshold(sums []int32, fx int32, y int, row []byte) {
	inner := sums[1] + sums[2] + sums[3] + sums[4] // the four columns that always count in full
	for x := range row {
		value := fx*sums[x] + unit*inner + (unit-fx)*sums[x+5]
		black := value > boxFull/2
		if s.noise > 0 && value > 0 && value < boxFull {
			black = int(value) > boxFull/2+s.disturbance(x, y)
		}
		if !black {
			row[x] = 255
		}
		inner += sums[x+5] - sums[x+1]
	}
}

// wanderShift: edges wander over stretches of 32 px, as etching and the camera's line clock make them.
const wanderShift = 5

// disturbance is how far the threshold of a pixel is off: a slow wander, and a quarter as much from pixel to pixel,
// which makes the comb-like edges wherever the wander brings an edge near a pixel's middle.
func (s scanner) disturbance(x, y int) int {
	const side = 1 << wanderShift
	lx, ly, tx, ty := x>>wanderShift, y>>wanderShift, x&(side-1), y&(side-1)
	node := func(i, j int) int { return int(mix(s.seed, i, j)>>48) - 1<<15 }
	top := node(lx, ly)*(side-tx) + node(lx+1, ly)*tx
	bottom := node(lx, ly+1)*(side-tx) + node(lx+1, ly+1)*tx
	wander := (top*(side-ty) + bottom*ty) >> (2 * wanderShift)
	fray := int(mix(s.seed^0x9e3779b97f4a7c15, x, y)>>48) - 1<<15
	return (4*wander + fray) * s.noise >> 17
}
