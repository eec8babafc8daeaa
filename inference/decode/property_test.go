package decode

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

var layouts = []string{peakOutput, yoloxOutput, ssdOutput}

// seen draws outputs of two samples in which something is seen.
func seen(t *rapid.T, m models.Manifest) []Output {
	outs := blank(m, 2, 7)
	scores := rapid.Float32Range(0, 1)
	for i := range outs {
		o := &outs[i]
		switch {
		case m.Output.Decoder == models.DecoderYOLOX:
			for j := range o.Data {
				if j%(5+len(m.Labels)) < 4 {
					o.Data[j] = rapid.Float32Range(-2, 2).Draw(t, "offset")
				} else {
					o.Data[j] = scores.Draw(t, "score")
				}
			}
		case o.Name == "s":
			for j := range o.Data {
				o.Data[j] = scores.Draw(t, "score")
			}
		default:
			drawBoxes(t, m, o)
		}
	}
	return outs
}

// drawBoxes fills an output with boxes that have an area, some of them outside the input.
func drawBoxes(t *rapid.T, m models.Manifest, o *Output) {
	unit, cells := float32(64), len(o.Data)/8
	if m.Output.Decoder == models.DecoderSSD {
		unit = 1
	}
	for sample := range 2 {
		for c := range cells {
			at := func(k int) *float32 { // value k of the box of cell c
				if m.Output.Decoder == models.DecoderSSD {
					return &o.Data[(sample*cells+c)*4+k]
				}
				return &o.Data[(sample*4+k)*cells+c]
			}
			for k := range 2 {
				*at(k) = unit * rapid.Float32Range(-0.5, 1.2).Draw(t, "corner")
				*at(k + 2) = *at(k) + unit*rapid.Float32Range(0.01, 0.8).Draw(t, "side")
			}
		}
	}
}

func placement(t *rapid.T) inspection.Placement {
	return inspection.Placement{
		ScaleX: rapid.Float64Range(0.05, 4).Draw(t, "scale x"), ScaleY: rapid.Float64Range(0.05, 4).Draw(t, "scale y"),
		OffsetX: rapid.Float64Range(0, 20).Draw(t, "offset x"), OffsetY: rapid.Float64Range(0, 20).Draw(t, "offset y"),
		Width: rapid.IntRange(1, 1000).Draw(t, "width"), Height: rapid.IntRange(1, 1000).Draw(t, "height"),
	}
}

func TestEveryCandidateLiesInTheFrame(t *testing.T) {
	for _, layout := range layouts {
		m := manifest(t, layout, "{iou: 0.5}", "a", "b")
		d := decoder(t, m)
		some := false
		rapid.Check(t, func(t *rapid.T) {
			p := placement(t)
			got, err := d.Decode(seen(t, m), 1, p)
			if err != nil {
				t.Fatal(err)
			}
			last := 1.0
			for _, c := range got {
				some = true
				b := c.Box
				if b.X1 < 0 || b.Y1 < 0 || b.X2 > float64(p.Width) || b.Y2 > float64(p.Height) || b.W() <= 0 || b.H() <= 0 {
					t.Fatalf("box %+v does not lie in a frame of %dx%d", b, p.Width, p.Height)
				}
				if !(c.Score >= m.Output.ScoreFloor && c.Score <= last) || !slices.Contains(m.Labels, c.Class) {
					t.Fatalf("got %+v after score %v, floor %v", c, last, m.Output.ScoreFloor)
				}
				last = c.Score
			}
		})
		if !some {
			t.Errorf("%s: no drawn output gave a candidate: the test looked at nothing", m.Output.Decoder)
		}
	}
}

// TestWhatIsNotFiniteIsNeverACandidate puts one such value anywhere into the sample. The other sample must not care.
func TestWhatIsNotFiniteIsNeverACandidate(t *testing.T) {
	for _, layout := range layouts {
		m := manifest(t, layout, "{}", "a", "b")
		d := decoder(t, m)
		rapid.Check(t, func(t *rapid.T) {
			outs := seen(t, m)
			o := &outs[rapid.IntRange(0, len(outs)-1).Draw(t, "output")]
			half := len(o.Data) / 2
			o.Data[half+rapid.IntRange(0, half-1).Draw(t, "value")] = float32(rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "what"))
			if got, err := d.Decode(outs, 1, asIs); !errors.Is(err, inspection.ErrModelOutput) || got != nil {
				t.Fatalf("got %v, %v, want ErrModelOutput", got, err)
			}
			if _, err := d.Decode(outs, 0, asIs); err != nil {
				t.Fatalf("the sample beside it: got %v, want no error", err)
			}
		})
	}
}

