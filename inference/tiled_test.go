//go:build gocv_specific_modules

package inference

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

const spotsManifest = `task: detect
inputs: [{name: images, layout: NCHW, type: uint8, width: 32, height: 32, color: gray, resize: none}]
output: {decoder: peak-grid, tensors: {scores: scores, boxes: boxes}, strides: [8]}
labels: [spot]
batch_sizes: [1, 2]
`

// Grey values that the model of the tests knows.
const (
	spot     = 255 // the box around all of these is what it finds
	poison   = 254 // a batch with one fails
	nonsense = 253 // its score is no number
)

// spots is a runtime, and its one session: a model that finds what is white.
type spots struct {
	takes time.Duration
	look  func() // called in every run

	mu   sync.Mutex
	ran  int // samples that were run, padding left out
	most int // samples in runs at the same time
	now  int
}

func (s *spots) Open(context.Context, *models.Model, Opening) (Session, error) { return s, nil }
func (s *spots) BatchSizes() []int                                             { return []int{1, 2} }
func (s *spots) Device() string                                                { return CPU }
func (s *spots) Fallbacks() []string                                           { return nil }
func (s *spots) Close() error                                                  { return nil }
func (s *spots) Lease(size int) (Batch, error) {
	return &spotBatch{s, make([]byte, size*32*32)}, nil
}

type spotBatch struct {
	*spots
	input []byte
}

func (b *spotBatch) Inputs() [][]byte { return [][]byte{b.input} }
func (b *spotBatch) Release()         {}

func (b *spotBatch) Run() ([]decode.Output, error) {
	n := len(b.input) / 1024
	b.mu.Lock()
	b.now += n
	b.most = max(b.most, b.now)
	b.mu.Unlock()
	if b.look != nil {
		b.look()
	}
	time.Sleep(b.takes)
	b.mu.Lock()
	b.now -= n
	for at := range n {
		if !bytes.Equal(b.input[at*1024:(at+1)*1024], make([]byte, 1024)) {
			b.ran++
		}
	}
	b.mu.Unlock()
	if bytes.Contains(b.input, []byte{poison}) {
		return nil, errBad
	}
	scores := decode.Output{Name: "scores", Shape: []int64{int64(n), 1, 4, 4}, Data: make([]float32, n*16)}
	boxes := decode.Output{Name: "boxes", Shape: []int64{int64(n), 4, 4, 4}, Data: make([]float32, n*64)}
	for at := range n {
		var around image.Rectangle
		for i, v := range b.input[at*1024 : (at+1)*1024] {
			switch v {
			case spot:
				around = around.Union(image.Rect(i%32, i/32, i%32+1, i/32+1))
			case nonsense:
				scores.Data[at*16] = float32(math.NaN())
			}
		}
		if !around.Empty() {
			scores.Data[at*16] = 0.9
			scores.Data[at*16+1] = 0.04 // of a second one, which the recipe does not report
		}
		for k, v := range []int{around.Min.X, around.Min.Y, around.Max.X, around.Max.Y} {
			boxes.Data[at*64+k*16], boxes.Data[at*64+k*16+1] = float32(v), float32(v)
		}
	}
	return []decode.Output{scores, boxes}, nil
}

// tiledEngine returns an engine with the model and a recipe that cuts into tiles of 32 px, and a function that makes jobs.
func tiledEngine(t *testing.T, s *spots, threads int) (*Engine, func(im inspection.Image) inspection.Job) {
	t.Helper()
	repo, err := models.Open(models.Root{Name: "test", FS: fstest.MapFS{"spots/1/model.yaml": {Data: []byte(spotsManifest)}, "spots/1/model.onnx": {Data: []byte("g")}}})
	quiet(t, err)
	e, err := New(Config{Threads: threads, Queue: 20}, s, repo, "n", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	quiet(t, err)
	r := &inspection.Recipe{
		Name: "r", Digest: "r", Model: inspection.ModelSelector{Name: "spots"}, Tiling: inspection.Tiling{Width: 32, Height: 32, Overlap: 8},
		Classes: map[string]inspection.ClassRule{"*": {ReviewAt: 0.5, RejectAt: 0.5}}, ReportAt: 0.05, MaxCandidates: 100,
	}
	ref, err := e.Prepare(context.Background(), r)
	quiet(t, err)
	seq := uint64(0)
	return e, func(im inspection.Image) inspection.Job {
		seq++
		return inspection.Job{
			Frame:  inspection.Frame{Key: inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "01J", Seq: seq}, Attempt: 1, Recipe: "r", Image: im},
			Recipe: r, Model: ref,
		}
	}
}

