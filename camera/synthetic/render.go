package synthetic

import (
	"fmt"
	"image"
	"math"
)

// Spec says which board to draw. Start from Default.
type Spec struct {
	// Product is the seed of the layout and of the template's own edges; boards of one product share one template.
	Product uint64
	// Seed is the seed of this board: its defects, its shift, its edges.
	Seed uint64
	// Width and Height are the picture's size in pixels, 64 to 32768.
	Width, Height int
	// Defects is how many defects the board has, at most 1000: 0 draws a good board, -1 lets the seed choose 3 to 12.
	Defects int
	// AlignPx is the largest shift, in pixels to either side and in either direction, of the tested picture against the template;
	// 0 to 16. Fractions of a pixel count. 0 means perfectly aligned.
	AlignPx float64
	// EdgeNoise is how far edges wander at most, in pixels, 0 to 1; they also fray, from pixel to pixel, by a quarter of that.
	// 0 draws clean edges.
	EdgeNoise float64
}

// Default is a 640x640 board, 3 to 12 defects, shifted by up to 2 px, with edges as ragged as those of real boards.
func Default() Spec {
	return Spec{Width: 640, Height: 640, Defects: -1, AlignPx: 2, EdgeNoise: 0.6}
}

const (
	anyDefects = -1
	minSide    = 64
	maxSide    = 32768
	maxDefects = 1000
	maxAlign   = 16
	maxNoise   = 1.0
)

// Validate names the first field that is out of range, and what it may be.
func (s Spec) Validate() error {
	switch {
	case s.Width < minSide || s.Width > maxSide:
		return fmt.Errorf("synthetic: Width is %d px; use %d to %d", s.Width, minSide, maxSide)
	case s.Height < minSide || s.Height > maxSide:
		return fmt.Errorf("synthetic: Height is %d px; use %d to %d", s.Height, minSide, maxSide)
	case s.Defects < anyDefects || s.Defects > maxDefects:
		return fmt.Errorf("synthetic: Defects is %d; use 0 (a good board) to %d, or %d to let the seed choose", s.Defects, maxDefects, anyDefects)
	case !(s.AlignPx >= 0 && s.AlignPx <= maxAlign): // also refuses NaN
		return fmt.Errorf("synthetic: AlignPx is %v; use 0 to %d px", s.AlignPx, maxAlign)
	case !(s.EdgeNoise >= 0 && s.EdgeNoise <= maxNoise):
		return fmt.Errorf("synthetic: EdgeNoise is %v; use 0 to %v px", s.EdgeNoise, maxNoise)
	}
	return nil
}

// Pair is a tested picture, its template and the truth about them. The caller owns the pictures.
type Pair struct {
	Test, Template *image.Gray // 0 copper, 255 ground
	Defects        []Defect    // in the order in which they were planted
	// ShiftX and ShiftY say how far, in pixels, the tested picture lies right of and below its template, in sixteenths.
	ShiftX, ShiftY float64
}

// Render draws one board. The same Spec gives the same Pair on every machine. It fails on a bad Spec, and where the layout has no
// room for as many defects as were asked for.
func Render(s Spec) (Pair, error) {
	if err := s.Validate(); err != nil {
		return Pair{}, err
	}
	align, noise := int(math.Round(s.AlignPx*unit)), int(math.Round(s.EdgeNoise*perPx))
	layout := newLayout(s.Product, s.Width, s.Height)
	master := layout.draw(floorDiv(align+unit-1, unit) + boxSide)
	scan := scanner{width: s.Width, height: s.Height, noise: noise, seed: mix(s.Product, 0, int(streamTemplateNoise))}
	pair := Pair{Template: scan.scan(master)}

	b := &board{
		random: newRandom(s.Seed, streamBoard), layout: layout, master: master,
		picture: image.Rect(0, 0, s.Width, s.Height),
	}
	scan.shiftX, scan.shiftY = b.between(-align, align), b.between(-align, align)
	classes, err := b.populate(s.Defects)
	if err != nil {
		return Pair{}, err
	}
	scan.seed = mix(s.Seed, 1, int(streamBoardNoise))
	pair.Test = scan.scan(master)
	pair.ShiftX, pair.ShiftY = float64(scan.shiftX)/unit, float64(scan.shiftY)/unit
	shift := image.Pt(floorDiv(scan.shiftX+unit/2, unit), floorDiv(scan.shiftY+unit/2, unit))
	for i, class := range classes {
		pair.Defects = append(pair.Defects, Defect{Class: class, Box: b.taken[i].Add(shift).Intersect(b.picture)})
	}
	return pair, nil
}

// Template draws only the product's template: the same pixels as the Template of each of its boards.
func Template(s Spec) (*image.Gray, error) {
	s.Defects, s.AlignPx = 0, 0
	if err := s.Validate(); err != nil {
		return nil, err
	}
	scan := scanner{width: s.Width, height: s.Height, noise: int(math.Round(s.EdgeNoise * perPx)), seed: mix(s.Product, 0, int(streamTemplateNoise))}
	return scan.scan(newLayout(s.Product, s.Width, s.Height).draw(boxSide)), nil
}

// populate plants the defects. Every class is as likely as the others; where a layout has no place for a class (no two conductors
// near enough for a short), the next class takes its turn.
func (b *board) populate(want int) ([]string, error) {
	chosen := want == anyDefects
	if chosen {
		want = b.between(3, 12)
	}
	var classes []string
	full := [6]bool{} // classes for which no place was found
	for len(classes) < want {
		class, planted := b.below(len(full)), false
		for k := range full {
			c := (class + k) % len(full)
			if full[c] {
				continue
			}
			if planted = b.plant(c); planted {
				classes = append(classes, Classes()[c])
				break
			}
			full[c] = true
		}
		if !planted {
			break
		}
	}
	if len(classes) < want && !(chosen && len(classes) >= 3) {
		return nil, fmt.Errorf("synthetic: Defects is %d, but this layout has room for %d; ask for fewer, use a larger picture or another Product", want, len(classes))
	}
	return classes, nil
}
