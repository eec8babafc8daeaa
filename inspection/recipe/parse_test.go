package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
)

const minimal = `name: board
model: pcb-pair
classes:
  "*": {reject_at: 0.5}
budget: 150ms
`

const full = `name: board-top
model: pcb-pair@2
reference: {folder: templates, align: translation, max_shift_px: 6.5}
image: {min_mean: 20, max_mean: 240, min_contrast: 8, min_sharpness: 30.5, refuse_repeated: true}
tiling: {size: [1280, 960], overlap: 128}
px_per_mm: {top: 20, "*": 12.5}
regions:
  - {name: board, view: top, kind: include, unit: A1, polygon: [[0, 0], [640, 0], [640, 480.5], [0, 480]]}
  - name: fiducial
    kind: exclude
    polygon: [[10, 10], [20, 10], [15, 20]]
classes:
  short: {review_at: 0.2, reject_at: 0.6, min_size_px: 4, max_count: 2, severity: 5, code: 0012, label: {en: Short circuit, zh-CN: 短路}}
  scratch: {review_at: 0.3, reject_at: 0.9, min_size_mm: 0.5}
  dust: {ignore: true}
report_at: 0.1
max_candidates: 50
max_defects: 9
views: [top, bottom]
budget: 1.5s
fallback: FAIL
keep: {pass: 1/20}
`

// picture is a template of n different bytes that begin as a PNG does.
func picture(key string, n int) inspection.Template {
	data := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, n)...)
	return inspection.Template{Key: key, Format: inspection.FormatPNG, Data: data}
}

func ptr(x float64) *float64 { return &x }

