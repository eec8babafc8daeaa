package onnx

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// body writes a length-delimited field whose body is all parts together, num a number.
func body(number uint64, parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	out := binary.AppendUvarint(nil, number<<3|wireBody)
	return append(binary.AppendUvarint(out, uint64(len(all))), all...)
}

func num(number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|wireVarint), value)
}

func text(number uint64, s string) []byte { return body(number, []byte(s)) }

func value(number uint64, name string, elem uint64, dims ...[]byte) []byte {
	var shape []byte
	for _, d := range dims {
		shape = append(shape, body(1, d)...)
	}
	return body(number, text(1, name), body(2, body(1, num(1, elem), body(2, shape))))
}

func nodeOf(op, domain, in, out string, attributes ...[]byte) []byte {
	n := append(text(1, in), text(2, out)...)
	n = append(append(n, text(4, op)...), text(7, domain)...)
	for _, a := range attributes {
		n = append(n, body(5, a)...)
	}
	return body(1, n)
}

var opset = body(8, num(2, 17))

func TestReadSaysWhatTheFileSays(t *testing.T) {
	inner := body(6, nodeOf("Inner", "ai.onnx", "", ""), value(11, "not an input", 1))
	graph := body(7,
		value(11, "x", 1, text(2, "batch"), num(1, 3), num(1, 0), nil),
		value(11, "w", 1, num(1, 4)), // names an initialiser
		value(11, "mask", 9),
		body(5, text(8, "w"), body(9, make([]byte, 16))),
		body(15, body(1, text(8, "sparse"), body(9, make([]byte, 4))), body(2, body(7, make([]byte, 8)))),
		nodeOf("Gemm", "", "x", "h", inner),
		nodeOf("Softmax", "", "h", "p"),
		nodeOf("Reshape", "", "p", "q"),
		nodeOf("Identity", "", "q", "y"),
		nodeOf("Identity", "", "b", "a"), nodeOf("Identity", "", "a", "b"),
		nodeOf("Fn", "mine", "y", "z"),
		value(12, "y", 1, text(2, "batch"), num(1, 5)),
		value(12, "a", 7),
		body(12, text(1, "seq"), body(2, body(4))),
	)
	data := append(append(num(1, 8), text(2, "maker")...), opset...)
	data = append(data, body(8, text(1, "com.microsoft"), num(2, 1))...)
	data = append(data, body(14, text(1, "names"), text(2, "{0: 'a'}"))...)
	data = append(data, body(25, text(1, "Fn"), text(10, "mine"), body(7, text(4, "Relu")))...)
	data = append(data, graph...)
	m, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if m.IR != 8 || m.Producer != "maker" || m.Weights != 2 || m.WeightBytes != 28 || len(m.External) != 0 {
		t.Errorf("got %+v", m)
	}
	for what, c := range map[string]struct{ got, want any }{
		"opsets":   {m.Opsets, map[string]int64{"": 17, "com.microsoft": 1}},
		"metadata": {m.Metadata, map[string]string{"names": "{0: 'a'}"}},
		"inputs":   {m.Inputs, []Tensor{{"x", "float32", []int64{-1, 3, -1, -1}}, {"mask", "bool", []int64{}}}},
		"outputs":  {m.Outputs, []Tensor{{"y", "float32", []int64{-1, 5}}, {"a", "int64", []int64{}}, {"seq", "sequence", nil}}},
		"operators": {m.Operators, []Operator{{"", "Gemm"}, {"", "Identity"}, {"", "Inner"}, {"", "Relu"}, {"", "Reshape"}, {"", "Softmax"},
			{"mine", "Fn"}}},
		"functions": {m.Functions, []Operator{{"mine", "Fn"}}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", what, c.got, c.want)
		}
	}
	if !m.Uses("Relu") || m.Uses("Fn") {
		t.Error("Uses: want Relu, which a function holds, and not Fn, which is no standard operator")
	}
	for output, want := range map[string]string{"y": "Softmax", "h": "Gemm", "a": "", "x": "", "z": "mine.Fn"} {
		if got := m.Maker(output); got != want {
			t.Errorf("Maker(%s): got %q, want %q", output, got, want)
		}
	}
}

