package synthetic

import (
	"image"
	"testing"
)

// handMade is a board with a U-shaped conductor, a straight trace below it and a large pad.
func handMade(t *testing.T) *board {
	t.Helper()
	l := &layout{style: style{gap: 8 * unit}, width: 200, height: 200, roots: []int32{0}}
	l.across, l.down = 100+2*margin, 100+2*margin
	l.owner = make([]int32, l.across*l.down)
	at := func(x, y int) point { return point{x * unit, y * unit} }
	u, line, pad := l.newNet(0), l.newNet(0), l.newNet(0)
	for _, s := range [][]shape{
		withNet(u, capsule(at(30, 30), at(120, 30), 5*unit), capsule(at(120, 30), at(120, 60), 5*unit), capsule(at(120, 60), at(30, 60), 5*unit)),
		withNet(line, capsule(at(20, 90), at(180, 90), 5*unit)),
		withNet(pad, rectangle(at(60, 140), 30*unit, 25*unit, 0)),
	} {
		if !l.claim(0, s...) {
			t.Fatal("the hand-made conductors are in each other's way")
		}
	}
	return &board{layout: l, master: l.draw(8), picture: image.Rect(0, 0, 200, 200)}
}

func TestAcceptOnlyWhatTheClassMeans(t *testing.T) {
	at := func(x, y int) point { return point{x * unit, y * unit} }
	from := func(x0, y0, x1, y1 int) []shape { return []shape{capsule(at(x0, y0), at(x1, y1), 3*unit)} }
	for name, c := range map[string]struct {
		class  string
		value  byte
		stroke []shape
		want   bool
	}{
		"open across the trace":           {Open, 0, from(100, 80, 100, 100), true},
		"open that leaves a bridge":       {Open, 0, from(100, 80, 100, 90), false},
		"open through two conductors":     {Open, 0, from(70, 50, 70, 100), false},
		"open that nicks a neighbour":     {Open, 0, from(70, 50, 70, 84), false},
		"open that cuts off a crumb":      {Open, 0, from(22, 80, 22, 100), false},
		"short between two conductors":    {Short, 1, from(70, 58, 70, 92), true},
		"short within one conductor":      {Short, 1, from(70, 28, 70, 62), false},
		"short that does not arrive":      {Short, 1, from(70, 58, 70, 76), false},
		"short through three conductors":  {Short, 1, from(70, 58, 70, 118), false},
		"bite into the pad":               {Mousebite, 0, from(60, 112, 60, 122), true},
		"bite through the trace":          {Mousebite, 0, from(100, 80, 100, 100), false},
		"bite that only rounds a corner":  {Mousebite, 0, []shape{capsule(at(27, 121), at(36, 112), 6*unit)}, false},
		"bite away from the edge":         {Mousebite, 0, from(60, 130, 60, 136), false},
		"spur from the trace":             {Spur, 1, from(150, 88, 150, 76), true},
		"spur that nearly touches":        {Spur, 1, from(70, 88, 70, 72), false},
		"spur that widens the trace":      {Spur, 1, from(140, 85, 170, 85), false},
		"spot on bare ground":             {Copper, 1, from(150, 140, 156, 140), true},
		"spot beside the trace":           {Copper, 1, from(150, 102, 156, 102), false},
		"spot on the trace":               {Copper, 1, from(150, 92, 156, 99), false},
		"hole in the pad":                 {PinHole, 0, from(60, 140, 64, 140), true},
		"hole that opens the pad's edge":  {PinHole, 0, from(60, 118, 64, 118), false},
		"hole on bare ground":             {PinHole, 0, from(150, 140, 156, 140), false},
		"defect too small to be seen":     {PinHole, 0, []shape{disc(at(60, 140), 2*unit)}, false},
		"defect at the picture's edge":    {Copper, 1, from(198, 140, 198, 150), false},
		"defect over the picture's edges": {Copper, 1, from(250, 140, 260, 150), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := handMade(t)
			box, got := b.accept(c.class, c.value, c.stroke)
			if got != c.want {
				t.Errorf("accepted: got %v, want %v (box %v)", got, c.want, box)
			}
			if got {
				b.taken = append(b.taken, box)
				if _, again := b.accept(c.class, c.value, c.stroke); again {
					t.Error("accepted twice in one place")
				}
			}
		})
	}
}
