package models

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// oneGolden is a golden set of minimal.
const oneGolden = `golden:
  pictures:
    - image: golden/a.png
      expect: [{class: dent, score: 0.9, box: [1, 2, 30, 40]}]
`

func TestGoldenFillsInWhatIsLeftOut(t *testing.T) {
	m, err := ParseManifest(ManifestFile, []byte(minimal+oneGolden))
	if err != nil {
		t.Fatal(err)
	}
	want := Golden{
		ReportAt: 0.03, Tolerance: Tolerance{Score: 0.02, BoxPx: 2, MaskIoU: 0.9, Heatmap: 0.02},
		Pictures: []GoldenPicture{{Image: "golden/a.png", Expect: []GoldenCandidate{{Class: "dent", Score: 0.9, Box: []float64{1, 2, 30, 40}}}}},
	}
	if !reflect.DeepEqual(m.Golden, want) {
		t.Errorf("got %+v, want %+v", m.Golden, want)
	}
	if got := m.Files(); !reflect.DeepEqual(got, []string{GraphFile, ManifestFile, "golden/a.png"}) {
		t.Errorf("files: got %q", got)
	}
	if m, err := ParseManifest(ManifestFile, []byte(minimal)); err != nil || !reflect.DeepEqual(m.Golden, Golden{}) {
		t.Errorf("without a golden set: got %+v, %v", m.Golden, err)
	}
}

func TestGoldenRefuses(t *testing.T) {
	pair := strings.Replace(minimal, "    resize: letterbox\n", "    resize: letterbox\n    sources: [frame, reference]\n", 1)
	picture := func(fields string) string { return "golden: {pictures: [{" + fields + "}]}\n" }
	for _, c := range []struct{ name, manifest, golden, want string }{
		{"no picture", minimal, "golden: {report_at: 0.5}\n", "golden.pictures: 0 pictures: list 1 to 16"},
		{"no image", minimal, picture("expect: []"), "golden.pictures[0].image: required"},
		{"no list", minimal, picture("image: a.png"), "golden.pictures[0].expect: required"},
		{"up and out", minimal, picture("image: ../a.png, expect: []"), "golden.pictures[0].image: \"../a.png\": want a path within"},
		{"absolute", minimal, picture("image: /etc/a.png, expect: []"), "want a path within"},
		{"two deep", minimal, picture("image: a/b/c.png, expect: []"), "want a path within"},
		{"hidden", minimal, picture("image: .a.png, expect: []"), "want a path within"},
		{"a graph", minimal, picture("image: model.onnx, expect: []"), "want a name that ends in .png, .jpg, .jpeg"},
		{"a class that there is not", minimal, picture("image: a.png, expect: [{class: hole, score: 0.9, box: [1,2,3,4]}]"), "expect[0].class: \"hole\": want one of labels"},
		{"below report_at", minimal, "golden: {report_at: 0.5, pictures: [{image: a.png, expect: [{class: dent, score: 0.4, box: [1,2,3,4]}]}]}\n", "expect[0].score: 0.4: want a score from golden.report_at, 0.5, to 1"},
		{"a box inside out", minimal, picture("image: a.png, expect: [{class: dent, score: 0.9, box: [3,2,1,4]}]"), "expect[0].box"},
		{"three sides", minimal, picture("image: a.png, expect: [{class: dent, score: 0.9, box: [1,2,3]}]"), "expect[0].box"},
		{"report_at near the floor", minimal, "golden: {report_at: 0.02, pictures: [{image: a.png, expect: []}]}\n", "golden.report_at: 0.02: want at least 0.03"},
		{"no tolerance", minimal, "golden: {tolerance: {score: 0}, pictures: [{image: a.png, expect: []}]}\n", "golden.tolerance.score: 0: want a number above 0"},
		{"a template that nobody needs", minimal, picture("image: a.png, reference: b.png, expect: []"), "golden.pictures[0].reference: has no effect"},
		{"a template that is missing", pair, picture("image: a.png, expect: []"), "golden.pictures[0].reference: required"},
		{"a flat heatmap", minimal, picture("image: a.png, expect: [], heatmap: {file: h.png, low: 1, high: 1}"), "heatmap.high: 1: want a score above low"},
	} {
		_, err := ParseManifest(ManifestFile, []byte(c.manifest+c.golden))
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ErrInvalid with %s", c.name, err, c.want)
		}
	}
}

