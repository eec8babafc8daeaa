package proposal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/models/onnx"
)

// Standing is how sure a value is.
type Standing string

// The standings.
const (
	Known   Standing = "known"   // the file says it, or the person who imports
	Assumed Standing = "assumed" // usual for the family; to be checked
	Unknown Standing = "UNKNOWN" // to be stated; the manifest is refused until it is
)

// Field is one value of the manifest with its reason.
type Field struct {
	Path     string   `json:"field"`    // as errors of ParseManifest name it, such as inputs[0].width
	Value    string   `json:"value"`    // as YAML writes it; models.Unstated where the standing is Unknown, or within it
	Standing Standing `json:"standing"` // how sure it is
	Why      string   `json:"why"`      // where it comes from; for what is unknown, what it may be
}

type field = Field

func known(path, value, why string) field   { return field{path, value, Known, why} }
func assumed(path, value, why string) field { return field{path, value, Assumed, why} }
func unknown(path, why string) field        { return field{path, models.Unstated, Unknown, why} }

// Proposal is a manifest as it was made out from a graph.
type Proposal struct {
	Family  string   `json:"family"`  // what the graph was recognised as; "" for nothing
	Decoder string   `json:"decoder"` // "" where it is to be stated
	Reasons []string `json:"reasons"` // why, and what speaks for other readings
	Fields  []Field  `json:"fields"`  // in the order of the manifest
}

// Left returns the fields that are still to be stated.
func (p *Proposal) Left() []Field { return p.With(Unknown) }

// With returns the fields of a standing.
func (p *Proposal) With(s Standing) []Field {
	return slices.DeleteFunc(slices.Clone(p.Fields), func(f Field) bool { return f.Standing != s })
}

// Propose makes out the manifest of a graph that models.CheckGraph has taken. The error wraps inspection.ErrInvalid: options
// that the graph contradicts, or a graph that no decoder can serve however its manifest is written. A graph that is not recognised is no error.
func Propose(m *onnx.Model, o Options) (*Proposal, error) {
	f, err := gather(m, o)
	if err != nil {
		return nil, err
	}
	if err := f.unserved(); err != nil {
		return nil, err
	}
	best, err := f.recognise()
	if err != nil {
		return nil, err
	}
	if len(best) == 0 {
		c := f.unrecognised()
		return f.proposal(c)
	}
	p, err := f.proposal(best[0])
	for _, c := range best[1:] {
		if err != nil {
			return nil, err
		}
		var other *Proposal
		if other, err = f.proposal(c); err == nil {
			p.mix(other)
		}
	}
	return p, err
}

// Ranks of evidence. Only the highest that speaks counts.
const (
	byDecoder  = iota // the shapes do not contradict; counts only where the person names the decoder
	byShape           // the shapes are typical
	byName            // the names are those of a family
	byMetadata        // the exporter says so
)

// candidate is one reading of a graph.
type candidate struct {
	rank    int
	family  string
	decoder string
	because string
	task    models.Task
	tensors []tensor
	// classes is the length of the class axis, 0 where no output says it.
	classes    int64
	background bool // one of classes may be a background
	lastMeans  bool // and then it is mostly the last
	guessed    bool // the decoder is assumed, whatever speaks for it
	pixels     pixels
	output     []field // what the decoder needs besides, without "output."
	constants  []field
	iou        field // of the suppression; the zero value: none
	labels     field // where labels do not come from the file
	asked      bool  // the decoder is the person's word
	single     bool  // the batch is 1 whatever the graph declares
}

// tensor is the graph's output for a role.
type tensor struct {
	role string
	onnx.Tensor
}

// rules read a graph. Each returns the readings for which something speaks.
var rules = []func(*facts) []candidate{
	ultralyticsRule, yoloxRule, yolov6Rule, gridRule, detectionsRule, superGradientsRule, listRule, twoOutputRule, anomalibRule, rowsRule, wholeRule,
}

// recognise returns the readings with the best evidence, one for each decoder.
func (f *facts) recognise() ([]candidate, error) {
	var all []candidate
	for _, rule := range rules {
		all = append(all, rule(f)...)
	}
	o := f.options
	fit := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool {
		return o.Decoder != "" && c.decoder != o.Decoder || o.Task != "" && c.task != o.Task || o.Decoder == "" && c.rank == byDecoder
	})
	if len(fit) == 0 && (o.Decoder != "" || o.Task != "") {
		return nil, fmt.Errorf("%w: %s does not fit the graph's outputs %s: %s", inspection.ErrInvalid, asked(o), sayAll(f.outputs), instead(all))
	}
	rank := 0
	for _, c := range fit {
		rank = max(rank, c.rank)
	}
	var best []candidate
	for _, c := range fit {
		c.asked = o.Decoder != ""
		if c.rank == rank && !slices.ContainsFunc(best, func(b candidate) bool { return b.decoder == c.decoder }) {
			best = append(best, c)
		}
	}
	return best, nil
}

