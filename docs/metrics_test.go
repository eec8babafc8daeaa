package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryMetricIsDescribed holds the table of metrics against the code, in both directions.
func TestEveryMetricIsDescribed(t *testing.T) {
	var exist []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		exist = append(exist, metricsOf(f)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(exist)
	compare(t, "docs/operations.md", rows(t, "docs/operations.md", "Metrics"), slices.Compact(exist))
}

var (
	metricName   = regexp.MustCompile(`^assay_[a-z0-9_]*[a-z0-9]$`)
	metricPrefix = regexp.MustCompile(`^assay_[a-z0-9_]*_$`)
	metricSuffix = regexp.MustCompile(`^[a-z0-9_]+$`)
)

// metricsOf returns the metrics that a file names: in a field Name, in a call of NewDesc, or as the first argument of a
// helper of the file's own that puts a prefix before it.
func metricsOf(f *ast.File) []string {
	var out, suffixes []string
	prefix := ""
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if s := text(n); metricPrefix.MatchString(s) {
				prefix = s
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Name" && metricName.MatchString(text(n.Value)) {
				out = append(out, text(n.Value))
			}
		case *ast.CallExpr:
			if len(n.Args) == 0 {
				break
			}
			switch fun := n.Fun.(type) {
			case *ast.SelectorExpr:
				if fun.Sel.Name == "NewDesc" && metricName.MatchString(text(n.Args[0])) {
					out = append(out, text(n.Args[0]))
				}
			case *ast.Ident:
				if s := text(n.Args[0]); metricSuffix.MatchString(s) && !metricName.MatchString(s) {
					suffixes = append(suffixes, s)
				}
			}
		}
		return true
	})
	if prefix != "" {
		for _, s := range suffixes {
			out = append(out, prefix+s)
		}
	}
	return out
}

// text returns the value of a string literal, and "" for everything else.
func text(n ast.Node) string {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}
