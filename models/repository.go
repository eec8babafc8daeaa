package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Files of a repository, as docs and errors name them.
const (
	GraphFile    = "model.onnx"
	ManifestFile = "model.yaml"
	ActiveFile   = "active" // beside the versions; holds the number of the active one
)

// Root is one place that holds models: a file system laid out as <name>/<version>/{model.onnx, model.yaml}, and the name
// under which errors and lists speak of it.
type Root struct {
	Name string
	FS   fs.FS
}

// Dir is the root that lies in the folder dir.
func Dir(dir string) Root { return Root{Name: dir, FS: os.DirFS(dir)} }

// Entry is one version of one model as it was found, good or broken.
type Entry struct {
	Name    string
	Version string
	Root    string // name of the root that holds it
	Active  bool   // it is what Get(Name, "") answers with
	Model   *Model // nil where Err is set
	Err     error
}

// Repository is the set of model versions found in its roots. It is read once, by Open, and read-only from then on, so
// goroutines may share it.
type Repository struct {
	entries []Entry          // by name, then version
	broken  map[string]error // by model name: what is wrong with the model as a whole
	roots   []string
}

// Open reads every model version in roots: it checks the manifests and takes the digests, but does not load a graph. A
// version that two roots hold is taken from the first of them. A broken version is kept with its error and hides no other;
// only a root that cannot be listed fails Open. The error wraps inspection.ErrInvalid.
func Open(roots ...Root) (*Repository, error) {
	r := &Repository{broken: map[string]error{}}
	for _, root := range roots {
		if err := r.scan(root); err != nil {
			return nil, err
		}
		r.roots = append(r.roots, root.Name)
	}
	slices.SortFunc(r.entries, func(a, b Entry) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return number(a.Version) - number(b.Version)
	})
	for _, name := range r.Names() {
		r.activate(name, roots)
	}
	return r, nil
}

// scan adds the versions of one root that no root before it holds.
func (r *Repository) scan(root Root) error {
	names, err := fs.ReadDir(root.FS, ".")
	if err != nil {
		return fmt.Errorf("%w: model repository %s: %w: name an existing folder of models, or leave it out to use the models that ship", inspection.ErrInvalid, root.Name, err)
	}
	for _, n := range names {
		if !isDir(root.FS, n.Name()) || strings.HasPrefix(n.Name(), ".") {
			continue
		}
		if err := r.scanModel(root, n.Name()); err != nil && r.broken[n.Name()] == nil {
			r.broken[n.Name()] = err
		}
	}
	return nil
}

// scanModel adds the versions of one model folder. Folders that hold no version folder at all (examples, documents) are
// passed over; a name or a version that breaks the rules is reported, for it would otherwise be a model that is silently
// not there.
func (r *Repository) scanModel(root Root, name string) error {
	dirs, err := fs.ReadDir(root.FS, name)
	if err != nil {
		return fmt.Errorf("model %s in %s: %w", name, root.Name, err)
	}
	for _, d := range dirs {
		dir := path.Join(name, d.Name())
		if !isDir(root.FS, dir) || !holdsModel(root.FS, dir) || r.find(name, d.Name()) >= 0 {
			continue
		}
		e := Entry{Name: name, Version: d.Name(), Root: root.Name}
		switch {
		case !validName(name):
			e.Err = fmt.Errorf("%w: model folder %s/%s: name %q: use a-z, 0-9, _ and -, and begin with a letter or digit", inspection.ErrInvalid, root.Name, name, name)
		case number(d.Name()) < 1:
			e.Err = fmt.Errorf("%w: model folder %s/%s: version %q: use a whole number from 1 on, without leading zeros", inspection.ErrInvalid, root.Name, dir, d.Name())
		default:
			e.Model, e.Err = load(root, name, d.Name())
		}
		r.entries = append(r.entries, e)
	}
	return nil
}

// activate marks the active version of name: what the first root with an active file says, else the highest version. A
// broken version can be the active one: a node must not judge with an older model because the newer one is damaged.
func (r *Repository) activate(name string, roots []Root) {
	want, from := "", ""
	for _, root := range roots {
		b, err := fs.ReadFile(root.FS, path.Join(name, ActiveFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		from = path.Join(root.Name, name, ActiveFile)
		if err != nil {
			r.broken[name] = fmt.Errorf("read %s: %w", from, err)
			return
		}
		want = strings.TrimSpace(string(b))
		break
	}
	best := -1
	for i, e := range r.entries {
		if e.Name == name && (e.Version == want || from == "" && number(e.Version) > 0) {
			best = i // versions ascend
		}
	}
	switch {
	case best >= 0:
		r.entries[best].Active = true
	case from != "":
		r.broken[name] = fmt.Errorf("%w: %s says %q, and there is no such version: write one of %s", inspection.ErrInvalid, from, want, strings.Join(r.versions(name), ", "))
	}
}

// List returns every version found, good or broken, by name and version.
func (r *Repository) List() []Entry { return slices.Clone(r.entries) }

// Names returns the names of all models, sorted.
func (r *Repository) Names() []string {
	var names []string
	for _, e := range r.entries {
		if len(names) == 0 || names[len(names)-1] != e.Name {
			names = append(names, e.Name)
		}
	}
	return names
}

// Get returns a model version; the version "" means the active one. The error wraps inspection.ErrUnknownModel and says
// what there is instead, or what is wrong with the version asked for.
func (r *Repository) Get(name, version string) (*Model, error) {
	for _, e := range r.entries {
		if e.Name != name || version != e.Version && (version != "" || !e.Active) {
			continue
		}
		if e.Err != nil {
			return nil, fmt.Errorf("%w: %s@%s is broken: %w", inspection.ErrUnknownModel, name, e.Version, e.Err)
		}
		return e.Model, nil
	}
	if err := r.broken[name]; err != nil && version == "" {
		return nil, fmt.Errorf("%w: %s: %w", inspection.ErrUnknownModel, name, err)
	}
	if vs := r.versions(name); len(vs) > 0 {
		return nil, fmt.Errorf("%w: %s has no version %q; it has %s", inspection.ErrUnknownModel, name, version, strings.Join(vs, ", "))
	}
	names := strings.Join(r.Names(), ", ")
	if names == "" {
		names = "none"
	}
	return nil, fmt.Errorf("%w: %q; the models in %s are: %s", inspection.ErrUnknownModel, name, strings.Join(r.roots, ", "), names)
}

func (r *Repository) find(name, version string) int {
	return slices.IndexFunc(r.entries, func(e Entry) bool { return e.Name == name && e.Version == version })
}

func (r *Repository) versions(name string) []string {
	var vs []string
	for _, e := range r.entries {
		if e.Name == name {
			vs = append(vs, e.Version)
		}
	}
	return vs
}

// isDir follows links, which a repository may use to share large graphs.
func isDir(fsys fs.FS, name string) bool {
	info, err := fs.Stat(fsys, name)
	return err == nil && info.IsDir()
}

// holdsModel reports whether a folder has either file of a model version.
func holdsModel(fsys fs.FS, dir string) bool {
	for _, f := range []string{GraphFile, ManifestFile} {
		if _, err := fs.Stat(fsys, path.Join(dir, f)); err == nil {
			return true
		}
	}
	return false
}

func validName(s string) bool {
	for i, c := range []byte(s) {
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '-') {
			return false
		}
	}
	return s != ""
}

// number returns a version's number, and 0 for what is no version.
func number(version string) int {
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 || strconv.Itoa(n) != version {
		return 0
	}
	return n
}
