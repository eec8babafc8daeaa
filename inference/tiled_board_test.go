//go:build gocv_specific_modules

package inference_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/tiling"
	"github.com/assay-vision/assay/inspection"
)

// tiles is how the shipped model looks at a large board: at the scale of its training, 640 px to a sample.
var tiles = inspection.Tiling{Width: 640, Height: 640, Overlap: 128}

// sure is the score from which a defect counts as found: where the demo's recipe begins to call.
const sure = 0.3

// bigBoard draws a board with so many defects.
func bigBoard(t testing.TB, w, h, defects int) synthetic.Pair {
	t.Helper()
	spec := synthetic.Default()
	spec.Product, spec.Seed, spec.Width, spec.Height, spec.Defects = 31, 7, w, h, defects
	pair, err := synthetic.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func asPNG(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func templateOf(t testing.TB, key string, im image.Image) inspection.Template {
	t.Helper()
	return inspection.Template{Key: key, Path: key + ".png", Format: inspection.FormatPNG, Data: asPNG(t, im)}
}

// boardRecipe judges drawn boards, in tiles where they are larger than one.
func boardRecipe(templates ...inspection.Template) *inspection.Recipe {
	r := openRecipe("pcb-pair", 0.05)
	r.Tiling = tiles
	r.Reference = inspection.ReferenceSpec{Templates: map[string]inspection.Template{}, Align: inspection.AlignTranslation, MaxShiftPx: 6}
	for _, tpl := range templates {
		r.Digest += tpl.Key
		r.Reference.Templates[tpl.Key] = tpl
	}
	return r
}

// rawJob is a frame of raw pixels.
func rawJob(seq uint64, im *image.Gray) inspection.Job {
	j := jobOf(seq, nil)
	j.Frame.Image = inspection.Image{
		Format: inspection.FormatRaw, PixelFormat: inspection.Mono8, Width: im.Rect.Dx(), Height: im.Rect.Dy(), Stride: im.Stride,
		Data: inspection.NewBuffer(nil, im.Pix[:im.Stride*(im.Rect.Dy()-1)+im.Rect.Dx()]),
	}
	return j
}

// pngJob is a frame as PNG.
func pngJob(t testing.TB, seq uint64, im *image.Gray) inspection.Job {
	t.Helper()
	j := jobOf(seq, asPNG(t, im))
	j.Frame.Image.Format = inspection.FormatPNG
	return j
}

// crop copies a part of a picture.
func crop(im *image.Gray, r image.Rectangle) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		copy(out.Pix[y*out.Stride:(y+1)*out.Stride], im.Pix[im.PixOffset(r.Min.X, r.Min.Y+y):])
	}
	return out
}

// around returns the tile-sized part of a picture in whose middle a box lies, as far as the picture's borders allow.
func around(b image.Rectangle, of image.Rectangle) image.Rectangle {
	x := min(max((b.Min.X+b.Max.X-tiles.Width)/2, 0), of.Dx()-tiles.Width)
	y := min(max((b.Min.Y+b.Max.Y-tiles.Height)/2, 0), of.Dy()-tiles.Height)
	return image.Rect(x, y, x+tiles.Width, y+tiles.Height)
}

// hits counts the defects of a judgement that are a planted one: its class, a score that is called, IoU of 0.5 or more.
func hits(ds []inspection.Defect, planted synthetic.Defect, at image.Point) int {
	n := 0
	for _, d := range ds {
		b := inspection.Box{X1: float64(planted.Box.Min.X - at.X), Y1: float64(planted.Box.Min.Y - at.Y), X2: float64(planted.Box.Max.X - at.X), Y2: float64(planted.Box.Max.Y - at.Y)}
		w, h := min(d.Box.X2, b.X2)-max(d.Box.X1, b.X1), min(d.Box.Y2, b.Y2)-max(d.Box.Y1, b.Y1)
		if d.Class != planted.Class || d.Score < sure || w <= 0 || h <= 0 {
			continue
		}
		if shared := w * h; shared >= 0.5*(d.Box.W()*d.Box.H()+b.W()*b.H()-shared) {
			n++
		}
	}
	return n
}

