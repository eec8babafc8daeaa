package inference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// GoldenInput is a picture that a model is asked about, and its template where the model compares with one.
type GoldenInput struct {
	Name             string // for errors
	Image, Reference []byte // PNG or JPEG
}

// checkGolden asks an opened model about the pictures of its golden set, in every way in which it runs here: each picture in
// the smallest batch, and the largest batch full of them, by one thread and, where it does that, by all. Each run is a chore that waits for its turn.
// The error wraps inspection.ErrGolden and says by how much each answer is off, or inspection.ErrInvalid for a set that
// cannot be read.
func (e *Engine) checkGolden(ctx context.Context, m *models.Model, l *loaded) error {
	set := m.Manifest.Golden
	if len(set.Pictures) == 0 {
		return nil
	}
	expected, inputs, err := goldenSet(m)
	if err != nil {
		return err
	}
	prepared, err := e.goldenTensors(l.session, l.specs, inputs)
	if err != nil {
		return fmt.Errorf("%w: model %s@%s: golden set: %w", inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, err)
	}
	var off []string
	err = e.goldenRuns(ctx, l, prepared, func(picture int, a decode.Answer) {
		for _, miss := range expected[picture].compare(set, a) {
			if !slices.Contains(off, miss) {
				off = append(off, miss)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("model %s@%s: golden set: %w", m.Ref.Name, m.Ref.Version, err)
	}
	if len(off) > 0 {
		return fmt.Errorf("%w: model %s@%s, graph %s on %s: %s: correct the graph, the library or the driver, or the golden set in a version of its own",
			inspection.ErrGolden, m.Ref.Name, m.Ref.Version, l.variant(), l.session.Device(), strings.Join(off, "; "))
	}
	return nil
}

// goldenRuns runs each picture in the smallest batch, then the largest batch full of them.
func (e *Engine) goldenRuns(ctx context.Context, l *loaded, pictures []goldenTensor, see func(picture int, a decode.Answer)) error {
	sizes := l.session.BatchSizes()
	smallest, largest := sizes[0], sizes[len(sizes)-1]
	for at := 0; at < len(pictures); at += smallest {
		if err := e.goldenRun(ctx, l, pictures, smallest, at, see); err != nil {
			return err
		}
	}
	if largest == smallest {
		return nil
	}
	return e.goldenRun(ctx, l, pictures, largest, 0, see)
}

// variant is the graph that runs.
func (l *loaded) variant() string {
	if p, ok := l.session.(*planned); ok {
		return p.plan.Choice.Throughput.Variant
	}
	return models.DefaultVariant
}

// goldenTensor is a picture as the graph takes it.
type goldenTensor struct {
	inputs [][]byte // one for each picture input
	place  inspection.Placement
}

// goldenTensors decodes pictures for a model. It takes a thread beyond the engine's own, as loading does.
func (e *Engine) goldenTensors(session Session, specs []imaging.Spec, inputs []GoldenInput) ([]goldenTensor, error) {
	w, err := imaging.NewWorker(e.limits)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	picture := imaging.NewPicture()
	defer picture.Close()
	smallest := session.BatchSizes()[0]
	batch, err := session.Lease(smallest)
	if err != nil {
		return nil, err
	}
	defer batch.Release()
	slots := slotsOf(batch, smallest, 0)
	var out []goldenTensor
	for _, in := range inputs {
		t, err := goldenFill(w, picture, specs, in, slots)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// goldenFill fills a picture into slots, as a sample does, and keeps what they hold.
func goldenFill(w *imaging.Worker, picture *imaging.Picture, specs []imaging.Spec, in GoldenInput, slots [][]byte) (goldenTensor, error) {
	defer picture.Forget() // it may have borrowed the bytes
	var out goldenTensor
	im := inspection.Image{Format: goldenFormat(in.Image), Data: inspection.NewBuffer(nil, in.Image)}
	if err := w.DecodeFor(im, specs, false, picture); err != nil {
		return out, err
	}
	for i, spec := range specs {
		place, err := goldenSlot(w, picture, spec, in, slots[i])
		if err != nil {
			return out, err
		}
		if i == 0 {
			out.place = place
		}
		out.inputs = append(out.inputs, bytes.Clone(slots[i]))
	}
	return out, nil
}

func goldenSlot(w *imaging.Worker, picture *imaging.Picture, spec imaging.Spec, in GoldenInput, slot []byte) (inspection.Placement, error) {
	var template *imaging.Template
	if spec.NeedsReference() {
		if in.Reference == nil {
			return inspection.Placement{}, fmt.Errorf("%w: the model compares a picture with its template: name one", inspection.ErrInvalid)
		}
		var err error
		if template, err = w.NewTemplate(inspection.Template{Key: in.Name, Path: "golden set", Format: goldenFormat(in.Reference), Data: in.Reference}, spec, false); err != nil {
			return inspection.Placement{}, err
		}
		defer template.Close()
	}
	return w.Fill(slot, spec, picture, template, imaging.Shift{})
}

func goldenFormat(data []byte) inspection.ImageFormat {
	if bytes.HasPrefix(data, []byte("\x89PNG")) {
		return inspection.FormatPNG
	}
	return inspection.FormatJPEG
}

// fillGolden fills a batch with the pictures from the one numbered from on, over again where there are fewer.
func fillGolden(batch Batch, size int, pictures []goldenTensor, from int) {
	for at := range size {
		for i, slot := range slotsOf(batch, size, at) {
			copy(slot, pictures[(from+at)%len(pictures)].inputs[i])
		}
	}
}

// goldenRun runs one batch full of the pictures from the one numbered from on, over again where there are fewer, by one thread
// and, where the session has such runs, by all. see gets each answer.
func (e *Engine) goldenRun(ctx context.Context, l *loaded, pictures []goldenTensor, size, from int, see func(picture int, a decode.Answer)) error {
	session := l.session
	if p, ok := session.(*planned); ok {
		session = p.Session // these runs are no frames', which the plan is held against
	}
	batch, err := session.Lease(size)
	if err != nil {
		return err
	}
	defer batch.Release()
	fillGolden(batch, size, pictures, from)
	ways := []func() ([]decode.Output, error){batch.Run}
	if w, ok := batch.(WideBatch); ok {
		ways = append(ways, w.RunWide)
	}
	for i, run := range ways {
		var outs []decode.Output
		threads := 1
		if i > 0 {
			threads = len(e.threads)
		}
		if err := e.warmInTurn(ctx, threads, func() error { outs, err = run(); return err }); err != nil {
			return err
		}
		for at := range size {
			picture := (from + at) % len(pictures)
			a, err := l.decoder.Decode(outs, at, pictures[picture].place)
			if err != nil {
				return err
			}
			see(picture, a)
		}
	}
	return nil
}

// expectation is what a golden picture must give.
type expectation struct {
	models.GoldenPicture
	heatmap *image.Gray // nil: not compared
}

// goldenSet reads the pictures of a golden set.
func goldenSet(m *models.Model) ([]expectation, []GoldenInput, error) {
	var (
		all    []expectation
		inputs []GoldenInput
	)
	for _, p := range m.Manifest.Golden.Pictures {
		in, x := GoldenInput{Name: p.Image}, expectation{GoldenPicture: p}
		var err error
		if in.Image, err = m.File(p.Image); err != nil {
			return nil, nil, err
		}
		if p.Reference != "" {
			if in.Reference, err = m.File(p.Reference); err != nil {
				return nil, nil, err
			}
		}
		if p.Heatmap.File != "" {
			data, err := m.File(p.Heatmap.File)
			if err != nil {
				return nil, nil, err
			}
			if x.heatmap, err = readHeatmap(data); err != nil {
				return nil, nil, fmt.Errorf("model %s@%s: golden set: %s: %w", m.Ref.Name, m.Ref.Version, p.Heatmap.File, err)
			}
		}
		all, inputs = append(all, x), append(inputs, in)
	}
	return all, inputs, nil
}

// maxHeatmap bounds the sides of an expected heatmap, px.
const maxHeatmap = 8192

func readHeatmap(data []byte) (*image.Gray, error) {
	header, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil || header.ColorModel != color.GrayModel || header.Width > maxHeatmap || header.Height > maxHeatmap {
		return nil, fmt.Errorf("%w: want an 8-bit grey PNG of at most %d px a side: record the golden set again", inspection.ErrInvalid, maxHeatmap)
	}
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: the PNG is damaged: %w", inspection.ErrInvalid, err)
	}
	gray, ok := decoded.(*image.Gray)
	if !ok {
		return nil, fmt.Errorf("%w: the PNG is not grey", inspection.ErrInvalid)
	}
	return gray, nil
}

// compare says how an answer differs from what is expected, each difference beyond the tolerance with both values.
func (x expectation) compare(set models.Golden, a decode.Answer) []string {
	var off []string
	say := func(format string, args ...any) {
		off = append(off, x.Image+": "+fmt.Sprintf(format, args...))
	}
	taken := make([]bool, len(a.Candidates))
	for _, i := range byScore(x.Expect) {
		want := x.Expect[i]
		at, far := nearestCandidate(want, a.Candidates, taken)
		if at < 0 || far > max(10*set.Tolerance.BoxPx, 10) {
			say("no %s at %s, want one of score %.3f", want.Class, boxText(want.Box), want.Score)
			continue
		}
		taken[at] = true
		got := a.Candidates[at]
		if d := math.Abs(got.Score - want.Score); !(d <= set.Tolerance.Score) {
			say("%s at %s score %.3f, want %.3f +- %g", want.Class, boxText(want.Box), got.Score, want.Score, set.Tolerance.Score)
		}
		if far > set.Tolerance.BoxPx {
			say("%s at %s, want %s +- %g px: off by %.1f", want.Class, boxText(sides(got.Box)), boxText(want.Box), set.Tolerance.BoxPx, far)
		}
		if want.Mask != "" {
			if iou, err := maskIoU(want.Mask, got.Mask); err != nil {
				say("mask of %s at %s: %v", want.Class, boxText(want.Box), err)
			} else if iou < set.Tolerance.MaskIoU {
				say("mask of %s at %s overlaps the expected one by %.3f, want %g or more", want.Class, boxText(want.Box), iou, set.Tolerance.MaskIoU)
			}
		}
	}
	for i, c := range a.Candidates {
		if !taken[i] && c.Score >= set.ReportAt+set.Tolerance.Score { // below, the tolerance alone may have lifted it over report_at
			say("%s at %s score %.3f is not expected", c.Class, boxText(sides(c.Box)), c.Score)
		}
	}
	if x.heatmap != nil {
		if text := compareHeatmap(x, set.Tolerance.Heatmap, a.Heatmap); text != "" {
			say("%s", text)
		}
	}
	return off
}

// byScore returns the indices of candidates by falling score, so that the surest one takes its match first.
func byScore(all []models.GoldenCandidate) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case all[a].Score > all[b].Score:
			return -1
		case all[a].Score < all[b].Score:
			return 1
		}
		return 0
	})
	return order
}

