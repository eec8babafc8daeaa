package synthetic

// compose fills the board from large to small, so that the small fits into what the large leaves.
func (l *layout) compose() {
	area := l.width * l.height
	times := func(per int) int { return max(1, (per*area+320*640)/(640*640)) }
	for range times(l.large) {
		l.largePad()
	}
	for range times(l.rows) {
		l.padRow()
	}
	for range times(l.buses) {
		l.bus()
	}
	for range times(l.links) {
		l.link()
	}
	for range times(l.small) {
		if l.chance(40) {
			l.chip()
		} else {
			l.via()
		}
	}
	switch l.pour {
	case 1:
		for range times(l.between(1, 3)) {
			a, w, h := l.place(), l.px(100, 240), l.px(100, 240)
			l.pours = append(l.pours, chamfered(a, w, h, l.px(0, 60)))
		}
	case 2:
		edge := l.px(-20, 60) // negative: the pour runs out of the picture
		w, h := l.width*unit/2, l.height*unit/2
		l.pours = append(l.pours, chamfered(point{w, h}, w-edge, h-edge, l.px(0, 100)))
	}
}

// rectangle is a pad of half sizes w and h with corners rounded by r.
func rectangle(c point, w, h, r int) shape {
	r = min(r, w, h)
	w, h = w-r, h-r
	return shape{pts: []point{{c.x - w, c.y - h}, {c.x + w, c.y - h}, {c.x + w, c.y + h}, {c.x - w, c.y + h}}, r: r}
}

// chamfered is a rectangle of half sizes w and h whose corners are cut at 45 degrees.
func chamfered(c point, w, h, cut int) shape {
	cut = min(cut, w*2/3, h*2/3)
	if cut <= 0 {
		return rectangle(c, w, h, 0)
	}
	return shape{pts: []point{
		{c.x - w + cut, c.y - h}, {c.x + w - cut, c.y - h}, {c.x + w, c.y - h + cut}, {c.x + w, c.y + h - cut},
		{c.x + w - cut, c.y + h}, {c.x - w + cut, c.y + h}, {c.x - w, c.y + h - cut}, {c.x - w, c.y - h + cut},
	}}
}

// tilted turns a shape around c by an angle with rational sine and cosine (a Pythagorean triple), exactly the same everywhere.
func tilted(s shape, c point, sin, cos, hyp int) shape {
	out := s
	out.pts = make([]point, len(s.pts))
	for i, p := range s.pts {
		x, y := p.x-c.x, p.y-c.y
		out.pts[i] = point{c.x + (x*cos-y*sin)/hyp, c.y + (x*sin+y*cos)/hyp}
	}
	return out
}

// pad is a pad of about the given half size in one of the usual forms.
func (l *layout) pad(c point, r int) shape {
	var s shape
	switch kind := l.below(100); {
	case kind < 40:
		s = disc(c, r)
	case kind < 60:
		s = rectangle(c, r, r*l.between(60, 130)/100, l.px(0, 4))
	case kind < 80:
		s = chamfered(c, r, r, r*3/5)
	default:
		s = rectangle(c, r*l.between(70, 140)/100, r, r)
	}
	if l.chance(6) {
		triple := [][3]int{{5, 12, 13}, {8, 15, 17}, {20, 21, 29}, {-5, 12, 13}, {-8, 15, 17}}[l.below(5)]
		s = tilted(s, c, triple[0], triple[1], triple[2])
	}
	return s
}

// drill puts a hole into a pad, by the board's habit, if the ring that is left is wide enough to be seen.
func (l *layout) drill(c point, r int) {
	hole := r * l.between(28, 50) / 100
	if l.chance(l.style.holes) && hole >= 6*unit && r-hole >= 8*unit {
		l.holes = append(l.holes, disc(c, hole))
	}
}

// withNet marks shapes as one conductor.
func withNet(net int32, shapes ...shape) []shape {
	for i := range shapes {
		shapes[i].net = net
	}
	return shapes
}

// largePad is a mounting pad, a connector land or a solid area.
func (l *layout) largePad() {
	c, r := l.place(), l.px(34, 110)
	if l.traceMin < 9*unit {
		r = r * 2 / 3
	}
	wide, high := r, r
	var s shape
	switch l.below(4) {
	case 0:
		s = disc(c, r)
	case 1:
		high = r * l.between(50, 130) / 100
		s = chamfered(c, wide, high, r/2)
	case 2:
		high = r * l.between(40, 160) / 100
		s = rectangle(c, wide, high, l.px(0, 12))
	default:
		wide, high = r*l.between(60, 200)/100, r/2
		s = rectangle(c, wide, high, r/2)
	}
	if !l.claim(0, withNet(l.newNet(0), s)...) {
		return
	}
	small := min(wide, high, 80*unit)
	switch l.below(5) {
	case 0, 1:
		l.holes = append(l.holes, disc(c, max(6*unit, small*l.between(20, 50)/100)))
	case 2:
		if small > 20*unit {
			l.holes = append(l.holes, capsule(c.add(point{-wide / 3, 0}), c.add(point{wide / 3, 0}), l.px(4, 6)))
		}
	}
}

