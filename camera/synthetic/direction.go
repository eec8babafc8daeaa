package synthetic

// one is 1.0 in the fixed-point unit vectors.
const one = 1 << 16

// compass holds the cosines of a quarter turn in steps of 22.5 degrees; direction k of 16 points k*22.5 degrees clockwise from east
// (y grows downwards). Traces use the even ones (multiples of 45 degrees), defects all.
var compass = [5]int{65536, 60547, 46341, 25080, 0}

func cosine(k int) int {
	k = ((k % 16) + 16) % 16
	switch {
	case k <= 4:
		return compass[k]
	case k <= 8:
		return -compass[8-k]
	case k <= 12:
		return -compass[k-8]
	default:
		return compass[16-k]
	}
}

// step is the vector of the given length (in sixteenths) in direction k of 16.
func step(k, length int) point {
	return point{cosine(k) * length / one, cosine(k-4) * length / one}
}

// path is a line of traces: vertices, and the direction (of 16, even) of each leg between them.
type path struct {
	pts  []point
	dirs []int
}

// route draws legs legs of the given lengths from start; each turn is 45 degrees and the path never turns more than 90 degrees
// away from its first direction, so that it cannot run into itself.
func route(r random, start point, dir, legs, shortest, longest int) path {
	p := path{pts: []point{start}}
	turn := 0
	for range legs {
		p.dirs = append(p.dirs, dir+2*turn)
		p.pts = append(p.pts, p.pts[len(p.pts)-1].add(step(dir+2*turn, r.between(shortest, longest))))
		switch {
		case turn == 2:
			turn--
		case turn == -2:
			turn++
		case turn != 0 && r.chance(60):
			turn -= turn / max(turn, -turn) // mostly back to the first direction
		case r.chance(50):
			turn++
		default:
			turn--
		}
	}
	return p
}

// offset is the path moved sideways by d (to the right of its direction), its corners mitred.
func (p path) offset(d int) path {
	out := path{pts: make([]point, len(p.pts)), dirs: p.dirs}
	for i, v := range p.pts {
		if i == 0 || i == len(p.pts)-1 {
			out.pts[i] = v.add(step(p.dirs[min(i, len(p.dirs)-1)]+4, d))
			continue
		}
		a, b := p.dirs[i-1]+4, p.dirs[i]+4
		scale := one + cosine(a-b)
		out.pts[i] = v.add(point{(cosine(a) + cosine(b)) * d / scale, (cosine(a-4) + cosine(b-4)) * d / scale})
	}
	return out
}

// shapes are the path's legs as copper of the given radius.
func (p path) shapes(radius int, net int32) []shape {
	out := make([]shape, 0, len(p.dirs))
	for i := range p.dirs {
		out = append(out, shape{pts: []point{p.pts[i], p.pts[i+1]}, r: radius, net: net})
	}
	return out
}

func (p path) end() point { return p.pts[len(p.pts)-1] }

func (p path) endDir() int { return p.dirs[len(p.dirs)-1] }
