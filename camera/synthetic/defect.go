package synthetic

import "image"

// The classes, in the order and with the names of the board-layer data the detectors are trained on.
const (
	Open      = "open"      // a trace broken through
	Short     = "short"     // two conductors bridged
	Mousebite = "mousebite" // a bite out of an edge of copper
	Spur      = "spur"      // a protrusion at an edge of copper
	Copper    = "copper"    // a spot of copper on bare ground
	PinHole   = "pin-hole"  // a hole inside copper
)

// Classes lists all classes in label order.
func Classes() []string { return []string{Open, Short, Mousebite, Spur, Copper, PinHole} }

// Defect is one planted defect.
type Defect struct {
	Class string
	// Box holds every changed pixel with about boxMargin pixels around them, in pixels of the tested picture, cut at its edges.
	// Boxes of one picture do not overlap.
	Box image.Rectangle
}

const (
	boxMargin  = 10 // as annotators of real boards leave it
	minChanged = 36 // pixels in the master; the scan's rounding may take some of them
	edgeRoom   = 4  // pixels between a change and the picture's edge
	tries      = 400
)

// board is one tested picture in the making: the master that gets the defects.
type board struct {
	random
	layout  *layout
	master  *canvas
	picture image.Rectangle
	taken   []image.Rectangle // boxes in unshifted coordinates
}

// plant draws one defect of the class if a place for it is found; the box is in unshifted coordinates.
func (b *board) plant(class int) bool {
	propose := []func() []shape{b.proposeOpen, b.proposeShort, b.proposeMousebite, b.proposeSpur, b.proposeCopper, b.proposePinHole}[class]
	value := byte(0)
	if c := Classes()[class]; c == Short || c == Spur || c == Copper {
		value = 1
	}
	for range tries {
		stroke := propose()
		if stroke == nil {
			continue
		}
		box, ok := b.accept(Classes()[class], value, stroke)
		if !ok {
			continue
		}
		for _, s := range stroke {
			b.master.fill(s, 0, value)
		}
		b.taken = append(b.taken, box)
		return true
	}
	return false
}

// accept says whether the stroke makes a clear defect of its class, and gives its box.
func (b *board) accept(class string, value byte, stroke []shape) (image.Rectangle, bool) {
	var reach image.Rectangle
	for _, s := range stroke {
		lo, hi := s.bounds()
		reach = reach.Union(image.Rect(floorDiv(lo.x, unit), floorDiv(lo.y, unit), floorDiv(hi.x, unit)+1, floorDiv(hi.y, unit)+1))
	}
	area := reach.Inset(-12).Intersect(b.picture)
	if area.Empty() || b.overlaps(reach) {
		return reach, false
	}
	before := b.master.cut(area)
	after := before.draw(value, 0, stroke)
	count, changed := before.changed(after)
	if count < minChanged || !changed.In(b.picture.Inset(edgeRoom)) {
		return changed, false
	}
	box := changed.Inset(-boxMargin).Intersect(b.picture)
	if b.overlaps(box) || !b.effect(class, before, after, stroke) {
		return box, false
	}
	return box, true
}

// overlaps keeps boxes so far apart that rounding them after the shift cannot make them touch.
func (b *board) overlaps(r image.Rectangle) bool {
	for _, t := range b.taken {
		if r.Overlaps(t.Inset(-2)) {
			return true
		}
	}
	return false
}