// nearestCandidate returns the candidate of a class whose box is nearest, and by how many px its worst side is off; -1 where
// there is none.
func nearestCandidate(want models.GoldenCandidate, all []inspection.Candidate, taken []bool) (at int, far float64) {
	at, far = -1, math.Inf(1)
	for i, c := range all {
		if taken[i] || c.Class != want.Class {
			continue
		}
		d := 0.0
		for side, v := range sides(c.Box) {
			d = max(d, math.Abs(v-want.Box[side]))
		}
		if d < far {
			at, far = i, d
		}
	}
	return at, far
}

func sides(b inspection.Box) []float64 { return []float64{b.X1, b.Y1, b.X2, b.Y2} }

func boxText(b []float64) string { return fmt.Sprintf("[%.1f %.1f %.1f %.1f]", b[0], b[1], b[2], b[3]) }

// maskIoU is the overlap of two masks over their union.
func maskIoU(want string, got *inspection.Mask) (float64, error) {
	if got == nil {
		return 0, errors.New("there is none")
	}
	g, err := got.Decode()
	if err != nil {
		return 0, err
	}
	w, err := (&inspection.Mask{Width: got.Width, Height: got.Height, Counts: want}).Decode()
	if err != nil {
		return 0, fmt.Errorf("the expected one is none for a picture of %dx%d: %w", got.Width, got.Height, err)
	}
	both, either := 0, 0
	for i := range g {
		if g[i] && w[i] {
			both++
		}
		if g[i] || w[i] {
			either++
		}
	}
	if either == 0 {
		return 1, nil
	}
	return float64(both) / float64(either), nil
}

