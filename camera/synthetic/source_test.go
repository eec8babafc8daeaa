package synthetic

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestSourceYieldsTheSeriesAndKeepsItsTruth(t *testing.T) {
	for _, format := range []inspection.ImageFormat{inspection.FormatJPEG, inspection.FormatPNG} {
		config := DefaultSource(SetTest, 5)
		config.Format, config.First = format, 7
		config.Series.Spec.Width, config.Series.Spec.Height = 320, 256
		source, err := NewSource(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := source.Len(); got != 5 {
			t.Errorf("Len is %d, want 5", got)
		}
		if _, known := source.Truth("TEST-000007"); known {
			t.Error("the truth is known before the board came")
		}
		for i := range 5 {
			board, err := source.Series().Board(7 + i)
			if err != nil {
				t.Fatal(err)
			}
			shot, err := source.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f := shot.Frame
			if f.Serial != board.Serial || f.View != board.View || f.Reference != board.Reference || f.Image.Format != format {
				t.Errorf("frame %d has serial %q, view %q, reference %q, format %s; want %q, %q, %q, %s", i, f.Serial, f.View, f.Reference, f.Image.Format, board.Serial, board.View, board.Reference, format)
			}
			if err := f.Image.Validate(); err != nil {
				t.Errorf("frame %d: %v", i, err)
			}
			if off := farthest(t, f.Image, board.Test); off > 64 { // half-way between copper and ground is 127
				t.Errorf("frame %d, %s: a pixel is %d off the board's", i, format, off)
			}
			if got, known := source.Truth(board.Serial); !known || !slices.Equal(got, board.Defects) {
				t.Errorf("truth of %s is %v, known %t; want %v", board.Serial, got, known, board.Defects)
			}
		}
		if _, err := source.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after the last board: %v, want io.EOF", err)
		}
		for range 2 {
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := source.Next(t.Context()); !errors.Is(err, inspection.ErrClosed) {
			t.Errorf("Next after Close: %v, want ErrClosed", err)
		}
	}
}

// farthest decodes an image and gives the largest difference of a pixel.
func farthest(t *testing.T, im inspection.Image, want *image.Gray) int {
	t.Helper()
	decode := map[inspection.ImageFormat]func(io.Reader) (image.Image, error){inspection.FormatJPEG: jpeg.Decode, inspection.FormatPNG: png.Decode}[im.Format]
	got, err := decode(bytes.NewReader(im.Data.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Bounds() != want.Bounds() || im.Width != want.Rect.Dx() || im.Height != want.Rect.Dy() {
		t.Fatalf("the picture is %v, the frame says %d x %d, the board is %v", got.Bounds(), im.Width, im.Height, want.Bounds())
	}
	worst := 0
	for y := range want.Rect.Dy() {
		for x := range want.Rect.Dx() {
			r, _, _, _ := got.At(x, y).RGBA()
			d := int(r>>8) - int(want.GrayAt(x, y).Y)
			worst = max(worst, d, -d)
		}
	}
	return worst
}

func TestSourceStopsWithItsContext(t *testing.T) {
	source, err := NewSource(DefaultSource(SetTest, 1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v, want context.Canceled", err)
	}
	if shot, err := source.Next(t.Context()); err != nil || shot.Frame.Serial != "TEST-000000" {
		t.Errorf("then %q, %v; want TEST-000000: the end of a context loses no board", shot.Frame.Serial, err)
	}
}

func TestSourceNamesTheFieldThatIsWrong(t *testing.T) {
	for field, spoil := range map[string]func(*SourceConfig){
		"First":    func(c *SourceConfig) { c.First = -1 },
		"Boards":   func(c *SourceConfig) { c.Boards = 0 },
		"Format":   func(c *SourceConfig) { c.Format = inspection.FormatRaw },
		"Quality":  func(c *SourceConfig) { c.Quality = 101 },
		"Products": func(c *SourceConfig) { c.Series.Products = 0 },
	} {
		config := DefaultSource(SetDemo, 1)
		spoil(&config)
		if _, err := NewSource(config); err == nil || !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("with a bad %s the error is %v", field, err)
		}
	}
}