// grey makes a raw frame in which every pixel is 1 but those that mark are v; freed counts when its bytes are given back.
func grey(w, h int, mark image.Rectangle, v byte, freed *int) inspection.Image {
	pix := bytes.Repeat([]byte{1}, w*h)
	for y := mark.Min.Y; y < mark.Max.Y; y++ {
		for x := mark.Min.X; x < mark.Max.X; x++ {
			pix[y*w+x] = v
		}
	}
	free := func() {
		if freed != nil {
			*freed++
		}
	}
	return inspection.Image{Format: inspection.FormatRaw, PixelFormat: inspection.Mono8, Width: w, Height: h, Stride: w, Data: inspection.NewBuffer(free, pix)}
}

func asPNG(t *testing.T, im inspection.Image) inspection.Image {
	t.Helper()
	var b bytes.Buffer
	quiet(t, png.Encode(&b, &image.Gray{Pix: im.Data.Bytes(), Stride: im.Width, Rect: image.Rect(0, 0, im.Width, im.Height)}))
	return inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, b.Bytes())}
}

// idle reports what an engine still holds of frames that are done.
func (e *Engine) idle(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, in := range e.instances {
		if in.jobs != 0 {
			t.Errorf("%d frames are still counted as under way", in.jobs)
		}
	}
	for _, slot := range e.gate.slots {
		if len(slot) != 0 {
			t.Errorf("%d decoded pictures are still held", len(slot))
		}
	}
}

func TestAFrameInTilesGetsOneAnswer(t *testing.T) {
	s := &spots{}
	e, job := tiledEngine(t, s, 2)
	defer func() { quiet(t, e.Close()) }()
	freed := 0
	mark := image.Rect(20, 10, 75, 60) // 6 tiles and more
	im := grey(100, 80, mark, spot, &freed)
	j, err := e.Inspect(context.Background(), job(im))
	im.Data.Release()
	want := inspection.Box{X1: 20, Y1: 10, X2: 75, Y2: 60}
	if err != nil || j.Verdict != inspection.Fail || len(j.Defects) != 1 || j.Defects[0].Box != want || j.Defects[0].Score != 0.9 {
		t.Fatalf("got %s, %+v, %v; want one at %v", j.Verdict, j.Defects, err, want)
	}
	if s.ran != 12 {
		t.Errorf("%d samples were run, want 4 x 3", s.ran)
	}
	if j.Facts.Width != 100 || j.Facts.Height != 80 {
		t.Errorf("got facts %+v, want the frame's", j.Facts)
	}
	if freed != 1 {
		t.Errorf("the frame's bytes were given back %d times", freed)
	}
	e.idle(t)
}

func TestASmallFrameOfATilingRecipeGoesWhole(t *testing.T) {
	s := &spots{}
	e, job := tiledEngine(t, s, 1)
	defer func() { quiet(t, e.Close()) }()
	j, err := e.Inspect(context.Background(), job(asPNG(t, grey(32, 32, image.Rect(0, 0, 4, 4), spot, nil))))
	if err != nil || len(j.Defects) != 1 || s.ran != 1 {
		t.Errorf("got %+v, %v in %d runs; want one in one", j.Defects, err, s.ran)
	}
	_, err = e.Inspect(context.Background(), job(grey(100, 31, image.Rectangle{}, 0, nil)))
	if !errors.Is(err, inspection.ErrImage) || s.ran != 1 {
		t.Errorf("lower than a tile, which the model takes in no other shape: got %v", err)
	}
	e.idle(t)
}

// heating is a decoder that gives a heatmap beside what another one gives: 1 in every cell.
type heating struct{ decode.Decoder }

func (h heating) Decode(outs []decode.Output, sample int, p inspection.Placement) (decode.Answer, error) {
	a, err := h.Decoder.Decode(outs, sample, p)
	a.Heatmap = &decode.Map{Width: 16, Height: 16, Values: bytesOf(1, 256), Area: inspection.Box{X2: 32, Y2: 32}}
	return a, err
}