func TestParseFull(t *testing.T) {
	top, bottom := picture("top", 1), picture("bottom", 2)
	got, err := Parse("board.yaml", []byte(full), []inspection.Template{top, bottom})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*inspection.Template{&top, &bottom} {
		sum := sha256.Sum256(p.Data)
		p.Digest = hex.EncodeToString(sum[:])
	}
	want := &inspection.Recipe{
		Name: "board-top", Digest: got.Digest, Model: inspection.ModelSelector{Name: "pcb-pair", Version: "2"},
		Reference: inspection.ReferenceSpec{
			Templates: map[string]inspection.Template{"top": top, "bottom": bottom}, Align: inspection.AlignTranslation, MaxShiftPx: 6.5,
		},
		Image:   inspection.ImageLimits{MinMean: ptr(20), MaxMean: ptr(240), MinContrast: ptr(8), MinSharpness: ptr(30.5), RefuseRepeated: true},
		Tiling:  inspection.Tiling{Width: 1280, Height: 960, Overlap: 128},
		PxPerMM: map[string]float64{"top": 20, "*": 12.5},
		Regions: []inspection.Region{
			{Name: "board", View: "top", Unit: "A1", Polygon: []inspection.Point{{X: 0, Y: 0}, {X: 640, Y: 0}, {X: 640, Y: 480.5}, {X: 0, Y: 480}}},
			{Name: "fiducial", Exclude: true, Polygon: []inspection.Point{{X: 10, Y: 10}, {X: 20, Y: 10}, {X: 15, Y: 20}}},
		},
		Classes: map[string]inspection.ClassRule{
			"short": {
				ReviewAt: 0.2, RejectAt: 0.6, MinSizePx: 4, MaxCount: 2, Severity: 5, Code: "0012",
				Labels: map[string]string{"en": "Short circuit", "zh-CN": "短路"},
			},
			"scratch": {ReviewAt: 0.3, RejectAt: 0.9, MinSizeMM: 0.5, Severity: 3},
			"dust":    {Ignore: true, Severity: 3},
		},
		ReportAt: 0.1, MaxCandidates: 50, MaxDefects: 9, Views: []string{"top", "bottom"}, Budget: 1500 * time.Millisecond,
		Fallback: inspection.Fail, Keep: inspection.KeepPolicy{PassEvery: 20},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestParseDefaults(t *testing.T) {
	got, err := Parse("board.yaml", []byte(minimal), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &inspection.Recipe{
		Name: "board", Digest: got.Digest, Model: inspection.ModelSelector{Name: "pcb-pair"},
		Classes:  map[string]inspection.ClassRule{"*": {ReviewAt: 0.5, RejectAt: 0.5, Severity: DefaultSeverity}},
		ReportAt: DefaultReportAt, MaxCandidates: DefaultMaxCandidates, Budget: 150 * time.Millisecond, Fallback: inspection.Undetermined,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestParseTiling(t *testing.T) {
	for text, want := range map[string]inspection.Tiling{
		"{size: 640, overlap: 128}":          {Width: 640, Height: 640, Overlap: 128},
		"{size: [640, 320], overlap: 160}":   {Width: 640, Height: 320, Overlap: 160},
		"{size: 64, overlap: 8}":             {Width: 64, Height: 64, Overlap: 8},
		"{size: [16384, 64], overlap: 0o10}": {Width: 16384, Height: 64, Overlap: 8},
	} {
		r, err := Parse("x", []byte(minimal+"tiling: "+text+"\n"), nil)
		if err != nil || r.Tiling != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, r, err, want)
		}
	}
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]int{"none": 0, "all": 1, "1/1": 1, "1/10": 10} {
		r, err := Parse("x", []byte(minimal+"keep: {pass: "+text+"}\n"), nil)
		if err != nil || r.Keep.PassEvery != want {
			t.Errorf("%s: got %+v, %v, want %d", text, r, err, want)
		}
	}
}

// TestParseFaults appends lines to the minimal recipe (whose last line is 5), or replaces one, and wants exactly one
// fault with these parts of its message.
func TestParseFaults(t *testing.T) {
	with := func(lines string) string { return minimal + lines + "\n" }
	class := func(rule string) string { return strings.Replace(minimal, "{reject_at: 0.5}", rule, 1) }
	line := func(from, to string) string {
		if !strings.Contains(minimal, from) {
			t.Fatalf("%q is not in the minimal recipe", from)
		}
		return strings.Replace(minimal, from, to, 1)
	}
	polygon := func(p string) string { return with("regions: [{name: a, kind: include, polygon: " + p + "}]") }
	tests := []struct{ name, yaml, want string }{
		{"empty", "", "the file is empty"},
		{"only a comment", "# nothing\n", "the file is empty"},
		{"null", "~\n", "1:1: want a mapping, got nothing"},
		{"a list", "- a\n", "1:1: want a mapping, got a list"},
		{"broken YAML", "name: [\n", "mend the YAML"},
		{"two documents", with("---\nname: b"), "a second YAML document begins: give every recipe a file of its own"},
		{"a broken second document", with("---\nname: [\n"), "mend the YAML"},
		{"unknown key", with("colour: red"), "x.yaml:6:1: colour: unknown key: use one of name, model,"},
		{"near miss", with("fallbak: FAIL"), "6:1: fallbak: unknown key: did you mean fallback?"},
		{"near miss by case", with("Views: [a]"), "did you mean views?"},
		{"near miss in a class", class("{reject_at: 0.5, reviewat: 0.4}"), "4:25: classes.*.reviewat: unknown key: did you mean review_at?"},
		{"key twice", with("budget: 10ms"), "6:1: budget: the key is written twice"},
		{"class twice", line(`  "*"`, "  \"*\": {reject_at: 0.1}\n  '*'"), "classes.*: the key is written twice"},
		{"anchor", with("views: &a [top]"), "6:8: views: YAML anchors and aliases are not taken"},
		{"anchor in a list", with("views: [&a top]"), "views[0]: YAML anchors"},
		{"complex key", with("? [a]\n: b"), "a key is a list"},

		{"no name", line("name: board\n", ""), "1:1: name: it is missing: name the recipe"},
		{"name is null", line("board", ""), "1:6: name: want text, got nothing"},
		{"name is a list", line("name: board", "name: [a]"), "name: want text, got a list"},
		{"name is a truth value", line("board", "true"), `1:7: name: want text, got "true": put it in quotes`},
		{"name has a slash", line("board", "a/b"), "holds a slash"},
		{"name has a space at its end", line("board", `"a "`), "begins or ends with a space"},
		{"name too long", line("board", strings.Repeat("x", 129)), "does not fit"},
		{"no model", line("model: pcb-pair\n", ""), "model: it is missing"},
		{"model without version", line("pcb-pair", "pcb-pair@"), `"pcb-pair@" is no model: write name or name@version`},
		{"model without name", line("pcb-pair", `"@1"`), "is no model"},
		{"model that leads out", line("pcb-pair", "../x"), "is no model"},
		{"no budget", line("budget: 150ms\n", ""), "budget: it is missing"},
		{"budget without unit", line("150ms", "150"), `5:9: budget: want a duration, got "150": write a number with its unit, as in 150ms`},
		{"budget in words", line("150ms", "soon"), "is no duration"},
		{"budget 0", line("150ms", "0s"), "0s is out of range: write a duration from 1ms to 1h0m0s"},
		{"budget negative", line("150ms", "-1s"), "out of range"},

		{"fallback PASS", with("fallback: PASS"), "6:11: fallback: PASS is refused: it means that the model ran and found nothing"},
		{"fallback pass", with("fallback: pass"), "PASS is refused"},
		{"fallback unknown", with("fallback: FAILED"), `"FAILED" is not taken: did you mean FAIL?`},
		{"keep", with("keep: {pass: some}"), "keep.pass: \"some\" is not taken: write none, all, or 1/10"},
		{"keep 1/0", with("keep: {pass: 1/0}"), "keep.pass"},
		{"keep 1/-3", with("keep: {pass: 1/-3}"), "keep.pass"},
		{"keep a number", with("keep: {pass: 3}"), "keep.pass: want none, all or 1/N"},

		{"no classes", line("classes:\n  \"*\": {reject_at: 0.5}\n", ""), "classes: it is missing"},
		{"classes empty", line("\n  \"*\": {reject_at: 0.5}", " {}"), "classes: it is empty"},
		{"no reject_at", class("{severity: 2}"), "classes.*.reject_at: it is missing"},
		{"review_at above", class("{review_at: 0.6, reject_at: 0.5}"), "4:20: classes.*.review_at: 0.6 is above reject_at 0.5: lower it, or raise reject_at"},
		{"reject_at above 1", class("{reject_at: 1.5}"), "1.5 is out of range: write a number from 0 to 1"},
		{"reject_at NaN", class("{reject_at: .nan}"), `4:20: classes.*.reject_at: ".nan" is no finite number`},
		{"reject_at infinite", class("{reject_at: .inf}"), "is no finite number"},
		{"reject_at overflows", class("{reject_at: 1e999}"), "classes.*.reject_at"},
		{"reject_at in quotes", class(`{reject_at: "0.5"}`), `want a number, got text "0.5"`},
		{"below report_at", with("report_at: 0.6"), "classes.*.reject_at: 0.5 is below report_at 0.6"},
		{"below the default report_at", class("{reject_at: 0.5, review_at: 0.01}"), "0.01 is below report_at 0.05, under which nothing is kept"},
		{"severity", class("{reject_at: 0.5, severity: 6}"), "6 is out of range 1..5: write 1 (cosmetic) to 5 (safety)"},
		{"severity is a fraction", class("{reject_at: 0.5, severity: 2.5}"), "want a whole number"},
		{"max_count 0", class("{reject_at: 0.5, max_count: 0}"), "remove the line for no limit"},
		{"two sizes", strings.Replace(with("px_per_mm: 3"), "0.5}", "0.5, min_size_px: 3, min_size_mm: 3}", 1), "keep one of the two"},
		{"mm without scale", class("{reject_at: 0.5, min_size_mm: 3}"), "the recipe states no px_per_mm: state px_per_mm, or use min_size_px"},
		{"mm without scale for a view", strings.Replace(with("px_per_mm: {top: 3}\nviews: [top, side]"), "0.5}", "0.5, min_size_mm: 3}", 1), `px_per_mm has no number for view "side"`},
		{"negative size", class("{reject_at: 0.5, min_size_px: -1}"), "out of range"},
		{"language", class("{reject_at: 0.5, label: {english: x}}"), `"english" is no language tag`},
		{"ignore", class("{reject_at: 0.5, ignore: yes please}"), "want true or false"},
		{"ignore by a forced tag", class("{reject_at: 0.5, ignore: !!bool maybe}"), "is neither"},

		{"max_defects 0", with("max_defects: 0"), "6:14: max_defects: 0 is out of range"},
		{"max_candidates", with("max_candidates: -1"), "max_candidates: -1 is out of range"},
		{"views twice", with("views: [a, a]"), `6:12: views[1]: view "a" stands twice`},
		{"view *", with(`views: ["*"]`), "* is no view"},
		{"views is text", with("views: top"), "6:8: views: want a list"},
		{"px_per_mm 0", with("px_per_mm: 0"), "px_per_mm: 0 is out of range"},
		{"px_per_mm of an unknown view", with("views: [top]\npx_per_mm: {tpo: 3}"), `"tpo" is not among the recipe's views: did you mean top?`},
		{"px_per_mm empty", with("px_per_mm: {}"), "px_per_mm: it is empty"},

		{"limits crossed", with("image: {min_mean: 200, max_mean: 100}"), "no picture would pass"},
		{"limit out of range", with("image: {max_mean: 256}"), "image.max_mean: 256 is out of range"},
		{"limit infinite", with("image: {min_sharpness: .inf}"), "image.min_sharpness"},

		{"tiles without size", with("tiling: {overlap: 64}"), "tiling.size: it is missing: state a tile's side"},
		{"tiles without overlap", with("tiling: {size: 640}"), "tiling.overlap: it is missing: state how many pixels"},
		{"tiles of three sides", with("tiling: {size: [1, 2, 3], overlap: 64}"), "6:16: tiling.size: it has 3 numbers: write [width, height]"},
		{"tiny tiles", with("tiling: {size: 63, overlap: 8}"), "tiling.size: 63 is out of range: write a number from 64 to 16384"},
		{"tiles of half a pixel", with("tiling: {size: [640, 640.5], overlap: 8}"), "tiling.size: 640.5 is no whole number"},
		{"tiles of some size", with("tiling: {size: big, overlap: 8}"), `tiling.size: want a number, got text "big"`},
		{"no overlap", with("tiling: {size: 640, overlap: 0}"), "tiling.overlap: 0 is out of range 8..8192"},
		{"an overlap of a tile", with("tiling: {size: [640, 320], overlap: 320}"), "6:37: tiling.overlap: 320 is more than half of a tile's shorter side, 320: lower it, or enlarge size"},
		{"tiles of an unknown key", with("tiling: {size: 640, overlap: 8, stride: 3}"), "tiling.stride: unknown key"},

		{"region without name", with("regions: [{kind: include, polygon: [[0,0],[1,0],[1,1]]}]"), "regions[0].name: it is missing"},
		{"region without kind", with("regions: [{name: a, polygon: [[0,0],[1,0],[1,1]]}]"), "regions[0].kind: it is missing"},
		{"region without polygon", with("regions: [{name: a, kind: include}]"), "regions[0].polygon: it is missing"},
		{"region of unknown kind", with("regions: [{name: a, kind: exlude, polygon: [[0,0],[1,0],[1,1]]}]"), "did you mean exclude?"},
		{"region of unknown view", with("views: [top]\nregions: [{name: a, view: side, kind: exclude, polygon: [[0,0],[1,0],[1,1]]}]"), `7:27: regions[0].view: "side" is not among`},
		{"regions of one name", with("regions: [{name: a, kind: exclude, polygon: [[0,0],[1,0],[1,1]]}, {name: a, kind: exclude, polygon: [[0,0],[1,0],[1,1]]}]"), `regions[1].name: "a" stands twice`},
		{"two points", polygon("[[0,0],[1,0]]"), "it has 2 points: want 3 to 1000"},
		{"a point of three numbers", polygon("[[0,0],[1,0,3],[1,1]]"), "regions[0].polygon[1]: it has 3 numbers: write [x, y]"},
		{"a point that is infinite", polygon("[[0,0],[.inf,0],[1,1]]"), "regions[0].polygon[1]: \".inf\" is no finite number"},
		{"a point far away", polygon("[[0,0],[1e7,0],[1,1]]"), "out of range"},
		{"polygon is text", polygon("square"), "want a list"},
		{"bow tie", polygon("[[0,0],[10,10],[10,0],[0,10],[-5,5]]"), "its edges cross or touch each other"},
		{"a line", polygon("[[0,0],[5,5],[10,10]]"), "it has no area"},
		{"a spike", polygon("[[0,0],[10,0],[5,0],[5,9]]"), "its edges cross or touch each other"},
		{"a spike that runs past its beginning", polygon("[[0,0],[10,0],[-5,0],[5,9]]"), "its edges cross or touch each other"},
		{"touching itself", polygon("[[0,0],[10,0],[10,10],[5,0],[0,10]]"), "its edges cross or touch each other"},
		{"closed by hand", polygon("[[0,0],[10,0],[10,10],[0,0]]"), "the same point stands twice in a row"},

		{"reference without folder", with("reference: {align: none}"), "reference.folder: it is missing"},
		{"reference without pictures", with("reference: {folder: t}"), "6:21: reference.folder: there is no template picture"},
		{"shift without align", with("reference: {align: none, max_shift_px: 3}"), "no shift is measured with align: none"},
		{"align without shift", with("reference: {align: translation}"), "reference.max_shift_px: it is missing"},
		{"align", with("reference: {align: affine}"), `"affine" is not taken: use one of none, translation`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Parse("x.yaml", []byte(tt.yaml), nil)
			if r != nil || !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("got %+v, %v, want an ErrInvalid and no recipe", r, err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if strings.Contains(line, tt.want) {
					return
				}
			}
			t.Errorf("got\n%v\nwant %q", err, tt.want)
		})
	}
}

func TestParseReportsAllFaultsByLine(t *testing.T) {
	_, err := Parse("x.yaml", []byte(`name: board
modell: pcb-pair
image: {min_mean: 300}
classes:
  short: {reject_at: .nan, review_at: 7}
fallback: PASS
`), nil)
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %T, want Errors", err)
	}
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprint(e.Line, " ", e.Field))
		if e.Source != "x.yaml" || e.Column == 0 || e.Problem == "" || e.Remedy == "" {
			t.Errorf("%+v lacks something", *e)
		}
	}
	want := []string{"1 model", "1 budget", "2 modell", "3 image.min_mean", "5 classes.short.reject_at", "5 classes.short.review_at", "6 fallback"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseBoundsTheFaults(t *testing.T) {
	_, err := Parse("x.yaml", []byte(minimal+strings.Repeat(strings.Repeat("k", 1000)+": 1\n", 500)), nil)
	var all Errors
	if !errors.As(err, &all) || len(all) != maxFaults+1 || len(err.Error()) > 50_000 {
		t.Fatalf("got %d faults in %d bytes, want %d in less than 50000", len(all), len(err.Error()), maxFaults+1)
	}
	if got, want := all[maxFaults].Error(), "x.yaml: 400 more faults: mend these first"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseTooLong(t *testing.T) {
	_, err := Parse("x", []byte(minimal+"#"+strings.Repeat("x", MaxYAML)), nil)
	if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "at most 1048576 are read") {
		t.Errorf("got %v", err)
	}
}

func TestParseTemplateFaults(t *testing.T) {
	withFolder := minimal + "reference: {folder: t}\n"
	change := func(f func(*inspection.Template)) []inspection.Template {
		p := picture("a", 1)
		f(&p)
		return []inspection.Template{p}
	}
	tests := []struct {
		name, yaml string
		templates  []inspection.Template
		want       string
	}{
		{"no reference", minimal, []inspection.Template{picture("a", 1)}, "1 template pictures were given to a recipe without a reference"},
		{"one key twice", withFolder, []inspection.Template{picture("a", 1), picture("a", 2)}, `both have the key "a"`},
		{"no key", withFolder, change(func(p *inspection.Template) { p.Key = "" }), "no name that a frame can send"},
		{"control character", withFolder, change(func(p *inspection.Template) { p.Key = "a\n" }), "no name that a frame can send"},
		{"another format", withFolder, change(func(p *inspection.Template) { p.Format = inspection.FormatJPEG }), "is no jpeg file by its first bytes"},
		{"no picture", withFolder, change(func(p *inspection.Template) { p.Data = []byte("hello"); p.Format = 0 }), "by its first bytes"},
		{"another digest", withFolder, change(func(p *inspection.Template) { p.Digest = "00" }), `has the digest 00, its bytes have `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(tt.yaml), tt.templates)
			if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	parse := func(yaml string, ts ...inspection.Template) string {
		t.Helper()
		r, err := Parse("x", []byte(yaml), ts)
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest
	}
	withFolder := minimal + "reference: {folder: t}\n"
	moved := picture("a", 1)
	moved.Path = "/elsewhere/a.png"
	base := parse(withFolder, picture("a", 1), picture("b", 2))
	if got := parse(withFolder, picture("b", 2), moved); got != base {
		t.Error("order and path of templates change the digest")
	}
	r, err := Parse("x", []byte(withFolder), []inspection.Template{picture("b", 2), picture("a", 1)})
	if err != nil || parse(withFolder, Templates(r)...) != base {
		t.Errorf("Templates do not parse again to the same digest: %v", err)
	}
	seen := map[string]string{base: "base"}
	for name, d := range map[string]string{
		"a comment":       parse(withFolder+"#\n", picture("a", 1), picture("b", 2)),
		"another picture": parse(withFolder, picture("a", 1), picture("b", 3)),
		"another key":     parse(withFolder, picture("a", 1), picture("c", 2)),
		"swapped keys":    parse(withFolder, picture("b", 1), picture("a", 2)),
		"one picture":     parse(withFolder, picture("a", 1)),
		"no reference":    parse(minimal),
	} {
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[d] = name
	}
	// A revision's digest stands in every store: it may not change with the program. Computed by another program.
	if got, want := parse(minimal), "c77e6e84b522f2463a4262c89febd7e4bc973248f7426c6cbecfa183be2957ce"; got != want {
		t.Errorf("minimal recipe: got %s, want %s", got, want)
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"review_at", "reject_at", "code"}
	for in, want := range map[string]string{
		"rveiew_at": "did you mean review_at?", "rejct_at": "did you mean reject_at?", "cod": "did you mean code?", "CODE": "did you mean code?",
		"colour": "use one of review_at, reject_at, code", "": "use one of review_at, reject_at, code", "x": "use one of review_at, reject_at, code",
	} {
		if got := suggest(in, words); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal), false)
	f.Add([]byte(full), true)
	f.Add([]byte("a: &a [*a]\nb: *a\n"), false)
	f.Add([]byte("classes: {? [x] : y, <<: {a: b}}\n"), true)
	f.Add([]byte(minimal+"regions: [{name: a, kind: exclude, polygon: [[0,0],[1,0],[1,1]]}]\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, withTemplate bool) {
		var ts []inspection.Template
		if withTemplate {
			ts = []inspection.Template{picture("top", 1)}
		}
		r, err := Parse("fuzz.yaml", data, ts)
		if err != nil {
			if r != nil || !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("got %v with %v", r, err)
			}
			return
		}
		sound(t, r)
		again, err := Parse("other", data, Templates(r))
		if err != nil || again.Digest != r.Digest || !reflect.DeepEqual(again, r) {
			t.Fatalf("parsed again: %v, %+v, before %+v", err, again, r)
		}
	})
}

