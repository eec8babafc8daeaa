package recipe

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/assay-vision/assay/inspection"
)

// Limits and defaults of the schema.
const (
	MaxYAML              = 1 << 20 // bytes of a recipe's YAML
	DefaultReportAt      = 0.05    // floor of kept candidates where the recipe states none
	DefaultMaxCandidates = 100     // candidates kept beyond the called ones where the recipe states none
	DefaultSeverity      = 3       // of a class that states none: the middle of 1 (cosmetic) .. 5 (safety)

	minBudget, maxBudget = time.Millisecond, time.Hour
	maxCount             = 1_000_000
)

// Parse reads a recipe from its YAML and its template pictures; source (a file's name, say) only names it in errors.
// Templates need Key, Format and Data; a Digest that is set must be that of Data. Every fault of the recipe is in the
// error, which is an Errors and an inspection.ErrInvalid. Revision is left 0: the store numbers revisions.
func Parse(source string, yaml []byte, templates []inspection.Template) (*inspection.Recipe, error) {
	d := read(source, yaml)
	d.takeTemplates(templates)
	return d.finish(yaml)
}

// draft is a recipe while it is read.
type draft struct {
	*reader
	recipe inspection.Recipe
	folder string // reference.folder, empty without one
	root   object
	ref    object // the reference mapping; its node is nil where there is none
}

// finish returns the recipe, or everything that is wrong with it.
func (d *draft) finish(yaml []byte) (*inspection.Recipe, error) {
	if len(d.errs) > 0 {
		d.errs.sort()
		if d.more > 0 {
			d.errs = append(d.errs, &Error{Source: d.source, Problem: fmt.Sprintf("%d more faults", d.more), Remedy: "mend these first"})
		}
		return nil, d.errs
	}
	d.recipe.Digest = digest(yaml, Templates(&d.recipe))
	return &d.recipe, nil
}

// read parses everything but the templates.
func read(source string, data []byte) *draft {
	d := &draft{reader: &reader{source: source}}
	if len(data) > MaxYAML {
		d.fail(nil, "", "move regions or classes that are not needed out of it", "the file has %d bytes, at most %d are read", len(data), MaxYAML)
		return d
	}
	n := d.document(data)
	if n == nil {
		return d
	}
	d.root = d.object(n, "", "name", "model", "reference", "image", "tiling", "px_per_mm", "regions", "classes", "report_at",
		"max_candidates", "max_defects", "views", "budget", "fallback", "keep")
	if n.Kind != yaml.MappingNode {
		return d
	}
	d.names()
	d.reference()
	d.image()
	d.tiling()
	d.views()
	d.scale()
	d.regions()
	d.report()
	d.classes()
	d.duties()
	return d
}

