package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// evidenceModel is a decoder of a task, with an input of 64x32 px.
func evidenceModel(t testing.TB, task, output string, labels ...string) (models.Manifest, Decoder) {
	t.Helper()
	m, err := models.ParseManifest("m.yaml", fmt.Appendf(nil, `
task: %s
inputs:
  - {name: x, layout: NCHW, width: 64, height: 32, color: gray, resize: letterbox}
output: %s
labels: [%s]
`, task, output, strings.Join(labels, ", ")))
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

// maskRuns are a mask's run lengths, column by column, uncompressed.
func maskRuns(t interface{ Fatalf(string, ...any) }, m *inspection.Mask) []int {
	bits, err := m.Decode()
	if err != nil {
		t.Fatalf("mask: %v", err)
	}
	var out []int
	last, n := false, 0
	for x := range m.Width {
		for y := range m.Height {
			if b := bits[y*m.Width+x]; b != last {
				out, last, n = append(out, n), b, 0
			}
			n++
		}
	}
	return append(out, n)
}

// TestEvidenceAsPythonDoes compares with what numpy and scipy made of the same outputs (testdata/reference_evidence.py).
func TestEvidenceAsPythonDoes(t *testing.T) {
	b, err := os.ReadFile("testdata/reference_evidence.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Cases []struct {
			Name, Manifest string
			Sample         int
			Placement      struct {
				ScaleX  float64 `json:"scale_x"`
				ScaleY  float64 `json:"scale_y"`
				OffsetX float64 `json:"offset_x"`
				OffsetY float64 `json:"offset_y"`
				Width   int
				Height  int
			}
			Outputs    []Output
			Candidates []struct {
				Class string
				Score float64
				Box   [4]float64
				Runs  []int
			}
			Heatmap *struct {
				Width, Height int
				Values        []float32
				Area          [4]float64
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) < 19 {
		t.Fatalf("got %d cases, want at least 19", len(doc.Cases))
	}
	for _, c := range doc.Cases {
		t.Run(c.Name, func(t *testing.T) {
			m, err := models.ParseManifest("m.yaml", []byte(c.Manifest))
			if err != nil {
				t.Fatal(err)
			}
			d, err := New(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Decode(c.Outputs, c.Sample, inspection.Placement(c.Placement))
			if err != nil {
				t.Fatal(err)
			}
			var want []inspection.Candidate
			for _, w := range c.Candidates {
				want = append(want, inspection.Candidate{Class: w.Class, Score: w.Score, Box: box(w.Box[0], w.Box[1], w.Box[2], w.Box[3])})
			}
			compare(t, got.Candidates, want, 1e-6, 0)
			for i, w := range c.Candidates {
				switch mask := got.Candidates[i].Mask; {
				case (mask == nil) != (w.Runs == nil):
					t.Errorf("candidate %d: got mask %v, want %v", i, mask, w.Runs)
				case mask != nil && (mask.Width != c.Placement.Width || mask.Height != c.Placement.Height || !slices.Equal(maskRuns(t, mask), w.Runs)):
					t.Errorf("candidate %d: got a mask of %dx%d %v, want %v", i, mask.Width, mask.Height, maskRuns(t, mask), w.Runs)
				}
			}
			switch h, w := got.Heatmap, c.Heatmap; {
			case (h == nil) != (w == nil):
				t.Errorf("got heatmap %v, want %v", h, w)
			case h != nil && (h.Width != w.Width || h.Height != w.Height || !slices.Equal(h.Values, w.Values) || !sameBox(h.Area, box(w.Area[0], w.Area[1], w.Area[2], w.Area[3]), 1e-9)):
				t.Errorf("got heatmap %+v, want %+v", h, w)
			}
		})
	}
}

const (
	classifierOutput = "{decoder: classifier, tensors: {scores: s}, activation: none}"
	segmentOutput    = "{decoder: segmentation, tensors: {scores: s}, activation: none, background: 0}"
	labelsOutput     = "{decoder: segmentation, tensors: {labels: l}, background: 0}"
	anomalyOutput    = "{decoder: anomaly, tensors: {map: m, score: s, label: l, mask: k}}"
)

func TestEvidenceRefuses(t *testing.T) {
	nan := float32(math.NaN())
	anomalib := func() []Output {
		return []Output{
			{Name: "m", Shape: []int64{1, 1, 2, 2}, Data: []float32{0, 0.5, 0.25, 1}}, {Name: "s", Shape: []int64{1}, Data: []float32{0.75}},
			{Name: "l", Shape: []int64{1, 1}, Data: []float32{1}}, {Name: "k", Shape: []int64{1, 2, 2}, Data: []float32{0, 0, 0, 1}},
		}
	}
	for _, c := range []struct {
		name, task, output string
		outs               []Output
		damage             func(outs []Output)
		want               []string
	}{
		{"class score above 1", "classify", classifierOutput, []Output{{"s", []int64{1, 2}, []float32{0.5, 0.5}}}, func(o []Output) { o[0].Data[1] = 7 }, []string{`output "s": value 1 is 7`}},
		{"class score NaN", "classify", classifierOutput, []Output{{"s", []int64{1, 2}, []float32{0.5, 0.5}}}, func(o []Output) { o[0].Data[1] = nan }, []string{"NaN"}},
		{"a class too many", "classify", classifierOutput, []Output{{"s", []int64{1, 2}, []float32{0.5, 0.5}}}, func(o []Output) { o[0] = Output{"s", []int64{1, 3}, make([]float32, 3)} }, []string{"has shape [1 3]"}},
		{"pixel score", "segment", segmentOutput, []Output{{"s", []int64{1, 3, 1, 1}, []float32{0, 1, 0}}}, func(o []Output) { o[0].Data[0] = -1 }, []string{"value 0 is -1, want a score"}},
		{"class of a pixel", "segment", labelsOutput, []Output{{"l", []int64{1, 1, 2}, []float32{0, 2}}}, func(o []Output) { o[0].Data[1] = 3 }, []string{"value 1 is 3, want the number of a class, 0..2"}},
		{"half a class", "segment", labelsOutput, []Output{{"l", []int64{1, 1, 2}, []float32{0, 2}}}, func(o []Output) { o[0].Data[1] = 0.5 }, []string{"value 1 is 0.5"}},
		{"negative class", "segment", labelsOutput, []Output{{"l", []int64{1, 1, 2}, []float32{0, 2}}}, func(o []Output) { o[0].Data[1] = -1 }, []string{"value 1 is -1"}},
		{"huge class", "segment", labelsOutput, []Output{{"l", []int64{1, 1, 2}, []float32{0, 2}}}, func(o []Output) { o[0].Data[1] = 1e30 }, []string{"value 1 is 1e+30"}},
		{"raw score", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[1].Data[0] = 31.5 }, []string{"value 0 is 31.5", "validation run", "output.normalization"}},
		{"raw map", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[0].Data[3] = 31.5 }, []string{`output "m": value 3 is 31.5`, "validation run"}},
		{"label", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[2].Data[0] = 2 }, []string{`output "l": value 0 is 2, want 0 or 1`}},
		{"mask", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[3].Data[2] = 0.5 }, []string{`output "k": value 2 is 0.5, want 0 or 1`}},
		{"mask of another size", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[3].Shape = []int64{1, 1, 4} }, []string{"a map of 2x2", "a mask of 4x1"}},
		{"no score", "anomaly", anomalyOutput, anomalib(), func(o []Output) { o[1].Name = "x" }, []string{`no output "s"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			labels := []string{"a", "b"}
			if c.task == "anomaly" {
				labels = labels[:1]
			}
			_, d := evidenceModel(t, c.task, c.output, labels...)
			if _, err := d.Decode(c.outs, 0, asIs); err != nil {
				t.Fatalf("undamaged: %v", err)
			}
			c.damage(c.outs)
			got, err := d.Decode(c.outs, 0, asIs)
			if !errors.Is(err, inspection.ErrModelOutput) || got.Candidates != nil || got.Heatmap != nil {
				t.Fatalf("got %+v, %v, want ErrModelOutput alone", got, err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
			for _, p := range []inspection.Placement{{}, {ScaleX: 1, ScaleY: 1, OffsetX: 1000, Width: 4, Height: 4}} {
				if _, err := d.Decode(anomalib(), 0, p); c.task == "anomaly" && !errors.Is(err, inspection.ErrInvalid) {
					t.Errorf("placement %+v: got %v, want ErrInvalid", p, err)
				}
			}
		})
	}
}

// TestTheFirstOfEqualClassesWins: outputs that say nothing are background where that comes first, and in any case the same
// class each time.
func TestTheFirstOfEqualClassesWins(t *testing.T) {
	even := []Output{{Name: "s", Shape: []int64{1, 3, 1, 2}, Data: []float32{0.25, 0.25, 0.25, 0.25, 0.25, 0.25}}}
	for background, want := range []int{0, 1, 1} {
		_, d := evidenceModel(t, "segment", fmt.Sprintf("{decoder: segmentation, tensors: {scores: s}, activation: none, background: %d}", background), "a", "b")
		got, err := d.Decode(even, 0, asIs)
		if err != nil || len(got.Candidates) != want || want == 1 && got.Candidates[0].Class != "a" {
			t.Errorf("background %d: got %v, %v, want %d of class a", background, got.Candidates, err, want)
		}
	}
	_, d := evidenceModel(t, "classify", classifierOutput, "b", "a")
	got, err := d.Decode([]Output{{Name: "s", Shape: []int64{1, 2}, Data: []float32{0.5, 0.5}}}, 0, asIs)
	if err != nil || len(got.Candidates) != 2 || got.Candidates[0].Class != "b" {
		t.Errorf("got %v, %v, want both classes in the order of the labels", got.Candidates, err)
	}
}

func TestTooManyRegionsIsAnError(t *testing.T) {
	_, d := evidenceModel(t, "segment", labelsOutput, "a")
	const side = 202 // 101 x 101 single cells
	outs := []Output{{Name: "l", Shape: []int64{1, side, side}, Data: make([]float32, side*side)}}
	for i := range outs[0].Data {
		if i%side%2 == 0 && i/side%2 == 0 {
			outs[0].Data[i] = 1
		}
	}
	p := inspection.Placement{ScaleX: 64. / side, ScaleY: 32. / side, Width: side, Height: side}
	if got, err := d.Decode(outs, 0, p); !errors.Is(err, inspection.ErrModelOutput) || !strings.Contains(err.Error(), "output.min_region") {
		t.Errorf("got %d candidates, %v, want ErrModelOutput with a remedy", len(got.Candidates), err)
	}
	clear(outs[0].Data[200*side:]) // 100 x 101: still too many; another row less is enough
	clear(outs[0].Data[198*side:])
	if got, err := d.Decode(outs, 0, p); err != nil || len(got.Candidates) != 99*101 {
		t.Errorf("got %d candidates, %v, want all of 9999", len(got.Candidates), err)
	}
}

// flood is regions as their definition reads: from each cell on, go to every neighbour of its class.
func flood(w, h int, class []int32) []int {
	of, next := make([]int, w*h), 0
	for i := range of {
		of[i] = -1
	}
	for start := range class {
		if class[start] < 0 || of[start] >= 0 {
			continue
		}
		todo := []int{start}
		of[start] = next
		for len(todo) > 0 {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					x, y := at%w+dx, at/w+dy
					if x < 0 || y < 0 || x >= w || y >= h || of[y*w+x] >= 0 || class[y*w+x] != class[start] {
						continue
					}
					of[y*w+x] = next
					todo = append(todo, y*w+x)
				}
			}
		}
		next++
	}
	return of
}

func TestRegionsAreTheDefinition(t *testing.T) {
	var l labeller // one for all: what it kept from a map before must not matter
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 12).Draw(t, "w"), rapid.IntRange(1, 12).Draw(t, "h")
		class := rapid.SliceOfN(rapid.Int32Range(-1, 1), w*h, w*h).Draw(t, "class")
		value := make([]float32, w*h)
		for i := range value {
			value[i] = float32(i * 31 % 17)
		}
		want := flood(w, h, class)
		got := l.find(w, h, class, value)
		for i, n := range want {
			if int(l.of[i]) != n {
				t.Fatalf("cell %d of %dx%d is of region %d, want %d:\n%v", i, w, h, l.of[i], n, class)
			}
		}
		if len(got) != slices.Max(want)+1 {
			t.Fatalf("got %d regions, want %d", len(got), slices.Max(want)+1)
		}
		for n, r := range got {
			check := region{class: r.class, x1: w, y1: h, top: -1}
			for i, of := range want {
				if of != n {
					continue
				}
				if int(class[i]) != r.class {
					t.Fatalf("region %d of class %d holds a cell of class %d", n, r.class, class[i])
				}
				check.cells++
				check.sum += float64(value[i])
				check.top = max(check.top, float64(value[i]))
				check.x1, check.x2 = min(check.x1, i%w), max(check.x2, i%w+1)
				check.y1, check.y2 = min(check.y1, i/w), max(check.y2, i/w+1)
			}
			if r != check {
				t.Fatalf("region %d: got %+v, want %+v", n, r, check)
			}
		}
	})
}

// evidence draws an answer of one of the decoders, from a batch of two.
func evidence(t *rapid.T, task, output string, labels []string, damaged bool) ([]Output, *Output) {
	w, h := rapid.IntRange(1, 24).Draw(t, "map width"), rapid.IntRange(1, 24).Draw(t, "map height")
	fill := func(name string, shape []int64, of *rapid.Generator[float32]) Output {
		n := int64(2)
		for _, s := range shape {
			n *= s
		}
		return Output{Name: name, Shape: append([]int64{2}, shape...), Data: rapid.SliceOfN(of, int(n), int(n)).Draw(t, name)}
	}
	scores, bits := rapid.Float32Range(0, 1), rapid.Map(rapid.Bool(), func(b bool) float32 {
		if b {
			return 1
		}
		return 0
	})
	side := []int64{int64(h), int64(w)}
	var outs []Output
	switch {
	case task == "classify":
		outs = []Output{fill("s", []int64{int64(len(labels))}, scores)}
	case strings.Contains(output, "labels:"):
		outs = []Output{fill("l", side, rapid.Map(rapid.IntRange(0, len(labels)), func(i int) float32 { return float32(i) }))}
	case task == "segment":
		outs = []Output{fill("s", append([]int64{int64(len(labels) + 1)}, side...), scores)}
	default:
		outs = []Output{fill("m", side, scores), fill("s", nil, scores), fill("l", []int64{1}, bits), fill("k", append([]int64{1}, side...), bits)}
	}
	o := &outs[rapid.IntRange(0, len(outs)-1).Draw(t, "output")]
	if damaged {
		half := len(o.Data) / 2
		o.Data[half+rapid.IntRange(0, half-1).Draw(t, "value")] = float32(rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "what"))
	}
	return outs, o
}

var evidenceLayouts = []struct {
	task, output string
	labels       []string
}{
	{"classify", classifierOutput, []string{"a", "b", "c"}},
	{"classify", "{decoder: classifier, tensors: {scores: s}, activation: softmax}", []string{"a", "b", "c"}},
	{"segment", segmentOutput, []string{"a", "b"}},
	{"segment", "{decoder: segmentation, tensors: {scores: s}, activation: softmax, background: 2}", []string{"a", "b"}},
	{"segment", labelsOutput, []string{"a", "b"}},
	{"anomaly", anomalyOutput, []string{"a"}},
	{"anomaly", "{decoder: anomaly, tensors: {map: m, score: s}, min_region: 2}", []string{"a"}},
	{"anomaly", "{decoder: anomaly, tensors: {map: m}}", []string{"a"}},
}

// TestEvidenceLiesInTheFrame: boxes and masks lie in the frame and fit each other, a word on the whole picture has the whole
// frame, scores fall, and no two regions of an answer share a pixel where the frame is finer than the map.
func TestEvidenceLiesInTheFrame(t *testing.T) {
	for _, layout := range evidenceLayouts {
		m, d := evidenceModel(t, layout.task, layout.output, layout.labels...)
		some := false
		rapid.Check(t, func(t *rapid.T) {
			outs, _ := evidence(t, layout.task, layout.output, layout.labels, false)
			p := placement(t)
			p.Width, p.Height = min(p.Width, 120), min(p.Height, 120)
			if p.ScaleX*0.5+p.OffsetX >= 64 || p.ScaleY*0.5+p.OffsetY >= 32 {
				t.Skip("not a pixel in the input")
			}
			got, err := d.Decode(outs, 1, p)
			if err != nil {
				t.Fatal(err)
			}
			frame := box(0, 0, float64(p.Width), float64(p.Height))
			last := 1.0
			for _, c := range got.Candidates {
				some = true
				if !(c.Score >= m.Output.ScoreFloor && c.Score <= last) || !slices.Contains(layout.labels, c.Class) {
					t.Fatalf("got %+v after score %v", c, last)
				}
				last = c.Score
				if c.Mask == nil {
					if c.Box != frame || layout.task == "segment" {
						t.Fatalf("a candidate without a mask has the box %v of a frame of %dx%d", c.Box, p.Width, p.Height)
					}
					continue
				}
				if tight := bounds(t, c.Mask); c.Mask.Width != p.Width || c.Mask.Height != p.Height || tight != c.Box {
					t.Fatalf("box %v, mask of %dx%d with the bounds %v, frame of %dx%d", c.Box, c.Mask.Width, c.Mask.Height, tight, p.Width, p.Height)
				}
			}
			if h := got.Heatmap; (h != nil) != (layout.task == "anomaly") {
				t.Fatalf("got heatmap %v", h)
			} else if h != nil && (len(h.Values) != h.Width*h.Height || !(h.Area.X1 < frame.X2 && h.Area.X2 > 0 && h.Area.Y1 < frame.Y2 && h.Area.Y2 > 0)) {
				t.Fatalf("a heatmap of %dx%d with %d values covers %v of %v", h.Width, h.Height, len(h.Values), h.Area, frame)
			}
			if _, err := inspectionHeatmap(got.Heatmap); err != nil {
				t.Fatal(err)
			}
		})
		if !some {
			t.Errorf("%s: no drawn output gave a candidate: the test looked at nothing", layout.output)
		}
	}
}

func inspectionHeatmap(m *Map) (*inspection.Heatmap, error) {
	if m == nil {
		return nil, nil
	}
	return inspection.NewHeatmap(m.Width, m.Height, m.Values, m.Area)
}

// bounds is the box around a mask's pixels.
func bounds(t *rapid.T, m *inspection.Mask) inspection.Box {
	bits, err := m.Decode()
	if err != nil {
		t.Fatal(err)
	}
	b := box(float64(m.Width), float64(m.Height), 0, 0)
	for i, bit := range bits {
		if bit {
			x, y := float64(i%m.Width), float64(i/m.Width)
			b = box(min(b.X1, x), min(b.Y1, y), max(b.X2, x+1), max(b.Y2, y+1))
		}
	}
	return b
}

func TestEvidenceThatIsNotFiniteIsNeverACandidate(t *testing.T) {
	for _, layout := range evidenceLayouts {
		m, d := evidenceModel(t, layout.task, layout.output, layout.labels...)
		rapid.Check(t, func(t *rapid.T) {
			outs, damaged := evidence(t, layout.task, layout.output, layout.labels, true)
			read := false
			for _, name := range m.Output.Tensors {
				read = read || name == damaged.Name
			}
			if got, err := d.Decode(outs, 1, asIs); read && (!errors.Is(err, inspection.ErrModelOutput) || got.Candidates != nil || got.Heatmap != nil) {
				t.Fatalf("got %+v, %v, want ErrModelOutput", got, err)
			}
			if _, err := d.Decode(outs, 0, asIs); err != nil {
				t.Fatalf("the sample beside it: got %v, want no error", err)
			}
		})
	}
}

// TestMapLetterboxIsUndone paints a box of the frame into a fine map, and wants it back as box and mask.
func TestMapLetterboxIsUndone(t *testing.T) {
	_, d := evidenceModel(t, "segment", labelsOutput, "a")
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(8, 300).Draw(t, "width"), rapid.IntRange(8, 300).Draw(t, "height")
		r := min(64/float64(w), 32/float64(h))
		p := inspection.Placement{ScaleX: r, ScaleY: r, OffsetX: (64 - r*float64(w)) / 2, OffsetY: (32 - r*float64(h)) / 2, Width: w, Height: h}
		x1, y1 := rapid.IntRange(0, w-4).Draw(t, "x"), rapid.IntRange(0, h-4).Draw(t, "y")
		x2, y2 := rapid.IntRange(x1+3, w-1).Draw(t, "x2"), rapid.IntRange(y1+3, h-1).Draw(t, "y2")
		const fine = 4 // cells for each px of the input
		out := Output{Name: "l", Shape: []int64{1, 32 * fine, 64 * fine}, Data: make([]float32, 32*64*fine*fine)}
		for i := range out.Data {
			x, y := ((float64(i%(64*fine))+0.5)/fine-p.OffsetX)/r, ((float64(i/(64*fine))+0.5)/fine-p.OffsetY)/r
			if x >= float64(x1) && x < float64(x2) && y >= float64(y1) && y < float64(y2) {
				out.Data[i] = 1
			}
		}
		got, err := d.Decode([]Output{out}, 0, p)
		if err != nil || len(got.Candidates) != 1 {
			t.Fatalf("got %v, %v, want one candidate", got.Candidates, err)
		}
		// A cell at the edge belongs to the box as a whole or not at all.
		tolerance := math.Ceil(1 / fine / r)
		if tolerance < 1 {
			tolerance = 1
		}
		if want := box(float64(x1), float64(y1), float64(x2), float64(y2)); !sameBox(got.Candidates[0].Box, want, tolerance) {
			t.Fatalf("got %v, want %v to within %v px", got.Candidates[0].Box, want, tolerance)
		}
	})
}

// TestBorderShowsNothing: what a map says of a letterbox's border is no region, no maximum and no part of the heatmap.
func TestBorderShowsNothing(t *testing.T) {
	_, d := evidenceModel(t, "anomaly", "{decoder: anomaly, tensors: {map: m}}", "odd")
	outs := []Output{{Name: "m", Shape: []int64{1, 4, 4}, Data: []float32{1, 1, 1, 1, 0.125, 0.25, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1}}}
	p := inspection.Placement{ScaleX: 1, ScaleY: 1, OffsetY: 8, Width: 64, Height: 16}
	got, err := d.Decode(outs, 0, p)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got.Candidates, []inspection.Candidate{{Class: "odd", Score: 0.25, Box: box(0, 0, 64, 16)}}, 0, 0)
	if h := got.Heatmap; h.Width != 4 || h.Height != 2 || h.Area != box(0, 0, 64, 16) || slices.Max(h.Values) != 0.25 {
		t.Errorf("got heatmap %+v, want the two rows that show the frame", h)
	}
}

// TestMapsAllocateNothingByThePixel: a map that shows nothing costs what a small one does.
func TestMapsAllocateNothingByThePixel(t *testing.T) {
	_, d := evidenceModel(t, "segment", segmentOutput, "a", "b")
	out := Output{Name: "s", Shape: []int64{1, 3, 128, 256}, Data: make([]float32, 3*128*256)}
	decode := func() {
		if got, err := d.Decode([]Output{out}, 0, asIs); err != nil || len(got.Candidates) != 0 {
			t.Fatalf("got %v, %v, want nothing seen", got.Candidates, err)
		}
	}
	decode()
	if n := testing.AllocsPerRun(20, decode); n > 20 {
		t.Errorf("got %v allocations for an empty map, want a handful", n)
	}
}

func TestEvidenceDecodersAreShared(t *testing.T) {
	_, d := evidenceModel(t, "anomaly", "{decoder: anomaly, tensors: {map: m}}", "odd")
	errs := make(chan error, 4)
	for g := range 4 {
		go func() {
			outs := []Output{{Name: "m", Shape: []int64{1, 4, 4}, Data: make([]float32, 16)}}
			outs[0].Data[5*g] = 0.75
			want := box(float64(16*g), float64(8*g), float64(16*g+16), float64(8*g+8))
			for range 200 {
				got, err := d.Decode(outs, 0, asIs)
				if err == nil && (len(got.Candidates) != 1 || got.Candidates[0].Box != want) {
					err = fmt.Errorf("got %v, want %v", got.Candidates, want)
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
