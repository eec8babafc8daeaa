package inspection

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMaskAsPycocotools compares with what pycocotools made of the same pixels (testdata/masks.py).
func TestMaskAsPycocotools(t *testing.T) {
	b, err := os.ReadFile("testdata/masks.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name string
		Mask
		Rows []string
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 10 {
		t.Fatalf("got %d cases, want at least 10", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var bits []bool
			for _, r := range strings.Join(c.Rows, "") {
				bits = append(bits, r == '#')
			}
			if got := EncodeMask(c.Width, c.Height, 0, 0, c.Width, c.Height, bits); *got != c.Mask {
				t.Errorf("encoded: got %+v, want %+v", *got, c.Mask)
			}
			if got, err := c.Decode(); err != nil || !slices.Equal(got, bits) {
				t.Errorf("decoded: got %v, %v, want %v", got, err, bits)
			}
		})
	}
}

// TestMaskRoundTrip lays a window anywhere about a frame, partly outside too, and wants its pixels back.
func TestMaskRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 60).Draw(t, "width"), rapid.IntRange(1, 60).Draw(t, "height")
		x, y := rapid.IntRange(-20, 70).Draw(t, "x"), rapid.IntRange(-20, 70).Draw(t, "y")
		w, h := rapid.IntRange(0, 40).Draw(t, "w"), rapid.IntRange(0, 40).Draw(t, "h")
		percent := rapid.IntRange(0, 100).Draw(t, "percent")
		bits, want := make([]bool, w*h), make([]bool, width*height)
		for i := range bits {
			bits[i] = rapid.IntRange(0, 99).Draw(t, "bit") < percent
			column, row := x+i%w, y+i/w
			if column >= 0 && column < width && row >= 0 && row < height {
				want[row*width+column] = bits[i]
			}
		}
		got, err := EncodeMask(width, height, x, y, w, h, bits).Decode()
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	})
}

func TestMaskDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		mask Mask
		want string
	}{
		{Mask{}, "size 0x0"},
		{Mask{Width: -1, Height: -1, Counts: "1"}, "size -1x-1"},
		{Mask{Width: 1 << 14, Height: 1<<14 + 1, Counts: "0"}, "want 1 to"},
		{Mask{Width: 1 << 62, Height: 1 << 62, Counts: "0"}, "want 1 to"},
		{Mask{Width: 3, Height: 1}, "0 of 3 pixels are covered"},
		{Mask{Width: 3, Height: 1, Counts: "2"}, "2 of 3 pixels are covered"},
		{Mask{Width: 3, Height: 1, Counts: "4"}, "run 0 is 4 long after 0 of 3"},
		{Mask{Width: 3, Height: 1, Counts: "22"}, "run 1 is 2 long after 2 of 3"},
		{Mask{Width: 3, Height: 1, Counts: "O"}, "run 0 is -1 long"},
		{Mask{Width: 3, Height: 1, Counts: "R"}, "no run length at byte 0"},
		{Mask{Width: 3, Height: 1, Counts: "3P"}, "no run length at byte 1"},
		{Mask{Width: 3, Height: 1, Counts: "3/"}, "no run length at byte 1"},
		{Mask{Width: 3, Height: 1, Counts: "3\xff"}, "no run length at byte 1"},
		{Mask{Width: 3, Height: 1, Counts: strings.Repeat("P", 100) + "0"}, "no run length at byte 0"},
	} {
		got, err := c.mask.Decode()
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%+v: got %v, error %v\nwant ErrInvalid with %s", c.mask, got, err, c.want)
		}
	}
}

// FuzzMaskDecode: whatever is decoded says the same when it is encoded and decoded again.
func FuzzMaskDecode(f *testing.F) {
	f.Add(uint8(3), uint8(1), "3")
	f.Add(uint8(9), uint8(9), "a1b2")
	f.Add(uint8(40), uint8(30), "PP\x00~")
	f.Fuzz(func(t *testing.T, width, height uint8, counts string) {
		m := Mask{Width: int(width), Height: int(height), Counts: counts}
		bits, err := m.Decode()
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			return
		}
		again, err := EncodeMask(m.Width, m.Height, 0, 0, m.Width, m.Height, bits).Decode()
		if err != nil || !slices.Equal(again, bits) {
			t.Fatalf("got %v, %v, want %v", again, err, bits)
		}
	})
}