func (d *draft) names() {
	if d.root.require("name", "name the recipe as the frames will, as in name: board-top") {
		d.recipe.Name = d.root.text("name")
		if strings.ContainsAny(d.recipe.Name, `/\`) {
			d.fail(d.root.at("name"), "name", "use another sign between its parts", "%q holds a slash", d.recipe.Name)
		}
	}
	if !d.root.require("model", `name a model of the repository, as in model: pcb-pair, or one version of it, as in model: pcb-pair@1`) {
		return
	}
	text := d.root.text("model")
	if text == "" {
		return
	}
	name, version, pinned := strings.Cut(text, "@")
	if name == "" || (pinned && version == "") || strings.ContainsAny(text, `/\`) || strings.Contains(version, "@") || strings.HasPrefix(text, ".") {
		d.fail(d.root.at("model"), "model", "write name or name@version", "%q is no model", text)
		return
	}
	d.recipe.Model = inspection.ModelSelector{Name: name, Version: version}
}

func (d *draft) reference() {
	n := d.root.fields["reference"]
	if n == nil {
		return
	}
	d.ref = d.object(n, "reference", "folder", "align", "max_shift_px")
	if d.ref.require("folder", "name the folder with the template pictures, relative to this file") {
		if s := d.ref.scalar("folder", "text", "put it in quotes", "!!str"); s != nil {
			d.folder = s.Value
			if d.folder == "" {
				d.fail(s, "reference.folder", "name the folder with the template pictures", "it is empty")
			}
		}
	}
	spec := &d.recipe.Reference
	if d.ref.choice("align", "none", "translation") == "translation" {
		spec.Align = inspection.AlignTranslation
		if d.ref.require("max_shift_px", "state beyond which shift in pixels a frame is refused") {
			spec.MaxShiftPx = d.ref.number("max_shift_px", 0, 10_000, 0)
		}
	} else if d.ref.has("max_shift_px") {
		d.fail(d.ref.at("max_shift_px"), "reference.max_shift_px", "set align: translation, or remove the line", "no shift is measured with align: none")
	}
}

func (d *draft) image() {
	n := d.root.fields["image"]
	if n == nil {
		return
	}
	o := d.object(n, "image", "min_mean", "max_mean", "min_contrast", "min_sharpness", "refuse_repeated")
	l := &d.recipe.Image
	for _, f := range []struct {
		key string
		top float64
		to  **float64
	}{
		{"min_mean", 255, &l.MinMean}, {"max_mean", 255, &l.MaxMean}, {"min_contrast", 255, &l.MinContrast}, {"min_sharpness", 1e9, &l.MinSharpness},
	} {
		if o.has(f.key) {
			x := o.number(f.key, 0, f.top, 0)
			*f.to = &x
		}
	}
	if l.MinMean != nil && l.MaxMean != nil && *l.MinMean >= *l.MaxMean {
		d.fail(o.at("min_mean"), "image.min_mean", "lower it, or raise max_mean", "%g is not below max_mean %g: no picture would pass", *l.MinMean, *l.MaxMean)
	}
	l.RefuseRepeated = o.flag("refuse_repeated")
}

func (d *draft) views() {
	seen := map[string]bool{}
	for i, n := range d.root.list("views") {
		field := "views[" + strconv.Itoa(i) + "]"
		o := object{reader: d.reader, fields: map[string]*yaml.Node{field: n}}
		view := o.text(field)
		switch {
		case view == "":
		case seen[view]:
			d.fail(n, field, "remove one of them", "view %q stands twice", view)
		case view == "*":
			d.fail(n, field, "name the views that make a part complete", "* is no view")
		default:
			seen[view] = true
			d.recipe.Views = append(d.recipe.Views, view)
		}
	}
}

// knownView reports a view that the recipe's list does not hold: a slip of the pen would silently switch off what is
// said for it.
func (d *draft) knownView(n *yaml.Node, field, view string) {
	if len(d.recipe.Views) == 0 {
		return
	}
	for _, v := range d.recipe.Views {
		if v == view {
			return
		}
	}
	d.fail(n, field, suggest(view, d.recipe.Views)+", or add it to views", "%q is not among the recipe's views", view)
}

func (d *draft) scale() {
	n := d.root.fields["px_per_mm"]
	if n == nil {
		return
	}
	const least, most = 1e-6, 1e6
	if n.Kind != yaml.MappingNode {
		if x, ok := d.value(n, "px_per_mm", least, most); ok {
			d.recipe.PxPerMM = map[string]float64{"*": x}
		}
		return
	}
	o := d.object(n, "px_per_mm")
	d.recipe.PxPerMM = map[string]float64{}
	for _, view := range o.keys {
		if view != "*" {
			d.knownView(o.at(view), o.name(view), view)
		}
		d.recipe.PxPerMM[view] = o.number(view, least, most, 1)
	}
	if len(o.keys) == 0 {
		d.fail(n, "px_per_mm", "write a number, or view: number lines", "it is empty")
	}
}

func (d *draft) regions() {
	seen := map[string]bool{}
	for i, n := range d.root.list("regions") {
		path := "regions[" + strconv.Itoa(i) + "]"
		o := d.object(n, path, "name", "view", "kind", "unit", "polygon")
		g := inspection.Region{View: o.text("view"), Unit: o.text("unit")}
		if o.require("name", "name the region; defects in it will say so") {
			g.Name = o.text("name")
			if g.Name != "" && seen[g.Name] {
				d.fail(o.at("name"), o.name("name"), "give every region a name of its own", "%q stands twice", g.Name)
			}
			seen[g.Name] = true
		}
		if g.View != "" {
			d.knownView(o.at("view"), o.name("view"), g.View)
		}
		if o.require("kind", "write include or exclude") {
			g.Exclude = o.choice("kind", "include", "exclude") == "exclude"
		}
		if o.require("polygon", "write its corners in pixels, as in [[0, 0], [640, 0], [640, 480]]") {
			g.Polygon = d.polygon(o.at("polygon"), o.name("polygon"))
		}
		d.recipe.Regions = append(d.recipe.Regions, g)
	}
}

func (d *draft) polygon(n *yaml.Node, field string) []inspection.Point {
	nodes := d.elements(n, field)
	before := len(d.errs)
	if n.Kind == yaml.SequenceNode && (len(nodes) < 3 || len(nodes) > maxPoints) {
		d.fail(n, field, "write its corners in order, the last one joins the first", "it has %d points: want 3 to %d", len(nodes), maxPoints)
	}
	var points []inspection.Point
	for i, p := range nodes {
		at := field + "[" + strconv.Itoa(i) + "]"
		xy := d.elements(p, at)
		if len(xy) != 2 {
			if p.Kind == yaml.SequenceNode {
				d.fail(p, at, "write [x, y]", "it has %d numbers", len(xy))
			}
			continue
		}
		x, _ := d.value(xy[0], at, -maxCoordinate, maxCoordinate)
		y, _ := d.value(xy[1], at, -maxCoordinate, maxCoordinate)
		points = append(points, inspection.Point{X: x, Y: y})
	}
	if len(d.errs) > before || n.Kind != yaml.SequenceNode {
		return nil
	}
	if problem := polygonProblem(points); problem != "" {
		d.fail(n, field, "write the corners in order around the region, each once", "%s", problem)
	}
	return points
}

func (d *draft) report() {
	d.recipe.ReportAt = d.root.number("report_at", 0, 1, DefaultReportAt)
	d.recipe.MaxCandidates = d.root.integer("max_candidates", 0, 10_000, DefaultMaxCandidates, "write 0 to 10000")
	d.recipe.MaxDefects = d.root.integer("max_defects", 1, maxCount, 0, "write 1 or more, or remove the line for no limit; to fail on the first defect use reject_at")
}

func (d *draft) duties() {
	if d.root.require("budget", "state the time from receipt to verdict, as in budget: 150ms") {
		d.recipe.Budget = d.root.duration("budget", minBudget, maxBudget)
	}
	if n := d.root.fields["fallback"]; n != nil && n.Kind == yaml.ScalarNode && strings.EqualFold(n.Value, "PASS") {
		d.fail(n, "fallback", "write FAIL, REVIEW or UNDETERMINED", "PASS is refused: it means that the model ran and found nothing, and a fallback answers when nobody judged")
	} else if v, err := inspection.ParseVerdict(d.root.choice("fallback", "FAIL", "REVIEW", "UNDETERMINED")); err == nil {
		d.recipe.Fallback = v
	}
	if n := d.root.fields["keep"]; n != nil {
		d.keep(d.object(n, "keep", "pass"))
	}
}

func (d *draft) keep(o object) {
	n := o.scalar("pass", "none, all or 1/N", "write none, all, or 1/10 for every tenth", "!!str")
	if n == nil {
		return
	}
	switch share, ok := strings.CutPrefix(n.Value, "1/"); {
	case n.Value == "none":
	case n.Value == "all":
		d.recipe.Keep.PassEvery = 1
	case ok:
		if every, err := strconv.ParseUint(share, 10, 31); err == nil && every > 0 && every <= math.MaxInt32 {
			d.recipe.Keep.PassEvery = int(every)
			return
		}
		fallthrough
	default:
		d.fail(n, "keep.pass", "write none, all, or 1/10 for every tenth", "%q is not taken", clip(n.Value))
	}
}