// padRow is a row of a component's lands, or two that face each other, with a trace to a via out of some.
func (l *layout) padRow() {
	half := min(l.traceWidth()*l.between(50, 90)/100, 14*unit)
	length := half * l.between(200, 450) / 100
	pitch := 2*half + l.gap + l.px(0, 8)
	n, dir := l.between(4, 11), 4*l.below(4)
	start := l.place()
	rounding := half * l.below(3) / 2
	sides := l.between(1, 2)
	apart := 2*length + l.px(30, 90)
	for side := range sides {
		out := dir + 8*side
		for i := range n {
			c := start.add(step(dir+4, i*pitch)).add(step(out, apart/2))
			w, h := length, half
			if dir%8 == 4 {
				w, h = h, w
			}
			net := l.newNet(0)
			if !l.claim(0, withNet(net, rectangle(c, w, h, rounding))...) {
				continue
			}
			if l.chance(55) {
				l.lead(c.add(step(out, length-half)), out, min(half, l.traceMin/2), net)
			}
		}
	}
}

// bus is a bundle of parallel traces that turns together; its ends leave the picture or stop in pads.
func (l *layout) bus() {
	n, w := l.between(2, 8), l.traceWidth()
	radius := w / 2
	padded := l.chance(60)
	pad := radius + l.px(2, 6)
	pitch := w + l.gap + l.px(0, 6)
	if padded {
		pitch = radius + l.gap + pad + unit
	}
	start, dir := l.place(), 2*l.below(8)
	if l.chance(65) {
		start, dir = l.fromEdge(n * pitch)
	}
	spread := n * pitch
	for legs := l.between(2, 7); legs > 0; legs-- {
		spine := route(l.random, start, dir, legs, spread/2+40*unit, spread/2+220*unit)
		var shapes []shape
		var lines []path
		for i := range n {
			line := spine.offset((2*i - n + 1) * pitch / 2)
			if padded {
				last := len(line.pts) - 1
				line.pts[last] = line.pts[last].add(step(line.endDir(), (i%2)*(2*pad+l.gap)))
			}
			net := l.newNet(0)
			shapes = append(shapes, line.shapes(radius, net)...)
			if padded {
				shapes = append(shapes, withNet(net, disc(line.end(), pad), disc(line.pts[0], radius))...)
			}
			lines = append(lines, line)
		}
		if !l.claim(0, shapes...) {
			continue
		}
		for _, line := range lines {
			l.traces = append(l.traces, line.shapes(radius, 0)...)
			if padded {
				l.drill(line.end(), pad)
			}
		}
		return
	}
}

// fromEdge is a start just outside the picture and a direction into it.
func (l *layout) fromEdge(out int) (point, int) {
	p, d := l.place(), min(out, 30*unit)
	switch l.below(4) {
	case 0:
		return point{-d, p.y}, 0
	case 1:
		return point{l.width*unit + d, p.y}, 8
	case 2:
		return point{p.x, -d}, 4
	default:
		return point{p.x, l.height*unit + d}, 12
	}
}

// link is a pad, a trace and a pad.
func (l *layout) link() {
	w := l.traceWidth()
	c, r, net := l.place(), max(l.padRadius(), w/2+2*unit), l.newNet(0)
	if !l.claim(0, withNet(net, l.pad(c, r))...) {
		return
	}
	l.drill(c, r)
	first := 2 * l.below(8)
	for k := range l.between(1, 3) {
		l.lead(c, first+4*k, w/2, net)
	}
}

// lead is a trace out of a conductor that ends in a pad or a via; if no room is found it is left out.
func (l *layout) lead(from point, dir, radius int, net int32) {
	own := l.newNet(net)
	for legs := l.between(2, 5); legs > 0; legs-- {
		line := route(l.random, from, dir, legs, 20*unit+2*radius, 20*unit+l.px(20, 140))
		r := max(l.padRadius()*3/4, radius+2*unit)
		shapes := append(line.shapes(radius, own), withNet(own, l.pad(line.end(), r))...)
		if !l.claim(net, shapes...) {
			continue
		}
		l.traces = append(l.traces, line.shapes(radius, own)...)
		l.drill(line.end(), r)
		return
	}
}

// chip is the two lands of a small component.
func (l *layout) chip() {
	c, w := l.place(), l.padRadius()
	h := w * l.between(70, 130) / 100
	apart := w + l.gap + l.px(2, 12)
	dir := 4 * l.below(2)
	rounding := l.px(0, 3)
	for _, side := range []int{dir, dir + 8} {
		at := c.add(step(side, apart))
		net := l.newNet(0)
		if l.claim(0, withNet(net, rectangle(at, w*3/4, h, rounding))...) && l.chance(60) {
			l.lead(at, side, l.traceWidth()/2, net)
		}
	}
}

// via is a pad of its own.
func (l *layout) via() {
	c, r := l.place(), l.padRadius()
	if l.claim(0, withNet(l.newNet(0), l.pad(c, r))...) {
		l.drill(c, r)
	}
}
