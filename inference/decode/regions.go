package decode

// region is a set of cells of one class that hang together, corners included.
type region struct {
	class          int
	cells          int
	x1, y1, x2, y2 int     // its bounds in cells, the second ones exclusive
	sum, top       float64 // sum and maximum of its cells' values
}

// labeller finds regions. Its memory is used again from map to map.
type labeller struct {
	of      []int32  // for each cell the number of its region, -1 for none
	parent  []int32  // of a provisional number: an earlier one of the same region, or itself
	number  []int32  // of a provisional number that is its own parent: that of its region, -1 before it has one
	regions []region // by their first cell, row by row
}

// find returns the regions of a map of w x h cells, of which class says what each is, negative for nothing, and value what
// it counts; without values each counts 1. What it returns, and of, are good until the next find.
func (l *labeller) find(w, h int, class []int32, value []float32) []region {
	l.join(w, h, class)
	l.number, l.regions = l.number[:0], l.regions[:0]
	for range l.parent {
		l.number = append(l.number, -1)
	}
	for i, provisional := range l.of {
		if provisional < 0 {
			continue
		}
		x, y, root := i%w, i/w, l.root(provisional)
		if l.number[root] < 0 {
			l.number[root] = int32(len(l.regions))
			l.regions = append(l.regions, region{class: int(class[i]), x1: x, y1: y, x2: x + 1, y2: y + 1})
		}
		l.of[i] = l.number[root]
		v := 1.0
		if value != nil {
			v = float64(value[i])
		}
		l.regions[l.of[i]].add(x, y, v)
	}
	return l.regions
}

func (r *region) add(x, y int, value float64) {
	r.x1, r.x2 = min(r.x1, x), max(r.x2, x+1)
	r.y1, r.y2 = min(r.y1, y), max(r.y2, y+1)
	if r.cells == 0 || value > r.top {
		r.top = value
	}
	r.cells++
	r.sum += value
}

// join gives every cell a provisional number and notes which of them are of one region. A cell's neighbours that were seen
// before it are the one to its left and the three above.
func (l *labeller) join(w, h int, class []int32) {
	l.of, l.parent = resized(l.of, w*h), l.parent[:0]
	for i := range l.of {
		x, y := i%w, i/w
		l.of[i] = -1
		if class[i] < 0 {
			continue
		}
		if x > 0 {
			l.unite(i, i-1, class)
		}
		for at := max(x-1, 0); y > 0 && at < min(x+2, w); at++ {
			l.unite(i, i-w+at-x, class)
		}
		if l.of[i] < 0 {
			l.of[i] = int32(len(l.parent))
			l.parent = append(l.parent, l.of[i])
		}
	}
}

// unite makes a cell one with a neighbour of its class.
func (l *labeller) unite(i, neighbour int, class []int32) {
	if class[i] != class[neighbour] {
		return
	}
	there := l.root(l.of[neighbour])
	if l.of[i] >= 0 {
		here := l.root(l.of[i])
		there, here = min(here, there), max(here, there)
		l.parent[here] = there
	}
	l.of[i] = there
}

// root returns the earliest number of a region, and shortens the way to it.
func (l *labeller) root(n int32) int32 {
	for l.parent[n] != n {
		l.parent[n] = l.parent[l.parent[n]]
		n = l.parent[n]
	}
	return n
}