func bytesOf(v float32, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestHeatmapsOfTilesBecomeOne(t *testing.T) {
	s := &spots{}
	e, job := tiledEngine(t, s, 2)
	defer func() { quiet(t, e.Close()) }()
	j := job(grey(100, 80, image.Rectangle{}, 0, nil))
	in := e.instances[pair{j.Recipe.Digest, j.Model.Digest}]
	in.model.decoder = heating{in.model.decoder}
	in.jobs++
	smp := newSample(e, in, &j.Frame, nil)
	g, err := e.cut(in, j.Frame.Image)
	quiet(t, err)
	quiet(t, e.doTiles(context.Background(), Order{}, smp, g))
	want := &decode.Map{Width: 50, Height: 40, Values: bytesOf(1, 2000), Area: inspection.Box{X2: 100, Y2: 80}}
	if !reflect.DeepEqual(smp.answer.Heatmap, want) {
		t.Errorf("got a map of %d x %d over %v, want 50 x 40 of ones over the frame", smp.answer.Heatmap.Width, smp.answer.Heatmap.Height, smp.answer.Heatmap.Area)
	}
	e.idle(t)
}

// inTiles begins with a frame as doTiles does.
func inTiles(t *testing.T, e *Engine, j inspection.Job) *tiled {
	t.Helper()
	in, err := e.enter(j.Recipe, j.Model)
	quiet(t, err)
	g, err := e.cut(in, j.Frame.Image)
	quiet(t, err)
	quiet(t, e.gate.enter(t.Context(), j.Class, nil))
	f := newTiled(newSample(e, in, &j.Frame, nil), Order{}, g)
	return f
}

func TestAFrameIsDecodedByItsFirstTileAlone(t *testing.T) {
	e, job := tiledEngine(t, &spots{}, 1)
	defer func() { quiet(t, e.Close()) }()
	f := inTiles(t, e, job(asPNG(t, grey(100, 80, image.Rect(0, 0, 100, 80), 9, nil))))
	slot := make([]byte, 32*32)
	quiet(t, (&tile{of: f, at: 0}).Fill(0, [][]byte{slot}))
	f.image = inspection.Image{Data: f.image.Data} // nothing is left to decode
	clear(slot)
	last := &tile{of: f, at: len(f.grid.Tiles) - 1}
	if err := last.Fill(0, [][]byte{slot}); err != nil || !bytes.Equal(slot, bytes.Repeat([]byte{9}, 32*32)) {
		t.Errorf("the last tile: got %v, want it filled from what the first one decoded", err)
	}
	f.release()
	e.idle(t)
}

func TestTilesThatNeverBeganAreNoAnswer(t *testing.T) {
	e, job := tiledEngine(t, &spots{}, 1)
	defer func() { quiet(t, e.Close()) }()
	f := inTiles(t, e, job(grey(100, 80, image.Rectangle{}, 0, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.rest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left between two tiles: got %v, want Canceled", err)
	}
	f.release()
	e.idle(t)
}

func TestATileThatFailsFailsItsFrameOnce(t *testing.T) {
	truncated := asPNG(t, grey(100, 80, image.Rect(0, 0, 99, 70), spot, nil))
	data := truncated.Data.Bytes()
	truncated.Data = inspection.NewBuffer(nil, data[:len(data)-30])
	for _, c := range []struct {
		name  string
		image inspection.Image
		want  error
		most  int // samples that may be run
	}{
		{"the last tile's output", grey(100, 80, image.Rect(98, 78, 100, 80), nonsense, nil), inspection.ErrModelOutput, 1000},
		{"the first tile's output", grey(1000, 80, image.Rect(0, 0, 2, 2), nonsense, nil), inspection.ErrModelOutput, 8},
		{"an early tile's output", grey(4000, 80, image.Rect(40, 0, 42, 2), nonsense, nil), inspection.ErrModelOutput, 16},
		{"an early tile's run", grey(4000, 80, image.Rect(40, 0, 42, 2), poison, nil), errBad, 16},
		{"half a picture", truncated, inspection.ErrImage, 0},
		{"no header", inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, []byte("PNG"))}, inspection.ErrImage, 0},
		{"too many tiles", grey(100_000, 100, image.Rectangle{}, 0, nil), inspection.ErrImageTooLarge, 0},
	} {
		synctest.Test(t, func(t *testing.T) { // whoever is told of a fault acts on it before the next run ends
			s := &spots{takes: 10 * ms}
			e, job := tiledEngine(t, s, 2)
			j, err := e.Inspect(context.Background(), job(c.image))
			if !errors.Is(err, c.want) || j.Verdict == inspection.Pass || s.ran > c.most {
				t.Errorf("%s: got %s, %v after %d samples; want %v after %d at most", c.name, j.Verdict, err, s.ran, c.want, c.most)
			}
			if err != nil && errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want the fault itself and not what it ended", c.name, err)
			}
			quiet(t, e.Close())
			e.idle(t)
		})
	}
}

