package inspection

import "math"

// finite reports whether every number is neither NaN nor infinite.
func finite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// applies reports whether the region speaks of a view.
func (g Region) applies(view string) bool { return g.View == "" || g.View == view }

// covers reports whether the box lies wholly inside the polygon; lying on its edge is inside. The polygon is simple and
// may be concave. A box without area is never covered: what cannot be measured is not left out.
//
// The open rectangle is connected, so if no edge of the polygon enters it, it lies on one side as a whole, and its centre
// tells which.
func (g Region) covers(b Box) bool {
	if b.W() <= 0 || b.H() <= 0 {
		return false
	}
	for i := range g.Polygon {
		if p, q := g.edge(i); entersOpen(p, q, b) {
			return false
		}
	}
	return g.contains(Point{X: b.X1 + b.W()/2, Y: b.Y1 + b.H()/2})
}

// touches reports whether box and polygon share at least one point, edges included.
func (g Region) touches(b Box) bool {
	for i := range g.Polygon {
		if p, q := g.edge(i); meetsClosed(p, q, b) {
			return true
		}
	}
	return g.contains(Point{X: b.X1, Y: b.Y1}) // no edge near: the box is wholly inside or wholly outside
}

func (g Region) edge(i int) (p, q Point) {
	return g.Polygon[i], g.Polygon[(i+1)%len(g.Polygon)]
}

// contains counts the edges that a ray to the right of p crosses. On the edge itself either answer may come; callers
// have looked at the edges before.
func (g Region) contains(p Point) bool {
	inside := false
	for i := range g.Polygon {
		a, b := g.edge(i)
		if (a.Y > p.Y) == (b.Y > p.Y) {
			continue
		}
		if side := cross(a, b, p); side != 0 && (side > 0) == (b.Y > a.Y) {
			inside = !inside
		}
	}
	return inside
}

// cross is positive where p lies on one side of the line from a to b, negative on the other, 0 on it.
func cross(a, b, p Point) float64 { return (b.X-a.X)*(p.Y-a.Y) - (b.Y-a.Y)*(p.X-a.X) }

// entersOpen reports whether the segment has a point strictly inside the box. Two convex shapes are apart exactly when
// the x axis, the y axis or the segment's normal parts them, so no division is needed and none can round.
func entersOpen(p, q Point, b Box) bool {
	if max(p.X, q.X) <= b.X1 || min(p.X, q.X) >= b.X2 || max(p.Y, q.Y) <= b.Y1 || min(p.Y, q.Y) >= b.Y2 {
		return false
	}
	lo, hi := sides(p, q, b)
	return lo < 0 && hi > 0
}

// meetsClosed reports whether the segment has a point in the box or on its edge.
func meetsClosed(p, q Point, b Box) bool {
	if max(p.X, q.X) < b.X1 || min(p.X, q.X) > b.X2 || max(p.Y, q.Y) < b.Y1 || min(p.Y, q.Y) > b.Y2 {
		return false
	}
	lo, hi := sides(p, q, b)
	return lo <= 0 && hi >= 0
}

// sides returns the extremes of cross over the box's corners.
func sides(p, q Point, b Box) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, c := range [...]Point{{b.X1, b.Y1}, {b.X2, b.Y1}, {b.X2, b.Y2}, {b.X1, b.Y2}} {
		s := cross(p, q, c)
		lo, hi = min(lo, s), max(hi, s)
	}
	return lo, hi
}
