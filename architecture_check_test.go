package assay

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A source is one .go file, read as far as its imports.
type source struct {
	path    string
	dir     string
	imports []string
	tags    constraint.Expr // nil: built always
	links   bool            // its cgo preamble names a library
}

// isTest tells test code: compiled for tests only, or a folder of help for them (storetest, nodetest).
func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || isTestHelp(s.dir)
}

func isTestHelp(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test")
}

// builds tells whether the file is compiled with nativeTag on or off, all other tags being on.
func (s source) builds(native bool) bool {
	return s.tags == nil || s.tags.Eval(func(tag string) bool { return tag != nativeTag || native })
}

// inspectHouse returns one complaint for each door that the rooms do not have. An error means that a file could not be
// read or parsed.
func inspectHouse(fsys fs.FS, house []room) ([]string, error) {
	sources, err := readSources(fsys)
	if err != nil {
		return nil, err
	}
	var complaints []string
	homeless := map[string]bool{}
	for _, s := range sources {
		home, found := roomOf(house, s.dir)
		switch {
		case found:
			for _, imported := range s.imports {
				if complaint := checkImport(house, home, s, imported); complaint != "" {
					complaints = append(complaints, complaint)
				}
			}
		case s.dir == "." && s.isTest():
			// This test.
		case !homeless[s.dir]:
			homeless[s.dir] = true
			complaints = append(complaints, fmt.Sprintf(
				"%s: the folder is no room of the house; put the code into the room whose job it is, or give it a row", s.dir))
		}
	}
	return append(complaints, checkNative(sources)...), nil
}

// checkImport returns what is wrong with one import of s, or "".
func checkImport(house []room, home room, s source, imported string) string {
	allowed, isStrict := testsOf[home.path]
	if s.isTest() && !isStrict {
		return ""
	}
	if !s.isTest() {
		allowed = home.outside
		if !slices.Contains(strict, home.path) {
			allowed = slices.Concat(allowed, everywhere)
		}
	}

	dir, isOurs := strings.CutPrefix(imported, module+"/")
	if !isOurs {
		isStandard := !strings.Contains(strings.Split(imported, "/")[0], ".")
		if isStandard && !matches(guarded, imported) || matches(allowed, imported) {
			return ""
		}
		return fmt.Sprintf("%s imports %s; outside the standard library %s may import %s",
			s.path, imported, home.path, listed(allowed))
	}

	target, found := roomOf(house, dir)
	switch {
	case found && isTestHelp(dir):
		return fmt.Sprintf("%s imports %s, which is for tests only", s.path, dir)
	case found && (target.path == home.path || slices.Contains(home.ours, target.path)):
		return ""
	default:
		return fmt.Sprintf("%s imports %s; of ours %s may import %s", s.path, dir, home.path, listed(home.ours))
	}
}

// checkNative holds files that need a C library to their tag, and their folders to a stub.
func checkNative(sources []source) []string {
	var complaints []string
	needsStub := map[string]string{}
	hasStub := map[string]bool{}
	for _, s := range sources {
		isNative := s.links || slices.ContainsFunc(s.imports, func(i string) bool { return matches(nativeModules, i) })
		switch {
		case isNative && (s.builds(false) || !s.builds(true)):
			complaints = append(complaints, fmt.Sprintf(
				"%s needs a C library to compile and must say //go:build %s", s.path, nativeTag))
		case isNative && !s.isTest():
			needsStub[s.dir] = s.path
		case !s.isTest() && s.builds(false) && !s.builds(true):
			hasStub[s.dir] = true
		}
	}
	for dir, file := range needsStub {
		if !hasStub[dir] {
			complaints = append(complaints, fmt.Sprintf(
				"%s has no stub beside it: a file with //go:build !%s that says what is missing", file, nativeTag))
		}
	}
	slices.Sort(complaints)
	return complaints
}

// roomOf returns the room with the longest path that holds dir.
func roomOf(house []room, dir string) (room, bool) {
	var best room
	for _, r := range house {
		if (dir == r.path || strings.HasPrefix(dir, r.path+"/")) && len(r.path) > len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

// matches tells whether imported is one of the paths or lies below one.
func matches(paths []string, imported string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// readSources parses every .go file of this module, leaving out what the go command leaves out as well.
func readSources(fsys fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != "." && isForeign(fsys, file) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		s, err := readSource(fsys, file)
		sources = append(sources, s)
		return err
	})
	return sources, err
}

// isForeign tells folders that hold no package of this module: hidden ones, test data, other modules.
func isForeign(fsys fs.FS, dir string) bool {
	name := path.Base(dir)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
		slices.Contains([]string{"testdata", "vendor", "node_modules"}, name) {
		return true
	}
	_, err := fs.Stat(fsys, dir+"/go.mod")
	return err == nil
}

func readSource(fsys fs.FS, file string) (source, error) {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return source{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return source{}, fmt.Errorf("read imports: %w", err)
	}
	s := source{path: file, dir: path.Dir(file)}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, fmt.Errorf("read imports of %s: %w", file, err)
		}
		s.imports = append(s.imports, imported)
	}
	for _, group := range parsed.Comments {
		for _, comment := range group.List {
			if comment.Pos() < parsed.Package && constraint.IsGoBuild(comment.Text) {
				if s.tags, err = constraint.Parse(comment.Text); err != nil {
					return source{}, fmt.Errorf("read build tags of %s: %w", file, err)
				}
			}
			s.links = s.links || linksLibrary(comment)
		}
	}
	return s, nil
}

// linksLibrary tells a comment that is a cgo preamble with a library in it.
func linksLibrary(comment *ast.Comment) bool {
	for line := range strings.Lines(comment.Text) {
		fields := strings.Fields(strings.TrimPrefix(line, "//"))
		if len(fields) > 0 && fields[0] == "#cgo" &&
			(strings.Contains(line, "pkg-config:") || strings.Contains(line, "LDFLAGS:")) {
			return true
		}
	}
	return false
}
