//go:build gocv_specific_modules

package inference_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/ort"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

func newORT(t testing.TB) *ort.Runtime {
	t.Helper()
	return newLoggedORT(t, slog.New(slog.DiscardHandler))
}

func newLoggedORT(t testing.TB, log *slog.Logger) *ort.Runtime {
	t.Helper()
	r, err := ort.New(ort.Config{}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("these tests need ONNX Runtime: %v", err)
	}
	return r
}

func shippedModels(t testing.TB) *models.Repository {
	t.Helper()
	repo, err := models.Open(models.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func newEngine(t testing.TB, rt inference.Runtime, repo *models.Repository) *inference.Engine {
	t.Helper()
	e, err := inference.New(inference.Config{Threads: 2, Queue: 64}, rt, repo, "node-a", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// openRecipe keeps everything that the model sees above floor.
func openRecipe(model string, floor float64) *inspection.Recipe {
	return &inspection.Recipe{
		Name: "open", Revision: 1, Digest: "recipe of " + model, Model: inspection.ModelSelector{Name: model},
		Classes:  map[string]inspection.ClassRule{"*": {ReviewAt: 0.5, RejectAt: 0.5}},
		ReportAt: floor, MaxCandidates: 10_000, Fallback: inspection.Fail,
	}
}

// board draws a layer of traces with round pads; open leaves a gap in one trace.
func board(open bool) *image.Gray {
	im := image.NewGray(image.Rect(0, 0, 640, 640))
	for i := range im.Pix {
		x, y := i%640, i/640
		copper := x%80 > 30 && x%80 < 50 || (x%80-40)*(x%80-40)+(y%160-80)*(y%160-80) < 400
		cut := open && y > 220 && y < 245 && x > 190 && x < 215
		if !copper || cut { // ground is light, as the model's training set has it
			im.Pix[i] = 255
		}
	}
	return im
}

func moved(im *image.Gray, dx, dy int) *image.Gray {
	out := image.NewGray(im.Rect)
	for y := range 640 {
		for x := range 640 {
			out.SetGray(x, y, im.At(min(max(x-dx, 0), 639), min(max(y-dy, 0), 639)).(color.Gray))
		}
	}
	return out
}

func asJPEG(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func template(t testing.TB, key string) map[string]inspection.Template {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, board(false)); err != nil {
		t.Fatal(err)
	}
	return map[string]inspection.Template{key: {Key: key, Path: key + ".png", Format: inspection.FormatPNG, Data: b.Bytes()}}
}

func pairRecipe(t testing.TB) *inspection.Recipe {
	r := openRecipe("pcb-pair", 0.05)
	r.Reference.Templates = template(t, "top")
	return r
}

func jobOf(seq uint64, jpegBytes []byte) inspection.Job {
	return inspection.Job{
		Frame: inspection.Frame{
			Key:  inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "01J", Seq: seq},
			View: "top", Attempt: 1, Recipe: "open",
			Image: inspection.Image{Format: inspection.FormatJPEG, Data: inspection.NewBuffer(nil, jpegBytes)},
		},
		Received: time.Now(),
	}
}

// ready prepares a recipe for as long as the test runs.
func ready(t testing.TB, e *inference.Engine, r *inspection.Recipe) func(inspection.Job) inspection.Job {
	t.Helper()
	ref, err := e.Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return func(j inspection.Job) inspection.Job {
		j.Recipe, j.Model = r, ref
		return j
	}
}

func TestEngineFindsTheOpenTrace(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	job := ready(t, e, pairRecipe(t))
	good, err := e.Inspect(context.Background(), job(jobOf(1, asJPEG(t, board(false)))))
	if err != nil || good.Verdict != inspection.Pass || good.Source != inspection.SourceModel {
		t.Fatalf("a good board: got %s by %s (%s), %v; want PASS by the model", good.Verdict, good.Source, good.Detail, err)
	}
	bad, err := e.Inspect(context.Background(), job(jobOf(2, asJPEG(t, board(true)))))
	if err != nil || bad.Verdict != inspection.Fail || len(bad.Called()) == 0 {
		t.Fatalf("a cut trace: got %s (%s), %v; want FAIL", bad.Verdict, bad.Detail, err)
	}
	if b := bad.Called()[0].Box; b.X1 > 215 || b.X2 < 190 || b.Y1 > 245 || b.Y2 < 220 {
		t.Errorf("the defect lies at %+v, want around (202, 232)", b)
	}
	if bad.Node != "node-a" || bad.Model.Name != "pcb-pair" || bad.Model.Digest == "" || bad.Recipe.Name != "open" {
		t.Errorf("got node %q, model %+v, recipe %+v", bad.Node, bad.Model, bad.Recipe)
	}
	f, tm := bad.Facts, bad.Timings
	if f == nil || f.Width != 640 || f.Height != 640 || f.Mean < 50 || f.Contrast < 50 || f.Sharpness < 50 || f.Aligned || f.Repeated {
		t.Errorf("got facts %+v", f)
	}
	if tm.Decode <= 0 || tm.ComputeInput <= 0 || tm.ComputeInfer <= 0 || tm.ComputeOutput <= 0 || tm.Queue < 0 {
		t.Errorf("got timings %+v, want every step measured", tm)
	}
}

func TestEngineAlignsTheTemplate(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	r := pairRecipe(t)
	r.Reference.Align, r.Reference.MaxShiftPx = inspection.AlignTranslation, 8
	job := ready(t, e, r)
	near, err := e.Inspect(context.Background(), job(jobOf(1, asJPEG(t, moved(board(false), 5, -4)))))
	if err != nil || near.Verdict != inspection.Pass || !near.Facts.Aligned {
		t.Fatalf("moved by (5, -4): got %s (%s), facts %+v, %v; want PASS", near.Verdict, near.Detail, near.Facts, err)
	}
	if dx, dy := near.Facts.ShiftX-5, near.Facts.ShiftY+4; dx*dx+dy*dy > 0.25 {
		t.Errorf("got shift (%.2f, %.2f), want (5, -4)", near.Facts.ShiftX, near.Facts.ShiftY)
	}
	bad, err := e.Inspect(context.Background(), job(jobOf(2, asJPEG(t, moved(board(true), 5, -4)))))
	if err != nil || bad.Verdict != inspection.Fail {
		t.Fatalf("a moved board with a cut trace: got %s (%s), %v; want FAIL", bad.Verdict, bad.Detail, err)
	}
	if b := bad.Called()[0].Box; b.X1 > 220 || b.X2 < 195 || b.Y1 > 241 || b.Y2 < 216 {
		t.Errorf("the defect lies at %+v, want around (207, 228): boxes are in the frame's pixels", b)
	}
	far, err := e.Inspect(context.Background(), job(jobOf(3, asJPEG(t, moved(board(false), 0, 20)))))
	if err != nil || far.Verdict == inspection.Pass || far.Source != inspection.SourceRule {
		t.Errorf("moved beyond the limit: got %s by %s (%s), %v; want no PASS", far.Verdict, far.Source, far.Detail, err)
	}
}

func TestEngineKnowsARepeatedPicture(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	r := pairRecipe(t)
	r.Image.RefuseRepeated = true
	job := ready(t, e, r)
	picture := asJPEG(t, board(false))
	for _, c := range []struct {
		name string
		seq  uint64
		data []byte
		want bool
	}{
		{"first", 1, picture, false},
		{"first, delivered again", 1, picture, false},
		{"second, the same pixels", 2, picture, true},
		{"second, delivered again", 2, picture, true},
		{"third", 3, asJPEG(t, moved(board(false), 1, 0)), false},
	} {
		j, err := e.Inspect(context.Background(), job(jobOf(c.seq, c.data)))
		if err != nil || j.Facts.Repeated != c.want || (j.Verdict == inspection.Pass) == c.want {
			t.Errorf("%s: got %s, repeated %v, %v; want repeated %v", c.name, j.Verdict, j.Facts.Repeated, err, c.want)
		}
	}
}

func TestEngineRefusesWhatItCannotJudge(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	job := ready(t, e, pairRecipe(t))
	good := asJPEG(t, board(false))
	another := job(jobOf(1, good))
	another.Frame.Reference = "bottom"
	j, err := e.Inspect(context.Background(), another)
	if err != nil || j.Verdict != inspection.Undetermined || j.Reason != inspection.ReasonReference || !strings.Contains(j.Detail, `"bottom"`) {
		t.Errorf("no template: got %s %s %q, %v; want UNDETERMINED by reference that names it", j.Verdict, j.Reason, j.Detail, err)
	}
	small := asJPEG(t, board(false).SubImage(image.Rect(0, 0, 600, 640)))
	stated := job(jobOf(1, good))
	stated.Frame.Image.Width = 641
	late := job(jobOf(1, good))
	late.Deadline = time.Now().Add(-time.Millisecond)
	unknown := job(jobOf(1, good))
	unknown.Model.Digest = "0"
	for _, c := range []struct {
		name string
		job  inspection.Job
		want error
	}{
		{"half a picture", job(jobOf(1, good[:len(good)/2])), inspection.ErrImage},
		{"another size than the template's", job(jobOf(1, small)), inspection.ErrImage},
		{"another size than stated", stated, inspection.ErrImage},
		{"no recipe", jobOf(1, good), inspection.ErrUnknownRecipe},
		{"another model", unknown, inspection.ErrNotReady},
		{"too late", late, inspection.ErrDeadline},
	} {
		j, err := e.Inspect(context.Background(), c.job)
		if !errors.Is(err, c.want) || j.Verdict == inspection.Pass {
			t.Errorf("%s: got %s, %v; want %v", c.name, j.Verdict, err, c.want)
		}
	}
}

func TestPrepareSaysWhatDoesNotFit(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	for _, c := range []struct {
		name   string
		change func(*inspection.Recipe)
		is     error
		want   string
	}{
		{"unknown model", func(r *inspection.Recipe) { r.Model.Name = "nobody" }, inspection.ErrUnknownModel, "pcb-pair"},
		{"unknown version", func(r *inspection.Recipe) { r.Model.Version = "99" }, inspection.ErrUnknownModel, "99"},
		{"unruled labels", func(r *inspection.Recipe) {
			r.Classes = map[string]inspection.ClassRule{"open": {}, "short": {}}
		}, inspection.ErrInvalid, "mousebite, spur, copper, pin-hole"},
		{"a label too many", func(r *inspection.Recipe) { r.Classes["scratch"] = inspection.ClassRule{} }, inspection.ErrInvalid, "classes.scratch"},
		{"report_at", func(r *inspection.Recipe) { r.ReportAt = 0.001 }, inspection.ErrInvalid, "score_floor"},
		{"no templates", func(r *inspection.Recipe) { r.Reference.Templates = nil }, inspection.ErrInvalid, "reference"},
		{"broken template", func(r *inspection.Recipe) {
			r.Reference.Templates["top"] = inspection.Template{Key: "top", Path: "top.png", Format: inspection.FormatPNG, Data: []byte("x")}
		}, inspection.ErrInvalid, `"top" (top.png)`},
	} {
		r := pairRecipe(t)
		c.change(r)
		_, err := e.Prepare(context.Background(), r)
		if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: got %v, want %v that names %s", c.name, err, c.is, c.want)
		}
	}
	if got := e.Models(); len(got) != 0 {
		t.Errorf("after nothing but failures there are models: %+v", got)
	}
}

func TestInstancesLiveAsLongAsTheyAreNeeded(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	first, second := pairRecipe(t), pairRecipe(t)
	second.Digest, second.Name = "another", "second"
	job, jobTwo := ready(t, e, first), ready(t, e, second)
	ready(t, e, first) // once more
	states := e.Models()
	if len(states) != 1 || states[0].State != inference.StateReady || states[0].Device != "cpu" || len(states[0].Recipes) != 2 || len(states[0].BatchSizes) == 0 {
		t.Fatalf("got models %+v, want one, ready on the cpu for two recipes", states)
	}
	picture := asJPEG(t, board(false))
	inspect := func(job inspection.Job) error {
		_, err := e.Inspect(context.Background(), job)
		return err
	}
	ref := states[0].Model
	e.Release(first, ref)
	if err := inspect(job(jobOf(1, picture))); err != nil {
		t.Errorf("released once of twice: %v", err)
	}
	e.Release(first, ref)
	e.Release(first, ref) // once too often
	if err := inspect(job(jobOf(2, picture))); !errors.Is(err, inspection.ErrNotReady) {
		t.Errorf("released: got %v, want ErrNotReady", err)
	}
	if err := inspect(jobTwo(jobOf(3, picture))); err != nil {
		t.Errorf("the other recipe of the same model: %v", err)
	}
	e.Release(second, ref)
	if got := e.Models(); len(got) != 0 {
		t.Errorf("nobody needs the model any more: got %+v", got)
	}
	if err := inspect(ready(t, e, first)(jobOf(4, picture))); err != nil {
		t.Errorf("prepared again: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := inspect(job(jobOf(5, picture))); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
	if _, err := e.Prepare(context.Background(), first); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("prepare when closed: got %v, want ErrClosed", err)
	}
}

// Frames of many callers, some of which leave, some broken: each gets the verdict of its own picture, and every reference
// to a frame's bytes is given back.
func TestManyCallersGetTheirOwnVerdicts(t *testing.T) {
	e := newEngine(t, newORT(t), shippedModels(t))
	r := pairRecipe(t)
	job := ready(t, e, r)
	good, bad := asJPEG(t, board(false)), asJPEG(t, board(true))
	var wg sync.WaitGroup
	var mu sync.Mutex
	freed := 0
	const callers = 24
	for i := range callers {
		wg.Go(func() {
			data := good
			switch i % 4 {
			case 1:
				data = bad
			case 2:
				data = good[:len(good)*2/3]
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%4 == 3 {
				cancel()
			}
			j := jobOf(uint64(i+1), data)
			j.Frame.Image.Data = inspection.NewBuffer(func() { mu.Lock(); freed++; mu.Unlock() }, data)
			got, err := e.Inspect(ctx, job(j))
			j.Frame.Image.Data.Release()
			ok := [...]bool{err == nil && got.Verdict == inspection.Pass, err == nil && got.Verdict == inspection.Fail, errors.Is(err, inspection.ErrImage), errors.Is(err, context.Canceled)}[i%4]
			if !ok {
				t.Errorf("caller %d: got %s (%s), %v", i, got.Verdict, got.Detail, err)
			}
		})
	}
	wg.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if freed != callers {
		t.Errorf("%d of %d frames' bytes were given back", freed, callers)
	}
}

func TestWithoutRuntimeNothingIsReady(t *testing.T) {
	rt := newORT(t)
	_ = rt.Close()
	e := newEngine(t, rt, shippedModels(t))
	if _, err := e.Prepare(context.Background(), pairRecipe(t)); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	s := e.Models()
	if len(s) != 1 || s[0].State != inference.StateFailed || s[0].Message == "" {
		t.Errorf("got models %+v, want one that failed and says why", s)
	}
}
