package imaging

import "math"

// Shift is how far a frame lies from its template, in px of the frame: what is at (x, y) in the template is at
// (x+X, y+Y) in the frame.
type Shift struct{ X, Y float64 }

// Beyond reports whether the shift is longer than limit px.
func (s Shift) Beyond(limit float64) bool { return !(math.Hypot(s.X, s.Y) <= limit) }
