// Package docs holds the guides. Its tests keep them true: what the guides show is read by the code that it is for, the
// keys that they list are the keys that exist, what they quote is what the code says, and where they point to is there.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/inspection/recipe"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/node"
)

// root is the project's folder as seen from this one.
const root = ".."

// block is a fenced code block: its info string, such as "yaml recipe", and its text without the fence's indentation.
type block struct {
	file string
	line int
	info []string
	text string
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// kind is the block's info string without its argument: "yaml recipe", or "" for a plain block.
func (b block) kind() string { return strings.Join(b.info[:min(len(b.info), 2)], " ") }

var fence = regexp.MustCompile("^( *)```(.*)$")

// blocks returns the fenced blocks of a guide.
func blocks(t *testing.T, file string) []block {
	t.Helper()
	var out []block
	var open *block
	indent := ""
	for i, line := range strings.Split(read(t, file), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			indent = m[1]
			open = &block{file: file, line: i + 1, info: strings.Fields(m[2])}
		case m != nil:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s: the block is not closed", open.where())
	}
	return out
}

// read returns a file of the project.
func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// guides returns every Markdown file of the project, relative to it. What is generated, downloaded or hidden is left out.
func guides(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "bin" || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".md"):
			rel, err := filepath.Rel(root, name)
			out = append(out, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExamplesAreRead gives every YAML block to the code that it is for.
func TestExamplesAreRead(t *testing.T) {
	seen := map[string]int{}
	for _, file := range guides(t) {
		for _, b := range blocks(t, file) {
			if len(b.info) == 0 || b.info[0] != "yaml" {
				continue
			}
			seen[b.kind()]++
			if err := readExample(t, b); err != nil {
				t.Errorf("%s: %v", b.where(), err)
			}
		}
	}
	for kind, least := range map[string]int{"yaml recipe": 3, "yaml manifest": 3, "yaml config": 1, "yaml providers": 1, "yaml variants": 1, "yaml golden": 1} {
		if seen[kind] < least {
			t.Errorf("got %d blocks of kind %q, want %d or more", seen[kind], kind, least)
		}
	}
}

func readExample(t *testing.T, b block) error {
	t.Helper()
	switch b.kind() {
	case "yaml recipe":
		return readRecipe(t, b)
	case "yaml manifest":
		m, err := models.ParseManifest(b.where(), []byte(b.text))
		if err != nil || len(b.info) < 3 {
			return err
		}
		file, err := models.ParseManifest(b.info[2], []byte(read(t, b.info[2])))
		if len(m.Golden.Pictures) == 0 { // the guide leaves it out: it is a command's work
			file.Golden = models.Golden{}
		}
		if err == nil && !reflect.DeepEqual(m, file) {
			err = fmt.Errorf("the manifest is not that of %s:\ngot  %+v\nwant %+v", b.info[2], m, file)
		}
		return err
	case "yaml providers", "yaml variants", "yaml golden":
		_, err := models.ParseManifest(b.where(), []byte(smallManifest+b.text))
		return err
	case "yaml config":
		file := filepath.Join(t.TempDir(), "assay.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			return err
		}
		_, err := node.Load(file, nil, nil)
		return err
	}
	return fmt.Errorf("the block says %q, want yaml recipe, yaml manifest, yaml providers, yaml variants, yaml golden or yaml config, so that it can be read", strings.Join(b.info, " "))
}

// readRecipe parses a recipe and holds it against the file that it shows, and against its model where that one ships.
func readRecipe(t *testing.T, b block) error {
	t.Helper()
	r, err := recipe.Parse(b.where(), []byte(b.text), templatesFor(b.text))
	if err != nil {
		return err
	}
	if len(b.info) > 2 {
		file, err := recipe.Parse(b.info[2], []byte(read(t, b.info[2])), nil)
		if err != nil {
			return err
		}
		file.Digest = r.Digest // comments may differ
		if !reflect.DeepEqual(r, file) {
			return fmt.Errorf("the recipe is not that of %s:\ngot  %+v\nwant %+v", b.info[2], r, file)
		}
	}
	if r.Model.Name != shippedModel {
		return nil
	}
	return inference.Check(r, shipped(t))
}

// shippedModel is the model that is part of the program.
const shippedModel = "pcb-pair"

func shipped(t *testing.T) *models.Model {
	t.Helper()
	repo, err := models.Open(models.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Get(shippedModel, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// templatesFor returns a template picture where a recipe asks for a folder of them.
func templatesFor(yaml string) []inspection.Template {
	if !strings.Contains(yaml, "\nreference:") {
		return nil
	}
	return []inspection.Template{{Key: "top", Format: inspection.FormatPNG, Data: []byte("\x89PNG\r\n\x1a\n")}}
}

const smallManifest = `task: detect
inputs: [{name: images, layout: NCHW, width: 416, height: 416, color: rgb, resize: stretch}]
output: {decoder: yolox, tensors: {output: output}, strides: [8, 16, 32]}
labels: [scratch, dent]
`

var (
	inlineLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// TestLinksLeadSomewhere follows every relative link, and its anchor where it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	followed := 0
	for _, file := range guides(t) {
		for _, m := range inlineLink.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			followed++
			target, anchor, hasAnchor := strings.Cut(m[1], "#")
			if target == "" {
				target = file
			} else {
				target = path.Join(path.Dir(file), target)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: the link to %s leads nowhere: %v", file, m[1], err)
				continue
			}
			if hasAnchor && !hasHeading(read(t, target), anchor) {
				t.Errorf("%s: the link to %s: %s has no such heading", file, m[1], target)
			}
		}
	}
	if followed < 10 {
		t.Errorf("followed %d links, want 10 or more: are they written in another way now?", followed)
	}
}

// hasHeading reports whether a text has a heading whose anchor, as code hosts make it, is the one given.
func hasHeading(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}
