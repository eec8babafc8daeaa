package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Model is one version of one model: a graph, the manifest beside it, and other graphs that it lists. It holds no graph bytes and is read-only, so
// goroutines may share it.
type Model struct {
	Ref      inspection.ModelRef
	Manifest Manifest

	root Root
	dir  string // within root, slash-separated
	text []byte
}

// load reads one version folder, checks its manifest and takes its digest.
func load(root Root, name, version string) (*Model, error) {
	m := &Model{root: root, dir: path.Join(name, version)}
	var err error
	if m.text, err = m.readFile(ManifestFile); err != nil {
		return nil, err
	}
	if m.Manifest, err = ParseManifest(path.Join(root.Name, m.dir, ManifestFile), m.text); err != nil {
		return nil, err
	}
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		switch {
		case f.name == ManifestFile && !bytes.Equal(f.data, m.text):
			return nil, fmt.Errorf("%w: %s changed while it was read: start again", inspection.ErrInvalid, path.Join(root.Name, m.dir, f.name))
		case len(f.data) == 0:
			return nil, fmt.Errorf("%w: %s is empty: copy it again", inspection.ErrInvalid, path.Join(root.Name, m.dir, f.name))
		}
	}
	m.Ref = inspection.ModelRef{Name: name, Version: version, Digest: digest(files)}
	return m, nil
}

// Text returns the manifest as it was written. The caller must not change it.
func (m *Model) Text() []byte { return m.text }

// GraphPath says where the graph lies, for people: the root's name, then the path within it. Read a graph with Graph.
func (m *Model) GraphPath() string { return path.Join(m.root.Name, m.dir, GraphFile) }

// Graph reads model.onnx; see VariantGraph.
func (m *Model) Graph() ([]byte, error) { return m.VariantGraph(DefaultVariant) }

// VariantGraph reads the graph of a variant; "" is DefaultVariant. It checks that all files of the version still have the
// digest that the repository took when it was opened. A changed or damaged file, or a variant that the manifest does not
// list, is an error that wraps inspection.ErrInvalid. The bytes are the caller's.
func (m *Model) VariantGraph(variant string) ([]byte, error) {
	want := GraphFile
	if variant != "" && variant != DefaultVariant {
		i := slices.IndexFunc(m.Manifest.Variants, func(v Variant) bool { return v.Name == variant })
		if i < 0 {
			return nil, fmt.Errorf("%w: model %s@%s has no variant %q; it has %s", inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, variant, strings.Join(m.Manifest.VariantNames(), ", "))
		}
		want = m.Manifest.Variants[i].File
	}
	return m.File(want)
}

// File reads a file of the version by its path, one of Manifest.Files. It checks what VariantGraph does. The bytes are the
// caller's.
func (m *Model) File(name string) ([]byte, error) {
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	if got := digest(files); got != m.Ref.Digest {
		return nil, fmt.Errorf("%w: model %s@%s in %s changed on disk: SHA-256 %.12s…, was %.12s… when the repository was opened: restore its files, or give the change a version of its own",
			inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, path.Join(m.root.Name, m.dir), got, m.Ref.Digest)
	}
	i := slices.IndexFunc(files, func(f file) bool { return f.name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: the manifest of model %s@%s lists no file %q", inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, name)
	}
	return files[i].data, nil
}

// file is one file of a version.
type file struct {
	name string
	data []byte
}

// files reads all files of the version, in the order of Manifest.Files.
func (m *Model) files() ([]file, error) {
	var out []file
	for _, name := range m.Manifest.Files() {
		data, err := m.readFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, file{name, data})
	}
	return out, nil
}

func (m *Model) readFile(name string) ([]byte, error) {
	at := path.Join(m.dir, name)
	if strings.HasSuffix(name, ".onnx") || name == ManifestFile {
		return m.read(at)
	}
	if info, err := fs.Stat(m.root.FS, at); err == nil && info.Size() > maxGoldenFile {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than the %d that a file of a golden set may have: take a smaller picture", inspection.ErrInvalid, path.Join(m.root.Name, at), info.Size(), maxGoldenFile)
	}
	return m.read(at)
}

func (m *Model) read(at string) ([]byte, error) {
	b, err := fs.ReadFile(m.root.FS, at)
	if err != nil {
		return nil, fmt.Errorf("%w: model folder %s: %w: it must hold %s, %s, and the variants and golden pictures that the manifest lists", inspection.ErrInvalid, path.Join(m.root.Name, m.dir), err, GraphFile, ManifestFile)
	}
	return b, nil
}

// digest is the SHA-256 over the files of a version: for each its name and its bytes, each after its length as eight
// bytes, big endian, so that no two versions with other files share one.
func digest(files []file) string {
	h := sha256.New()
	for _, f := range files {
		for _, b := range [][]byte{[]byte(f.name), f.data} {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(b)))
			h.Write(n[:])
			h.Write(b)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
