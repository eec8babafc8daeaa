package models

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/assay-vision/assay/inspection"
)

// maxManifest bounds a model.yaml, in bytes. 80 labels take about one thousand.
const maxManifest = 1 << 20

// Unstated stands in a proposed manifest for a value that a person must state. ParseManifest refuses it wherever it stands
// without quotes.
const Unstated = "UNKNOWN"

// ParseManifest reads and checks a model.yaml and fills in what is left out. file is the name under which errors speak of
// it. The error wraps inspection.ErrInvalid and lists everything that is wrong, one per line, each with file, line, field
// and remedy.
func ParseManifest(file string, data []byte) (Manifest, error) {
	var m Manifest
	d := document{file: file, lines: map[string]int{}}
	if root := d.parse(data); root != nil {
		d.read(root, reflect.ValueOf(&m).Elem(), "")
	}
	if len(d.errs) == 0 {
		d.validate(&m)
	}
	if len(d.errs) > 0 {
		return Manifest{}, fmt.Errorf("%w: %w", inspection.ErrInvalid, errors.Join(d.errs...))
	}
	return m, nil
}

// document is a manifest while it is read: where each field stands, and all that is wrong so far. A field is named by its
// path, as in inputs[0].width; the document itself is "".
type document struct {
	file  string
	lines map[string]int // the fields that are given
	errs  []error
}

// errorf notes that field is wrong at the line where it, or the nearest field around it, stands.
func (d *document) errorf(field, format string, args ...any) {
	line := 1
	for f := field; f != ""; f = f[:max(strings.LastIndexAny(f, ".["), 0)] {
		if l, ok := d.lines[f]; ok {
			line = l
			break
		}
	}
	d.errorAt(line, field, format, args...)
}

func (d *document) errorAt(line int, field, format string, args ...any) {
	if field != "" {
		field += ": "
	}
	d.errs = append(d.errs, fmt.Errorf("%s:%d: %s%s", d.file, line, field, fmt.Sprintf(format, args...)))
}

func (d *document) given(field string) bool { _, ok := d.lines[field]; return ok }

// parse returns the document's top node, or notes why there is none.
func (d *document) parse(data []byte) *yaml.Node {
	if len(data) > maxManifest {
		d.errorf("", "%d bytes, more than the %d that a manifest may have: is it a manifest?", len(data), maxManifest)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.errorf("", "empty: write at least task, inputs, output and labels")
		return nil
	case err != nil:
		d.errorf("", "not YAML: %v: check indentation and quotes there", err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		d.errorf("", "more than one document: remove everything from the second --- on")
		return nil
	}
	return doc.Content[0]
}

// read fills v from n. What is null counts as left out.
func (d *document) read(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.errorAt(n.Line, field, "anchors (&) and aliases (*) are not read: write the value out")
		return
	}
	if n.ShortTag() == "!!null" {
		return
	}
	d.lines[field] = n.Line
	if n.Kind == yaml.ScalarNode && n.Value == Unstated && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
		d.errorAt(n.Line, field, "%s: state it; the comment beside it says what it may be", Unstated)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.readStruct(n, v, field)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		d.pairs(n, field, func(key string, value *yaml.Node) {
			item := reflect.New(v.Type().Elem()).Elem()
			d.read(value, item, join(field, key))
			v.SetMapIndex(reflect.ValueOf(key), item)
		})
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.errorAt(n.Line, field, "want a list, as in [a, b]")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.read(item, v.Index(i), fmt.Sprintf("%s[%d]", field, i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.read(n, v.Elem(), field)
	default:
		fraction := v.Kind() == reflect.Int && n.ShortTag() != "!!int" // yaml would cut it off
		if n.Kind != yaml.ScalarNode || fraction || n.Decode(v.Addr().Interface()) != nil {
			d.errorAt(n.Line, field, "want %s, got %s", kindName(v.Kind()), describe(n))
		}
	}
}

func (d *document) readStruct(n *yaml.Node, v reflect.Value, field string) {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name] = i
		names = append(names, name)
	}
	d.pairs(n, field, func(key string, value *yaml.Node) {
		i, ok := fields[key]
		if !ok {
			d.errorAt(value.Line, join(field, key), "unknown field: remove it, or use one of %s", strings.Join(names, ", "))
			return
		}
		d.read(value, v.Field(i), join(field, key))
	})
}

// pairs calls f for every key of a mapping.
func (d *document) pairs(n *yaml.Node, field string, f func(key string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.errorAt(n.Line, field, "want fields, as in name: value, got %s", describe(n))
		return
	}
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.errorAt(key.Line, field, "a field's name must be plain text, got %s", describe(key))
		case slices.Contains(seen, key.Value):
			d.errorAt(key.Line, join(field, key.Value), "given twice: remove one")
		default:
			seen = append(seen, key.Value)
			f(key.Value, value)
		}
	}
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	default:
		return "text"
	}
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "fields"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return fmt.Sprintf("%.40q", n.Value)
	default:
		return "an alias"
	}
}
