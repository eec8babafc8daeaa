package ort

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/models"
)

func number(n, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, n<<3), value)
}

// identity is a graph that copies a picture, in a version of the file format, and of an operator domain beside ai.onnx's 17.
func identity(ir uint64, domain string, version uint64) []byte {
	tensor := func(n uint64, name string) []byte {
		shape := bytes.Repeat(field(1, number(1, 3)), 4)
		return field(n, append(field(1, []byte(name)), field(2, field(1, append(number(1, 1), field(2, shape)...)))...))
	}
	node := field(1, bytes.Join([][]byte{field(1, []byte("x")), field(2, []byte("y")), field(4, []byte("Identity"))}, nil))
	parts := [][]byte{number(1, ir), field(7, bytes.Join([][]byte{node, field(2, []byte("g")), tensor(11, "x"), tensor(12, "y")}, nil))}
	if domain != "" {
		parts = append(parts, field(8, number(2, 17)))
	}
	return bytes.Join(append(parts, field(8, append(field(1, []byte(domain)), number(2, version)...))), nil)
}

// TestModelsKnowWhatTheLibraryLoads holds the limits of models.CheckGraph against the installed ONNX Runtime: what it takes is
// loaded, and then only disagrees with the manifest, and one version more is not.
func TestModelsKnowWhatTheLibraryLoads(t *testing.T) {
	r := newRuntime(t, Config{})
	defer func() { _ = r.Close() }()
	for _, c := range []struct {
		name  string
		graph func(more uint64) []byte
	}{
		{"format", func(more uint64) []byte { return identity(13+more, "", 17) }},
		{"ai.onnx", func(more uint64) []byte { return identity(8, "", 25+more) }},
		{"ai.onnx.ml", func(more uint64) []byte { return identity(8, "ai.onnx.ml", 5+more) }},
		{"com.microsoft", func(more uint64) []byte { return identity(8, "com.microsoft", 1+more) }},
	} {
		for more, want := range []bool{true, false} {
			graph := c.graph(uint64(more))
			_, err := r.Open(t.Context(), withGraph(t, shipped(t), graph), inference.Opening{Leases: 1})
			if err == nil {
				t.Fatalf("%s: the manifest of another graph was taken", c.name)
			}
			if loaded := strings.Contains(err.Error(), "manifest and graph disagree"); loaded != want {
				t.Errorf("%s, %d above the limit: loaded: %v, want %v: %v", c.name, more, loaded, want, err)
			}
			if _, err := models.CheckGraph(graph); (err == nil) != want {
				t.Errorf("%s, %d above the limit: CheckGraph: %v, want one: %v", c.name, more, err, !want)
			}
		}
	}
}