// TestReadFindsTensorsElsewhere looks in every place that holds tensors.
func TestReadFindsTensorsElsewhere(t *testing.T) {
	for what, tensor := range map[string][]byte{
		"data_location": append(text(8, "w"), num(14, 1)...), "external_data": append(text(8, "w"), body(13, []byte(nil))...),
	} {
		for name, graph := range map[string][]byte{
			"initializer":          body(7, body(5, tensor)),
			"sparse initializer":   body(7, body(15, body(2, tensor))),
			"constant":             body(7, body(1, body(5, body(5, tensor)))),
			"sparse attribute":     body(7, body(1, body(5, body(22, body(1, tensor))))),
			"list attribute":       body(7, body(1, body(5, body(10, tensor)))),
			"subgraph":             body(7, body(1, body(5, body(6, body(5, tensor))))),
			"function":             append(body(7), body(25, body(7, body(5, body(5, tensor))))...),
			"function's attribute": append(body(7), body(25, body(11, body(5, tensor)))...),
			"training":             append(body(7), body(20, body(1, body(5, tensor)))...),
			"second graph":         append(body(7), body(7, body(5, tensor))...),
		} {
			m, err := Read(append(graph, opset...))
			if err != nil || !reflect.DeepEqual(m.External, []string{"w"}) {
				t.Errorf("%s in %s: got %+v, %v; want the tensor w elsewhere", what, name, m, err)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	deep := []byte{}
	for range maxDepth + 1 {
		deep = body(1, body(5, body(6, deep)))
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "no graph": opset, "no opset": body(7), "no protobuf": []byte("\xff\xff\xff"), "a text": []byte("PK\x03\x04 a zip file"),
		"cut": append(opset, body(7, text(2, "name"))[:3]...), "a group": append(append(opset, body(7)...), 3<<3|3),
		"no UTF-8":    append(opset, body(7, value(11, "\xff\xfe", 1))...),
		"deep":        append(opset, body(7, deep)...),
		"a long name": append(opset, body(7, value(11, strings.Repeat("n", maxText+1), 1))...),
		"many nodes":  append(opset, body(7, []byte(strings.Repeat("\x0a\x00", maxItems+1)))...),
	} {
		if m, err := Read(data); !errors.Is(err, inspection.ErrInvalid) || m != nil {
			t.Errorf("%s: got %+v, %v; want ErrInvalid alone", name, m, err)
		}
	}
}

// TestReadTakesCutsForDamage cuts a file wherever a field ends or does not: no cut may pass for the whole.
func TestReadTakesCutsForDamage(t *testing.T) {
	data := shipped(t)
	whole, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m, err := Read(data[:rapid.IntRange(0, len(data)-1).Draw(t, "length")])
		if err == nil && reflect.DeepEqual(m, whole) {
			t.Fatal("a cut file reads as the whole one")
		}
		if err != nil && !errors.Is(err, inspection.ErrInvalid) {
			t.Fatalf("got %v, want ErrInvalid", err)
		}
	})
}

func shipped(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "pcb-pair", "1", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadTheShippedModel(t *testing.T) {
	m, err := Read(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Inputs) != 1 || m.Inputs[0].Name != "images" || len(m.Outputs) != 2 || m.WeightBytes == 0 || m.Weights == 0 {
		t.Errorf("got %+v", m)
	}
	if int(m.WeightBytes) > len(shipped(t)) {
		t.Errorf("%d bytes of weights in a file of %d", m.WeightBytes, len(shipped(t)))
	}
}

// FuzzRead: whatever the bytes, the answer is a model or ErrInvalid.
func FuzzRead(f *testing.F) {
	f.Add(append(opset, body(7, value(11, "x", 1, num(1, 1), num(1, 3), num(1, 8), num(1, 8)), nodeOf("Relu", "", "x", "y"), value(12, "y", 1))...))
	f.Add([]byte{0xFF, 0xFF, 0xFF})
	f.Add(append(opset, body(7, body(1, body(5, body(6, body(5, num(14, 1))))))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(data)
		if err != nil {
			if !errors.Is(err, inspection.ErrInvalid) || m != nil {
				t.Fatalf("got %+v, %v; want ErrInvalid alone", m, err)
			}
			return
		}
		for _, ts := range [][]Tensor{m.Inputs, m.Outputs} {
			for _, tensor := range ts {
				m.Maker(tensor.Name)
				for _, d := range tensor.Shape {
					if d != -1 && d < 1 {
						t.Fatalf("got shape %v", tensor.Shape)
					}
				}
			}
		}
		if m.WeightBytes < 0 || m.WeightBytes > int64(len(data)) {
			t.Fatalf("%d bytes of weights in a file of %d", m.WeightBytes, len(data))
		}
	})
}
