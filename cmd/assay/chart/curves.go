package chart

import (
	"fmt"
	"image"
	"image/color"
	"io"
)

// Line is one curve over the unit square. X and Y are of one length.
type Line struct {
	Name string
	X, Y []float64
	Mark *Mark // a place to stand out; nil: none
}

// Mark is a place on the unit square.
type Mark struct{ X, Y float64 }

// Area of the curves in px.
const (
	side   = 480
	margin = 60
	header = 40
)

// Curves writes a PNG with the lines over 0..1 on both axes, and a legend. Text beyond ASCII shows as question marks.
func Curves(w io.Writer, title, xName, yName string, lines []Line) error {
	legend := 0
	for _, l := range lines {
		if len(l.X) != len(l.Y) {
			return fmt.Errorf("curve %s has %d x and %d y: give as many of both", l.Name, len(l.X), len(l.Y))
		}
		legend = max(legend, textWidth(l.Name))
	}
	height := max(header+side+margin, header+(len(lines)+1)*(charHeight+5))
	c, err := newCanvas(max(margin+side+50+legend+20, 2*margin+textWidth(title)), height)
	if err != nil {
		return err
	}
	area := image.Rect(margin, header, margin+side, header+side)
	c.axes(area, title, xName, yName)
	colours := colours()
	at := func(x, y float64) point {
		return point{float64(area.Min.X) + side*x, float64(area.Max.Y) - side*y}
	}
	for i, l := range lines {
		with, width := colours[i%len(colours)], 2
		if i >= len(colours) {
			width = 1 // thin, for the colours come again
		}
		points := make([]point, len(l.X))
		for j := range points {
			points[j] = at(l.X[j], l.Y[j])
		}
		c.line(points, float64(width), with, area.Inset(-2))
		if l.Mark != nil {
			p := at(l.Mark.X, l.Mark.Y)
			c.line([]point{p, p}, 9, with, area.Inset(-5))
		}
		y := header + i*(charHeight+5)
		c.fill(image.Rect(area.Max.X+16, y+6, area.Max.X+32, y+6+3*width/2), with)
		c.text(area.Max.X+40, y, l.Name, ink)
	}
	return c.write(w)
}

func (c *canvas) axes(area image.Rectangle, title, xName, yName string) {
	const steps = 5
	for i := range steps + 1 {
		x, y := area.Min.X+side*i/steps, area.Max.Y-side*i/steps
		c.fill(image.Rect(x, area.Min.Y, x+1, area.Max.Y+1), grid)
		c.fill(image.Rect(area.Min.X, y, area.Max.X+1, y+1), grid)
		tick := fmt.Sprintf("%.1f", float64(i)/steps)
		c.text(x-textWidth(tick)/2, area.Max.Y+6, tick, ink)
		c.text(area.Min.X-textWidth(tick)-6, y-charHeight/2, tick, ink)
	}
	c.text(area.Min.X, 6, title, ink)
	c.text(area.Min.X-textWidth("1.0")-6, 23, yName, ink)
	c.text(area.Max.X-textWidth(xName), area.Max.Y+24, xName, ink)
}

// Matrix writes a PNG of counts: a row for each of rows, a column for each of columns, each cell the darker the larger the share
// of its row. The first columns are the
// rows again and headed by their numbers, those beyond by their names.
func Matrix(w io.Writer, title string, rows, columns []string, counts [][]int) error {
	if len(counts) != len(rows) {
		return fmt.Errorf("%d rows are named and %d given", len(rows), len(counts))
	}
	const cell = 44
	names := make([]string, len(rows))
	left := textWidth("predicted:")
	for i, r := range rows {
		names[i] = fmt.Sprintf("%d %s", i+1, r)
		left = max(left, textWidth(names[i]))
	}
	left += 20
	c, err := newCanvas(max(left+len(columns)*cell+20, left+textWidth(title)), 70+len(rows)*cell+20)
	if err != nil {
		return err
	}
	c.text(10, 8, title, ink)
	c.text(left-textWidth("predicted:")-8, 50, "predicted:", ink)
	for j, name := range columns {
		head := name
		if j < len(rows) {
			head = fmt.Sprint(j + 1)
		}
		c.text(left+j*cell+(cell-textWidth(head))/2, 50, head, ink)
	}
	for i, row := range counts {
		if len(row) != len(columns) {
			return fmt.Errorf("row %s has %d counts for %d columns", rows[i], len(row), len(columns))
		}
		y, all := 70+i*cell, 0
		for _, n := range row {
			all += n
		}
		c.text(left-textWidth(names[i])-8, y+(cell-charHeight)/2, names[i], ink)
		for j, n := range row {
			c.cell(image.Rect(left+j*cell, y, left+(j+1)*cell, y+cell), n, all)
		}
	}
	return c.write(w)
}

// cell draws a count as a share of all.
func (c *canvas) cell(r image.Rectangle, n, all int) {
	share := 0.0
	if all > 0 {
		share = float64(n) / float64(all)
	}
	mix := func(from, to float64) uint8 { return uint8(from + share*(to-from)) }
	c.fill(r, grid)
	c.fill(image.Rect(r.Min.X+1, r.Min.Y+1, r.Max.X, r.Max.Y), color.RGBA{mix(255, 0x0b), mix(255, 0x3d), mix(255, 0x91), 255})
	if n == 0 {
		return
	}
	text, with := fmt.Sprint(n), ink
	if share > 0.5 {
		with = color.RGBA{255, 255, 255, 255}
	}
	c.text(r.Min.X+(r.Dx()-textWidth(text))/2, r.Min.Y+(r.Dy()-charHeight)/2, text, with)
}