// TestLetterboxIsUndone lays a box of the frame into the input and wants it back.
func TestLetterboxIsUndone(t *testing.T) {
	m := manifest(t, "{decoder: ssd, tensors: {scores: s, boxes: b}, box_unit: pixel}", "{}", "a")
	d := decoder(t, m)
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(8, 4000).Draw(t, "width"), rapid.IntRange(8, 4000).Draw(t, "height")
		r := min(64/float64(w), 32/float64(h))
		p := inspection.Placement{ScaleX: r, ScaleY: r, OffsetX: (64 - r*float64(w)) / 2, OffsetY: (32 - r*float64(h)) / 2, Width: w, Height: h}
		part := rapid.Float64Range(0, 1)
		x1, y1 := 0.9*part.Draw(t, "x")*float64(w), 0.9*part.Draw(t, "y")*float64(h)
		want := box(x1, y1, x1+0.1*float64(w), y1+0.1*float64(h))
		outs := blank(m, 1, 1)
		output(outs, "s").Data[0] = 0.5
		for i, v := range []float64{want.X1*r + p.OffsetX, want.Y1*r + p.OffsetY, want.X2*r + p.OffsetX, want.Y2*r + p.OffsetY} {
			output(outs, "b").Data[i] = float32(v)
		}
		got, err := d.Decode(outs, 0, p)
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v, %v, want one candidate", got, err)
		}
		// The tensor holds 24 bits of at most 64 px; the frame is 1/r times as large.
		if tolerance := 64 / r * 0x1p-23; !sameBox(got[0].Box, want, tolerance) {
			t.Fatalf("got %+v, want %+v to within %g", got[0].Box, want, tolerance)
		}
	})
}

// TestBorderCannotSuppress: a stronger sighting in a letterbox's border lies outside the frame and must take nothing with it.
func TestBorderCannotSuppress(t *testing.T) {
	m := manifest(t, "{decoder: ssd, tensors: {scores: s, boxes: b}, box_unit: pixel}", "{iou: 0.3}", "a")
	outs := blank(m, 1, 2)
	copy(output(outs, "s").Data, []float32{0.9, 0.4})
	copy(output(outs, "b").Data, []float32{0, 0, 10, 8, 0, 0, 10, 12})
	got, err := decoder(t, m).Decode(outs, 0, inspection.Placement{ScaleX: 1, ScaleY: 1, OffsetY: 8, Width: 64, Height: 16})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, []inspection.Candidate{{Class: "a", Score: 0.4, Box: box(0, 0, 10, 4)}}, 1e-6, 0)
}

// plainSuppress is suppression as its definition reads: again and again take the strongest that is left, and strike what
// overlaps it.
func plainSuppress(fs []found, limit float64, agnostic bool) (kept []found) {
	left := slices.Clone(fs)
	for len(left) > 0 {
		best := 0
		for i := range left {
			if left[i].score > left[best].score {
				best = i
			}
		}
		k := left[best]
		kept = append(kept, k)
		left = slices.Delete(left, best, best+1)
		left = slices.DeleteFunc(left, func(f found) bool {
			ix := math.Max(0, math.Min(k.box.X2, f.box.X2)-math.Max(k.box.X1, f.box.X1))
			iy := math.Max(0, math.Min(k.box.Y2, f.box.Y2)-math.Max(k.box.Y1, f.box.Y1))
			union := (k.box.X2-k.box.X1)*(k.box.Y2-k.box.Y1) + (f.box.X2-f.box.X1)*(f.box.Y2-f.box.Y1) - ix*iy
			return (agnostic || k.class == f.class) && ix*iy/union > limit
		})
	}
	return kept
}

func TestSuppressIsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]float64{0.1, 0.3, 0.5, 0.9}).Draw(t, "limit")
		agnostic := rapid.Bool().Draw(t, "agnostic")
		fs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) found {
			x, y := rapid.Float64Range(0, 50).Draw(t, "x"), rapid.Float64Range(0, 50).Draw(t, "y")
			return found{rapid.IntRange(0, 2).Draw(t, "class"), rapid.Float64Range(0, 1).Draw(t, "score"),
				box(x, y, x+rapid.Float64Range(1, 40).Draw(t, "w"), y+rapid.Float64Range(1, 40).Draw(t, "h"))}
		}), 0, 40).Draw(t, "found")
		slices.SortStableFunc(fs, func(a, b found) int { return cmp.Compare(b.score, a.score) })
		want := plainSuppress(fs, limit, agnostic)
		if got := suppress(slices.Clone(fs), limit, agnostic); !slices.Equal(got, want) {
			t.Fatalf("limit %v, agnostic %v:\ngot  %v\nwant %v", limit, agnostic, got, want)
		}
		if got := suppress(slices.Clone(fs), 0, agnostic); !slices.Equal(got, fs) {
			t.Fatalf("limit 0: got %v, want all of %v", got, fs)
		}
	})
}

// TestTiesAreDeterministic: equal scores in several classes and places come in one order, whatever happened before in the
// lists that are used again.
func TestTiesAreDeterministic(t *testing.T) {
	m := manifest(t, ssdOutput, "{}", "a", "b")
	d := decoder(t, m)
	outs := blank(m, 1, 40)
	for i := range output(outs, "s").Data {
		output(outs, "s").Data[i] = 0.5
	}
	for i := range 40 {
		output(outs, "b").Data[4*i] = float32(i) / 1000
	}
	got, err := d.Decode(outs, 0, asIs)
	if err != nil || len(got) != 80 {
		t.Fatalf("got %d candidates, %v, want 80", len(got), err)
	}
	for i, c := range got {
		want, x := "a", float64(float32(i)/1000)*64
		if i >= 40 {
			want, x = "b", float64(float32(i-40)/1000)*64
		}
		if c.Class != want || c.Box.X1 != x {
			t.Fatalf("candidate %d: got %s at %v, want %s at %v", i, c.Class, c.Box.X1, want, x)
		}
	}
	again, err := d.Decode(outs, 0, asIs)
	if err != nil || !slices.Equal(got, again) {
		t.Errorf("second time: got %v, %v, want the same as the first", again, err)
	}
}

// TestDecodersAreShared runs one decoder from several goroutines, each on outputs of its own.
func TestDecodersAreShared(t *testing.T) {
	m := manifest(t, peakOutput, "{iou: 0.5}", "a")
	d := decoder(t, m)
	errs := make(chan error, 4)
	for g := range 4 {
		go func() {
			outs := blank(m, 1, 0)
			want := 0.3 + float64(g)/8
			output(outs, "s").Data[g] = float32(want)
			for range 200 {
				got, err := d.Decode(outs, 0, asIs)
				if err == nil && (len(got) != 1 || !near(got[0].Score, want, 1e-6)) {
					err = errors.New("got another goroutine's candidates")
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkYOLOX8400x80(b *testing.B) {
	labels := make([]string, 80)
	for i := range labels {
		labels[i] = string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	m := manifest(b, "{decoder: yolox, tensors: {output: o}, strides: [8, 16, 32]}", "{iou: 0.45}", labels...)
	m.Inputs[0].Width, m.Inputs[0].Height = 640, 640
	d, err := New(m)
	if err != nil {
		b.Fatal(err)
	}
	outs := blank(m, 1, 0)
	o := output(outs, "o")
	if o.Shape[1] != 8400 {
		b.Fatalf("got %d anchors, want 8400", o.Shape[1])
	}
	for i := 0; i < 2000; i++ { // 2000 cells see something in every fourth of them, as a crowded picture does
		o.Data[i*4*85+4], o.Data[i*4*85+5+i%80] = 0.9, float32(i%97)/100
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(outs, 0, inspection.Placement{ScaleX: 1, ScaleY: 1, Width: 640, Height: 640}); err != nil {
			b.Fatal(err)
		}
	}
}
