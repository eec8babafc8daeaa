package synthetic

import (
	"image"
	"testing"
)

// areaMap is the connected areas of a whole picture, found by a flood fill of its own.
type areaMap struct {
	picture        *image.Gray
	labels         []int
	sizes          []int             // per label
	extents        []image.Rectangle // per label
	copper, ground int
}

func mapAreas(p *image.Gray) areaMap {
	w := p.Rect.Dx()
	m := areaMap{picture: p, labels: make([]int, len(p.Pix)), sizes: []int{0}, extents: []image.Rectangle{{}}}
	for start := range m.labels {
		if m.labels[start] != 0 {
			continue
		}
		label, size, extent := len(m.sizes), 0, image.Rectangle{}
		m.labels[start] = label
		for todo := []int{start}; len(todo) > 0; {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			x, y := i%w, i/w
			size++
			extent = extent.Union(image.Rect(x, y, x+1, y+1))
			for _, n := range []image.Point{{X: x - 1, Y: y}, {X: x + 1, Y: y}, {X: x, Y: y - 1}, {X: x, Y: y + 1}} {
				if j := n.Y*w + n.X; n.In(p.Rect) && m.labels[j] == 0 && p.Pix[j] == p.Pix[i] {
					m.labels[j] = label
					todo = append(todo, j)
				}
			}
		}
		m.sizes, m.extents = append(m.sizes, size), append(m.extents, extent)
		if p.Pix[start] == 0 {
			m.copper++
		} else {
			m.ground++
		}
	}
	return m
}

// fringe is how many pixels an area needs to be more than a fleck of a ragged edge.
const fringe = 12

// torn says whether a copper area of whole that meets the box is more than one area in pieces.
func torn(whole, pieces areaMap, box image.Rectangle) bool {
	found := map[int]int{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			i := y*whole.picture.Stride + x
			a, b := whole.labels[i], pieces.labels[i]
			if whole.picture.Pix[i] != 0 || pieces.picture.Pix[i] != 0 || pieces.sizes[b] < fringe {
				continue
			}
			if other, ok := found[a]; ok && other != b {
				return true
			}
			found[a] = b
		}
	}
	return false
}

// islands counts the areas of one value that lie wholly inside the box.
func (m areaMap) islands(value byte, box image.Rectangle) int {
	seen := map[int]bool{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			i := y*m.picture.Stride + x
			if l := m.labels[i]; m.picture.Pix[i] == value && m.sizes[l] >= fringe && m.extents[l].In(box.Inset(2)) {
				seen[l] = true
			}
		}
	}
	return len(seen)
}

// Each class does to the conductors what its name says: counted over the whole board where edges are clean, and around the
// box where they are ragged (at the picture's border, raggedness alone cuts and joins slivers).
func TestDefectsDoWhatTheirClassSays(t *testing.T) {
	copperChange := map[string]int{Open: 1, Short: -1, Copper: 1}
	seen := map[string]int{}
	for seed := range uint64(90) {
		s := Default()
		s.Product, s.Seed, s.Defects, s.AlignPx = 500+seed/3, 700+seed, 1, 0
		if seed%2 == 0 {
			s.EdgeNoise = 0
		}
		p := render(t, s)
		d := p.Defects[0]
		seen[d.Class]++
		before, after := mapAreas(p.Template), mapAreas(p.Test)
		if s.EdgeNoise == 0 {
			if got, want := after.copper-before.copper, copperChange[d.Class]; got != want {
				t.Errorf("seed %d: %s at %v changes the number of copper areas by %d, want %d", seed, d.Class, d.Box, got, want)
			}
			want := 0
			if d.Class == PinHole {
				want = 1
			}
			if got := after.ground - before.ground; got != want && d.Class != Open && d.Class != Short {
				t.Errorf("seed %d: %s at %v changes the number of ground areas by %d, want %d", seed, d.Class, d.Box, got, want)
			}
		}
		for what, c := range map[string]struct{ got, want bool }{
			"a conductor is in two pieces":      {torn(before, after, d.Box), d.Class == Open},
			"two conductors are one":            {torn(after, before, d.Box), d.Class == Short},
			"there is a new island of copper":   {after.islands(0, d.Box) > before.islands(0, d.Box), d.Class == Copper},
			"there is a new hole in the copper": {after.islands(255, d.Box) > before.islands(255, d.Box), d.Class == PinHole},
		} {
			// An open may cut off a small end, and a short may close a ring: other truths than theirs are not asked of them.
			if c.got != c.want && (c.want || d.Class != Open && d.Class != Short) {
				t.Errorf("seed %d: %s at %v: %s: got %v, want %v", seed, d.Class, d.Box, what, c.got, c.want)
			}
		}
		checkPolarity(t, p, d)
	}
	for _, class := range Classes() {
		if seen[class] < 5 {
			t.Errorf("%s: seen %d times, want at least 5", class, seen[class])
		}
	}
}

// checkPolarity: opens, bites and holes take copper away, the others add it.
func checkPolarity(t *testing.T, p Pair, d Defect) {
	t.Helper()
	added, removed := 0, 0
	for y := d.Box.Min.Y; y < d.Box.Max.Y; y++ {
		for x := d.Box.Min.X; x < d.Box.Max.X; x++ {
			was, is := p.Template.GrayAt(x, y).Y, p.Test.GrayAt(x, y).Y
			if was > is {
				added++
			} else if was < is {
				removed++
			}
		}
	}
	adds := d.Class == Short || d.Class == Spur || d.Class == Copper
	if adds && added <= removed || !adds && removed <= added {
		t.Errorf("%s at %v adds %d px of copper and removes %d", d.Class, d.Box, added, removed)
	}
}
