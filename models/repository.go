package models

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	Note    string // of the active one: what else claims to say so, and is not looked at; of the one that was: why it is not any more
	Model   *Model // nil where Err is set
	Err     error
}

// Repository is the set of model versions found in its roots. Open reads them once; from then on only what is pushed,
// activated and removed through the repository changes it. Goroutines may share it: whoever reads sees the versions as they
// were before a change or after it.
type Repository struct {
	roots    []Root
	writable *writable // nil: nothing is pushed, activated or removed

	mu  sync.Mutex // held by whoever changes the repository, over its I/O; readers do not take it
	now atomic.Pointer[snapshot]
}

// Open reads every model version in roots: it checks the manifests and takes the digests, but does not load a graph. A
// version that two roots hold is taken from the first of them. A broken version is kept with its error and hides no other;
// only a root that cannot be listed fails Open. The error wraps inspection.ErrInvalid. Such a repository is read-only; see
// OpenWritable.
func Open(roots ...Root) (*Repository, error) {
	r := &Repository{roots: roots}
	return r, r.read()
}

// read takes the first snapshot.
func (r *Repository) read() error {
	s := &snapshot{broken: map[string]error{}}
	for _, root := range r.roots {
		if err := s.scan(root); err != nil {
			return err
		}
	}
	s.sort()
	for _, name := range s.names() {
		s.settle(name, r.roots, r.acts())
	}
	r.now.Store(s)
	return nil
}

// acts is the record of activations; nil where there is none.
func (r *Repository) acts() *record {
	if r.writable == nil {
		return nil
	}
	return r.writable.record
}

// List returns every version found, good or broken, by name and version.
func (r *Repository) List() []Entry { return slices.Clone(r.now.Load().entries) }

// Names returns the names of all models, sorted.
func (r *Repository) Names() []string { return r.now.Load().names() }

// Get returns a model version; the version "" means the active one. The error wraps inspection.ErrUnknownModel and says
// what there is instead, or what is wrong with the version asked for.
func (r *Repository) Get(name, version string) (*Model, error) {
	s := r.now.Load()
	for _, e := range s.entries {
		if e.Name != name || version != e.Version && (version != "" || !e.Active) {
			continue
		}
		if e.Err != nil {
			return nil, fmt.Errorf("%w: %s@%s is broken: %w", inspection.ErrUnknownModel, name, e.Version, e.Err)
		}
		return e.Model, nil
	}
	if err := s.broken[name]; err != nil && version == "" {
		return nil, fmt.Errorf("%w: %s: %w", inspection.ErrUnknownModel, name, err)
	}
	return nil, s.unknown(name, version, r.roots)
}

// snapshot is the repository as it is at one time. It is read-only once it is stored.
type snapshot struct {
	entries []Entry          // by name, then version
	broken  map[string]error // by model name: what is wrong with the model as a whole
}

func (s *snapshot) clone() *snapshot {
	return &snapshot{entries: slices.Clone(s.entries), broken: maps.Clone(s.broken)}
}

func (s *snapshot) sort() {
	slices.SortFunc(s.entries, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), number(a.Version)-number(b.Version))
	})
}

// scan adds the versions of one root that no root before it holds.
func (s *snapshot) scan(root Root) error {
	names, err := fs.ReadDir(root.FS, ".")
	if err != nil {
		return fmt.Errorf("%w: model repository %s: %w: name an existing folder of models, or leave it out to use the models that ship", inspection.ErrInvalid, root.Name, err)
	}
	for _, n := range names {
		if !isDir(root.FS, n.Name()) || strings.HasPrefix(n.Name(), ".") {
			continue
		}
		if err := s.scanModel(root, n.Name()); err != nil && s.broken[n.Name()] == nil {
			s.broken[n.Name()] = err
		}
	}
	return nil
}

// scanModel adds the versions of one model folder. Folders that hold no version folder at all (examples, documents) are
// passed over; a name or a version that breaks the rules is reported, for it would otherwise be a model that is silently
// not there.
func (s *snapshot) scanModel(root Root, name string) error {
	dirs, err := fs.ReadDir(root.FS, name)
	if err != nil {
		return fmt.Errorf("model %s in %s: %w", name, root.Name, err)
	}
	for _, d := range dirs {
		dir := path.Join(name, d.Name())
		if !isDir(root.FS, dir) || !holdsModel(root.FS, dir) || s.find(name, d.Name()) >= 0 {
			continue
		}
		s.entries = append(s.entries, found(root, name, d.Name()))
	}
	return nil
}

