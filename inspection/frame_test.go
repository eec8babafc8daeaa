package inspection

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func goodFrame() Frame {
	return Frame{
		Key: FrameKey{"line", "station", "camera", "session", 1}, Attempt: 1, View: "top", Recipe: "board", Budget: time.Second,
		Image: Image{Format: FormatJPEG, Data: NewBuffer(nil, []byte("x"))},
	}
}

func TestFrameValidate(t *testing.T) {
	long := strings.Repeat("x", MaxName+1)
	tests := []struct {
		name   string
		change func(*Frame)
		kind   error
		want   string
	}{
		{"good", func(*Frame) {}, nil, ""},
		{"bad key", func(f *Frame) { f.Key.Seq = 0 }, ErrInvalid, "seq"},
		{"view", func(f *Frame) { f.View = long }, ErrInvalid, "view has"},
		{"reference", func(f *Frame) { f.Reference = long }, ErrInvalid, "reference has"},
		{"serial", func(f *Frame) { f.Serial = "a\tb" }, ErrInvalid, "serial"},
		{"run", func(f *Frame) { f.RunID = long }, ErrInvalid, "run_id"},
		{"lot", func(f *Frame) { f.Lot = long }, ErrInvalid, "lot"},
		{"work order", func(f *Frame) { f.WorkOrder = long }, ErrInvalid, "work_order"},
		{"product", func(f *Frame) { f.Product = long }, ErrInvalid, "product"},
		{"recipe", func(f *Frame) { f.Recipe = long }, ErrInvalid, "recipe has"},
		{"no recipe", func(f *Frame) { f.Recipe = "" }, ErrInvalid, "recipe is empty"},
		{"negative budget", func(f *Frame) { f.Budget = -1 }, ErrInvalid, "budget"},
		{"no budget", func(f *Frame) { f.Budget = 0 }, nil, ""},
		{"attempt 0", func(f *Frame) { f.Attempt = 0 }, ErrInvalid, "count deliveries from 1"},
		{"bad image", func(f *Frame) { f.Image.Data = nil }, ErrImage, "image data is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := goodFrame()
			tt.change(&f)
			wantError(t, f.Validate(), tt.kind, tt.want)
		})
	}
}

func TestFrameReferenceKey(t *testing.T) {
	f := Frame{View: "top"}
	if got := f.ReferenceKey(); got != "top" {
		t.Errorf("without a reference: got %q, want the view", got)
	}
	f.Reference = "top-b"
	if got := f.ReferenceKey(); got != "top-b" {
		t.Errorf("got %q, want top-b", got)
	}
}

func TestImageValidate(t *testing.T) {
	bytesOf := func(n int) *Buffer { return NewBuffer(nil, make([]byte, n)) }
	tests := []struct {
		name  string
		image Image
		want  string
	}{
		{"jpeg", Image{Format: FormatJPEG, Data: bytesOf(1)}, ""},
		{"png that states its size", Image{Format: FormatPNG, Width: 3, Height: 2, Data: bytesOf(1)}, ""},
		{"no data", Image{Format: FormatJPEG}, "empty"},
		{"empty data", Image{Format: FormatJPEG, Data: bytesOf(0)}, "empty"},
		{"no format", Image{Data: bytesOf(1)}, "send jpeg, png or raw"},
		{"a format that is none", Image{Format: 9, Data: bytesOf(1)}, "send jpeg, png or raw"},
		{"negative width", Image{Format: FormatJPEG, Width: -1, Data: bytesOf(1)}, "negative"},
		{"raw grey", Image{Format: FormatRaw, PixelFormat: Mono8, Width: 3, Height: 2, Stride: 3, Data: bytesOf(6)}, ""},
		{"raw colour", Image{Format: FormatRaw, PixelFormat: RGB8, Width: 3, Height: 2, Stride: 9, Data: bytesOf(18)}, ""},
		{"raw Bayer, padded", Image{Format: FormatRaw, PixelFormat: BayerRG8, Width: 3, Height: 2, Stride: 4, Data: bytesOf(8)}, ""},
		{"padded but for the last row", Image{Format: FormatRaw, PixelFormat: Mono8, Width: 3, Height: 2, Stride: 4, Data: bytesOf(7)}, ""},
		{"one byte short", Image{Format: FormatRaw, PixelFormat: Mono8, Width: 3, Height: 2, Stride: 4, Data: bytesOf(6)}, "needs 7 to 8"},
		{"one byte over", Image{Format: FormatRaw, PixelFormat: Mono8, Width: 3, Height: 2, Stride: 4, Data: bytesOf(9)}, "needs 7 to 8"},
		{"stride below a row", Image{Format: FormatRaw, PixelFormat: BGR8, Width: 3, Height: 2, Stride: 8, Data: bytesOf(18)}, "stride 8 is less"},
		{"unknown pixel format", Image{Format: FormatRaw, PixelFormat: 0x01100003, Width: 3, Height: 2, Stride: 3, Data: bytesOf(6)}, "0x01100003 is not taken"},
		{"raw without size", Image{Format: FormatRaw, PixelFormat: Mono8, Stride: 3, Data: bytesOf(6)}, "needs width and height"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, tt.image.Validate(), ErrImage, tt.want)
		})
	}
}

func TestErrImageTooLargeIsABadImage(t *testing.T) {
	if !errors.Is(ErrImageTooLarge, ErrImage) || errors.Is(ErrImage, ErrImageTooLarge) {
		t.Error("want too large to be a bad image, and not the other way round")
	}
}
