package inspection

// Placement says how a frame was laid into a model's input, so that boxes find their way back. A point of the frame in
// pixels, p, lies at p*Scale+Offset in the input; Width and Height are the frame's, in pixels.
type Placement struct {
	ScaleX, ScaleY   float64
	OffsetX, OffsetY float64
	Width, Height    int
}

// ToFrame maps a box from input pixels to frame pixels, without clipping.
func (p Placement) ToFrame(b Box) Box {
	return Box{
		X1: (b.X1 - p.OffsetX) / p.ScaleX, Y1: (b.Y1 - p.OffsetY) / p.ScaleY,
		X2: (b.X2 - p.OffsetX) / p.ScaleX, Y2: (b.Y2 - p.OffsetY) / p.ScaleY,
	}
}

// Clip cuts a box in frame pixels to the frame. What lies wholly outside becomes empty (W or H is 0).
func (p Placement) Clip(b Box) Box {
	w, h := float64(p.Width), float64(p.Height)
	return Box{X1: min(max(b.X1, 0), w), Y1: min(max(b.Y1, 0), h), X2: min(max(b.X2, 0), w), Y2: min(max(b.Y2, 0), h)}
}
