package synthetic

import "image"

// window is a cut-out of the master around one possible defect, where its effect on the copper is tried out.
type window struct {
	area   image.Rectangle // in picture coordinates
	copper []byte          // 1 copper, 0 ground
}

func (c *canvas) cut(area image.Rectangle) window {
	w := window{area: area, copper: make([]byte, 0, area.Dx()*area.Dy())}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		start := (y+c.border)*c.width + area.Min.X + c.border
		w.copper = append(w.copper, c.pix[start:start+area.Dx()]...)
	}
	return w
}

// draw is a copy of the window with the shapes, grown, drawn in v.
func (w window) draw(v byte, grow int, shapes []shape) window {
	out := window{w.area, append([]byte(nil), w.copper...)}
	origin := point{w.area.Min.X * unit, w.area.Min.Y * unit}
	for _, s := range shapes {
		s.rows(grow, unit, origin, w.area.Dx(), w.area.Dy(), func(y, x0, x1 int) {
			for x := x0; x < x1; x++ {
				out.copper[y*w.area.Dx()+x] = v
			}
		})
	}
	return out
}

// changed counts the pixels that differ between two cut-outs of one area, and bounds them in picture coordinates.
func (w window) changed(other window) (count int, bounds image.Rectangle) {
	for i, v := range w.copper {
		if v != other.copper[i] {
			count++
			x, y := i%w.area.Dx(), i/w.area.Dx()
			bounds = bounds.Union(image.Rect(x, y, x+1, y+1))
		}
	}
	return count, bounds.Add(w.area.Min)
}

// pieces labels the connected areas of one value (copper or ground; pixels touch along sides): a label from 1 on per pixel,
// and the size of each area.
func (w window) pieces(v byte) (labels []int32, sizes []int) {
	labels = make([]int32, len(w.copper))
	width := w.area.Dx()
	var stack []int
	for start, value := range w.copper {
		if value != v || labels[start] != 0 {
			continue
		}
		sizes = append(sizes, 0)
		label := int32(len(sizes))
		labels[start] = label
		stack = append(stack, start)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			sizes[label-1]++
			x := i % width
			visit := func(j int) {
				if w.copper[j] == v && labels[j] == 0 {
					labels[j] = label
					stack = append(stack, j)
				}
			}
			if x > 0 {
				visit(i - 1)
			}
			if x < width-1 {
				visit(i + 1)
			}
			if i >= width {
				visit(i - width)
			}
			if i+width < len(w.copper) {
				visit(i + width)
			}
		}
	}
	return labels, sizes
}

// count is the number of connected areas of copper and of ground.
func (w window) count() (copper, ground int) {
	_, c := w.pieces(1)
	_, g := w.pieces(0)
	return len(c), len(g)
}
