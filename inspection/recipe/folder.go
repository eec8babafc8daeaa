package recipe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Revisions keeps every revision of every recipe; the store does. Import records the content under its digest and returns
// the number of the recipe's revision with that content, from 1: the newest one's where the digest is the newest one's
// (so that importing twice changes nothing), else a new number. It does not keep the slices.
type Revisions interface {
	Import(ctx context.Context, name, digest string, yaml []byte, templates []inspection.Template) (revision int, err error)
}

// Folder keeps the recipes of a directory of YAML files in force. Each Scan looks for files that changed. A changed file
// is read once it has been quiet from one scan to the next, for half a file can be a valid recipe; at the first scan every
// file is read at once. A file with a fault keeps the revision before it in force, and so does one that was removed: both
// stand in Status and are logged once.
//
// One goroutine scans; Recipe, Recipes and Status may be called from any.
type Folder struct {
	dir       string
	revisions Revisions
	log       *slog.Logger

	scanned bool             // there was a first scan; like files, the scanning goroutine's own
	files   map[string]*file // by name within dir

	mu     sync.RWMutex // guards what follows
	held   map[string]held
	status []Status
}

// held is a recipe in force and the file that states it.
type held struct {
	recipe *inspection.Recipe
	file   string
}

// Change is a recipe that came into force.
type Change struct {
	File   string // within the directory
	Recipe *inspection.Recipe
}

// Status says how one file, or a recipe in force whose file is gone, stands.
type Status struct {
	File     string // within the directory
	Name     string // the recipe in force from it, empty where there never was one
	Revision int    // of that recipe
	Digest   string // of that recipe
	Error    string // why what the file says now is not in force; empty where it is
	Removed  bool   // no file states the recipe any more; it stays in force as it was
}

// OpenFolder prepares a directory of recipes. Nothing is read before the first Scan.
func OpenFolder(dir string, revisions Revisions, log *slog.Logger) (*Folder, error) {
	if revisions == nil || log == nil {
		return nil, fmt.Errorf("open recipe folder: %w: revisions and log are needed", inspection.ErrInvalid)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open recipe folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open recipe folder: %w: %s is no directory: name the directory that holds the recipe files", inspection.ErrInvalid, dir)
	}
	return &Folder{dir: dir, revisions: revisions, log: log, files: map[string]*file{}, held: map[string]held{}}, nil
}

// Recipe returns the recipe in force under a name.
func (f *Folder) Recipe(name string) (*inspection.Recipe, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	h, ok := f.held[name]
	return h.recipe, ok
}