// A version is known by its golden set too: other expectations are another version.
func TestTheDigestCoversTheGoldenSet(t *testing.T) {
	fsys := fstest.MapFS{
		"pair/1/" + GraphFile: {Data: []byte("g")}, "pair/1/" + ManifestFile: {Data: []byte(minimal + oneGolden)}, "pair/1/golden/a.png": {Data: []byte("picture")},
	}
	m, err := open(t, Root{"here", fsys}).Get("pair", "")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := m.File("golden/a.png"); err != nil || string(b) != "picture" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := m.File("golden/b.png"); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a file that is not listed: got %v, want ErrInvalid", err)
	}
	fsys["pair/1/golden/a.png"].Data = []byte("Picture")
	if other, err := open(t, Root{"here", fsys}).Get("pair", ""); err != nil || other.Ref.Digest == m.Ref.Digest {
		t.Errorf("another picture, the same digest (%v)", err)
	}
	if _, err := m.Graph(); err == nil || !strings.Contains(err.Error(), "changed on disk") {
		t.Errorf("the picture changed: got %v, want an error that says so", err)
	}
	fsys["pair/1/golden/a.png"].Data = make([]byte, maxGoldenFile+1)
	if _, err := open(t, Root{"here", fsys}).Get("pair", ""); err == nil || !strings.Contains(err.Error(), "more than the 8388608") {
		t.Errorf("a picture of %d bytes: got %v, want a refusal", maxGoldenFile+1, err)
	}
	delete(fsys, "pair/1/golden/a.png")
	if _, err := open(t, Root{"here", fsys}).Get("pair", ""); err == nil || !strings.Contains(err.Error(), "a.png") {
		t.Errorf("no picture: got %v, want an error that names it", err)
	}
}

// What is written is read again as it was, and can be taken out of the manifest again.
func TestGoldenTextIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tolerance := rapid.Float64Range(0.001, 0.4)
		g := Golden{Tolerance: Tolerance{Score: tolerance.Draw(t, "score"), BoxPx: tolerance.Draw(t, "box"), MaskIoU: tolerance.Draw(t, "mask"), Heatmap: tolerance.Draw(t, "heat")}}
		g.ReportAt = 0.01 + g.Tolerance.Score
		for i := range rapid.IntRange(1, maxGoldenPictures).Draw(t, "pictures") {
			p := GoldenPicture{Image: fmt.Sprintf("golden/%d.png", i), Expect: []GoldenCandidate{}}
			if rapid.Bool().Draw(t, "heatmap") {
				p.Heatmap = GoldenHeatmap{File: fmt.Sprintf("golden/%d-heatmap.png", i), Low: rapid.Float64Range(-5, 0).Draw(t, "low"), High: rapid.Float64Range(1, 5).Draw(t, "high")}
			}
			for range rapid.IntRange(0, 3).Draw(t, "candidates") {
				x, y := rapid.Float64Range(0, 600).Draw(t, "x"), rapid.Float64Range(0, 600).Draw(t, "y")
				p.Expect = append(p.Expect, GoldenCandidate{
					Class: rapid.SampledFrom([]string{"scratch", "it's: #1"}).Draw(t, "class"), Score: rapid.Float64Range(g.ReportAt, 1).Draw(t, "s"),
					Box: []float64{x, y, x + 1, y + 0.25}, Mask: rapid.StringMatching(`[0-o]{0,20}`).Draw(t, "rle"),
				})
			}
			g.Pictures = append(g.Pictures, p)
		}
		manifest := strings.Replace(minimal, "[scratch, dent]", `[scratch, "it's: #1"]`, 1)
		m, err := ParseManifest(ManifestFile, []byte(manifest+g.Text()))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m.Golden, g) {
			t.Fatalf("got %+v\nwant %+v\n%s", m.Golden, g, g.Text())
		}
		rest := "nms:\n  iou: 0.5\n"
		if got := Without([]byte(manifest+g.Text()+rest), "golden"); !bytes.Equal(got, []byte(manifest+rest)) {
			t.Fatalf("taken out again: got\n%s", got)
		}
	})
}
