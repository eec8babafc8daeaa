package recipe

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/assay-vision/assay/inspection"
)

// reader walks a YAML tree and collects every fault instead of stopping at the first.
type reader struct {
	source string
	errs   Errors
	more   int // faults beyond maxFaults
}

// maxFaults bounds the list: a file that is no recipe at all can have a fault a line.
const maxFaults = 100

func (r *reader) fail(n *yaml.Node, field, remedy, format string, args ...any) {
	if len(r.errs) == maxFaults {
		r.more++
		return
	}
	e := &Error{Source: r.source, Field: field, Problem: fmt.Sprintf(format, args...), Remedy: remedy}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	r.errs = append(r.errs, e)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// document reads the one document of the bytes and returns its root, or nil.
func (r *reader) document(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		r.syntax(err)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.fail(nil, "", "write name, model, classes and budget", "the file is empty")
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		r.fail(&second, "", "give every recipe a file of its own", "a second YAML document begins")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	return doc.Content[0]
}

func (r *reader) syntax(err error) {
	e := &Error{Source: r.source, Problem: err.Error(), Remedy: "mend the YAML; indent with spaces, two a level"}
	if m := yamlLine.FindStringSubmatch(e.Problem); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Problem = e.Problem[len(m[0]):]
	}
	if e.Problem == "EOF" {
		e.Problem, e.Remedy = "the file is empty", "write name, model, classes and budget"
	}
	r.errs = append(r.errs, e)
}

// object is a mapping whose keys were checked.
type object struct {
	*reader
	path   string
	node   *yaml.Node
	keys   []string // in the order of the file
	fields map[string]*yaml.Node
}

// object checks that n is a mapping without doubled keys, and without unknown ones where any are allowed by name.
func (r *reader) object(n *yaml.Node, path string, allowed ...string) object {
	o := object{reader: r, path: path, node: n, fields: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "write it as \"key: value\" lines", "want a mapping, got %s", describe(n))
		return o
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch name := key.Value; {
		case key.Kind != yaml.ScalarNode:
			r.fail(key, path, "write a plain word before the colon", "a key is %s", describe(key))
		case o.fields[name] != nil:
			r.fail(key, o.name(clip(name)), "remove one of them", "the key is written twice")
		case len(allowed) > 0 && !slices.Contains(allowed, name):
			r.fail(key, o.name(clip(name)), suggest(name, allowed), "unknown key")
		case value.Kind == yaml.AliasNode || value.Anchor != "" || key.Anchor != "":
			r.fail(value, o.name(clip(name)), "write the value out where it is used", "YAML anchors and aliases are not taken")
		default:
			o.keys = append(o.keys, name)
			o.fields[name] = value
		}
	}
	return o
}