// asked names the options that narrow the readings down.
func asked(o Options) string {
	var parts []string
	if o.Decoder != "" {
		parts = append(parts, fmt.Sprintf("--decoder %.40q", o.Decoder))
	}
	if o.Task != "" {
		parts = append(parts, fmt.Sprintf("--task %.40q", o.Task))
	}
	return strings.Join(parts, " with ")
}

// instead says which decoders would do.
func instead(all []candidate) string {
	var ds []string
	for _, c := range all {
		if d := c.decoder + " (" + string(c.task) + ")"; !slices.Contains(ds, d) {
			ds = append(ds, d)
		}
	}
	if len(ds) == 0 {
		return "no decoder is known to read such outputs: export the model in another way, or write its manifest by hand if a decoder of docs/models.md fits"
	}
	return "what reads them is " + strings.Join(ds, ", ")
}

// unrecognised is the reading of a graph of which only the inputs are understood.
func (f *facts) unrecognised() candidate {
	return candidate{
		because: "no decoder is known to read the outputs " + sayAll(f.outputs),
		pixels:  unknownPixels(),
	}
}

// proposal writes a reading out.
func (f *facts) proposal(c candidate) (*Proposal, error) {
	p := &Proposal{Family: c.family, Decoder: c.decoder, Reasons: []string{c.because}}
	labels, n, err := f.labels(c)
	if err != nil {
		return nil, err
	}
	c.settleBackground(n)
	p.Fields = append(p.Fields, f.head(c)...)
	for i, in := range f.pictures {
		for _, fd := range in.fields(c.pixels) {
			fd.Path = fmt.Sprintf("inputs[%d].%s", i, fd.Path)
			p.Fields = append(p.Fields, fd)
		}
	}
	p.Fields = append(p.Fields, f.constants(c)...)
	p.Fields = append(p.Fields, c.outputFields()...)
	p.Fields = append(p.Fields, labels)
	if c.iou.Path != "" {
		p.Fields = append(p.Fields, c.iou)
	}
	p.Fields = append(p.Fields, f.batches(c))
	return p, nil
}

func (f *facts) head(c candidate) []field {
	var fs []field
	switch {
	case f.options.Task != "":
		fs = append(fs, known("task", string(c.task), "from --task"))
	case f.ultra.found && f.ultra.task != "" && c.rank == byMetadata:
		fs = append(fs, known("task", string(c.task), fmt.Sprintf("from metadata task %.20q", f.ultra.task)))
	case c.task != "":
		fs = append(fs, known("task", string(c.task), "follows from the decoder"))
	default:
		fs = append(fs, unknown("task", "detect, classify, anomaly or segment"))
	}
	for _, key := range []string{"description", "license"} {
		if v := strings.TrimSpace(f.model.Metadata[key]); v != "" && len(v) <= 200 {
			fs = append(fs, known(key, scalar(v), "from metadata "+key))
		}
	}
	return fs
}

// outputFields says how the outputs are read.
func (c candidate) outputFields() []field {
	if c.decoder == "" {
		return []field{unknown("output.decoder", c.because), unknown("output.tensors", "the graph's output for each role of the decoder")}
	}
	var roles []string
	for _, t := range c.tensors {
		roles = append(roles, t.role+": "+flowScalar(t.Name))
	}
	fs := []field{known("output.decoder", c.decoder, c.because), known("output.tensors", "{"+strings.Join(roles, ", ")+"}", "from the graph's outputs "+c.sayTensors())}
	switch {
	case c.asked:
		fs[0].Why = "from --decoder"
	case c.rank < byMetadata || c.guessed:
		fs[0] = assumed(fs[0].Path, fs[0].Value, fs[0].Why+", check")
	}
	for _, fd := range c.output {
		fd.Path = "output." + fd.Path
		fs = append(fs, fd)
	}
	return fs
}

func (c candidate) sayTensors() string {
	var all []onnx.Tensor
	for _, t := range c.tensors {
		all = append(all, t.Tensor)
	}
	return sayAll(all)
}

// constants writes the inputs that are no pictures: those that the family knows, and the others to be stated.
func (f *facts) constants(c candidate) []field {
	var fs []field
	for _, t := range f.extras {
		i := slices.IndexFunc(c.constants, func(fd field) bool { return fd.Path == t.Name })
		fd := field{
			Value:    fmt.Sprintf("{name: %s, type: %s, values: %s}", flowScalar(t.Name), flowScalar(t.Type), models.Unstated),
			Standing: Unknown, Why: fmt.Sprintf("what each sample gets at the graph's input %s", say(t)),
		}
		if i >= 0 {
			fd = c.constants[i]
		}
		fd.Path = fmt.Sprintf("constants[%d]", len(fs))
		fs = append(fs, fd)
	}
	return fs
}

// batches proposes the tensor batches.
func (f *facts) batches(c candidate) field {
	const path = "batch_sizes"
	for _, p := range f.pictures {
		if p.batch > 0 {
			return known(path, fmt.Sprintf("[%d]", p.batch), fmt.Sprintf("the batch of the graph's input %s is fixed", say(p.Tensor)))
		}
	}
	if c.single {
		return known(path, "[1]", "the number of rows differs from picture to picture")
	}
	if n := models.LargestBatch(f.model.Metadata); n > 0 {
		sizes := slices.DeleteFunc([]int{1, 2, 4, 8}, func(size int) bool { return size > n })
		return known(path, strings.ReplaceAll(fmt.Sprint(sizes), " ", ", "), fmt.Sprintf("metadata batch is %d: with nms=True nothing is found in a picture beyond, though the batch of the graph's input is open", n))
	}
	return known(path, "[1, 2, 4, 8]", "the batch of the graph's input is open; whether outputs follow is tried when the model is loaded")
}

