package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Writable says where a repository keeps what is pushed and activated.
type Writable struct {
	Dir      string // the folder of what is pushed, looked at before all others; made when it is missing
	Record   string // the file of activations, in a folder that exists
	MaxBytes int64  // of one version's files together
}

// writable is the part of a repository that changes.
type writable struct {
	Writable
	root    Root
	record  *record
	uploads chan struct{} // a place for each upload under way
}

// maxUploads is how many versions may be uploaded at the same time.
const maxUploads = 4

// What lies in the folder of models and is none: hidden, so that no scan takes it for one.
const (
	uploadPrefix  = ".upload-"
	removedPrefix = ".removed-"
)

// OpenWritable is Open for a repository whose first root can be changed, with roots behind it. It removes what uploads and
// removals left that were cut off.
func OpenWritable(w Writable, roots ...Root) (*Repository, error) {
	if err := os.MkdirAll(w.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the model repository: %w", err)
	}
	acts, err := openRecord(w.Record)
	if err != nil {
		return nil, err
	}
	out := &writable{Writable: w, root: Dir(w.Dir), record: acts, uploads: make(chan struct{}, maxUploads)}
	if err := out.tidy(); err != nil {
		return nil, err
	}
	r := &Repository{roots: append([]Root{out.root}, roots...), writable: out}
	return r, r.read()
}

// tidy removes leftovers. In a folder that is not ours to write there are none of ours.
func (w *writable) tidy() error {
	entries, err := os.ReadDir(w.Dir)
	if err != nil {
		return fmt.Errorf("%w: model repository: %w", inspection.ErrInvalid, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), uploadPrefix) && !strings.HasPrefix(e.Name(), removedPrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(w.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
			return fmt.Errorf("remove what an upload left: %w", err)
		}
	}
	return nil
}

var errReadOnly = fmt.Errorf("%w: this repository is read-only", inspection.ErrRefused)

// Activate makes a version the active one: first in the record, durably, then for Get. a says which (Model, To), by whom and
// why; the rest is filled in and returned. A version that somebody activated and that still is active is left as it is, and nothing
// is recorded: changed is false. The error wraps inspection.ErrUnknownModel, ErrRefused or ErrDiskFull, and nothing has changed then.
func (r *Repository) Activate(a Activation) (done Activation, changed bool, err error) {
	if r.writable == nil {
		return a, false, errReadOnly
	}
	m, err := r.Get(a.Model, a.To)
	if err != nil {
		return a, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now.Load()
	last, recorded := r.writable.record.last(a.Model)
	if recorded && last.Act != ActKeep && last.To == a.To && now.active(a.Model) == a.To {
		return last, false, nil
	}
	if now.find(a.Model, a.To) < 0 { // removed in between
		return a, false, now.unknown(a.Model, a.To, r.roots)
	}
	a.From, a.Digest, a.At = now.active(a.Model), m.Ref.Digest, time.Now().UTC()
	a.FromDigest = now.digest(a.Model, a.From)
	if err := r.writable.record.add(a); err != nil {
		return a, false, err
	}
	next := now.clone()
	next.resettle(a.Model, r.roots, r.writable.record)
	r.now.Store(next)
	return a, true, nil
}

// Before returns the version of a model that was active before the present one. The error wraps inspection.ErrUnknownModel,
// or ErrRefused where none was, or where other files have come to lie under its number.
func (r *Repository) Before(name string) (string, error) {
	s := r.now.Load()
	if len(s.versions(name)) == 0 {
		return "", s.unknown(name, "", r.roots)
	}
	r.mu.Lock()
	version, digest := r.acts().before(name)
	r.mu.Unlock()
	if version == "" {
		return "", fmt.Errorf("%w: no version of %s was active before the present one: activate one by its number", inspection.ErrRefused, name)
	}
	m, err := r.Get(name, version)
	if err != nil {
		return "", err
	}
	if digest != "" && m.Ref.Digest != digest {
		return "", fmt.Errorf("%w: %w", inspection.ErrRefused, otherFiles(m.Ref, digest, "was active before the present one"))
	}
	return version, nil
}

// otherFiles says that a version is not the one that the record means.
func otherFiles(now inspection.ModelRef, recorded, what string) error {
	return fmt.Errorf("%s@%s with the digest %.12s… %s, and what lies there now has %.12s…: activate %s@%s if that shall judge, or remove it and push the one that was recorded",
		now.Name, now.Version, recorded, what, now.Digest, now.Name, now.Version)
}

// History returns the recorded activations of a model, or with "" of all, the latest first.
func (r *Repository) History(name string) []Activation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writable == nil {
		return nil
	}
	var out []Activation
	for _, a := range slices.Backward(r.writable.record.list) {
		if name == "" || a.Model == name {
			out = append(out, a)
		}
	}
	return out
}

// Remove removes a version, which must have been pushed. The active one is removed only where there is no other that could be: it is
// recorded then that none is active. The error wraps inspection.ErrUnknownModel or ErrRefused.
func (r *Repository) Remove(name, version string) error {
	if r.writable == nil {
		return errReadOnly
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, w := r.now.Load(), r.writable
	i := now.find(name, version)
	switch {
	case i < 0:
		return now.unknown(name, version, r.roots)
	case now.entries[i].Active && len(now.versions(name)) > 1:
		return fmt.Errorf("%w: %s@%s is the active version: activate another one first", inspection.ErrRefused, name, version)
	case now.entries[i].Root != w.root.Name:
		return fmt.Errorf("%w: %s@%s is part of the program or lies in another folder than what is pushed: it cannot be removed", inspection.ErrRefused, name, version)
	}
	if now.entries[i].Active {
		var err error
		if now, err = r.deactivate(now, name); err != nil {
			return err
		}
	}
	gone, err := os.MkdirTemp(w.Dir, removedPrefix)
	if err != nil {
		return unwritable("remove the version", err)
	}
	home := filepath.Join(w.Dir, name)
	if err := os.Rename(filepath.Join(home, version), filepath.Join(gone, version)); err != nil {
		return errors.Join(unwritable("remove the version", err), os.Remove(gone))
	}
	next := now.clone()
	next.entries = slices.Delete(next.entries, i, i+1)
	for _, root := range r.roots[1:] { // one that it hid
		if dir := name + "/" + version; next.find(name, version) < 0 && isDir(root.FS, dir) && holdsModel(root.FS, dir) {
			next.entries = append(next.entries, found(root, name, version))
		}
	}
	next.sort()
	next.resettle(name, r.roots, w.record)
	r.now.Store(next)
	_ = os.Remove(home) // where it is empty now
	if err := errors.Join(syncDir(home), os.RemoveAll(gone)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable("remove the version's files", err)
	}
	return nil
}

// deactivate records that no version of a model is active any more, puts that into force, and returns it. Repository.mu is held.
func (r *Repository) deactivate(now *snapshot, name string) (*snapshot, error) {
	from := now.active(name)
	a := Activation{Model: name, Act: ActRemove, From: from, FromDigest: now.digest(name, from), At: time.Now().UTC(), By: "the node", Reason: fmt.Sprintf("version %s is removed, the only one", from)}
	if err := r.writable.record.add(a); err != nil {
		return nil, err
	}
	next := now.clone()
	next.resettle(name, r.roots, r.writable.record)
	r.now.Store(next)
	return next, nil
}

// unwritable says what to do about a fault of the disk. Its paths stay inside.
func unwritable(doing string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: %w", doing, inspection.ErrDiskFull, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w: the node may not write there: let its user write into the folder of models (models.dir) and into the data directory", doing, inspection.ErrRefused)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// syncDir makes names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
