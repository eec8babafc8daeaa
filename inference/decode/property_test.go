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

// layout is a way to write a sighting into the outputs of a decoder: at row of the sample, a class with its score and its box in
// pixels of the input of 64x32.
type layout struct {
	output string  // the manifest's output
	rows   int     // sightings that a sample has room for
	ulps   float64 // what a box may be off by, in the last places of a float32 of 64 px
	put    func(outs []Output, sample, row, class int, score float64, b inspection.Box)
}

// part returns the values of one sample of an output.
func part(outs []Output, name string, sample int) []float32 {
	o := output(outs, name)
	n := len(o.Data) / int(o.Shape[0])
	return o.Data[sample*n : (sample+1)*n]
}

// write writes numbers from at on, every stride values.
func write(into []float32, at, stride int, values ...float64) {
	for i, v := range values {
		into[at+i*stride] = float32(v)
	}
}

// centre returns the box as centre and size.
func centre(b inspection.Box) []float64 {
	return []float64{(b.X1 + b.X2) / 2, (b.Y1 + b.Y2) / 2, b.W(), b.H()}
}

func logit(score float64) float64 {
	return min(max(math.Log(score/(1-score)), -30), 30)
}

// The labels are a and b, so classes are 0 and 1. Names of outputs are those that the manifests of the tests give them.
var layouts = map[string]layout{
	"peak-grid": {peakOutput, 32, 1, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "s", sample), class*32+row, 1, score)
		write(part(outs, "b", sample), row, 32, b.X1, b.Y1, b.X2, b.Y2)
	}},
	"yolox": {yoloxOutput, 10, 16, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		c := cell{float64(row % 4), float64(row / 4), 16}
		if row >= 8 {
			c = cell{float64(row - 8), 0, 32}
		}
		at := centre(b)
		write(part(outs, "o", sample), row*7, 1, at[0]/c.stride-c.x, at[1]/c.stride-c.y, math.Log(at[2]/c.stride), math.Log(at[3]/c.stride), 1)
		write(part(outs, "o", sample), row*7+5+class, 1, score)
	}},
	"ssd": {ssdOutput, 7, 1, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "s", sample), row*3+1+class, 1, score)
		write(part(outs, "b", sample), row*4, 1, b.X1/64, b.Y1/32, b.X2/64, b.Y2/32)
	}},
	"yolov5":     {yolov5Output, 7, 2, putYOLOv5(7)},
	"yolov5-seg": {yolov5SegOutput, 7, 2, putYOLOv5(7 + prototypesOfBlank)},
	"yolov8":     {yolov8Output, 7, 2, putYOLOv8},
	"yolov8-seg": {yolov8SegOutput, 7, 2, putYOLOv8},
	"yolo-end2end": {end2endOutput, 7, 1, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "o", sample), row*6, 1, b.X1, b.Y1, b.X2, b.Y2, score, float64(class))
	}},
	"rtdetr": {rtdetrOutput, 7, 2, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		at := centre(b)
		write(part(outs, "o", sample), row*6, 1, at[0]/64, at[1]/32, at[2]/64, at[3]/32)
		write(part(outs, "o", sample), row*6+4+class, 1, score)
	}},
	"rfdetr": {rfdetrOutput, 7, 2, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		at := centre(b)
		write(part(outs, "b", sample), row*4, 1, at[0]/64, at[1]/32, at[2]/64, at[3]/32)
		write(part(outs, "s", sample), row*3+1+class, 1, logit(score))
	}},
	"detections": {detectionsOutput, 7, 1, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "b", sample), row*4, 1, b.Y1/32, b.X1/64, b.Y2/32, b.X2/64)
		write(part(outs, "s", sample), row, 1, score)
		write(part(outs, "l", sample), row, 1, float64(class+1))
		write(part(outs, "n", sample), 0, 1, 7)
	}},
	"mmdeploy": {mmdeployOutput, 7, 1, func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "d", sample), row*5, 1, b.X1, b.Y1, b.X2, b.Y2, score)
		write(part(outs, "l", sample), row, 1, float64(class))
	}},
}

// putYOLOv5 writes rows of so many numbers.
func putYOLOv5(width int) func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
	return func(outs []Output, sample, row, class int, score float64, b inspection.Box) {
		write(part(outs, "o", sample), row*width, 1, append(centre(b), 1)...)
		write(part(outs, "o", sample), row*width+5+class, 1, score)
	}
}

func putYOLOv8(outs []Output, sample, row, class int, score float64, b inspection.Box) {
	write(part(outs, "o", sample), row, 7, centre(b)...)
	write(part(outs, "o", sample), (4+class)*7+row, 7, score)
}

// seen draws outputs of two samples in which something is seen, some of it outside the input.
func seen(t *rapid.T, m models.Manifest, l layout) []Output {
	outs := blank(m, 2, int64(l.rows))
	fraction := rapid.Float64Range(0, 1)
	phase := rapid.Float64Range(0, 9).Draw(t, "phase of the masks")
	for i := range outs {
		if m.Output.Tensors[models.RolePrototypes] != "" { // boxes and scores are written over it
			for k := range outs[i].Data {
				outs[i].Data[k] = float32(math.Sin(float64(k) + phase))
			}
		}
	}
	for sample := range 2 {
		for row := range l.rows {
			x, y := 64*rapid.Float64Range(-0.5, 1.2).Draw(t, "x"), 32*rapid.Float64Range(-0.5, 1.2).Draw(t, "y")
			b := box(x, y, x+64*rapid.Float64Range(0.01, 0.8).Draw(t, "w"), y+32*rapid.Float64Range(0.01, 0.8).Draw(t, "h"))
			first := rapid.IntRange(0, 1).Draw(t, "class")
			for _, class := range []int{first, 1 - first} {
				l.put(outs, sample, row, class, fraction.Draw(t, "score"), b)
			}
		}
	}
	return outs
}

