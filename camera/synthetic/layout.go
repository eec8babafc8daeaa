package synthetic

// cell is the side of a keep-out cell, in sixteenths: fine enough for tight spacing, a quarter of the pixels' number.
const cell = 2 * unit

// style is what a product's whole layout has in common.
type style struct {
	traceMin, traceMax int // width of traces
	gap                int // least distance between conductors
	padMin, padMax     int // half size of pads
	holes              int // percent of round pads that are drilled
	pour               int // 0 no pour, 1 patches, 2 nearly everywhere
	// attempts per 640x640 px
	large, rows, buses, links, small int
}

// layout is a product's copper: what is drawn, and who owns which place.
type layout struct {
	random
	style
	width, height int // in pixels

	copper []shape
	holes  []shape
	traces []shape // the legs of copper that an open may cut
	pours  []shape
	roots  []int32 // conductor per net: a lead is a net of its own for keeping apart, but one conductor with its pad

	across, down int
	owner        []int32 // net per keep-out cell, 0 where free
}

// newLayout draws a product's layout from its seed.
func newLayout(seed uint64, width, height int) *layout {
	l := &layout{random: newRandom(seed, streamLayout), width: width, height: height, roots: []int32{0}}
	l.across, l.down = width/2+2*margin, height/2+2*margin
	l.owner = make([]int32, l.across*l.down)
	l.style = drawStyle(l.random)
	l.compose()
	return l
}

// margin is how many cells of keep-out there are around the picture, so that what leaves it is still kept apart near the edge.
const margin = 20

func (l *layout) cellOrigin() point { return point{-margin * cell, -margin * cell} }

// styles runs from coarse power boards to fine-pitch logic, as line-scan cameras of one resolution see them.
func drawStyle(r random) style {
	var s style
	kind := r.below(100)
	switch {
	case kind < 35: // fine
		w := r.between(5, 8)
		s = style{traceMin: w, traceMax: w + r.between(0, 4), gap: r.between(8, 11), padMin: 6, padMax: 16,
			large: r.between(1, 4), rows: r.between(3, 8), buses: r.between(6, 16), links: r.between(40, 80), small: r.between(30, 60)}
	case kind < 75: // medium
		w := r.between(9, 16)
		s = style{traceMin: w, traceMax: w + r.between(2, 14), gap: r.between(9, 14), padMin: 10, padMax: 28,
			large: r.between(2, 7), rows: r.between(2, 6), buses: r.between(5, 12), links: r.between(25, 60), small: r.between(20, 40)}
	default: // coarse
		w := r.between(16, 28)
		s = style{traceMin: w, traceMax: w + r.between(8, 30), gap: r.between(11, 20), padMin: 18, padMax: 44,
			large: r.between(4, 10), rows: r.between(1, 4), buses: r.between(4, 9), links: r.between(20, 40), small: r.between(12, 25)}
	}
	s.holes = []int{0, 25, 60, 90}[r.below(4)]
	s.pour = []int{0, 0, 1, 1, 2}[r.below(5)]
	s.traceMin, s.traceMax = s.traceMin*unit, s.traceMax*unit
	s.gap, s.padMin, s.padMax = s.gap*unit, s.padMin*unit, s.padMax*unit
	return s
}

// newNet is a net that belongs to the conductor of another, or, given 0, is a conductor of its own.
func (l *layout) newNet(of int32) int32 {
	net := int32(len(l.roots)) // 0 is nobody's
	root := net
	if of != 0 {
		root = l.roots[of]
	}
	l.roots = append(l.roots, root)
	return net
}

func (l *layout) traceWidth() int { return l.between(l.traceMin, l.traceMax) }

func (l *layout) padRadius() int { return l.between(l.padMin, l.padMax) }

// place is a random point of the picture.
func (l *layout) place() point { return l.placeBy(l.random) }

// placeBy draws the point from another generator: a board's choices must not touch those of its layout.
func (l *layout) placeBy(r random) point { return point{r.px(0, l.width), r.px(0, l.height)} }

// inside says whether a point is in the picture, with room to spare.
func (l *layout) inside(p point, room int) bool {
	return p.x >= room && p.y >= room && p.x < l.width*unit-room && p.y < l.height*unit-room
}

// claim adds the shapes if all of them keep the gap from every net but the one they start from (0: none); the parts of one feature
// keep apart by themselves. The copper stays free of loops: an open always splits a conductor in two.
func (l *layout) claim(from int32, shapes ...shape) bool {
	for _, s := range shapes {
		free := true
		s.rows(l.gap+cell, cell, l.cellOrigin(), l.across, l.down, func(y, x0, x1 int) {
			if !free {
				return
			}
			for _, owner := range l.owner[y*l.across+x0 : y*l.across+x1] {
				if owner != 0 && owner != from {
					free = false
					return
				}
			}
		})
		if !free {
			return false
		}
	}
	for _, s := range shapes {
		s.rows(cell, cell, l.cellOrigin(), l.across, l.down, func(y, x0, x1 int) {
			row := l.owner[y*l.across+x0 : y*l.across+x1]
			for i := range row {
				if row[i] == 0 { // a lead that starts in a pad leaves the pad its place
					row[i] = s.net
				}
			}
		})
	}
	l.copper = append(l.copper, shapes...)
	return true
}

// conductorAt names the conductor at a pixel of copper; 0 is a pour.
func (l *layout) conductorAt(x, y int) int32 {
	cx, cy := x>>1+margin, y>>1+margin
	if cx < 0 || cy < 0 || cx >= l.across || cy >= l.down {
		return 0
	}
	return l.roots[l.owner[cy*l.across+cx]]
}

// draw puts the layout on a fresh master.
func (l *layout) draw(border int) *canvas {
	c := newCanvas(l.width, l.height, border)
	for _, s := range l.pours {
		c.fill(s, 0, 1)
	}
	if len(l.pours) > 0 {
		for _, s := range l.copper {
			c.fill(s, l.gap, 0)
		}
		c.tidy(9, 7)
	}
	for _, s := range l.copper {
		c.fill(s, 0, 1)
	}
	for _, s := range l.holes {
		c.fill(s, 0, 0)
	}
	return c
}