// Recipes returns the recipes in force, by name.
func (f *Folder) Recipes() []*inspection.Recipe {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := make([]*inspection.Recipe, 0, len(f.held))
	for _, h := range f.held {
		out = append(out, h.recipe)
	}
	slices.SortFunc(out, func(a, b *inspection.Recipe) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Status returns how every file and every recipe in force stood after the last scan, by file.
func (f *Folder) Status() []Status {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.status)
}

// Watch scans every interval until ctx ends and yields what came into force, never an empty slice. A directory that
// cannot be read is logged when it begins and tried again.
func (f *Folder) Watch(ctx context.Context, every time.Duration) iter.Seq[[]Change] {
	return func(yield func([]Change) bool) {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for last := ""; ; {
			changes, err := f.Scan(ctx)
			if ctx.Err() != nil {
				return
			}
			if text := errorText(err); text != last {
				if last = text; err != nil {
					f.log.Error("recipe folder cannot be read; all recipes stay in force as they are", "dir", f.dir, "error", err)
				}
			}
			if len(changes) > 0 && !yield(changes) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}
}

// Scan looks at the directory once and returns what came into force, in the order of the files' names. Its error speaks
// of the directory, or of ctx; a fault of one file stands in Status.
func (f *Folder) Scan(ctx context.Context) ([]Change, error) {
	names, err := f.list()
	if err != nil {
		return nil, fmt.Errorf("scan recipe folder %s: %w", f.dir, err)
	}
	var changes []Change
	for name := range f.files {
		if !slices.Contains(names, name) {
			f.forget(name)
		}
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return changes, fmt.Errorf("scan recipe folder %s: %w", f.dir, err)
		}
		if r := f.look(ctx, name); r != nil {
			changes = append(changes, Change{File: name, Recipe: r})
		}
	}
	f.scanned = true
	f.publish()
	return changes, nil
}

// Withdraw takes a recipe whose file was removed out of force, as if there had never been one: a file that states it again
// brings it back. One that a file states stays. It is the scanning goroutine's to call.
func (f *Folder) Withdraw(recipe string) {
	if h, ok := f.holds(recipe); !ok || f.states(h.file, recipe) {
		return
	}
	f.mu.Lock()
	delete(f.held, recipe)
	f.mu.Unlock()
	f.publish()
}

func (f *Folder) list() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// forget drops a file that is gone; its recipe stays.
func (f *Folder) forget(name string) {
	if recipe := f.files[name].name; recipe != "" {
		f.log.Warn("recipe file was removed; its recipe stays in force as it was", "file", name, "recipe", recipe)
	}
	delete(f.files, name)
}

// look reads a file if it changed and is quiet, and returns its recipe if that came into force.
func (f *Folder) look(ctx context.Context, name string) *inspection.Recipe {
	state := f.files[name]
	if state == nil {
		state = &file{}
		f.files[name] = state
	}
	path := filepath.Join(f.dir, name)
	now := stampOf(path, state.folder)
	quiet := now == state.seen
	state.seen = now
	switch {
	case f.scanned && !quiet:
		state.settled = false
		return nil
	case state.settled && (state.rival == "" || f.states(state.rival, state.claim)):
		return nil
	}
	// A first scan reads files that may be written to this very moment: the next one reads them again.
	state.settled = f.scanned
	r, data, folder, err := load(path)
	if err != nil && folder == "" {
		folder = state.folder // a file that cannot be read says nothing of it
	}
	if folder != state.folder {
		state.folder, state.settled = folder, false
	}
	if f.scanned && stampOf(path, folder) != now {
		state.settled = false // it changed while it was read, or names another folder, which has to be quiet too
		return nil
	}
	state.rival = ""
	if err != nil {
		f.fault(name, state, err)
		return nil
	}
	return f.enforce(ctx, name, state, r, data)
}

// enforce brings a parsed recipe into force if it is another than the one that is.
func (f *Folder) enforce(ctx context.Context, name string, state *file, r *inspection.Recipe, data []byte) *inspection.Recipe {
	before, ok := f.holds(r.Name)
	if ok && before.file != name && f.states(before.file, r.Name) {
		f.fault(name, state, fmt.Errorf("%w: %s states the recipe %q already: give it another name or remove one of the files", inspection.ErrInvalid, before.file, r.Name))
		state.rival, state.claim = before.file, r.Name
		return nil
	}
	if ok && before.recipe.Digest == r.Digest {
		f.hold(r.Name, held{recipe: before.recipe, file: name})
		state.name, state.fault = r.Name, ""
		return nil
	}
	revision, err := f.revisions.Import(ctx, r.Name, r.Digest, data, Templates(r))
	if err != nil {
		f.fault(name, state, fmt.Errorf("import recipe %s: %w", r.Name, err))
		state.settled = false // nothing is wrong with the file: try again at the next scan
		return nil
	}
	r.Revision = revision
	f.hold(r.Name, held{recipe: r, file: name})
	state.name, state.fault = r.Name, ""
	f.log.Info("recipe file read", "recipe", r.Name, "revision", revision, "file", name, "digest", r.Digest)
	return r
}

// states reports whether a file that is still there states the recipe now.
func (f *Folder) states(name, recipe string) bool {
	state := f.files[name]
	return state != nil && state.name == recipe
}

func (f *Folder) fault(name string, state *file, err error) {
	text := err.Error()
	if state.fault == text {
		return
	}
	state.fault = text
	f.log.Error("recipe file is not taken; what was in force stays in force", "file", name, "recipe", state.name, "error", text)
}

func (f *Folder) holds(name string) (held, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	h, ok := f.held[name]
	return h, ok
}

func (f *Folder) hold(name string, h held) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[name] = h
}

// publish writes the status: one row a file, and one for every recipe that no file states any more.
func (f *Folder) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = f.status[:0:0]
	for name, state := range f.files {
		s := Status{File: name, Error: state.fault}
		if h, ok := f.held[state.name]; ok && h.file == name {
			s.Name, s.Revision, s.Digest = h.recipe.Name, h.recipe.Revision, h.recipe.Digest
		}
		f.status = append(f.status, s)
	}
	for name, h := range f.held {
		if !f.states(h.file, name) {
			f.status = append(f.status, Status{File: h.file, Name: name, Revision: h.recipe.Revision, Digest: h.recipe.Digest, Removed: true})
		}
	}
	slices.SortFunc(f.status, func(a, b Status) int {
		return strings.Compare(a.File+"\x00"+a.Name, b.File+"\x00"+b.Name)
	})
}

func errorText(err error) string {
	if err == nil || errors.Is(err, context.Canceled) {
		return ""
	}
	return err.Error()
}
