package proposal

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/assay-vision/assay/models"
)

// Manifest writes the proposal as a model.yaml, each value with its reason; source names the graph for people.
func (p *Proposal) Manifest(source string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Proposed from %s.\n", comment(source))
	if p.Family != "" {
		fmt.Fprintf(&b, "# Recognised as %s:\n", comment(p.Family))
	}
	for _, r := range p.Reasons {
		fmt.Fprintf(&b, "# %s\n", comment(r))
	}
	b.WriteString("#\n# known: the file says it. assumed: check it. UNKNOWN: state it; the manifest is refused until then.\n\n")
	group := ""
	for _, f := range p.Fields {
		group = f.write(&b, group)
	}
	return []byte(b.String())
}

// maxLine is the length in bytes from which a value gets its reason on the line above.
const maxLine = 100

// write writes the field on a line of its own, and before it the names of the mapping and of the list that it opens: group is
// the mapping of the field before. It returns this field's.
func (f Field) write(b *strings.Builder, group string) string {
	head, name, nested := strings.Cut(f.Path, ".")
	if !nested {
		head, name = "", f.Path
	}
	indent := ""
	if list, first := strings.CutSuffix(cmp.Or(head, name), "[0]"); first && (head != group || !nested) {
		fmt.Fprintf(b, "%s:\n", list)
	}
	switch {
	case strings.HasSuffix(head, "]") && head != group:
		indent = "  - "
	case strings.HasSuffix(head, "]"):
		indent = "    "
	case nested && head != group:
		fmt.Fprintf(b, "%s:\n", head)
		fallthrough
	case nested:
		indent = "  "
	}
	key := indent + name + ": "
	if strings.HasSuffix(name, "]") {
		key = "  - "
	}
	if len(f.Value) > maxLine {
		fmt.Fprintf(b, "%s# %s\n%s%s\n", strings.Repeat(" ", len(indent)), f.reason(), key, f.Value)
		return head
	}
	fmt.Fprintf(b, "%s%s # %s\n", key, f.Value, f.reason())
	return head
}

func (f Field) reason() string { return string(f.Standing) + ": " + comment(f.Why) }

// comment makes a text fit for a line of comment.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// scalar writes a text as a value of a field.
func scalar(s string) string { return write(textNode(s)) }

// flowScalar writes a text within brackets or braces, where commas and colons must be quoted.
func flowScalar(s string) string {
	list := write(&yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{textNode(s)}})
	return list[1 : len(list)-1]
}

// flowList writes texts as a list on lines that are not too long.
func flowList(texts []string) string {
	var b strings.Builder
	line := 0
	for i, s := range texts {
		item := flowScalar(s)
		switch {
		case i == 0:
		case line+len(item) > maxLine:
			b.WriteString(",\n   ")
			line = 0
		default:
			b.WriteString(", ")
		}
		b.WriteString(item)
		line += len(item) + 2
	}
	return "[" + b.String() + "]"
}

// textNode quotes what another reader could take for something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if s == models.Unstated || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func write(n *yaml.Node) string {
	b, err := yaml.Marshal(n)
	if err != nil {
		return models.Unstated // not writable: left to a person
	}
	return strings.TrimSuffix(string(b), "\n")
}