// acrossSeam reports whether a border of some tile runs through a box.
func acrossSeam(g tiling.Grid, b image.Rectangle) bool {
	return slices.ContainsFunc(g.Tiles, func(r image.Rectangle) bool { return b.Overlaps(r) && !b.In(r) })
}

// boardFigures is how a board in tiles compares with single crops around each of its defects.
type boardFigures struct {
	planted, across           int
	found, twice, acrossFound int
	inCrops, acrossInCrops    int
	falseCalls                int
}

func (f boardFigures) String() string {
	return fmt.Sprintf("%d defects, %d across a seam; found in tiles %d (%d across), of them twice %d, in single crops %d (%d across); %d false calls",
		f.planted, f.across, f.found, f.acrossFound, f.twice, f.inCrops, f.acrossInCrops, f.falseCalls)
}

// lookAtBoard judges a board in tiles, and each of its defects in a picture of its own.
func lookAtBoard(t testing.TB, e *inference.Engine, pair synthetic.Pair, whole inspection.Judgement) boardFigures {
	t.Helper()
	g, err := tiling.Cut(tiles, pair.Test.Rect.Dx(), pair.Test.Rect.Dy())
	if err != nil {
		t.Fatal(err)
	}
	f := boardFigures{planted: len(pair.Defects)}
	for i, d := range pair.Defects {
		at := around(d.Box, pair.Test.Rect)
		r := boardRecipe(templateOf(t, "top", crop(pair.Template, at)))
		r.Digest += strconv.Itoa(i)
		j := judge(t, e, r, rawJob(uint64(i+1), crop(pair.Test, at)))
		n, one := hits(whole.Defects, d, image.Point{}), min(hits(j.Defects, d, at.Min), 1)
		f.found, f.inCrops = f.found+min(n, 1), f.inCrops+one
		if n > 1 {
			f.twice++
			t.Logf("%s at %v is found %d times", d.Class, d.Box, n)
		}
		if acrossSeam(g, d.Box) {
			f.across, f.acrossFound, f.acrossInCrops = f.across+1, f.acrossFound+min(n, 1), f.acrossInCrops+one
		}
		if n != one {
			t.Logf("%s at %v: in tiles %d, in a crop %d", d.Class, d.Box, n, one)
		}
	}
	for _, d := range whole.Defects {
		if d.Score >= sure && !slices.ContainsFunc(pair.Defects, func(p synthetic.Defect) bool { return hits([]inspection.Defect{d}, p, image.Point{}) > 0 }) {
			f.falseCalls++
			t.Logf("false call: %s %.2f at %v", d.Class, d.Score, d.Box)
		}
	}
	return f
}

// check holds a board in tiles against its crops: nothing twice, and a recall that is less by half a point at most.
func (f boardFigures) check(t testing.TB) {
	t.Helper()
	t.Log(f)
	if f.twice > 0 {
		t.Errorf("%d defects are found twice", f.twice)
	}
	if lost := f.inCrops - f.found; float64(lost) > 0.005*float64(f.planted) {
		t.Errorf("%d of %d defects are found in crops and not in tiles, want half a point of recall at most", lost, f.planted)
	}
	if f.across < f.planted/10 || f.acrossFound < f.acrossInCrops {
		t.Errorf("of %d defects across a seam %d are found, %d in crops: want as many, and a tenth of all across a seam", f.across, f.acrossFound, f.acrossInCrops)
	}
}