func placement(t *rapid.T) inspection.Placement {
	return inspection.Placement{
		ScaleX: rapid.Float64Range(0.05, 4).Draw(t, "scale x"), ScaleY: rapid.Float64Range(0.05, 4).Draw(t, "scale y"),
		OffsetX: rapid.Float64Range(0, 20).Draw(t, "offset x"), OffsetY: rapid.Float64Range(0, 20).Draw(t, "offset y"),
		Width: rapid.IntRange(1, 1000).Draw(t, "width"), Height: rapid.IntRange(1, 1000).Draw(t, "height"),
	}
}

func TestEveryCandidateLiesInTheFrame(t *testing.T) {
	for name, l := range layouts {
		m := manifest(t, l.output, "{iou: 0.5}", "a", "b")
		d := decoder(t, m)
		some := false
		rapid.Check(t, func(t *rapid.T) {
			p := placement(t)
			got, err := d.Decode(seen(t, m, l), 1, p)
			if err != nil {
				t.Fatal(err)
			}
			last := 1.0
			for i, c := range got {
				some = true
				b := c.Box
				if b.X1 < 0 || b.Y1 < 0 || b.X2 > float64(p.Width) || b.Y2 > float64(p.Height) || b.W() <= 0 || b.H() <= 0 {
					t.Fatalf("box %+v does not lie in a frame of %dx%d", b, p.Width, p.Height)
				}
				if !(c.Score >= m.Output.ScoreFloor && c.Score <= last) || !slices.Contains(m.Labels, c.Class) {
					t.Fatalf("got %+v after score %v, floor %v", c, last, m.Output.ScoreFloor)
				}
				last = c.Score
				if (c.Mask != nil) != (m.Output.Tensors[models.RolePrototypes] != "") {
					t.Fatalf("got mask %v", c.Mask)
				}
				if c.Mask != nil && i == 0 {
					inBox(t, c, p)
				}
			}
		})
		if !some {
			t.Errorf("%s: no drawn output gave a candidate: the test looked at nothing", name)
		}
	}
}

// inBox checks that every pixel of a candidate's mask lies in its box.
func inBox(t *rapid.T, c inspection.Candidate, p inspection.Placement) {
	bits, err := c.Mask.Decode()
	if err != nil || c.Mask.Width != p.Width || c.Mask.Height != p.Height {
		t.Fatalf("got a mask of %dx%d, %v, in a frame of %dx%d", c.Mask.Width, c.Mask.Height, err, p.Width, p.Height)
	}
	for i, bit := range bits {
		x, y := float64(i%p.Width)+0.5, float64(i/p.Width)+0.5
		if bit && (x < c.Box.X1 || x > c.Box.X2 || y < c.Box.Y1 || y > c.Box.Y2) {
			t.Fatalf("pixel %v, %v of the mask lies outside the box %+v", x, y, c.Box)
		}
	}
}

// TestWhatIsNotFiniteIsNeverACandidate puts one such value anywhere into the sample. The other sample must not care.
func TestWhatIsNotFiniteIsNeverACandidate(t *testing.T) {
	for _, l := range layouts {
		m := manifest(t, l.output, "{}", "a", "b")
		d := decoder(t, m)
		rapid.Check(t, func(t *rapid.T) {
			outs := seen(t, m, l)
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

// TestLetterboxIsUndone lays a box of the frame into the input and wants it back, from any row of the outputs.
func TestLetterboxIsUndone(t *testing.T) {
	for name, l := range layouts {
		m := manifest(t, l.output, "{}", "a", "b")
		d := decoder(t, m)
		rapid.Check(t, func(t *rapid.T) {
			w, h := rapid.IntRange(8, 4000).Draw(t, "width"), rapid.IntRange(8, 4000).Draw(t, "height")
			r := min(64/float64(w), 32/float64(h))
			p := inspection.Placement{ScaleX: r, ScaleY: r, OffsetX: (64 - r*float64(w)) / 2, OffsetY: (32 - r*float64(h)) / 2, Width: w, Height: h}
			fraction := rapid.Float64Range(0, 1)
			x1, y1 := 0.9*fraction.Draw(t, "x")*float64(w), 0.9*fraction.Draw(t, "y")*float64(h)
			want := box(x1, y1, x1+0.1*float64(w), y1+0.1*float64(h))
			outs := blank(m, 2, int64(l.rows))
			row := rapid.IntRange(0, l.rows-1).Draw(t, "row")
			l.put(outs, 1, row, 1, 0.5, box(want.X1*r+p.OffsetX, want.Y1*r+p.OffsetY, want.X2*r+p.OffsetX, want.Y2*r+p.OffsetY))
			got, err := d.Decode(outs, 1, p)
			if err != nil || len(got) != 1 || got[0].Class != "b" || !near(got[0].Score, 0.5, 1e-6) {
				t.Fatalf("%s: got %v, %v, want one candidate of class b and score 0.5", name, got, err)
			}
			// The tensor holds 24 bits of at most 64 px; the frame is 1/r times as large.
			if tolerance := l.ulps * 64 / r * 0x1p-23; !sameBox(got[0].Box, want, tolerance) {
				t.Fatalf("%s: got %+v, want %+v to within %g", name, got[0].Box, want, tolerance)
			}
		})
	}
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
			return found{class: rapid.IntRange(0, 2).Draw(t, "class"), score: rapid.Float64Range(0, 1).Draw(t, "score"),
				box: box(x, y, x+rapid.Float64Range(1, 40).Draw(t, "w"), y+rapid.Float64Range(1, 40).Draw(t, "h"))}
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
