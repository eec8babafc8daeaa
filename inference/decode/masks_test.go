package decode

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// plainLogit is the value at a pixel's centre as bilinear interpolation is defined: each value of the map counts by how near it
// lies on both axes, and beyond the outermost centres those count.
func plainLogit(p prototypes, coefficients []float32, place inspection.Placement, x, y int) float64 {
	h, w := int(p.shape[1]), int(p.shape[2])
	at := func(pixel int, scale, offset, input float64, n int) float64 {
		return math.Min(math.Max(((float64(pixel)+0.5)*scale+offset)*float64(n)/input-0.5, 0), float64(n-1))
	}
	u, v := at(x, place.ScaleX, place.OffsetX, 64, w), at(y, place.ScaleY, place.OffsetY, 32, h)
	sum := 0.0
	for k, c := range coefficients {
		for j := range h {
			for i := range w {
				near := math.Max(0, 1-math.Abs(u-float64(i))) * math.Max(0, 1-math.Abs(v-float64(j)))
				sum += near * float64(c) * float64(p.data[(k*h+j)*w+i])
			}
		}
	}
	return sum
}

// TestMaskIsTheDefinition draws prototypes of any size, 1x1 among them, and a frame that lies anyhow in the input. Only a pixel
// whose value is 0 to within the rounding may differ.
func TestMaskIsTheDefinition(t *testing.T) {
	m := manifest(t, yolov5SegOutput, "{}", "a")
	d := decoder(t, m)
	rapid.Check(t, func(t *rapid.T) {
		const count = 2
		h, w := rapid.IntRange(1, 9).Draw(t, "map height"), rapid.IntRange(1, 9).Draw(t, "map width")
		value := rapid.Float32Range(-2, 2)
		p := prototypes{tensor{shape: []int64{count, int64(h), int64(w)}}}
		for range count * h * w {
			p.data = append(p.data, value.Draw(t, "prototype"))
		}
		coefficients := []float32{value.Draw(t, "coefficient"), value.Draw(t, "coefficient")}
		x, y := rapid.Float64Range(-10, 60).Draw(t, "x"), rapid.Float64Range(-10, 30).Draw(t, "y")
		row := []float32{float32(x), float32(y), rapid.Float32Range(0.1, 60).Draw(t, "w"), rapid.Float32Range(0.1, 30).Draw(t, "h"), 1, 1}
		place := placement(t)
		place.Width, place.Height = min(place.Width, 60), min(place.Height, 60)
		got, err := d.Decode([]Output{
			{"o", []int64{1, 1, 6 + count}, append(row, coefficients...)}, {"p", []int64{1, count, int64(h), int64(w)}, slices.Clip(p.data)},
		}, 0, place)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			bits, err := c.Mask.Decode()
			if err != nil {
				t.Fatal(err)
			}
			for i, bit := range bits {
				column, line := i%place.Width, i/place.Width
				cx, cy := float64(column)+0.5, float64(line)+0.5
				inside := cx >= c.Box.X1 && cx < c.Box.X2 && cy >= c.Box.Y1 && cy < c.Box.Y2
				v := plainLogit(p, coefficients, place, column, line)
				if want := inside && v >= 0; bit != want && !(inside && math.Abs(v) < 1e-5) {
					t.Fatalf("pixel %d, %d: got %v, want %v: value %v, inside the box: %v", column, line, bit, want, v, inside)
				}
			}
		}
	})
}

// TestMasksAreBounded: the strongest candidates have masks, the others are candidates all the same.
func TestMasksAreBounded(t *testing.T) {
	const rows = maxMasks + 5
	m := manifest(t, yolov5SegOutput, "{}", "a")
	for _, c := range []struct {
		name        string
		side, masks int
	}{
		{"many small ones", 64, maxMasks},
		{"few large ones", 1 << 12, 2},
		{"one that is beyond the bound alone", 1<<13 - 1<<10, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			outs := blank(m, 1, rows)
			for r := range rows {
				putYOLOv5(6+prototypesOfBlank)(outs, 0, r, 0, 0.3+0.002*float64(r), box(0, 0, 64, 32))
			}
			place := inspection.Placement{ScaleX: 64 / float64(c.side), ScaleY: 32 / float64(c.side), Width: c.side, Height: c.side}
			got, err := decoder(t, m).Decode(outs, 0, place)
			if err != nil || len(got) != rows {
				t.Fatalf("got %d candidates, %v, want %d", len(got), err, rows)
			}
			for i, k := range got {
				if (k.Mask != nil) != (i < c.masks) {
					t.Fatalf("candidate %d: got mask %v, want masks for the first %d", i, k.Mask, c.masks)
				}
			}
		})
	}
}

// TestMasksFollowSuppression: each candidate that stays has the mask of its own row, whatever was suppressed before it.
func TestMasksFollowSuppression(t *testing.T) {
	for _, name := range []string{"yolov5-seg", "yolov8-seg", "end2end-seg"} {
		l := layouts[name]
		if name == "end2end-seg" {
			l = layout{output: "{decoder: yolo-end2end, tensors: {output: o, prototypes: p}, score_floor: 0.25}", put: func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
				write(part(outs, "o", sample), row*(6+prototypesOfBlank), 1, b.X1, b.Y1, b.X2, b.Y2, score, float64(class))
			}}
		}
		m := manifest(t, l.output, "{iou: 0.5}", "a", "b")
		outs := blank(m, 1, 7)
		l.put(outs, 0, 0, 0, 0.4, box(40, 8, 56, 24)) // the third
		l.put(outs, 0, 1, 0, 0.8, box(0, 8, 16, 24))  // suppressed
		l.put(outs, 0, 4, 0, 0.9, box(0, 8, 16, 24))  // the first
		for i := range 32 {
			output(outs, "p").Data[i] = 1 // the others are 0
		}
		for row := range 7 {
			sign := -1.0 // nothing belongs
			if row == 0 {
				sign = 1
			}
			at, stride := row*(m.RowSize()+prototypesOfBlank)+m.RowSize(), 1
			if m.Output.Decoder == models.DecoderYOLOv8 {
				at, stride = m.RowSize()*7+row, 7
			}
			write(part(outs, "o", 0), at, stride, sign, sign, sign)
		}
		got, err := decoder(t, m).Decode(outs, 0, asIs)
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: got %v, %v, want two candidates", name, got, err)
		}
		for i, want := range []int{0, 16 * 16} {
			bits, err := got[i].Mask.Decode()
			n := 0
			for _, bit := range bits {
				if bit {
					n++
				}
			}
			if err != nil || n != want {
				t.Errorf("%s: candidate %d has %d pixels, %v, want %d", name, i, n, err, want)
			}
		}
	}
}
