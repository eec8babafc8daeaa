package recipe

import "github.com/assay-vision/assay/inspection"

// maxCoordinate bounds a polygon's coordinates, in pixels: products of differences of such numbers stay exact enough for
// the rules' sign tests.
const maxCoordinate = 1 << 20

// maxPoints bounds a polygon, for the test of every edge against every other.
const maxPoints = 1000

// polygonProblem says what is wrong with a polygon of at least three points, and "" for a simple one with an area. Only
// edges that are no neighbours are compared: one that runs back over its neighbour touches the next or the one before.
func polygonProblem(ps []inspection.Point) string {
	n := len(ps)
	for i := range n {
		if ps[i] == ps[(i+1)%n] {
			return "the same point stands twice in a row"
		}
	}
	if area(ps) == 0 {
		return "it has no area"
	}
	for i := range n {
		a, b := ps[i], ps[(i+1)%n]
		for j := i + 2; j < n; j++ {
			if i == 0 && j == n-1 {
				continue // neighbours around the end
			}
			if segmentsMeet(a, b, ps[j], ps[(j+1)%n]) {
				return "its edges cross or touch each other"
			}
		}
	}
	return ""
}

// area is the signed area by the shoelace formula.
func area(ps []inspection.Point) (sum float64) {
	for i, p := range ps {
		q := ps[(i+1)%len(ps)]
		sum += p.X*q.Y - q.X*p.Y
	}
	return sum / 2
}

// turn is positive for a turn to one side at b, negative to the other, 0 straight on or back.
func turn(a, b, c inspection.Point) float64 {
	return (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X)
}

// segmentsMeet reports whether ab and cd share a point.
func segmentsMeet(a, b, c, d inspection.Point) bool {
	if max(a.X, b.X) < min(c.X, d.X) || max(c.X, d.X) < min(a.X, b.X) ||
		max(a.Y, b.Y) < min(c.Y, d.Y) || max(c.Y, d.Y) < min(a.Y, b.Y) {
		return false
	}
	return !sameSide(turn(a, b, c), turn(a, b, d)) && !sameSide(turn(c, d, a), turn(c, d, b))
}

func sameSide(s, t float64) bool { return s > 0 && t > 0 || s < 0 && t < 0 }
