package models

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"

	"github.com/assay-vision/assay/inspection"
)

// Model is one version of one model: a graph and the manifest beside it. It holds no graph bytes and is read-only, so
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
	graph, text, err := m.read()
	if err != nil {
		return nil, err
	}
	m.text = text
	if m.Manifest, err = ParseManifest(path.Join(root.Name, m.dir, ManifestFile), text); err != nil {
		return nil, err
	}
	if len(graph) == 0 {
		return nil, fmt.Errorf("%w: %s is empty: copy the graph again", inspection.ErrInvalid, m.GraphPath())
	}
	m.Ref = inspection.ModelRef{Name: name, Version: version, Digest: digest(graph, text)}
	return m, nil
}

// Text returns the manifest as it was written. The caller must not change it.
func (m *Model) Text() []byte { return m.text }

// GraphPath says where the graph lies, for people: the root's name, then the path within it. Read the graph with Graph.
func (m *Model) GraphPath() string { return path.Join(m.root.Name, m.dir, GraphFile) }

// Graph reads the graph and checks that both files still have the digest that the repository took when it was opened. A
// changed or damaged file is an error that wraps inspection.ErrInvalid. The bytes are the caller's.
func (m *Model) Graph() ([]byte, error) {
	graph, text, err := m.read()
	if err != nil {
		return nil, err
	}
	if got := digest(graph, text); got != m.Ref.Digest {
		return nil, fmt.Errorf("%w: model %s@%s in %s changed on disk: SHA-256 %.12s…, was %.12s… when the repository was opened: restore its files, or give the change a version of its own",
			inspection.ErrInvalid, m.Ref.Name, m.Ref.Version, path.Join(m.root.Name, m.dir), got, m.Ref.Digest)
	}
	return graph, nil
}

func (m *Model) read() (graph, text []byte, err error) {
	if graph, err = m.readFile(GraphFile); err != nil {
		return nil, nil, err
	}
	text, err = m.readFile(ManifestFile)
	return graph, text, err
}

func (m *Model) readFile(name string) ([]byte, error) {
	b, err := fs.ReadFile(m.root.FS, path.Join(m.dir, name))
	if err != nil {
		return nil, fmt.Errorf("%w: model folder %s: %w: it must hold %s and %s", inspection.ErrInvalid, path.Join(m.root.Name, m.dir), err, GraphFile, ManifestFile)
	}
	return b, nil
}

// digest is the SHA-256 over both files of a version: for each its name and its bytes, each after its length as eight
// bytes, big endian, so that no two pairs of files share one.
func digest(graph, manifest []byte) string {
	h := sha256.New()
	for _, f := range []struct {
		name string
		data []byte
	}{{GraphFile, graph}, {ManifestFile, manifest}} {
		for _, b := range [][]byte{[]byte(f.name), f.data} {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(b)))
			h.Write(n[:])
			h.Write(b)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
