package recipe

import (
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/assay-vision/assay/inspection"
)

// languageTag is the shape of the BCP 47 tags that a page asks for: a language, then subtags.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (d *draft) classes() {
	if !d.root.require("classes", `give each of the model's labels a rule, or all of them one under "*"`) {
		return
	}
	o := d.object(d.root.at("classes"), "classes")
	if o.node.Kind == yaml.MappingNode && len(o.node.Content) == 0 {
		d.fail(o.node, "classes", `give each of the model's labels a rule, or all of them one under "*"`, "it is empty")
	}
	d.recipe.Classes = map[string]inspection.ClassRule{}
	for _, label := range o.keys {
		if err := inspection.ValidName("label", label); err != nil || label == "" {
			d.fail(o.at(label), o.name(clip(label)), "write the label as the model's manifest does", "it is no label")
			continue
		}
		d.recipe.Classes[label] = d.class(o.at(label), o.name(label))
	}
}

func (d *draft) class(n *yaml.Node, path string) inspection.ClassRule {
	o := d.object(n, path, "review_at", "reject_at", "min_size_px", "min_size_mm", "max_count", "severity", "code", "label", "ignore")
	c := inspection.ClassRule{
		Ignore:    o.flag("ignore"),
		MinSizePx: o.number("min_size_px", 0, maxCoordinate, 0),
		MinSizeMM: o.number("min_size_mm", 0, maxCoordinate, 0),
		MaxCount:  o.integer("max_count", 1, maxCount, 0, "write 1 or more, or remove the line for no limit; to fail on the first one use reject_at"),
		Severity:  o.integer("severity", 1, 5, DefaultSeverity, "write 1 (cosmetic) to 5 (safety)"),
		Code:      o.text("code"),
	}
	d.thresholds(o, &c)
	if o.has("min_size_px") && o.has("min_size_mm") {
		d.fail(o.at("min_size_mm"), o.name("min_size_mm"), "keep one of the two", "min_size_px is set as well")
	}
	if o.has("min_size_mm") {
		d.needScale(o)
	}
	if label := o.fields["label"]; label != nil {
		c.Labels = d.labels(d.object(label, o.name("label")))
	}
	return c
}

// thresholds reads review_at and reject_at. A class that is ignored needs none; without review_at there is no band in
// which a person looks.
func (d *draft) thresholds(o object, c *inspection.ClassRule) {
	if o.node.Kind != yaml.MappingNode || (c.Ignore && !o.has("review_at") && !o.has("reject_at")) {
		return
	}
	before := len(d.errs)
	o.require("reject_at", "state the score, 0 to 1, from which the part fails; or set ignore: true")
	c.RejectAt = o.number("reject_at", 0, 1, 1)
	c.ReviewAt = o.number("review_at", 0, 1, c.RejectAt)
	if len(d.errs) > before {
		return
	}
	key := "review_at"
	if !o.has(key) {
		key = "reject_at"
	}
	if c.ReviewAt > c.RejectAt {
		d.fail(o.at(key), o.name(key), "lower it, or raise reject_at", "%g is above reject_at %g", c.ReviewAt, c.RejectAt)
	}
	if d.recipe.ReportAt > c.ReviewAt {
		d.fail(o.at(key), o.name(key), "raise it, or set report_at lower", "%g is below report_at %g, under which nothing is kept", c.ReviewAt, d.recipe.ReportAt)
	}
}

// needScale reports views for which a size in millimetres cannot be told.
func (d *draft) needScale(o object) {
	const remedy = "state px_per_mm, or use min_size_px"
	if len(d.recipe.PxPerMM) == 0 {
		d.fail(o.at("min_size_mm"), o.name("min_size_mm"), remedy, "the recipe states no px_per_mm")
		return
	}
	for _, view := range d.recipe.Views {
		if d.recipe.Scale(view) == 0 {
			d.fail(o.at("min_size_mm"), o.name("min_size_mm"), remedy, "px_per_mm has no number for view %q", view)
		}
	}
}

func (d *draft) labels(o object) map[string]string {
	out := map[string]string{}
	for _, tag := range o.keys {
		if !languageTag.MatchString(tag) {
			d.fail(o.at(tag), o.name(clip(tag)), "write a language tag, as in en or zh-CN", "%q is no language tag", clip(tag))
			continue
		}
		out[tag] = o.text(tag)
	}
	return out
}