// labels finds the class names, and how many there are, and holds them against the graph. The error wraps inspection.ErrInvalid.
func (f *facts) labels(c candidate) (labels field, n int, err error) {
	given, from := f.options.Labels, "from --labels"
	if given == nil && f.ultra.found && c.decoder != "" {
		given, from = f.ultra.names, "from metadata names"
	}
	misfit, asked := c.misfit(len(given)), f.options.Labels != nil
	faults := models.CheckLabels("--labels", given)
	switch {
	case given == nil && c.labels.Path != "":
		return c.labels, 1, nil
	case given == nil:
		return unknown("labels", c.wanted()), 0, nil
	case asked && misfit != "":
		return field{}, 0, fmt.Errorf("%w: labels: %s", inspection.ErrInvalid, misfit)
	case misfit != "":
		return unknown("labels", c.wanted()+"; metadata names has "+misfit), 0, nil
	case asked && faults != nil:
		return field{}, 0, faults
	case faults != nil:
		return unknown("labels", c.wanted()+"; metadata names are no labels as they are"), 0, nil
	}
	return known("labels", flowList(given), from), len(given), nil
}

// settleBackground holds the number of labels against the class axis: where it says which there is, a background or none.
func (c *candidate) settleBackground(labels int) {
	i := slices.IndexFunc(c.output, func(fd field) bool { return fd.Path == "background" })
	if i < 0 || c.classes == 0 || labels == 0 {
		return
	}
	c.output = slices.Clone(c.output)
	if int64(labels) == c.classes {
		c.output = slices.Delete(c.output, i, i+1)
		return
	}
	mostly := int64(0)
	if c.lastMeans {
		mostly = c.classes - 1
	}
	c.output[i].Why = fmt.Sprintf("index, 0 to %d, of the class that has no label and means nothing, mostly %d", c.classes-1, mostly)
}

// misfit says how a number of labels contradicts the class axis; "" where it does not.
func (c candidate) misfit(n int) string {
	want := int(c.classes)
	switch {
	case want == 0 || n == want || c.background && n == want-1:
		return ""
	case n < want:
		return fmt.Sprintf("%d for a graph of %d classes: add %d", n, want, want-n)
	}
	return fmt.Sprintf("%d for a graph of %d classes: remove %d", n, want, n-want)
}

// wanted says which labels a person must state.
func (c candidate) wanted() string {
	const order = "in the order of the graph's classes, as in [scratch, dent]"
	if c.classes == 1 {
		return "the name of the one class, as in [scratch]"
	}
	switch {
	case c.classes == 0:
		return "the class names " + order + "; the outputs do not say how many there are"
	case c.background:
		return fmt.Sprintf("%d class names %s, or %d if one class is the background", c.classes, order, c.classes-1)
	}
	return fmt.Sprintf("%d class names %s", c.classes, order)
}

// mix makes what two readings differ in unknown.
func (p *Proposal) mix(other *Proposal) {
	const either = ": state which with --decoder, or here"
	a, b := p.label(), other.label()
	p.Reasons = append(p.Reasons, other.Reasons...)
	for i := range p.Fields {
		fd := &p.Fields[i]
		j := slices.IndexFunc(other.Fields, func(o Field) bool { return o.Path == fd.Path })
		switch {
		case j < 0:
			*fd = unknown(fd.Path, fmt.Sprintf("%s for %s; remove it for %s", fd.choice(), a, b))
		case fd.Path == "output.decoder":
			*fd = unknown(fd.Path, strings.Join(p.Reasons, "; or ")+either)
		case other.Fields[j].Value != fd.Value:
			*fd = unknown(fd.Path, fmt.Sprintf("%s for %s, %s for %s", fd.choice(), a, other.Fields[j].choice(), b))
		case other.Fields[j].Standing == Assumed:
			fd.Standing = Assumed
		}
	}
	for j, fd := range other.Fields {
		if slices.ContainsFunc(p.Fields, func(f Field) bool { return f.Path == fd.Path }) {
			continue
		}
		fd = unknown(fd.Path, fmt.Sprintf("%s for %s; remove it for %s", fd.choice(), b, a))
		at := 1 + slices.IndexFunc(p.Fields, func(f Field) bool { return f.Path == other.Fields[j-1].Path })
		p.Fields = slices.Insert(p.Fields, at, fd)
	}
	p.Family, p.Decoder = a+" or "+b, ""
}

// label names a reading among several.
func (p *Proposal) label() string {
	if p.Decoder == "" {
		return p.Family
	}
	return p.Decoder
}

// choice is what a field may hold, for people.
func (f Field) choice() string {
	if f.Standing == Unknown {
		return f.Why
	}
	return f.Value
}
