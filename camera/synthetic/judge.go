package synthetic

// effect says whether a stroke does to the copper what its class means, judged by the connected areas in the window around it.
// Each class is also judged with the stroke a little thinner or thicker, so that the rounding and fraying of the scan cannot turn
// it into another class.
func (b *board) effect(class string, before, after window, stroke []shape) bool {
	copper, ground := before.count()
	same := func(w window) bool {
		c, g := w.count()
		return c == copper && g == ground
	}
	switch class {
	case Open:
		return b.splits(before, after, copper, stroke)
	case Short:
		return b.joins(before, after, copper, stroke)
	case Mousebite:
		return same(after) && same(before.draw(0, 2*unit, stroke)) && relief(before, after)
	case Spur:
		return same(after) && same(before.draw(1, 4*unit, stroke)) && relief(before, after)
	case Copper:
		c, g := before.draw(1, 5*unit, stroke).count()
		return c == copper+1 && g == ground && untouched(before, 0, 5*unit, stroke)
	case PinHole:
		c, g := before.draw(0, 4*unit, stroke).count()
		return c == copper && g == ground+1 && untouched(before, 1, 4*unit, stroke)
	}
	return false
}

// splits: the stroke cuts one piece of copper into two, both of them large enough to be seen, and leaves all others alone.
func (b *board) splits(before, after window, copper int, stroke []shape) bool {
	if c, _ := before.draw(0, -unit*3/2, stroke).count(); c != copper+1 {
		return false
	}
	labels, _ := before.pieces(1)
	piece := int32(0)
	for i, v := range before.copper {
		if v == after.copper[i] {
			continue
		}
		if piece != 0 && labels[i] != piece {
			return false
		}
		piece = labels[i]
	}
	left, sizes := after.pieces(1)
	if len(sizes) != copper+1 {
		return false
	}
	for i, label := range left {
		if label != 0 && labels[i] == piece && sizes[label-1] < 40 {
			return false
		}
	}
	return true
}

// joins: the stroke makes one piece of copper out of two that belong to different conductors, and would with a thinner stroke.
func (b *board) joins(before, after window, copper int, stroke []shape) bool {
	if c, _ := after.count(); c != copper-1 {
		return false
	}
	if c, _ := before.draw(1, -unit*3/2, stroke).count(); c != copper-1 {
		return false
	}
	// The ends of the stroke lie in the two conductors.
	from, to := stroke[0].pts[0], stroke[len(stroke)-1].pts[1]
	return b.conductor(from) != b.conductor(to)
}

func (b *board) conductor(p point) int32 {
	return b.layout.conductorAt(floorDiv(p.x, unit), floorDiv(p.y, unit))
}

// untouched: everything that the grown stroke covers had the one value before.
func untouched(before window, value byte, grow int, stroke []shape) bool {
	count, _ := before.changed(before.draw(value, grow, stroke))
	return count == 0
}

// relief: the change stands out from the edge it sits on. Its sides that face what stayed must be clearly longer than its
// opening to where the edge was: a notch or a bump, and not a rounded corner, a shorter end or a slightly wider trace, which people
// would not mark either.
func relief(before, after window) bool {
	width := before.area.Dx()
	walls, opening := 0, 0
	for i := width; i < len(before.copper)-width; i++ {
		if before.copper[i] == after.copper[i] {
			continue
		}
		for _, j := range [4]int{i - 1, i + 1, i - width, i + width} {
			switch {
			case before.copper[j] != after.copper[j]: // also changed
			case before.copper[j] == before.copper[i]:
				walls++
			default:
				opening++
			}
		}
	}
	return opening > 0 && 5*walls >= 8*opening
}
