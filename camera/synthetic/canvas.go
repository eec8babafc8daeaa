package synthetic

// canvas is the master: one byte a pixel, 1 for copper, with a border on every side so that a shifted scan still finds copper.
type canvas struct {
	width, height int // with the border
	border        int
	pix           []byte
}

func newCanvas(width, height, border int) *canvas {
	w, h := width+2*border, height+2*border
	return &canvas{width: w, height: h, border: border, pix: make([]byte, w*h)}
}

func (c *canvas) origin() point { return point{-c.border * unit, -c.border * unit} }

func (c *canvas) fill(s shape, grow int, v byte) {
	s.rows(grow, unit, c.origin(), c.width, c.height, func(y, x0, x1 int) {
		row := c.pix[y*c.width+x0 : y*c.width+x1]
		for i := range row {
			row[i] = v
		}
	})
}

// at is the pixel at picture coordinates; outside the border it is ground.
func (c *canvas) at(x, y int) byte {
	x, y = x+c.border, y+c.border
	if x < 0 || y < 0 || x >= c.width || y >= c.height {
		return 0
	}
	return c.pix[y*c.width+x]
}

// tidy clears copper that is narrower than copper pixels along a row or column, then fills ground that is narrower than ground: an
// etcher would leave neither, and at the width of the scan's box they would flicker between one picture and the next.
func (c *canvas) tidy(copper, ground int) {
	for range 2 {
		c.replaceShortRuns(1, copper)
	}
	c.replaceShortRuns(0, ground)
}

func (c *canvas) replaceShortRuns(v byte, limit int) {
	for y := range c.height {
		c.replaceInLine(v, y*c.width, 1, c.width, limit)
	}
	for x := range c.width {
		c.replaceInLine(v, x, c.width, c.height, limit)
	}
}

// replaceInLine flips the runs of v that are shorter than limit; a run at the border goes on outside and stays.
func (c *canvas) replaceInLine(v byte, start, step, n, limit int) {
	run := 0
	for i := range n {
		p := start + i*step
		if c.pix[p] == v {
			run++
			continue
		}
		if run > 0 && run < limit && run < i {
			for k := 1; k <= run; k++ {
				c.pix[p-k*step] = 1 - v
			}
		}
		run = 0
	}
}
