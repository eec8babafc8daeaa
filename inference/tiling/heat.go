package tiling

import (
	"fmt"
	"image"
	"math"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
)

// MaxMapSide bounds the sides of a picture's blended map, in cells.
const MaxMapSide = 2048

// Heat blends the anomaly maps of a picture's tiles into one. Where tiles overlap, the weight of each rises linearly from 0
// at its border to 1 where the overlap ends, so that no seam is seen; at the picture's own borders it is 1. The blended map
// has as many cells for each pixel as the tiles' maps, or fewer: at most MaxMapSide a side, of which each then is the
// mean over its area. A tile's map is brought to that size when it comes, so that what is held does not grow with the
// models' maps.
type Heat struct {
	grid  Grid
	parts []part
}

// part is a tile's share of the blended map.
type part struct {
	scale  scale
	at     image.Rectangle // cells of the blended map
	values []float32       // row by row
}

// scale is the size of the blended map, cells.
type scale struct{ width, height int }

// NewHeat returns an empty one for the tiles of g.
func NewHeat(g Grid) *Heat { return &Heat{grid: g, parts: make([]part, len(g.Tiles))} }

// Add takes the map of the tile numbered at, whose area is in pixels of the tile. Different tiles may be added at the same
// time. What of a map lies outside its tile, in the border of a letterbox, is left out. The error wraps
// inspection.ErrModelOutput: the map is empty or misshapen.
func (h *Heat) Add(at int, m *decode.Map) error {
	tile := h.grid.Tiles[at]
	b := m.Area
	if m.Width < 1 || m.Height < 1 || len(m.Values) != m.Width*m.Height || !(b.W() > 0 && b.H() > 0) || area(intersect(b, box(tile.Sub(tile.Min)))) == 0 {
		return fmt.Errorf("%w: a map of %d x %d cells with %d values over %v for a tile of %d x %d px", inspection.ErrModelOutput, m.Width, m.Height, len(m.Values), b, tile.Dx(), tile.Dy())
	}
	s := scale{
		width:  min(max(int(math.Round(float64(m.Width)/b.W()*float64(h.grid.Width))), 1), MaxMapSide),
		height: min(max(int(math.Round(float64(m.Height)/b.H()*float64(h.grid.Height))), 1), MaxMapSide),
	}
	across := cover(axis{b.X1, b.X2, m.Width}, tile.Min.X, tile.Max.X, float64(h.grid.Width)/float64(s.width))
	down := cover(axis{b.Y1, b.Y2, m.Height}, tile.Min.Y, tile.Max.Y, float64(h.grid.Height)/float64(s.height))
	p := part{scale: s, at: image.Rect(across.from, down.from, across.from+len(across.cells), down.from+len(down.cells))}
	rows := make([]float32, m.Height*len(across.cells))
	for y := range m.Height {
		across.average(rows[y*len(across.cells):], m.Values[y*m.Width:], 1, 1)
	}
	p.values = make([]float32, p.at.Dx()*p.at.Dy())
	for x := range across.cells {
		down.average(p.values[x:], rows[x:], len(across.cells), len(across.cells))
	}
	h.parts[at] = p
	return nil
}

// cells says, along one axis, which cells of a tile's map each cell of the blended one covers, from one on.
type cells struct {
	from  int
	cells [][]weighted
}

type weighted struct {
	at     int
	weight float64
}

// axis is one axis of a map: n cells from lo to hi, px of the tile.
type axis struct {
	lo, hi float64
	n      int
}

// cover lays a tile's map, as far as it lies in the tile, over cells of the blended one, each wide px of the frame.
func cover(a axis, from, to int, wide float64) cells {
	const slack = 1e-9 // of a cell: what is left of a rounding is no cell
	start, size := float64(from)+a.lo, (a.hi-a.lo)/float64(a.n)
	lo, hi := max(start, float64(from)), min(float64(from)+a.hi, float64(to))
	out := cells{from: int(math.Floor(lo/wide + slack))}
	for c := out.from; c < int(math.Ceil(hi/wide-slack)); c++ {
		first, last := (max(float64(c)*wide, lo)-start)/size, (min(float64(c+1)*wide, hi)-start)/size // in the map's cells
		var ws []weighted
		for i := int(first); i < a.n && float64(i) < last; i++ {
			if w := min(last, float64(i+1)) - max(first, float64(i)); w > 0 {
				ws = append(ws, weighted{i, w / (last - first)})
			}
		}
		out.cells = append(out.cells, ws)
	}
	return out
}