// name returns the full name of one of the mapping's fields.
func (o object) name(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// at returns the node to point to for a field: its value, or the mapping where it is missing.
func (o object) at(key string) *yaml.Node {
	if n := o.fields[key]; n != nil {
		return n
	}
	return o.node
}

func (o object) has(key string) bool { return o.fields[key] != nil }

// require reports a field that is missing.
func (o object) require(key, remedy string) bool {
	if o.has(key) {
		return true
	}
	if o.node.Kind == yaml.MappingNode {
		o.fail(o.node, o.name(key), remedy, "it is missing")
	}
	return false
}

// scalar returns a field's node if it is there and one of the tags is its own.
func (o object) scalar(key, want, remedy string, tags ...string) *yaml.Node {
	n := o.fields[key]
	if n == nil {
		return nil
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		o.fail(n, o.name(key), remedy, "want %s, got %s", want, describe(n))
		return nil
	}
	return n
}

// text reads an identifying string; a number is taken as it is written, so that a plant's codes need no quotes.
func (o object) text(key string) string {
	n := o.scalar(key, "text", "put it in quotes, or remove the line", "!!str", "!!int", "!!float", "!!timestamp")
	if n == nil {
		return ""
	}
	if err := inspection.ValidName(o.name(key), n.Value); err != nil {
		o.fail(n, o.name(key), "shorten it, without control characters", "%q does not fit", clip(n.Value))
		return ""
	}
	if strings.TrimSpace(n.Value) != n.Value || n.Value == "" {
		o.fail(n, o.name(key), "write the bare name", "%q is empty or begins or ends with a space", n.Value)
		return ""
	}
	return n.Value
}

// choice reads one of a few words.
func (o object) choice(key string, words ...string) string {
	n := o.scalar(key, "one of "+strings.Join(words, ", "), "write one of them", "!!str")
	if n == nil {
		return ""
	}
	if !slices.Contains(words, n.Value) {
		o.fail(n, o.name(key), suggest(n.Value, words), "%q is not taken", clip(n.Value))
		return ""
	}
	return n.Value
}

// number reads a finite number within lo..hi, both included, or returns the default.
func (o object) number(key string, lo, hi, fallback float64) float64 {
	n := o.fields[key]
	if n == nil {
		return fallback
	}
	if x, ok := o.value(n, o.name(key), lo, hi); ok {
		return x
	}
	return fallback
}

func (r *reader) value(n *yaml.Node, field string, lo, hi float64) (float64, bool) {
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") {
		r.fail(n, field, "write a bare number", "want a number, got %s", describe(n))
		return 0, false
	}
	var x float64
	if err := n.Decode(&x); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		r.fail(n, field, "write a finite number", "%q is no finite number", clip(n.Value))
		return 0, false
	}
	if x < lo || x > hi {
		r.fail(n, field, fmt.Sprintf("write a number from %g to %g", lo, hi), "%g is out of range", x)
		return 0, false
	}
	return x, true
}

// integer reads a whole number within lo..hi, both included, or returns the default.
func (o object) integer(key string, lo, hi, fallback int, remedy string) int {
	n := o.scalar(key, "a whole number", "write digits only", "!!int")
	if n == nil {
		return fallback
	}
	var x int
	if err := n.Decode(&x); err != nil || x < lo || x > hi {
		o.fail(n, o.name(key), remedy, "%s is out of range %d..%d", clip(n.Value), lo, hi)
		return fallback
	}
	return x
}

func (o object) flag(key string) bool {
	n := o.scalar(key, "true or false", "write true or false", "!!bool")
	if n == nil {
		return false
	}
	var yes bool
	if err := n.Decode(&yes); err != nil {
		o.fail(n, o.name(key), "write true or false", "%q is neither", clip(n.Value))
	}
	return yes
}

// duration reads a Go duration within lo..hi.
func (o object) duration(key string, lo, hi time.Duration) time.Duration {
	n := o.scalar(key, "a duration", "write a number with its unit, as in 150ms", "!!str")
	if n == nil {
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		o.fail(n, o.name(key), "write a number with its unit, as in 150ms", "%q is no duration", clip(n.Value))
		return 0
	}
	if d < lo || d > hi {
		o.fail(n, o.name(key), fmt.Sprintf("write a duration from %v to %v", lo, hi), "%v is out of range", d)
		return 0
	}
	return d
}

// list returns a field's elements, without aliases.
func (o object) list(key string) []*yaml.Node {
	n := o.fields[key]
	if n == nil {
		return nil
	}
	return o.elements(n, o.name(key))
}

func (r *reader) elements(n *yaml.Node, field string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, field, "write it as a list: \"[a, b]\" or lines that begin with \"- \"", "want a list, got %s", describe(n))
		return nil
	}
	for i, e := range n.Content {
		if e.Kind == yaml.AliasNode || e.Anchor != "" {
			r.fail(e, fmt.Sprintf("%s[%d]", field, i), "write the value out where it is used", "YAML anchors and aliases are not taken")
			return nil
		}
	}
	return n.Content
}

// describe says what a node is, for "want ..., got ...".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode, yaml.DocumentNode:
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return fmt.Sprintf("text %q", clip(n.Value))
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

// clip keeps a value short enough for a line of log.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
