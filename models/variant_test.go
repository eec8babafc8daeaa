package models

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/assay-vision/assay/inspection"
)

// withInt8 is a repository with one version that has a second graph.
func withInt8() fstest.MapFS {
	fsys := fstest.MapFS{}
	version(fsys, "pair/1", "floats")
	fsys["pair/1/"+ManifestFile] = &fstest.MapFile{Data: []byte(minimal + "variants: [{name: int8, file: model.int8.onnx}]\n")}
	fsys["pair/1/model.int8.onnx"] = &fstest.MapFile{Data: []byte("bytes")}
	return fsys
}

func TestAVersionMayHaveSeveralGraphs(t *testing.T) {
	fsys := withInt8()
	m, err := open(t, Root{"here", fsys}).Get("pair", "")
	if err != nil {
		t.Fatal(err)
	}
	for variant, want := range map[string]string{"": "floats", DefaultVariant: "floats", "int8": "bytes"} {
		if got, err := m.VariantGraph(variant); err != nil || string(got) != want {
			t.Errorf("variant %q: got %q, %v; want %q", variant, got, err, want)
		}
	}
	if _, err := m.VariantGraph("int4"); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "it has default, int8") {
		t.Errorf("a variant that is not listed: got %v, want ErrInvalid that names the others", err)
	}
	fsys["pair/1/model.int8.onnx"].Data = []byte("Bytes")
	other, err := open(t, Root{"here", fsys}).Get("pair", "")
	if err != nil {
		t.Fatal(err)
	}
	if other.Ref.Digest == m.Ref.Digest {
		t.Error("the digest does not cover the variant's graph")
	}
	if _, err := m.Graph(); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "changed on disk") {
		t.Errorf("the variant changed: got %v, want ErrInvalid that says so", err)
	}
}

func TestAListedGraphMustBeThere(t *testing.T) {
	for name, change := range map[string]func(fstest.MapFS){
		"is missing": func(f fstest.MapFS) { delete(f, "pair/1/model.int8.onnx") },
		"is empty":   func(f fstest.MapFS) { f["pair/1/model.int8.onnx"].Data = nil },
	} {
		fsys := withInt8()
		change(fsys)
		_, err := open(t, Root{"here", fsys}).Get("pair", "")
		if !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), "model.int8.onnx") {
			t.Errorf("%s: got %v, want ErrUnknownModel that names the file", name, err)
		}
	}
}