// average writes the mean of what each cell covers; values lie step and stride apart.
func (c cells) average(dst, src []float32, step, stride int) {
	for i, ws := range c.cells {
		sum := 0.0
		for _, w := range ws {
			sum += w.weight * float64(src[w.at*step])
		}
		dst[i*stride] = float32(sum)
	}
}

// Map returns the blended map, nil where no tile had one. The error wraps inspection.ErrModelOutput: some tiles had one and
// others none, or theirs are of different density.
func (h *Heat) Map() (*decode.Map, error) {
	s := h.parts[0].scale
	for i, p := range h.parts {
		if p.scale != s {
			return nil, fmt.Errorf("%w: tile 0 makes a map of %d x %d cells, tile %d one of %d x %d: want the same of all", inspection.ErrModelOutput, s.width, s.height, i, p.scale.width, p.scale.height)
		}
	}
	if s == (scale{}) {
		return nil, nil //nolint:nilnil // the model makes none, and that is no error
	}
	sums, weights := make([]float64, s.width*s.height), make([]float64, s.width*s.height)
	for i, p := range h.parts {
		across, down := h.ramps(i, s)
		for y := p.at.Min.Y; y < p.at.Max.Y; y++ {
			for x := p.at.Min.X; x < p.at.Max.X; x++ {
				w := across[x-p.at.Min.X] * down[y-p.at.Min.Y]
				sums[y*s.width+x] += w * float64(p.values[(y-p.at.Min.Y)*p.at.Dx()+x-p.at.Min.X])
				weights[y*s.width+x] += w
			}
		}
	}
	out := &decode.Map{Width: s.width, Height: s.height, Values: make([]float32, len(sums)), Area: inspection.Box{X2: float64(h.grid.Width), Y2: float64(h.grid.Height)}}
	for i, w := range weights {
		if w == 0 {
			return nil, fmt.Errorf("%w: no tile's map covers cell %d of %d x %d", inspection.ErrModelOutput, i, s.width, s.height)
		}
		out.Values[i] = float32(sums[i] / w)
	}
	return out, nil
}

// ramps returns the weights of a tile's cells along both axes.
func (h *Heat) ramps(at int, s scale) (across, down []float64) {
	tile, p := h.grid.Tiles[at], h.parts[at]
	left, right, above, below := h.grid.overlaps(at)
	weights := func(from, to int, wide float64, lo, hi int, before, after int) []float64 {
		out := make([]float64, to-from)
		for i := range out {
			centre := min(max((float64(from+i)+0.5)*wide, float64(lo)+0.5), float64(hi)-0.5) // a cell may stick out of its tile
			w := 1.0
			if before > 0 {
				w = min(w, (centre-float64(lo))/float64(before))
			}
			if after > 0 {
				w = min(w, (float64(hi)-centre)/float64(after))
			}
			out[i] = w
		}
		return out
	}
	across = weights(p.at.Min.X, p.at.Max.X, float64(h.grid.Width)/float64(s.width), tile.Min.X, tile.Max.X, left, right)
	down = weights(p.at.Min.Y, p.at.Max.Y, float64(h.grid.Height)/float64(s.height), tile.Min.Y, tile.Max.Y, above, below)
	return across, down
}

// overlaps returns how many px a tile shares with the next one on each side, 0 at the picture's borders.
func (g Grid) overlaps(at int) (left, right, above, below int) {
	t := g.Tiles[at]
	across := 1
	for across < len(g.Tiles) && g.Tiles[across].Min.Y == g.Tiles[0].Min.Y {
		across++
	}
	if t.Min.X > 0 {
		left = g.Tiles[at-1].Max.X - t.Min.X
	}
	if t.Max.X < g.Width {
		right = t.Max.X - g.Tiles[at+1].Min.X
	}
	if t.Min.Y > 0 {
		above = g.Tiles[at-across].Max.Y - t.Min.Y
	}
	if t.Max.Y < g.Height {
		below = t.Max.Y - g.Tiles[at+across].Min.Y
	}
	return left, right, above, below
}
