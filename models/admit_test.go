package models

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// message writes a length-delimited protobuf field.
func message(number uint64, parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|2), uint64(len(b))), b...)
}

func varint(number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, number<<3), value)
}

// graphOf is a file with one input of an element type and a number of axes, and what else is given of the graph.
func graphOf(elem uint64, axes int, inGraph ...[]byte) []byte {
	shape := bytes.Repeat(message(1, varint(1, 3)), axes)
	input := message(11, message(1, []byte("x")), message(2, message(1, varint(1, elem), message(2, shape))))
	return message(7, append(inGraph, input)...)
}

func imports(domain string, version uint64) []byte {
	return message(8, message(1, []byte(domain)), varint(2, version))
}

func operator(domain, name string) []byte {
	return message(1, message(4, []byte(name)), message(7, []byte(domain)))
}

func TestCheckGraphTakesWhatNodesRun(t *testing.T) {
	for name, graph := range map[string][]byte{
		"float32":                            append(imports("", 25), graphOf(1, 4)...),
		"without batch":                      append(imports("", 17), graphOf(1, 3)...),
		"uint8":                              append(imports("", 7), graphOf(2, 4)...),
		"the format":                         append(append(varint(1, 13), imports("", 25)...), graphOf(1, 4)...),
		"ai.onnx.ml":                         append(imports("ai.onnx.ml", 5), graphOf(1, 4, operator("ai.onnx.ml", "Scaler"))...),
		"contrib":                            append(imports("com.microsoft", 1), graphOf(1, 4, operator("com.microsoft", "QLinearAdd"))...),
		"its own":                            append(append(imports("", 18), message(25, message(1, []byte("Fn")), message(10, []byte("mine")))...), graphOf(1, 4, operator("mine", "Fn"))...),
		"its own, by a name that ONNX lacks": append(append(imports("", 18), message(25, message(1, []byte("Fn")), message(7, message(4, []byte("Relu"))))...), graphOf(1, 4, operator("", "Fn"))...),
		"of old exporters":                   append(imports("", 7), graphOf(1, 4, operator("", "ImageScaler"), operator("ai.onnx", "Upsample"))...),
		"of the newest opset":                append(imports("", 25), graphOf(1, 4, operator("", "RotaryEmbedding"), operator("", "Attention"))...),
		"unused imports":                     append(append(imports("", 17), imports("org.example", 99)...), graphOf(1, 4)...),
	} {
		if m, err := CheckGraph(graph); err != nil || len(m.Inputs) != 1 {
			t.Errorf("%s: got %v, %v; want no error", name, m, err)
		}
	}
}

func TestCheckGraphRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		graph []byte
		wants []string
	}{
		{"no graph", []byte("hello"), []string{"no ONNX graph", "copy it again"}},
		{"new format", append(append(varint(1, 14), imports("", 17)...), graphOf(1, 4)...), []string{"ir_version 14", "up to 13"}},
		{"new opset", append(imports("ai.onnx", 26), graphOf(1, 4)...), []string{"opset 26 of ai.onnx", "opset_version=25"}},
		{"new ml opset", append(imports("ai.onnx.ml", 6), graphOf(1, 4)...), []string{"opset 6 of ai.onnx.ml", "up to 5"}},
		{"custom operator", append(imports("", 17), graphOf(1, 4, operator("mmdeploy", "NMSRotated"))...), []string{`"mmdeploy.NMSRotated"`, "standard operators"}},
		{"a plug-in in the standard domain", append(imports("", 17), graphOf(1, 4, operator("", "EfficientNMS_TRT"))...), []string{`"EfficientNMS_TRT"`, "standard operators"}},
		{"one by the other name of the domain", append(imports("ai.onnx", 17), graphOf(1, 4, operator("ai.onnx", "GridSampler"))...), []string{`"GridSampler"`}},
		{"one of ai.onnx.ml", append(imports("ai.onnx.ml", 3), graphOf(1, 4, operator("ai.onnx.ml", "Forest"))...), []string{`"ai.onnx.ml.Forest"`}},
		{"a standard name in another domain", append(imports("", 17), graphOf(1, 4, operator("ai.onnx.ml", "Relu"))...), []string{`"ai.onnx.ml.Relu"`}},
		{
			"the standard domain in a subgraph", append(imports("", 17), graphOf(1, 4, message(1, message(4, []byte("If")), message(5, message(6, operator("", "Magic")))))...),
			[]string{`"Magic"`},
		},
		{
			"the standard domain in a function", append(append(imports("", 18), message(25, message(1, []byte("Fn")), message(10, []byte("mine")), message(7, message(4, []byte("Magic"))))...), graphOf(1, 4, operator("mine", "Fn"))...),
			[]string{`"Magic"`},
		},
		{"newer than the opset that is known", append(imports("", 25), graphOf(1, 4, operator("", "SwiGLU"))...), []string{`"SwiGLU"`}},
		{"contrib for GPUs", append(imports("", 17), graphOf(1, 4, operator("com.microsoft", "GroupNorm"))...), []string{`"com.microsoft.GroupNorm"`}},
		{
			"in a subgraph", append(imports("", 17), graphOf(1, 4, message(1, message(4, []byte("If")), message(5, message(6, operator("org.example", "Magic")))))...),
			[]string{`"org.example.Magic"`},
		},
		{"many", append(imports("", 17), graphOf(1, 4, operator("x", "A"), operator("x", "B"), operator("x", "C"), operator("x", "D"), operator("x", "E"), operator("x", "F"), operator("x", "G"))...), []string{`"x.E", 2 more`}},
		{"external data", append(imports("", 17), graphOf(1, 4, message(5, message(8, []byte("w")), varint(14, 1)))...), []string{`other files: "w"`, "one file"}},
		{"half", append(imports("", 17), graphOf(10, 4)...), []string{`no picture input`, `"x" float16 [3 3 3 3]`, "half=False"}},
		{"two axes", append(imports("", 17), graphOf(1, 2)...), []string{`"x" float32 [3 3]`, "with its picture as input"}},
		{"no input", append(imports("", 17), message(7)...), []string{"the graph's inputs are none"}},
		{"all at once", append(imports("", 26), graphOf(10, 4, operator("x", "A"))...), []string{"opset 26", `"x.A"`, "no picture input"}},
	} {
		m, err := CheckGraph(c.graph)
		if !errors.Is(err, inspection.ErrInvalid) || m != nil {
			t.Errorf("%s: got %v, %v; want ErrInvalid alone", c.name, m, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v\nwant %s in it", c.name, err, want)
			}
		}
	}
	if err := CheckGraphSize(MaxGraph + 1); !errors.Is(err, inspection.ErrInvalid) || CheckGraphSize(MaxGraph) != nil {
		t.Errorf("one byte above MaxGraph: got %v, want ErrInvalid; MaxGraph itself: none", err)
	}
}

// TestWhatShippedGraphsSay compares the reader with what ONNX Runtime says of the graph that ships.
func TestWhatShippedGraphsSay(t *testing.T) {
	data, err := shipped.ReadFile("pcb-pair/1/" + GraphFile)
	if err != nil {
		t.Fatal(err)
	}
	m, err := CheckGraph(data)
	if err != nil {
		t.Fatal(err)
	}
	manifest := parseFile(t, "pcb-pair/1/"+ManifestFile)
	if err := manifest.Check(InfoOf(m)); err != nil {
		t.Errorf("got %v, want a graph that fits its manifest", err)
	}
}
