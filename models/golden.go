package models

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Golden names pictures whose answers are known. A version that gives others on this device does not judge.
type Golden struct {
	ReportAt  float64         `yaml:"report_at"` // candidates below are not compared; left out: output.score_floor and tolerance.score together
	Tolerance Tolerance       `yaml:"tolerance"` // what an answer may differ by
	Pictures  []GoldenPicture `yaml:"pictures"`  // at most 16
}

// Tolerance is what an answer may differ by from the expected one.
type Tolerance struct {
	Score   float64 `yaml:"score"`    // of a candidate, up or down; left out: 0.02
	BoxPx   float64 `yaml:"box_px"`   // of each side of a box, px of the picture; left out: 2
	MaskIoU float64 `yaml:"mask_iou"` // the least overlap of a mask with the expected one; left out: 0.9
	Heatmap float64 `yaml:"heatmap"`  // mean difference of a heatmap's scores; left out: 0.02
}

// GoldenPicture is a picture and everything that the model finds in it.
type GoldenPicture struct {
	Image     string            `yaml:"image"`     // a PNG or JPEG beside the graph, such as golden/a.png; required
	Reference string            `yaml:"reference"` // its template, where the model compares with one
	Expect    []GoldenCandidate `yaml:"expect"`    // all candidates from report_at on; required, [] where there is none
	Heatmap   GoldenHeatmap     `yaml:"heatmap"`   // the anomaly map; left out: it is not compared
}

// GoldenCandidate is a candidate that must be found.
type GoldenCandidate struct {
	Class string    `yaml:"class"` // one of labels; required
	Score float64   `yaml:"score"` // required
	Box   []float64 `yaml:"box"`   // x1, y1, x2, y2 in px of the picture; required
	Mask  string    `yaml:"mask"`  // COCO's compressed run lengths over the picture; left out: it is not compared
}

// GoldenHeatmap is an expected anomaly map: grey value g of the file stands for the score low + g/255*(high-low).
type GoldenHeatmap struct {
	File string  `yaml:"file"` // an 8-bit grey PNG of the map's size, such as golden/a_heatmap.png
	Low  float64 `yaml:"low"`  // the score of black
	High float64 `yaml:"high"` // the score of white
}

// Bounds of a golden set: it is read whenever a version is, and run whenever one is loaded.
const (
	maxGoldenPictures = 16
	maxGoldenFile     = 8 << 20 // bytes
)