// sound checks what every rule relies on in a recipe that was accepted.
func sound(t *testing.T, r *inspection.Recipe) {
	t.Helper()
	if r.Name == "" || r.Model.Name == "" || r.Digest == "" || len(r.Classes) == 0 || r.Budget <= 0 || r.Revision != 0 {
		t.Fatalf("something is missing in %+v", r)
	}
	if !r.Fallback.FallbackVerdict() || !(r.ReportAt >= 0 && r.ReportAt <= 1) || r.MaxCandidates < 0 || r.MaxDefects < 0 || r.Keep.PassEvery < 0 {
		t.Fatalf("something is out of range in %+v", r)
	}
	for label, c := range r.Classes {
		ok := c.ReviewAt >= r.ReportAt && c.ReviewAt <= c.RejectAt && c.RejectAt <= 1
		if !(ok || c.Ignore) || !(c.MinSizePx >= 0 && c.MinSizeMM >= 0) || c.Severity < 1 || c.Severity > 5 || (c.MinSizeMM > 0 && len(r.PxPerMM) == 0) {
			t.Fatalf("class %q: %+v", label, c)
		}
	}
	for _, s := range r.PxPerMM {
		if !(s > 0 && s < 1e7) {
			t.Fatalf("px_per_mm %v", s)
		}
	}
	for _, g := range r.Regions {
		if len(g.Polygon) < 3 || polygonProblem(g.Polygon) != "" {
			t.Fatalf("region %+v", g)
		}
	}
}
