package chart

import (
	"bytes"
	_ "embed" // the font
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"unicode/utf8"
)

// glyphs holds ASCII 32..126 side by side, each charWidth x charHeight px, black on white: the X11 font misc-fixed 7x13,
// which is in the public domain, as golang.org/x/image/font/basicfont has it.
//
//go:embed font.png
var glyphs []byte

const (
	charWidth  = 7
	charHeight = 13
)

// colours returns those of lines, in order. They differ in lightness too.
func colours() []color.RGBA {
	return []color.RGBA{
		{0x1f, 0x6f, 0xeb, 255}, {0xcf, 0x22, 0x2e, 255}, {0x1a, 0x7f, 0x37, 255}, {0xbf, 0x87, 0x00, 255}, {0x82, 0x50, 0xdf, 255},
		{0x0b, 0x7a, 0x8a, 255}, {0x8b, 0x4a, 0x1b, 255}, {0xd1, 0x4d, 0x9b, 255}, {0x57, 0x60, 0x6a, 255},
	}
}

var (
	ink  = color.RGBA{0x24, 0x29, 0x2f, 255}
	grid = color.RGBA{0xdd, 0xdd, 0xdd, 255}
)

type canvas struct {
	*image.RGBA
	font image.Image
}

func newCanvas(width, height int) (*canvas, error) {
	font, err := png.Decode(bytes.NewReader(glyphs))
	if err != nil {
		return nil, fmt.Errorf("the chart's font: %w", err)
	}
	c := &canvas{image.NewRGBA(image.Rect(0, 0, width, height)), font}
	draw.Draw(c, c.Rect, image.White, image.Point{}, draw.Src)
	return c, nil
}

func (c *canvas) write(w io.Writer) error {
	if err := png.Encode(w, c); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}

func (c *canvas) fill(r image.Rectangle, with color.RGBA) {
	draw.Draw(c, r, image.NewUniform(with), image.Point{}, draw.Src)
}

// text writes s with its upper left corner at x, y; what the font lacks becomes '?'.
func (c *canvas) text(x, y int, s string, with color.RGBA) {
	for _, r := range s {
		if r < ' ' || r > '~' {
			r = '?'
		}
		from := int(r-' ') * charWidth
		for dy := range charHeight {
			for dx := range charWidth {
				if red, _, _, _ := c.font.At(from+dx, dy).RGBA(); red == 0 {
					c.SetRGBA(x+dx, y+dy, with)
				}
			}
		}
		x += charWidth
	}
}

// textWidth is the length of s in px.
func textWidth(s string) int { return utf8.RuneCountInString(s) * charWidth }

// point is a place in px; whole numbers are the corners of pixels.
type point struct{ x, y float64 }

// line draws through the points, width px wide, its edges smoothed, within clip.
func (c *canvas) line(points []point, width float64, with color.RGBA, clip image.Rectangle) {
	cover := image.NewAlpha(clip)
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		reach := width/2 + 1
		box := image.Rect(int(math.Floor(min(a.x, b.x)-reach)), int(math.Floor(min(a.y, b.y)-reach)), int(math.Ceil(max(a.x, b.x)+reach)), int(math.Ceil(max(a.y, b.y)+reach))).Intersect(clip)
		for y := box.Min.Y; y < box.Max.Y; y++ {
			for x := box.Min.X; x < box.Max.X; x++ {
				d := distance(point{float64(x) + 0.5, float64(y) + 0.5}, a, b)
				alpha := uint8(255 * min(max(width/2+0.5-d, 0), 1))
				if alpha > cover.AlphaAt(x, y).A {
					cover.SetAlpha(x, y, color.Alpha{A: alpha})
				}
			}
		}
	}
	draw.DrawMask(c, clip, image.NewUniform(with), image.Point{}, cover, clip.Min, draw.Over)
}

// distance is that of p from the segment a b.
func distance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/l, 0), 1)
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}
