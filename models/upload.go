package models

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Upload is a version on its way into the repository. It lies in a folder of its own, which nobody looks at, until Commit has
// found everything right. Close must be called; it leaves nothing of an upload that was not committed. An Upload belongs to one
// goroutine.
type Upload struct {
	repository    *Repository
	name, version string
	root          string // the folder of the upload; the files lie in <root>/<name>/<version>, as in a repository
	files         []string
	free          int64 // bytes that may still come
	file          *incoming
}

// maxFiles is how many files an upload may bring: three for each golden picture, the manifest, and a few graphs.
const maxFiles = 3*maxGoldenPictures + 16

// incoming is the file that is being received.
type incoming struct {
	name string
	out  *os.File
	sum  hash.Hash
	want string // SHA-256, hexadecimal
	left int64  // bytes that are still to come
}

// Begin begins an upload. The error wraps inspection.ErrInvalid (no name or version), ErrRefused (a read-only repository),
// ErrOverloaded (too many at the same time) or ErrDiskFull.
func (r *Repository) Begin(name, version string) (*Upload, error) {
	switch {
	case r.writable == nil:
		return nil, errReadOnly
	case !validName(name) || len(name) > inspection.MaxName:
		return nil, fmt.Errorf("%w: name %.80q: use a-z, 0-9, _ and -, and begin with a letter or digit", inspection.ErrInvalid, name)
	case number(version) < 1:
		return nil, fmt.Errorf("%w: version %.40q: use a whole number from 1 on, without leading zeros", inspection.ErrInvalid, version)
	}
	select {
	case r.writable.uploads <- struct{}{}:
	default:
		return nil, fmt.Errorf("%w: %d versions are being uploaded: wait for one to end", inspection.ErrOverloaded, maxUploads)
	}
	u := &Upload{repository: r, name: name, version: version, free: r.writable.MaxBytes}
	var err error
	if u.root, err = os.MkdirTemp(r.writable.Dir, uploadPrefix); err == nil {
		err = os.MkdirAll(u.dir(), 0o750)
	}
	if err != nil {
		return nil, errors.Join(unwritable("begin the upload", err), u.Close())
	}
	return u, nil
}

func (u *Upload) dir() string { return filepath.Join(u.root, u.name, u.version) }

// File begins the next file: its path within the version's folder, its size in bytes and its SHA-256, hexadecimal. The one before
// must be whole. Errors wrap inspection.ErrInvalid or ErrDiskFull.
func (u *Upload) File(name string, size int64, sha string) error {
	if err := u.finish(); err != nil {
		return err
	}
	switch {
	case !ValidFile(name):
		return fmt.Errorf("%w: file %.80q: want a path within the version's folder, at most one folder deep, of letters, digits, dots, _ and -", inspection.ErrInvalid, name)
	case slices.Contains(u.files, name):
		return fmt.Errorf("%w: file %s is sent twice", inspection.ErrInvalid, name)
	case size < 1 || size > u.free:
		return fmt.Errorf("%w: file %s has %d bytes: want 1 to %d, for a version may have %d (models.upload_bytes)", inspection.ErrInvalid, name, size, u.free, u.repository.writable.MaxBytes)
	case len(u.files) >= maxFiles:
		return fmt.Errorf("%w: file %s is one too many: no version has so many files", inspection.ErrInvalid, name)
	}
	if path.Ext(name) == ".onnx" {
		if err := CheckGraphSize(size); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
	}
	at := filepath.Join(u.dir(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o750); err != nil {
		return unwritable("write "+name, err)
	}
	out, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return unwritable("write "+name, err)
	}
	u.files, u.free = append(u.files, name), u.free-size
	u.file = &incoming{name: name, out: out, sum: sha256.New(), want: strings.ToLower(sha), left: size}
	return nil
}

// Write takes the next bytes of the file. Errors wrap inspection.ErrInvalid or ErrDiskFull.
func (u *Upload) Write(b []byte) (int, error) {
	f := u.file
	switch {
	case f == nil:
		return 0, fmt.Errorf("%w: bytes that belong to no file: name the file first", inspection.ErrInvalid)
	case int64(len(b)) > f.left:
		return 0, fmt.Errorf("%w: file %s: more bytes came than its size says", inspection.ErrInvalid, f.name)
	}
	n, err := f.out.Write(b)
	f.sum.Write(b[:n])
	f.left -= int64(n)
	if err != nil {
		return n, unwritable("write "+f.name, err)
	}
	return n, nil
}

// finish checks the file that was received and puts it on disk.
func (u *Upload) finish() error {
	f := u.file
	if f == nil {
		return nil
	}
	u.file = nil
	err := f.out.Sync()
	if cerr := f.out.Close(); err == nil {
		err = cerr
	}
	got := hex.EncodeToString(f.sum.Sum(nil))
	switch {
	case err != nil:
		return unwritable("write "+f.name, err)
	case f.left > 0:
		return fmt.Errorf("%w: file %s: %d bytes are missing: send it again", inspection.ErrInvalid, f.name, f.left)
	case got != f.want:
		return fmt.Errorf("%w: file %s: SHA-256 is %s, want %.64q: it was damaged on its way: send it again", inspection.ErrInvalid, f.name, got, f.want)
	}
	return nil
}

