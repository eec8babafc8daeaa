package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Error is one fault of a recipe. It is an inspection.ErrInvalid.
type Error struct {
	Source  string // the file, or what Parse was told
	Line    int    // from 1; 0 where the fault lies outside the YAML
	Column  int    // from 1
	Field   string // as in classes.short.review_at or regions[2].polygon
	Problem string
	Remedy  string
}

// Error writes source:line:column: field: problem: remedy.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Source)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	for _, part := range []string{e.Field, e.Problem, e.Remedy} {
		if part != "" {
			b.WriteString(": ")
			b.WriteString(part)
		}
	}
	return b.String()
}

// Unwrap makes every fault an inspection.ErrInvalid.
func (e *Error) Unwrap() error { return inspection.ErrInvalid }

// Errors are all faults of one recipe, by line.
type Errors []*Error

// Error writes one fault a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As every fault.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

func (es Errors) sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
