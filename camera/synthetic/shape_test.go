package synthetic

import (
	"math"
	"testing"
)

// A pixel is inside a shape if its centre is within r of the polygon: compared with distances computed in floating point.
func TestShapeRows(t *testing.T) {
	r := newRandom(1, 1)
	for n := range 300 {
		c := point{r.px(20, 44), r.px(20, 44)}
		s := []shape{
			disc(c, r.px(0, 15)),
			capsule(c, c.add(step(r.below(16), r.px(0, 20))), r.px(1, 8)),
			rectangle(c, r.px(3, 15), r.px(3, 15), r.px(0, 5)),
			chamfered(c, r.px(5, 15), r.px(5, 15), r.px(0, 6)),
			tilted(rectangle(c, r.px(3, 15), r.px(3, 15), r.px(0, 3)), c, 8, 15, 17),
		}[n%5]
		grow := r.px(0, 4)
		var got [64][64]bool
		s.rows(grow, unit, point{}, 64, 64, func(y, x0, x1 int) {
			for x := x0; x < x1; x++ {
				got[y][x] = true
			}
		})
		for y := range 64 {
			for x := range 64 {
				d := distance(s, float64(x*unit+unit/2), float64(y*unit+unit/2)) - float64(s.r+grow)
				if math.Abs(d) > 3 && got[y][x] != (d < 0) { // the last three sixteenths are rounding
					t.Fatalf("shape %d %+v grown %d: pixel (%d,%d) at %.1f from the outline: got inside=%v", n, s, grow, x, y, d, got[y][x])
				}
			}
		}
	}
}

// distance of a place from the shape's polygon, 0 inside.
func distance(s shape, x, y float64) float64 {
	best, inside := math.Inf(1), len(s.pts) > 2
	for i, p := range s.pts {
		q := s.pts[(i+1)%len(s.pts)]
		px, py, dx, dy := float64(p.x), float64(p.y), float64(q.x-p.x), float64(q.y-p.y)
		along := 0.0
		if l := dx*dx + dy*dy; l > 0 {
			along = min(1, max(0, ((x-px)*dx+(y-py)*dy)/l))
		}
		best = min(best, math.Hypot(x-px-along*dx, y-py-along*dy))
		inside = inside && (p == q || dx*(y-py)-dy*(x-px) > 0)
	}
	if inside {
		return 0
	}
	return best
}

func TestIsqrt(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 2, 3, 4, 99, 100, 1<<40 - 1, 1 << 40, 1<<40 + 1, 1<<60 - 1, 1 << 60} {
		r := isqrt(n)
		if n > 0 && (r*r > n || (r+1)*(r+1) <= n) || n <= 0 && r != 0 {
			t.Errorf("isqrt(%d): got %d", n, r)
		}
	}
}

// Parallel traces of a bus keep their distance through every turn.
func TestOffsetKeepsDistance(t *testing.T) {
	r := newRandom(2, 2)
	for range 100 {
		p := route(r, point{}, 2*r.below(8), 5, 100*unit, 300*unit)
		d := r.px(-30, 30)
		o := p.offset(d)
		for i := range p.dirs {
			a, b := p.pts[i], p.pts[i+1]
			dx, dy := float64(b.x-a.x), float64(b.y-a.y)
			for _, v := range []point{o.pts[i], o.pts[i+1]} {
				got := (dx*float64(v.y-a.y) - dy*float64(v.x-a.x)) / math.Hypot(dx, dy)
				if math.Abs(got-float64(d)) > 3 {
					t.Fatalf("leg %d of %+v moved by %d: its line lies at %.1f", i, p, d, got)
				}
			}
		}
	}
}

// A shift by whole pixels moves the picture; half a pixel on a straight edge lies between.
func TestScanShifts(t *testing.T) {
	c := newCanvas(64, 64, 10)
	c.fill(rectangle(point{32 * unit, 32 * unit}, 10*unit, 8*unit, 0), 0, 1)
	count := func(sx, sy int) (n, left, top int) {
		p := scanner{width: 64, height: 64, shiftX: sx, shiftY: sy}.scan(c)
		left, top = 64, 64
		for i, v := range p.Pix {
			if v == 0 {
				n++
				left, top = min(left, i%64), min(top, i/64)
			}
		}
		return n, left, top
	}
	n0, left0, top0 := count(0, 0)
	for _, px := range []int{-5, -1, 1, 4} {
		n, left, top := count(px*unit, -px*unit)
		if n != n0 || left-left0 != px || top-top0 != -px {
			t.Errorf("shift by (%d,%d): got %d px from (%d,%d), want %d from (%d,%d)", px, -px, n, left, top, n0, left0+px, top0-px)
		}
	}
	if left0 != 22 || top0 != 24 {
		t.Errorf("no shift: the square begins at (%d,%d), want (22,24)", left0, top0)
	}
}