// Commit checks the version and brings it into the repository, where it is known from then on and not active. A version that
// is there already with the same digest is no error: existed is true. Errors wrap inspection.ErrInvalid, ErrExists (there is
// another one of that name), ErrRefused or ErrDiskFull; the repository is unchanged then.
func (u *Upload) Commit() (ref inspection.ModelRef, existed bool, err error) {
	if err := u.finish(); err != nil {
		return ref, false, err
	}
	m, err := u.check()
	if err != nil {
		return ref, false, err
	}
	existed, err = u.repository.install(u, m)
	return m.Ref, existed, err
}

// check reads what was uploaded as a version of a repository would be.
func (u *Upload) check() (*Model, error) {
	for _, name := range []string{ManifestFile, GraphFile} {
		if !slices.Contains(u.files, name) {
			return nil, fmt.Errorf("%w: %s was not sent: a version needs %s and %s", inspection.ErrInvalid, name, GraphFile, ManifestFile)
		}
	}
	text, err := os.ReadFile(filepath.Join(u.dir(), ManifestFile))
	if err != nil {
		return nil, unwritable("read what was sent", err)
	}
	manifest, err := ParseManifest(ManifestFile, text)
	if err != nil {
		return nil, err
	}
	listed := manifest.Files()
	for _, name := range listed {
		if !slices.Contains(u.files, name) {
			return nil, fmt.Errorf("%w: %s was not sent, and the manifest lists it", inspection.ErrInvalid, name)
		}
	}
	for _, name := range u.files {
		if !slices.Contains(listed, name) {
			return nil, fmt.Errorf("%w: the manifest does not list %s: leave it out", inspection.ErrInvalid, name)
		}
	}
	m, err := load(Root{Name: "upload", FS: os.DirFS(u.root)}, u.name, u.version)
	if err != nil {
		return nil, err
	}
	return m, u.checkGraphs(m)
}

// checkGraphs refuses graphs that no node takes, before any runtime sees them.
func (u *Upload) checkGraphs(m *Model) error {
	for _, name := range m.Manifest.Files() {
		if path.Ext(name) != ".onnx" {
			continue
		}
		b, err := m.File(name)
		if err != nil {
			return err
		}
		if _, err := CheckGraph(b); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
	}
	return nil
}

// Close removes what was not committed.
func (u *Upload) Close() error {
	if u.repository == nil {
		return nil
	}
	var errs []error
	if u.file != nil {
		errs = append(errs, u.file.out.Close())
	}
	if u.root != "" {
		errs = append(errs, os.RemoveAll(u.root))
	}
	<-u.repository.writable.uploads
	u.repository = nil
	return errors.Join(errs...)
}

// install moves a version that was found right to its place. A model's first push makes a record of what is active, which by
// default would be the highest version from the next start on.
func (r *Repository) install(u *Upload, m *Model) (existed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, w := r.now.Load(), r.writable
	if i := now.find(u.name, u.version); i >= 0 {
		e := now.entries[i]
		switch {
		case e.Model != nil && e.Model.Ref.Digest == m.Ref.Digest:
			return true, nil
		case e.Model != nil:
			return false, fmt.Errorf("%w: %s@%s has other files (digest %.12s…, these have %.12s…): a version that is there is never changed, so give this one a number of its own", inspection.ErrExists, u.name, u.version, e.Model.Ref.Digest, m.Ref.Digest)
		}
		return false, fmt.Errorf("%w: %s@%s is there and broken: remove it first", inspection.ErrExists, u.name, u.version)
	}
	if _, recorded := w.record.last(u.name); !recorded {
		keep := Activation{Model: u.name, Act: ActKeep, To: now.active(u.name), At: time.Now().UTC(), By: "the node", Reason: fmt.Sprintf("version %s is pushed, which activates nothing", u.version)}
		keep.Digest = now.digest(u.name, keep.To)
		keep.From, keep.FromDigest = keep.To, keep.Digest
		if err := w.record.add(keep); err != nil {
			return false, err
		}
	}
	if err := w.place(u); err != nil {
		return false, unwritable("bring the version to its place", err)
	}
	m.root = w.root
	next := now.clone()
	next.entries = append(next.entries, Entry{Name: u.name, Version: u.version, Root: w.root.Name, Model: m})
	next.sort()
	next.resettle(u.name, r.roots, w.record)
	r.now.Store(next)
	return false, nil
}

// place renames the folder of an upload, which is on disk, to that of its version, and makes the names durable.
func (w *writable) place(u *Upload) error {
	dirs := []string{u.dir()}
	for _, name := range u.files {
		if d := filepath.Dir(filepath.Join(u.dir(), filepath.FromSlash(name))); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	home := filepath.Join(w.Dir, u.name)
	if err := os.MkdirAll(home, 0o750); err != nil {
		return err
	}
	at := filepath.Join(home, u.version)
	if err := os.Rename(u.dir(), at); err != nil {
		return err
	}
	if err := errors.Join(syncDir(home), syncDir(w.Dir)); err != nil {
		return errors.Join(err, os.RemoveAll(at))
	}
	return nil
}