// found is a version that a root holds.
func found(root Root, name, version string) Entry {
	e := Entry{Name: name, Version: version, Root: root.Name}
	switch {
	case !validName(name):
		e.Err = fmt.Errorf("%w: model folder %s/%s: name %q: use a-z, 0-9, _ and -, and begin with a letter or digit", inspection.ErrInvalid, root.Name, name, name)
	case number(version) < 1:
		e.Err = fmt.Errorf("%w: model folder %s/%s/%s: version %q: use a whole number from 1 on, without leading zeros", inspection.ErrInvalid, root.Name, name, version, version)
	default:
		e.Model, e.Err = load(root, name, version)
	}
	return e
}

// settle marks the active version of name: what was activated last, or where nothing ever was, what the first root with an
// active file says, else the highest version. A broken version can be the active one: a node must not judge with an older
// model because the newer one is damaged. Files that came to lie under the number of the one that was activated are not that version:
// they do not judge until somebody activates them.
func (s *snapshot) settle(name string, roots []Root, acts *record) {
	want, from, err := stated(name, roots)
	note, remedy := "", "write"
	last, ok := acts.last(name)
	if ok {
		if from != "" && want != last.To {
			note = fmt.Sprintf("%s says %q and is not looked at any more: version %s was activated on %s by %s", from, want, last.To, last.At.Format(time.DateTime), last.By)
		}
		want, from, err, remedy = last.To, "the record of activations", nil, "activate"
	}
	switch {
	case err != nil:
		s.broken[name] = err
		return
	case from != "" && want == "":
		s.broken[name] = fmt.Errorf("%w: no version is active: activate one of %s", inspection.ErrInvalid, strings.Join(s.versions(name), ", "))
		return
	}
	best := -1
	for i, e := range s.entries {
		if e.Name == name && (e.Version == want || from == "" && number(e.Version) > 0) {
			best = i // versions ascend
		}
	}
	switch {
	case best >= 0 && last.Digest != "" && s.entries[best].Model != nil && s.entries[best].Model.Ref.Digest != last.Digest:
		err := otherFiles(s.entries[best].Model.Ref, last.Digest, fmt.Sprintf("was activated on %s by %s", last.At.Format(time.DateTime), last.By))
		s.entries[best].Note, s.broken[name] = err.Error(), fmt.Errorf("%w: %w", inspection.ErrInvalid, err)
	case best >= 0:
		s.entries[best].Active, s.entries[best].Note = true, note
	case from != "":
		s.broken[name] = fmt.Errorf("%w: %s says %q, and there is no such version: %s one of %s", inspection.ErrInvalid, from, want, remedy, strings.Join(s.versions(name), ", "))
	}
}

// resettle marks the active version of name anew.
func (s *snapshot) resettle(name string, roots []Root, acts *record) {
	delete(s.broken, name)
	for i := range s.entries {
		if s.entries[i].Name == name {
			s.entries[i].Active, s.entries[i].Note = false, ""
		}
	}
	if len(s.versions(name)) > 0 {
		s.settle(name, roots, acts)
	}
}

// stated is what the first root with an active file says, and the file; "" where there is none.
func stated(name string, roots []Root) (version, file string, err error) {
	for _, root := range roots {
		b, err := fs.ReadFile(root.FS, path.Join(name, ActiveFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		file = path.Join(root.Name, name, ActiveFile)
		if err != nil {
			return "", file, fmt.Errorf("read %s: %w", file, err)
		}
		return strings.TrimSpace(string(b)), file, nil
	}
	return "", "", nil
}

func (s *snapshot) names() []string {
	var names []string
	for _, e := range s.entries {
		if len(names) == 0 || names[len(names)-1] != e.Name {
			names = append(names, e.Name)
		}
	}
	return names
}

// unknown is the error for a version that is not there.
func (s *snapshot) unknown(name, version string, roots []Root) error {
	if vs := s.versions(name); len(vs) > 0 {
		return fmt.Errorf("%w: %s has no version %q; it has %s", inspection.ErrUnknownModel, name, version, strings.Join(vs, ", "))
	}
	names := strings.Join(s.names(), ", ")
	if names == "" {
		names = "none"
	}
	var in []string
	for _, root := range roots {
		in = append(in, root.Name)
	}
	return fmt.Errorf("%w: %q; the models in %s are: %s", inspection.ErrUnknownModel, name, strings.Join(in, ", "), names)
}

// active returns the version of name that is active, "" where none is.
func (s *snapshot) active(name string) string {
	for _, e := range s.entries {
		if e.Name == name && e.Active {
			return e.Version
		}
	}
	return ""
}

// digest returns the digest of a version, "" where there is none or it is broken.
func (s *snapshot) digest(name, version string) string {
	if i := s.find(name, version); i >= 0 && s.entries[i].Model != nil {
		return s.entries[i].Model.Ref.Digest
	}
	return ""
}

func (s *snapshot) find(name, version string) int {
	return slices.IndexFunc(s.entries, func(e Entry) bool { return e.Name == name && e.Version == version })
}

func (s *snapshot) versions(name string) []string {
	var vs []string
	for _, e := range s.entries {
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