// Files returns the paths of all files of the version, within its folder: the graph, the manifest, the variants, and the
// golden set, each once.
func (m Manifest) Files() []string {
	names := []string{GraphFile, ManifestFile}
	for _, v := range m.Variants {
		names = append(names, v.File)
	}
	for _, p := range m.Golden.Pictures {
		for _, name := range []string{p.Image, p.Reference, p.Heatmap.File} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (d *document) validateGolden(m *Manifest) {
	g := &m.Golden
	if !d.given("golden") {
		return
	}
	d.validateTolerance(&g.Tolerance)
	least := m.Output.ScoreFloor + g.Tolerance.Score
	switch {
	case !d.given("golden.report_at"):
		g.ReportAt = least
	case !(g.ReportAt >= least && g.ReportAt < 1):
		d.errorf("golden.report_at", "%v: want at least %v (output.score_floor and the score's tolerance together), so that whatever must be found is decoded, and less than 1", g.ReportAt, least)
	}
	if n := len(g.Pictures); n < 1 || n > maxGoldenPictures {
		d.errorf("golden.pictures", "%d pictures: list 1 to %d, or leave golden out", n, maxGoldenPictures)
	}
	for i := range g.Pictures {
		d.validateGoldenPicture(fmt.Sprintf("golden.pictures[%d]", i), m, g.Pictures[i])
	}
}

func (d *document) validateTolerance(t *Tolerance) {
	for _, v := range []struct {
		field   string
		value   *float64
		missing float64
		ok      func(float64) bool
		want    string
	}{
		{"score", &t.Score, 0.02, func(v float64) bool { return v > 0 && v < 0.5 }, "above 0 and below 0.5"},
		{"box_px", &t.BoxPx, 2, func(v float64) bool { return v > 0 && finite(v) }, "above 0"},
		{"mask_iou", &t.MaskIoU, 0.9, func(v float64) bool { return v > 0 && v <= 1 }, "above 0, at most 1"},
		{"heatmap", &t.Heatmap, 0.02, func(v float64) bool { return v > 0 && finite(v) }, "above 0"},
	} {
		field := "golden.tolerance." + v.field
		if !d.given(field) {
			*v.value = v.missing
		}
		if !v.ok(*v.value) {
			d.errorf(field, "%v: want a number %s", *v.value, v.want)
		}
	}
}

func (d *document) validateGoldenPicture(field string, m *Manifest, p GoldenPicture) {
	d.goldenFile(field+".image", p.Image, ".png", ".jpg", ".jpeg")
	switch {
	case slices.ContainsFunc(m.Inputs, Input.NeedsReference):
		d.goldenFile(field+".reference", p.Reference, ".png", ".jpg", ".jpeg")
	case d.given(field + ".reference"):
		d.errorf(field+".reference", "has no effect: no input of the model is filled from a reference: remove it")
	}
	if !d.given(field + ".expect") {
		d.errorf(field+".expect", "required: list what the model finds, or write [] where it finds nothing")
	}
	for i, c := range p.Expect {
		d.validateGoldenCandidate(fmt.Sprintf("%s.expect[%d]", field, i), m, c)
	}
	if h := p.Heatmap; d.given(field + ".heatmap") {
		d.goldenFile(field+".heatmap.file", h.File, ".png")
		if !(h.High > h.Low) || !finite(h.High) || !finite(h.Low) {
			d.errorf(field+".heatmap.high", "%v: want a score above low, %v", h.High, h.Low)
		}
	}
}

func (d *document) validateGoldenCandidate(field string, m *Manifest, c GoldenCandidate) {
	if !slices.Contains(m.Labels, c.Class) {
		d.errorf(field+".class", "%.40q: want one of labels", c.Class)
	}
	if !(c.Score >= m.Golden.ReportAt && c.Score <= 1) {
		d.errorf(field+".score", "%v: want a score from golden.report_at, %v, to 1", c.Score, m.Golden.ReportAt)
	}
	if len(c.Box) != 4 || slices.ContainsFunc(c.Box, func(v float64) bool { return !finite(v) }) || c.Box[0] >= c.Box[2] || c.Box[1] >= c.Box[3] {
		d.errorf(field+".box", "%v: want [x1, y1, x2, y2] with x1 < x2 and y1 < y2, px of the picture", c.Box)
	}
}

// goldenFile checks the path of a file of the golden set.
func (d *document) goldenFile(field, name string, endings ...string) {
	switch {
	case name == "":
		d.errorf(field, "required: name a picture beside %s, such as golden/a%s", GraphFile, endings[0])
	case !ValidFile(name):
		d.errorf(field, "%.80q: want a path within the version's folder, at most one folder deep, such as golden/a%s", name, endings[0])
	case !slices.Contains(endings, strings.ToLower(path.Ext(name))):
		d.errorf(field, "%.80q: want a name that ends in %s", name, strings.Join(endings, ", "))
	}
}

// maxFileName bounds the path of a file of a version, in bytes.
const maxFileName = 200

// ValidFile reports whether a slash-separated path may be that of a file within a version's folder: at most one folder
// deep, of plain letters, digits, '_', '-' and '.', and nothing hidden.
func ValidFile(name string) bool {
	if !fs.ValidPath(name) || len(name) > maxFileName {
		return false
	}
	parts := strings.Split(name, "/")
	return len(parts) <= 2 && !slices.ContainsFunc(parts, func(part string) bool {
		return strings.HasPrefix(part, ".") || strings.ContainsFunc(part, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.", r))
		})
	})
}

// Text writes the set as the golden section of a manifest.
func (g Golden) Text() string {
	var b strings.Builder
	t := g.Tolerance
	fmt.Fprintf(&b, "golden:\n  report_at: %v\n  tolerance: {score: %v, box_px: %v, mask_iou: %v, heatmap: %v}\n  pictures:\n", g.ReportAt, t.Score, t.BoxPx, t.MaskIoU, t.Heatmap)
	for _, p := range g.Pictures {
		fmt.Fprintf(&b, "    - image: %s\n", p.Image)
		if p.Reference != "" {
			fmt.Fprintf(&b, "      reference: %s\n", p.Reference)
		}
		if h := p.Heatmap; h.File != "" {
			fmt.Fprintf(&b, "      heatmap: {file: %s, low: %v, high: %v}\n", h.File, h.Low, h.High)
		}
		if len(p.Expect) == 0 {
			b.WriteString("      expect: []\n")
			continue
		}
		b.WriteString("      expect:\n")
		for _, c := range p.Expect {
			mask := ""
			if c.Mask != "" {
				mask = fmt.Sprintf(", mask: %s", quoted(c.Mask))
			}
			fmt.Fprintf(&b, "        - {class: %s, score: %v, box: [%v, %v, %v, %v]%s}\n", quoted(c.Class), c.Score, c.Box[0], c.Box[1], c.Box[2], c.Box[3], mask)
		}
	}
	return b.String()
}

// quoted writes text as YAML takes it between single quotes, as it is.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Without returns a manifest's text without some of its sections, such as golden and variants, each of which is taken to end
// where the next line begins that is neither indented nor empty.
func Without(text []byte, sections ...string) []byte {
	var out []byte
	inside := false
	for line := range bytes.Lines(text) {
		if first := line[0]; first != ' ' && first != '\t' && first != '\r' && first != '\n' {
			key, _, _ := bytes.Cut(line, []byte(":"))
			inside = slices.Contains(sections, string(key))
		}
		if !inside {
			out = append(out, line...)
		}
	}
	return out
}