// At most two tiles for each worker are on their way at the same time, and as many as that.
func TestTilesOfAFrameComeAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spots{takes: 10 * ms}
		e, job := tiledEngine(t, s, 2)
		most := 0
		s.look = func() {
			time.Sleep(ms) // until those whose tile has ended have queued the next
			e.batcher.mu.Lock()
			waiting := e.batcher.queue.Len()
			e.batcher.mu.Unlock()
			s.mu.Lock()
			most = max(most, waiting+s.now)
			s.mu.Unlock()
		}
		_, err := e.Inspect(context.Background(), job(grey(400, 80, image.Rectangle{}, 0, nil)))
		quiet(t, err)
		if most != 4 {
			t.Errorf("%d tiles were on their way at the same time, want 4", most)
		}
		quiet(t, e.Close())
		e.idle(t)
	})
}

func TestAFrameThatCannotBeInTimeIsNotDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spots{takes: 10 * ms}
		e, job := tiledEngine(t, s, 2)
		learn := func() {
			quiet(t, e.batcher.SetCurve(s, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}, {Size: 2, Expected: 20 * ms, P99: 20 * ms}}))
		}
		inspect := func(left time.Duration) error {
			j := job(grey(400, 80, image.Rectangle{}, 0, nil)) // 17 x 3 tiles: 255 ms on two workers
			j.Deadline = time.Now().Add(left)
			_, err := e.Inspect(context.Background(), j)
			return err
		}
		learn()
		start := time.Now()
		if err := inspect(250 * ms); !errors.Is(err, inspection.ErrDeadline) || s.ran != 0 || time.Since(start) != 0 {
			t.Errorf("250 ms for 51 tiles: got %v after %v and %d samples, want ErrDeadline at once", err, time.Since(start), s.ran)
		}
		if err := inspect(280 * ms); err != nil || s.ran != 51 {
			t.Errorf("280 ms for 51 tiles: got %v after %d samples", err, s.ran)
		}
		s.ran, s.takes = 0, 20*ms // twice as slow as was measured
		start = time.Now()
		err := inspect(350 * ms)
		took := time.Since(start)
		time.Sleep(50 * ms) // what has begun is finished
		synctest.Wait()
		if !errors.Is(err, inspection.ErrDeadline) || s.ran >= 35 || took >= 350*ms {
			t.Errorf("a device that became slow: got %v after %v and %d samples; want ErrDeadline, and nothing run that is worth nothing", err, took, s.ran)
		}
		quiet(t, e.Close())
		e.idle(t)
	})
}

// Frames that are small wait for a few tiles of a large one, not for all: whether or not there are deadlines.
func TestSmallFramesDoNotStarveBesideALargeOne(t *testing.T) {
	for _, c := range []struct{ large, small, within time.Duration }{
		{0, 0, 40 * ms},
		{3 * time.Second, 100 * ms, 20 * ms}, // it is due sooner, and waits for the one tile that has begun
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &spots{takes: 10 * ms}
			e, job := tiledEngine(t, s, 1)
			due := func(j inspection.Job, left time.Duration) inspection.Job {
				if left > 0 {
					j.Deadline = time.Now().Add(left)
				}
				return j
			}
			var large sync.WaitGroup
			start := time.Now()
			board := due(job(grey(400, 80, image.Rectangle{}, 0, nil)), c.large)
			large.Go(func() {
				_, err := e.Inspect(context.Background(), board)
				if err != nil || time.Since(start) < 510*ms {
					t.Errorf("the large one: got %v after %v", err, time.Since(start))
				}
			})
			time.Sleep(25 * ms)
			for range 5 {
				from := time.Now()
				_, err := e.Inspect(context.Background(), due(job(grey(32, 32, image.Rectangle{}, 0, nil)), c.small))
				if took := time.Since(from); err != nil || took > c.within {
					t.Errorf("a small one (due in %v): got %v after %v, want it within %v", c.small, err, took, c.within)
				}
				time.Sleep(33 * ms)
			}
			large.Wait()
			quiet(t, e.Close())
			e.idle(t)
		})
	}
}

func TestACallerThatLeavesTakesItsTilesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spots{takes: 10 * ms}
		e, job := tiledEngine(t, s, 2)
		for _, after := range []time.Duration{0, 5 * ms, 42 * ms} {
			s.ran = 0
			ctx, cancel := context.WithTimeout(context.Background(), after)
			freed := 0
			im := grey(400, 80, image.Rectangle{}, 0, &freed)
			start := time.Now()
			_, err := e.Inspect(ctx, job(im))
			cancel()
			im.Data.Release()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != after {
				t.Errorf("left after %v: got %v after %v", after, err, time.Since(start))
			}
			time.Sleep(50 * ms) // what has begun is finished
			synctest.Wait()
			if most := 4 + 2*int(after/(10*ms)); s.ran > most || freed != 1 {
				t.Errorf("left after %v: %d samples were run, want %d at most; the bytes were given back %d times", after, s.ran, most, freed)
			}
			e.idle(t)
		}
		quiet(t, e.Close())
	})
}

func TestDecodedPicturesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &spots{takes: 10 * ms}
		e, job := tiledEngine(t, s, 2)
		most := 0
		s.look = func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			most = max(most, len(e.gate.slots[inspection.ClassLine]))
		}
		var all sync.WaitGroup
		errs := make([]error, 25)
		for i := range errs {
			j := job(grey(100, 80, image.Rectangle{}, 0, nil))
			if i == 24 {
				j.Class = inspection.ClassBulk
			}
			all.Go(func() { _, errs[i] = e.Inspect(context.Background(), j) })
			synctest.Wait()
		}
		all.Wait()
		refused := 0
		for i, err := range errs {
			if errors.Is(err, inspection.ErrOverloaded) && i < 24 {
				refused++
			} else if err != nil {
				t.Errorf("frame %d: got %v", i, err)
			}
		}
		if most != 2 || refused != 2 { // 2 under way, 20 wait
			t.Errorf("%d decoded pictures at the same time, %d frames refused; want 2 and 2 of 24", most, refused)
		}
		quiet(t, e.Close())
		e.idle(t)
	})
}

func TestWhoWaitsAtTheGateIsToldWhenItIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 10)
		never := func() (time.Time, bool) { return time.Time{}, false }
		quiet(t, g.enter(t.Context(), inspection.ClassLine, never))
		start := time.Now()
		last := start.Add(20 * ms)
		err := g.enter(t.Context(), inspection.ClassLine, func() (time.Time, bool) {
			if time.Since(start) >= 20*ms {
				last = start.Add(30 * ms) // it was measured meanwhile that there is more time
			}
			return last, true
		})
		if !errors.Is(err, inspection.ErrDeadline) || time.Since(start) != 30*ms {
			t.Errorf("got %v after %v, want ErrDeadline after 30 ms", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		if err := g.enter(ctx, inspection.ClassLine, never); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that left: got %v", err)
		}
		quiet(t, g.enter(t.Context(), inspection.ClassBulk, never)) // classes do not wait for each other
		g.leave(inspection.ClassLine)
		quiet(t, g.enter(t.Context(), inspection.ClassLine, never))
		if n := g.waiting.Load(); n != 0 {
			t.Errorf("%d are counted as waiting", n)
		}
	})
}

func TestTilesFitTheModel(t *testing.T) {
	in := func(w, h int, r models.Resize) models.Input { return models.Input{Width: w, Height: h, Resize: r} }
	for _, c := range []struct {
		w, h int
		in   models.Input
		want string
	}{
		{640, 640, in(320, 320, models.Stretch), ""},
		{640, 480, in(320, 240, models.Letterbox), ""},
		{320, 240, in(320, 240, models.ResizeNone), ""},
		{640, 480, in(320, 320, models.Stretch), "another shape"},
		{640, 480, in(320, 320, models.Letterbox), "another shape"},
		{640, 480, in(320, 240, models.ResizeNone), "without resizing: write [320, 240]"},
	} {
		got := tileProblem(inspection.Tiling{Width: c.w, Height: c.h, Overlap: 8}, c.in)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("tiles of %d x %d for %+v: got %q, want %q", c.w, c.h, c.in, got, c.want)
		}
	}
}