// compareHeatmap says how a heatmap differs from the expected one; empty: it does not.
func compareHeatmap(x expectation, tolerance float64, got *decode.Map) string {
	size := x.heatmap.Rect.Size()
	switch {
	case got == nil:
		return "there is no heatmap"
	case got.Width != size.X || got.Height != size.Y:
		return fmt.Sprintf("the heatmap is of %dx%d, want %dx%d as in %s", got.Width, got.Height, size.X, size.Y, x.Heatmap.File)
	}
	sum := 0.0
	for i, v := range got.Values {
		g := float64(x.heatmap.Pix[i/size.X*x.heatmap.Stride+i%size.X])
		sum += math.Abs(float64(v) - x.Heatmap.Low - g/255*(x.Heatmap.High-x.Heatmap.Low))
	}
	if mean := sum / float64(len(got.Values)); !(mean <= tolerance) {
		return fmt.Sprintf("the heatmap is off by %.4f on average, want %g at most", mean, tolerance)
	}
	return ""
}

// GoldenPicture is what a model says of a picture, as a manifest's golden set states it; the files are named by the caller.
type GoldenPicture struct {
	Expect    []models.GoldenCandidate
	Heatmap   []byte // an 8-bit grey PNG; nil where the model gives none
	Low, High float64
}

