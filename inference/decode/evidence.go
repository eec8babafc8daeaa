package decode

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// mapped is what decoders of maps share: a map of any size is spread evenly over the whole input, and what it shows are
// regions with a mask in pixels of the frame.
type mapped struct {
	base
	regionAt  float64
	minRegion int
	scratches *sync.Pool
}

func newMapped(b base, m models.Manifest) mapped {
	return mapped{base: b, regionAt: floor(m.Output.RegionAt), minRegion: m.Output.MinRegion, scratches: new(sync.Pool)}
}

// span are pixels of the frame along one axis, from inclusive, to exclusive.
type span struct{ from, to int }

// scratch is the memory that one map takes. It is used again, so that no map allocates by the pixel.
type scratch struct {
	w, h           int // of the map, cells
	place          inspection.Placement
	columns, rows  []span // what each column and row of cells stands for in the frame
	x1, y1, x2, y2 int    // the cells that show the frame; what lies around them shows a letterbox's border
	class          []int32
	value          []float32
	labeller       labeller
	bits           []bool
}

// scratch returns memory for a map of w x h cells of a picture that lies in the input as p says. The error wraps
// inspection.ErrInvalid: no cell shows the frame.
func (d *mapped) scratch(w, h int, p inspection.Placement) (*scratch, error) {
	if err := checkPlacement(p); err != nil {
		return nil, err
	}
	s, _ := d.scratches.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	s.w, s.h, s.place = w, h, p
	s.columns = spans(resized(s.columns, w), d.width, p.ScaleX, p.OffsetX, p.Width)
	s.rows = spans(resized(s.rows, h), d.height, p.ScaleY, p.OffsetY, p.Height)
	s.x1, s.x2 = shown(s.columns)
	s.y1, s.y2 = shown(s.rows)
	if s.x1 == s.x2 || s.y1 == s.y2 {
		d.scratches.Put(s)
		return nil, fmt.Errorf("%w: placement %+v: no part of the frame lies in the input", inspection.ErrInvalid, p)
	}
	s.class, s.value = resized(s.class, w*h), resized(s.value, w*h)
	return s, nil
}

// spans fills in for each cell of one axis the pixels of the frame whose centres lie in it, and where there are none, for a
// cell smaller than a pixel, the one that holds the cell's centre. Input and frame are side and pixels long.
func spans(out []span, side, scale, offset float64, pixels int) []span {
	inFrame := func(cells float64) float64 { return (cells*side/float64(len(out)) - offset) / scale }
	whole := func(v float64) int { return int(min(max(v, -1), float64(pixels)+1)) }
	for i := range out {
		s := span{whole(math.Ceil(inFrame(float64(i)) - 0.5)), whole(math.Ceil(inFrame(float64(i+1)) - 0.5))}
		if s.from == s.to {
			s.from = whole(math.Floor(inFrame(float64(i) + 0.5)))
			s.to = s.from + 1
		}
		s.from, s.to = max(s.from, 0), min(s.to, pixels)
		if s.from >= s.to {
			s = span{}
		}
		out[i] = s
	}
	return out
}

// shown returns the first cell that stands for any pixel, and the one behind the last.
func shown(spans []span) (from, to int) {
	for to = len(spans); to > 0 && spans[to-1] == (span{}); to-- {
	}
	for from = 0; from < to && spans[from] == (span{}); from++ {
	}
	return from, to
}

// shows reports whether a cell shows a part of the frame.
func (s *scratch) shows(i int) bool {
	x, y := i%s.w, i/s.w
	return x >= s.x1 && x < s.x2 && y >= s.y1 && y < s.y2
}

// window returns the pixels of the frame around a region.
func (s *scratch) window(r region) window {
	return window{s.columns[r.x1].from, s.rows[r.y1].from, s.columns[r.x2-1].to, s.rows[r.y2-1].to}
}

// mask returns which pixels of a region's window its cells stand for.
func (s *scratch) mask(number int, r region, w window) *inspection.Mask {
	width := w.width()
	s.bits = resized(s.bits, width*w.height())
	clear(s.bits)
	for cy := r.y1; cy < r.y2; cy++ {
		for cx := r.x1; cx < r.x2; cx++ {
			if s.labeller.of[cy*s.w+cx] != int32(number) {
				continue
			}
			for row := s.rows[cy].from - w.y1; row < s.rows[cy].to-w.y1; row++ {
				line := s.bits[row*width : (row+1)*width]
				for at := s.columns[cx].from - w.x1; at < s.columns[cx].to-w.x1; at++ {
					line[at] = true
				}
			}
		}
	}
	return inspection.EncodeMask(s.place.Width, s.place.Height, w.x1, w.y1, width, w.height(), s.bits)
}

// scored is a region, by its number, with the score that it gets.
type scored struct {
	number int
	class  int
	score  float64
}

// strongest orders by falling score; equal ones by class, then by place.
func strongest(all []scored) {
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.class, b.class), cmp.Compare(a.number, b.number))
	})
}

// candidates names regions and outlines them. Masks have the bounds that those of boxes have.
func (d *mapped) candidates(s *scratch, regions []region, seen []scored) ([]inspection.Candidate, error) {
	if len(seen) > maxFound {
		return nil, fmt.Errorf("%w: %d regions, more than %d: raise output.min_region or output.score_floor, or look at what the model was fed", inspection.ErrModelOutput, len(seen), maxFound)
	}
	out := make([]inspection.Candidate, len(seen))
	area := 0
	for i, f := range seen {
		w := s.window(regions[f.number])
		box := inspection.Box{X1: float64(w.x1), Y1: float64(w.y1), X2: float64(w.x2), Y2: float64(w.y2)}
		out[i] = inspection.Candidate{Class: d.labels[f.class], Score: decimal(f.score), Box: box}
		if area += w.width() * w.height(); i == 0 || i < maxMasks && area <= maxMaskArea {
			out[i].Mask = s.mask(f.number, regions[f.number], w)
		}
	}
	return out, nil
}

// wholeFrame is the box of a word on the whole picture.
func wholeFrame(p inspection.Placement) inspection.Box {
	return inspection.Box{X2: float64(p.Width), Y2: float64(p.Height)}
}
