package models

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestReadOneFile(t *testing.T) {
	rest := append(field(8, []byte{2 << 3, 17}), field(7, nil)...) // what every file has: an opset and a graph
	elsewhere := map[string][]byte{"data_location": {14 << 3, 1}, "external_data": field(13, []byte("x"))}
	for what, tensor := range elsewhere {
		for name, graph := range map[string][]byte{
			"initializer":           field(7, field(5, tensor)),
			"sparse initializer":    append(field(7, field(15, field(2, tensor))), 8, 1),
			"constant attribute":    field(7, field(1, field(5, field(5, tensor)))),
			"sparse attribute":      field(7, field(1, field(5, field(22, field(1, tensor))))),
			"list attribute":        field(7, field(1, field(5, field(10, tensor)))),
			"subgraph":              field(7, field(1, field(5, field(6, field(5, tensor))))),
			"function":              field(25, field(7, field(5, field(5, tensor)))),
			"function's attribute":  field(25, field(11, field(5, tensor))),
			"training":              field(20, field(1, field(5, tensor))),
			"second graph to merge": append(field(7, nil), field(7, field(5, tensor))...),
		} {
			if _, err := ReadOneFile(append(graph, rest...)); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "lie in other files") {
				t.Errorf("%s in %s: got %v, want ErrInvalid for tensors elsewhere", what, name, err)
			}
		}
	}
	graph, err := shipped.ReadFile("pcb-pair/1/" + GraphFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOneFile(graph); err != nil {
		t.Errorf("the shipped model: %v", err)
	}
	if _, err := ReadOneFile(append(field(7, field(5, []byte{14 << 3, 0})), rest...)); err != nil {
		t.Errorf("a tensor that says it lies here: %v", err)
	}
	deep := []byte{}
	for range 60 {
		deep = field(1, field(5, field(6, deep)))
	}
	if _, err := ReadOneFile(field(7, deep)); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("graphs deep in each other: got %v, want ErrInvalid", err)
	}
}

// field is a field of a protobuf message that holds bytes.
func field(number uint64, body []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|2), uint64(len(body))), body...)
}

func FuzzReadOneFile(f *testing.F) {
	f.Add(field(7, field(5, []byte{14 << 3, 1})))
	f.Add([]byte{0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, graph []byte) {
		if _, err := ReadOneFile(graph); err != nil && !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("got %v, want ErrInvalid or nothing", err)
		}
	})
}
