package docs_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection/recipe"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/node"
)

var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// rows returns the first column of the tables under a heading of the second level.
func rows(t *testing.T, file, title string) []string {
	t.Helper()
	_, section, found := strings.Cut(read(t, file), "\n## "+title+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", file, title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var keys []string
	for _, m := range tableRow.FindAllStringSubmatch(section, -1) {
		keys = append(keys, m[1])
	}
	return keys
}

// compare reports what a guide lists and does not exist, and what exists and is not listed.
func compare(t *testing.T, file string, listed, exist []string) {
	t.Helper()
	if len(exist) == 0 {
		t.Fatalf("%s: found no keys to compare with", file)
	}
	for _, k := range exist {
		if !slices.Contains(listed, k) {
			t.Errorf("%s: %s is missing in the table: describe it", file, k)
		}
	}
	for i, k := range listed {
		switch {
		case !slices.Contains(exist, k):
			t.Errorf("%s: the table lists %s, which does not exist", file, k)
		case slices.Contains(listed[:i], k):
			t.Errorf("%s: the table lists %s twice", file, k)
		}
	}
}

func TestEveryRecipeKeyIsDescribed(t *testing.T) {
	compare(t, "docs/recipes.md", rows(t, "docs/recipes.md", "Every key"), recipeKeys(t, "", func(inner string) string { return inner }))
}

// probe is a key that no mapping of a recipe has, and far from all that they have.
const probe = "qqqqqqqqqqqqqqqqqqqqqqqq"

// recipeKeys asks the parser which keys the mapping has that wrap puts a text into, and the mappings below it. prefix is
// how the guide writes the mapping, with its dot.
func recipeKeys(t *testing.T, prefix string, wrap func(inner string) string) []string {
	t.Helper()
	var out []string
	for _, key := range allowed(wrap("{" + probe + ": 0}")) {
		out = append(out, prefix+key)
		for _, shape := range []struct{ suffix, open, shut string }{{".", "", ""}, {"[].", "[", "]"}, {".<label>.", "{any: ", "}"}} {
			below := func(inner string) string { return wrap("{" + key + ": " + shape.open + inner + shape.shut + "}") }
			if len(allowed(below("{"+probe+": 0}"))) > 0 {
				out = append(out, recipeKeys(t, prefix+key+shape.suffix, below)...)
			}
		}
	}
	return out
}

// allowed returns the keys that the parser suggests instead of the probe, or none where it takes the probe.
func allowed(yaml string) []string {
	_, err := recipe.Parse("probe", []byte(yaml), nil)
	var faults recipe.Errors
	errors.As(err, &faults)
	for _, f := range faults {
		if keys, ok := strings.CutPrefix(f.Remedy, "use one of "); ok && f.Problem == "unknown key" && strings.HasSuffix(f.Field, probe) {
			return strings.Split(keys, ", ")
		}
	}
	return nil
}

func TestEveryManifestKeyIsDescribed(t *testing.T) {
	compare(t, "docs/models.md", rows(t, "docs/models.md", "Every key of the manifest"), tagged(reflect.TypeFor[models.Manifest](), "yaml", ""))
}

// tagged returns the keys of a struct's fields, those of structs and lists of structs below included.
func tagged(t reflect.Type, tag, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get(tag)
		if f.Type.Kind() == reflect.Pointer {
			f.Type = f.Type.Elem()
		}
		switch {
		case f.Type.Kind() == reflect.Struct:
			out = append(append(out, key), tagged(f.Type, tag, key+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			out = append(append(out, key), tagged(f.Type.Elem(), tag, key+"[].")...)
		default:
			out = append(out, key)
		}
	}
	return out
}

// TestSettingsExist holds what the guides say of the configuration against the keys that there are.
func TestSettingsExist(t *testing.T) {
	keys := tagged(reflect.TypeFor[node.Config](), "koanf", "")
	var sections []string
	for i := range reflect.TypeFor[node.Config]().NumField() {
		sections = append(sections, reflect.TypeFor[node.Config]().Field(i).Tag.Get("koanf"))
	}
	mention := regexp.MustCompile("`((?:" + strings.Join(sections, "|") + ")\\.[a-z_]+)`|--set ([a-z_.]+)=")
	mentions := 0
	for _, file := range guides(t) {
		for _, m := range mention.FindAllStringSubmatch(read(t, file), -1) {
			mentions++
			if key := m[1] + m[2]; !slices.Contains(keys, key) {
				t.Errorf("%s speaks of the setting %s, which does not exist", file, key)
			}
		}
	}
	if mentions < 10 {
		t.Errorf("found %d settings in the guides, want 10 or more: are they written in another way now?", mentions)
	}
}

// TestQuotedErrorsAreTheRealOnes makes the faults whose messages the guides quote.
func TestQuotedErrorsAreTheRealOnes(t *testing.T) {
	_, recipeErr := recipe.Parse("board.yaml", []byte(`name: board
model: pcb-pair
classes:
  open: {review_at: 0.7, reject_at: 0.6}
budget: 150
max_defect: 5
fallback: PASS
`), nil)
	_, keyErr := models.ParseManifest("model.yaml", []byte(brokenManifest("widht", "NCHW", "[0]", "32", "scratch, dent")))
	_, valueErr := models.ParseManifest("model.yaml", []byte(brokenManifest("width", "nchw", "[0.5, 0.5]", "30", "dent, dent")))
	m, err := models.ParseManifest("model.yaml", []byte(`task: detect
inputs: [{name: image, layout: NCHW, width: 416, height: 416, color: bgr, resize: letterbox}]
output: {decoder: yolox, tensors: {output: output}, strides: [8, 16, 32]}
labels: [scratch, dent]
batch_sizes: [1, 4]
`))
	if err != nil {
		t.Fatal(err)
	}
	graphErr := m.Check(models.GraphInfo{
		Inputs:  []models.TensorInfo{{Name: "images", Type: "float32", Shape: []int64{1, 3, 416, 416}}},
		Outputs: []models.TensorInfo{{Name: "output", Type: "float32", Shape: []int64{1, 3549, 85}}},
	})
	misfit, err := recipe.Parse("misfit.yaml", []byte(`name: misfit
model: pcb-pair
report_at: 0.005
classes:
  open: {reject_at: 0.5}
  short: {reject_at: 0.5}
  mousebite: {reject_at: 0.5}
  spur: {reject_at: 0.5}
  copper: {reject_at: 0.5}
  scratch: {reject_at: 0.5}
budget: 150ms
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	real := map[string][]error{
		"text recipe-error":   {recipeErr},
		"text manifest-error": {keyErr, valueErr},
		"text graph-error":    {graphErr},
		"text check-error":    {inference.Check(misfit, shipped(t))},
	}
	for _, file := range guides(t) {
		for _, b := range blocks(t, file) {
			errs, quoted := real[b.kind()]
			if !quoted {
				continue
			}
			if len(errs) == 0 {
				t.Errorf("%s: there is no fault for this quotation", b.where())
				continue
			}
			real[b.kind()] = errs[1:]
			all := "\n" + fmt.Sprint(errs[0]) + "\n"
			for line := range strings.Lines(b.text) {
				if line = strings.TrimSuffix(line, "\n"); !strings.Contains(all, "\n"+line+"\n") && !strings.Contains(all, ": "+line+"\n") {
					t.Errorf("%s: quotes\n%s\nthe code says\n%s", b.where(), line, all)
				}
			}
		}
	}
	for kind, left := range real {
		if len(left) > 0 {
			t.Errorf("%d blocks of kind %q are missing", len(left), kind)
		}
	}
}

// brokenManifest puts the values that a fault needs into a manifest.
func brokenManifest(width, layout, mean, stride, labels string) string {
	return `task: detect
description: an example with faults
inputs:
  - name: images
    layout: ` + layout + `
    ` + width + `: 416
    height: 416
    color: rgb
    resize: letterbox
    mean: ` + mean + `
output:
  decoder: yolox
  tensors: {output: output}
  strides: [8, 16, ` + stride + `]
labels: [` + labels + `]
`
}