// RecordGolden returns what a model says of pictures on this device now, as its first graph runs by one thread: candidates from
// reportAt on (0: as a golden set without one). It loads the model beside others and checks no golden set. Errors wrap
// inspection.ErrUnknownModel, ErrInvalid, ErrUnavailable or ErrClosed.
func (e *Engine) RecordGolden(ctx context.Context, name, version string, reportAt float64, inputs []GoldenInput) ([]GoldenPicture, error) {
	m, err := e.models.Get(name, version)
	if err != nil {
		return nil, err
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	l, err := e.openWith(m, func() (Session, error) { return e.openGraph(ctx, m, models.DefaultVariant, false) })
	if err != nil {
		return nil, err
	}
	out := make([]GoldenPicture, len(inputs))
	prepared, err := e.goldenTensors(l.session, l.specs, inputs)
	for at, size := 0, l.session.BatchSizes()[0]; err == nil && at < len(prepared); at += size {
		err = e.goldenRun(ctx, l, prepared, size, at, func(picture int, a decode.Answer) {
			out[picture] = recorded(a, reportAt)
		})
	}
	return out, errors.Join(err, l.session.Close())
}

// recorded writes an answer as a golden set does: scores to a ten thousandth, boxes to a hundredth of a px.
func recorded(a decode.Answer, reportAt float64) GoldenPicture {
	out := GoldenPicture{Expect: []models.GoldenCandidate{}}
	for _, c := range a.Candidates {
		if c.Score < reportAt {
			continue
		}
		x := models.GoldenCandidate{Class: c.Class, Score: math.Max(math.Round(c.Score*1e4)/1e4, reportAt)}
		for _, v := range sides(c.Box) {
			x.Box = append(x.Box, math.Round(v*100)/100)
		}
		if c.Mask != nil {
			x.Mask = c.Mask.Counts
		}
		out.Expect = append(out.Expect, x)
	}
	if h := a.Heatmap; h != nil {
		out.Heatmap, out.Low, out.High = drawHeatmap(h)
	}
	return out
}

func drawHeatmap(h *decode.Map) (data []byte, low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range h.Values {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	if !(high > low) {
		high = low + 1
	}
	gray := image.NewGray(image.Rect(0, 0, h.Width, h.Height))
	for i, v := range h.Values {
		gray.Pix[i] = byte(math.Round((float64(v) - low) / (high - low) * 255))
	}
	var b bytes.Buffer
	_ = png.Encode(&b, gray) // to memory
	return b.Bytes(), low, high
}

// GoldenFile is the name under which a picture lies in a version's folder.
func GoldenFile(name string, data []byte) string {
	ending := ".jpg"
	if goldenFormat(data) == inspection.FormatPNG {
		ending = ".png"
	}
	return path.Join("golden", name+ending)
}
