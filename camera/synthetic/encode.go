package synthetic

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
)

// JPEG encodes the tested picture as a grey JPEG; quality is 1 to 100, and 95 keeps edges as clean as those of real line-scan data.
func (p Pair) JPEG(quality int) ([]byte, error) {
	if quality < 1 || quality > 100 {
		return nil, fmt.Errorf("synthetic: quality is %d; use 1 to 100", quality)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, p.Test, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode the tested picture as JPEG: %w", err)
	}
	return out.Bytes(), nil
}

// PNG encodes one of this package's pictures without loss, one bit a pixel.
func PNG(picture *image.Gray) ([]byte, error) {
	bits := image.NewPaletted(picture.Rect, color.Palette{color.Gray{Y: 0}, color.Gray{Y: 255}})
	for y := range picture.Rect.Dy() {
		from := picture.Pix[y*picture.Stride:][:picture.Rect.Dx()]
		to := bits.Pix[y*bits.Stride:]
		for x, v := range from {
			to[x] = v >> 7
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, bits); err != nil {
		return nil, fmt.Errorf("encode a picture as PNG: %w", err)
	}
	return out.Bytes(), nil
}