// A drawn board of 18 tiles, with 200 defects of which each is half a point: as many are found in tiles as in pictures of
// their own.
func TestALargeBoardIsJudgedAsItsCropsAre(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	pair := bigBoard(t, 3200, 1600, 200)
	job := ready(t, e, boardRecipe(templateOf(t, "top", pair.Template)))
	whole, err := e.Inspect(context.Background(), job(pngJob(t, 1, pair.Test)))
	if err != nil {
		t.Fatal(err)
	}
	if f := whole.Facts; f == nil || f.Width != 3200 || f.Height != 1600 || !f.Aligned || math.Hypot(f.ShiftX-pair.ShiftX, f.ShiftY-pair.ShiftY) > 1 {
		t.Errorf("got facts %+v of a board that is shifted by (%.2f, %.2f)", f, pair.ShiftX, pair.ShiftY)
	}
	if tm := whole.Timings; tm.Queue <= 0 || tm.Decode <= 0 || tm.ComputeInput <= 0 || tm.ComputeInfer <= 0 || tm.ComputeOutput <= 0 {
		t.Errorf("got timings %+v, want every step measured", tm)
	}
	lookAtBoard(t, e, pair, whole).check(t)
	again, err := e.Inspect(context.Background(), job(rawJob(2, pair.Test)))
	if err != nil || !reflect.DeepEqual(again.Defects, whole.Defects) {
		t.Errorf("the same pixels as raw bytes, in another order of tiles: got %d defects, %v; want the same %d", len(again.Defects), err, len(whole.Defects))
	}
}

// besideBoard bounds how much longer, at their 99th percentile, small frames take beside a board of 128 Mpx than without it.
// Measured are 2 to 7. Were the board to hold all threads, they would wait for seconds: a ratio of hundreds.
const besideBoard = 30

// The board of 16000 x 8000 px: recall in tiles and in crops, and how much longer small frames take beside it. It takes a minute
// and a half, and is left out by -short.
func TestABoardOf128Megapixels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and a half: leave -short out")
	}
	e := newEngine(t, newORT(t), shippedModels(t))
	pair := bigBoard(t, 16000, 8000, 1000)
	job := ready(t, e, boardRecipe(templateOf(t, "top", pair.Template)))
	small := ready(t, e, pairRecipe(t))
	picture := asJPEG(t, board(true))
	frames := func(done <-chan struct{}) (took []time.Duration, late int) {
		for i := 0; i < 300 || done != nil; i++ {
			select {
			case <-done:
				return took, late
			default:
			}
			j := small(jobOf(uint64(i+1), picture))
			start := time.Now()
			j.Deadline = start.Add(time.Second)
			if _, err := e.Inspect(context.Background(), j); err != nil {
				late++
			}
			took = append(took, time.Since(start))
		}
		return took, late
	}
	for _, c := range []struct {
		name string
		job  inspection.Job
	}{{"raw", job(rawJob(1, pair.Test))}, {"png", job(pngJob(t, 2, pair.Test))}} {
		alone, _ := frames(nil)
		done := make(chan struct{})
		var whole inspection.Judgement
		var err error
		start := time.Now()
		c.job.Deadline = start.Add(time.Hour)
		go func() {
			defer close(done)
			whole, err = e.Inspect(context.Background(), c.job)
		}()
		beside, late := frames(done)
		if err != nil {
			t.Fatal(err)
		}
		a, b := p99(alone), p99(beside)
		t.Logf("%s: the board took %v, %+v", c.name, time.Since(start), whole.Timings)
		ratio := float64(b) / float64(a)
		t.Logf("%s: p99 of small frames %v alone (%d), %v beside it (%d, %d late): a ratio of %.2f", c.name, a, len(alone), b, len(beside), late, ratio)
		if ratio > besideBoard || len(beside) == 0 {
			t.Errorf("%s: small frames take %.1f times as long beside the board (%d of them), want at most %d times", c.name, ratio, len(beside), besideBoard)
		}
		if c.name == "raw" {
			lookAtBoard(t, e, pair, whole).check(t)
		}
	}
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[(len(took)*99+99)/100-1]
}
