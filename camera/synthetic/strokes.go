package synthetic

// A stroke is what a defect draws: rounded lines in one value. The propose functions only suggest; judge.go decides.
// Sizes follow the marks of real boards: strokes 4 to 20 px wide, 6 to 50 px long.

// blob is an irregular spot of one to three rounded pieces about c.
func (r random) blob(c point, thin, thick int) []shape {
	switch r.below(4) {
	case 0:
		return []shape{disc(c, r.between((thin+thick)/2, thick))}
	case 1:
		return []shape{capsule(c, c.add(step(r.below(16), r.px(4, 12))), r.between(thin, thick))}
	}
	a, dir := c, r.below(16)
	var out []shape
	for range r.between(2, 3) {
		b := a.add(step(dir, r.px(4, 10)))
		out = append(out, capsule(a, b, r.between(thin, thick*3/4)))
		a, dir = b, dir+r.between(-4, 4)
	}
	return out
}

// line is a hand-drawn stroke from a to b: two pieces that meet a little off the middle.
func (r random) line(a, b point, radius int) []shape {
	mid := point{(a.x+b.x)/2 + r.px(-2, 2), (a.y+b.y)/2 + r.px(-2, 2)}
	return []shape{capsule(a, mid, radius), capsule(mid, b, max(2*unit, radius+r.px(-1, 1)))}
}

// edge walks from a random place in a random direction to where copper ends (or, with inward, begins) and gives the place and
// the direction (of 16) in which the walk crosses the edge.
func (b *board) edge(inward bool) (at point, dir int, ok bool) {
	at, dir = b.layout.placeBy(b.random), b.below(16)
	want := byte(1)
	if inward {
		want = 0
	}
	if b.master.at(at.x/unit, at.y/unit) != want {
		dir += 8 // try the other way round: walk until the wanted value begins, then on
	}
	seen := false
	for range 120 {
		x, y := floorDiv(at.x, unit), floorDiv(at.y, unit)
		v := b.master.at(x, y)
		if v == want {
			seen = true
		} else if seen {
			return at, dir, b.layout.inside(at, 6*unit)
		}
		at = at.add(step(dir, unit))
	}
	return at, dir, false
}

func (b *board) proposeOpen() []shape {
	if len(b.layout.traces) == 0 {
		return nil
	}
	t := b.layout.traces[b.below(len(b.layout.traces))]
	p, q := t.pts[0], t.pts[1]
	dx, dy := q.x-p.x, q.y-p.y
	length := isqrt(dx*dx + dy*dy)
	if length < 12*unit {
		return nil
	}
	along := b.between(4*unit, length-4*unit)
	c := point{p.x + dx*along/length, p.y + dy*along/length}
	if !b.layout.inside(c, 10*unit) {
		return nil
	}
	half := t.r + b.px(3, 7)
	n := point{-dy * half / length, dx * half / length}
	lean := b.between(-half, half) / 2
	s := point{dx * lean / length, dy * lean / length}
	a, z := point{c.x + n.x + s.x, c.y + n.y + s.y}, point{c.x - n.x - s.x, c.y - n.y - s.y}
	radius := b.px(3, 5)
	out := b.line(a, z, radius)
	if b.chance(35) { // a wide gap: the same stroke once more, further along
		w := b.px(5, 18)
		d := point{dx * w / length, dy * w / length}
		out = append(out, shape{pts: []point{a, z, z.add(d), a.add(d)}, r: radius})
	}
	return out
}

func (b *board) proposeShort() []shape {
	start, dir, ok := b.edge(false)
	if !ok {
		return nil
	}
	dir += b.between(-2, 2)
	at := start.add(step(dir, 3*unit))
	for n := range 55 {
		if b.master.at(floorDiv(at.x, unit), floorDiv(at.y, unit)) == 1 {
			if n < 3 {
				return nil
			}
			return b.line(start.add(step(dir+8, 3*unit)), at.add(step(dir, 3*unit)), b.px(2, 5)+unit/2)
		}
		at = at.add(step(dir, unit))
	}
	return nil
}

func (b *board) proposeMousebite() []shape {
	at, dir, ok := b.edge(true)
	if !ok {
		return nil
	}
	radius := b.px(3, 6)
	if b.chance(40) { // along the edge
		side := dir + 4 + b.between(-1, 1)
		in := at.add(step(dir, b.between(-radius/3, radius/2)))
		return []shape{capsule(in, in.add(step(side, b.px(3, 14))), radius)}
	}
	return b.line(at.add(step(dir+8, 3*unit)), at.add(step(dir, b.px(2, 10))), radius)
}

func (b *board) proposeSpur() []shape {
	at, dir, ok := b.edge(false)
	if !ok {
		return nil
	}
	radius := b.px(2, 6) + unit/2
	dir += b.between(-2, 2)
	tip := at.add(step(dir, b.px(4, 18)))
	out := b.line(at.add(step(dir+8, 3*unit)), tip, radius)
	if b.chance(30) {
		out = append(out, capsule(tip, tip.add(step(dir+b.between(-5, 5), b.px(2, 8))), radius))
	}
	return out
}

func (b *board) proposeCopper() []shape {
	return b.blob(b.layout.placeBy(b.random), 3*unit, 8*unit)
}

func (b *board) proposePinHole() []shape {
	return b.blob(b.layout.placeBy(b.random), 3*unit, 7*unit)
}
