package synthetic

import "math"

// unit is one pixel in the fixed-point units of all geometry.
const unit = 16

// point is a place in sixteenths of a pixel; (0,0) is the upper left corner of the picture.
type point struct{ x, y int }

func (p point) add(q point) point { return point{p.x + q.x, p.y + q.y} }

// shape is everything within r of the convex polygon pts: one point makes a disc, two a rounded trace, four a rounded pad.
type shape struct {
	pts []point
	r   int
	net int32
}

func disc(c point, r int) shape { return shape{pts: []point{c}, r: r} }

func capsule(a, b point, r int) shape { return shape{pts: []point{a, b}, r: r} }

// bounds are the shape's outer limits in sixteenths.
func (s shape) bounds() (lo, hi point) {
	lo, hi = s.pts[0], s.pts[0]
	for _, p := range s.pts[1:] {
		lo = point{min(lo.x, p.x), min(lo.y, p.y)}
		hi = point{max(hi.x, p.x), max(hi.y, p.y)}
	}
	return point{lo.x - s.r, lo.y - s.r}, point{hi.x + s.r, hi.y + s.r}
}

// span is the stretch of a horizontal line that is inside a convex figure; empty while lo > hi.
type span struct{ lo, hi int }

func (s *span) cover(lo, hi int) { s.lo, s.hi = min(s.lo, lo), max(s.hi, hi) }

// edge widens the span by the place where the line y crosses from a to b.
func (s *span) edge(a, b point, y int) {
	if (a.y < y) == (b.y < y) && a.y != y && b.y != y {
		return
	}
	if a.y == b.y {
		s.cover(min(a.x, b.x), max(a.x, b.x))
		return
	}
	x := a.x + (b.x-a.x)*(y-a.y)/(b.y-a.y)
	s.cover(x, x)
}

// at is the shape's span at height y with its radius widened by grow. The figure is convex, so the outermost of its parts
// (discs at the corners, a band along each side) are its ends.
func (s shape) at(y, grow int) span {
	r := s.r + grow
	out := span{math.MaxInt, math.MinInt}
	if r < 0 {
		return out
	}
	for i, p := range s.pts {
		if d := y - p.y; d >= -r && d <= r {
			w := isqrt(r*r - d*d)
			out.cover(p.x-w, p.x+w)
		}
		if len(s.pts) == 1 {
			break
		}
		q := s.pts[(i+1)%len(s.pts)]
		out.edge(p, q, y)
		// The length in 1/256 of a unit: some sides are only a few units long.
		if length := isqrt(((q.x-p.x)*(q.x-p.x) + (q.y-p.y)*(q.y-p.y)) << 16); length > 0 && r > 0 {
			n := point{-(q.y - p.y) * r << 8 / length, (q.x - p.x) * r << 8 / length}
			m := point{-n.x, -n.y}
			out.edge(p.add(n), q.add(n), y)
			out.edge(p.add(m), q.add(m), y)
			out.edge(p.add(n), p.add(m), y)
			out.edge(q.add(n), q.add(m), y)
		}
	}
	return out
}

// rows calls f with the stretch [x0, x1) of cells of the given size (in sixteenths) whose centres the grown shape covers, for each
// row in [0, height); origin is the upper left corner of cell (0,0).
func (s shape) rows(grow, cell int, origin point, width, height int, f func(y, x0, x1 int)) {
	lo, hi := s.bounds()
	first := max(0, floorDiv(lo.y-grow-origin.y, cell)-1)
	last := min(height-1, floorDiv(hi.y+grow-origin.y, cell)+1)
	for y := first; y <= last; y++ {
		sp := s.at(origin.y+y*cell+cell/2, grow)
		if sp.lo > sp.hi {
			continue
		}
		x0 := max(0, -floorDiv(-(sp.lo-origin.x-cell/2), cell))
		x1 := min(width, floorDiv(sp.hi-origin.x-cell/2, cell)+1)
		if x0 < x1 {
			f(y, x0, x1)
		}
	}
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// isqrt is the integer square root. math.Sqrt is rounded the same way everywhere; the loops only undo that rounding.
func isqrt(n int) int {
	if n <= 0 {
		return 0
	}
	r := int(math.Sqrt(float64(n)))
	for r*r > n {
		r--
	}
	for (r+1)*(r+1) <= n {
		r++
	}
	return r
}
