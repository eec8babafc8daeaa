package onnx

import (
	"cmp"
	"maps"
	"slices"
)

// Model is what an ONNX file says of itself.
type Model struct {
	IR       int64             // version of the file format
	Producer string            // the program that wrote it, such as pytorch
	Opsets   map[string]int64  // version by domain; the domain of the standard operators is ""
	Metadata map[string]string // metadata_props
	Inputs   []Tensor          // those without a value of their own: an input that names an initialiser is left out
	Outputs  []Tensor

	Weights     int   // number of initialisers of the main graph
	WeightBytes int64 // bytes of all tensors that lie in the file
	// External names tensors whose data lie in other files, 8 at most.
	External []string
	// Operators are the kinds of operators in all graphs and functions, by domain and name.
	Operators []Operator
	// Functions are the operators that the file itself defines.
	Functions []Operator

	nodes map[string]node // of the main graph, by output
}

// Tensor is an input or output of the main graph.
type Tensor struct {
	Name string
	// Type is the element type as manifests write it (float32, uint8, int64 and so on), or the kind of value where it is no
	// tensor (sequence, map, optional).
	Type string
	// Shape has -1 where an axis is open. It is nil where the file does not say it, unlike that of a scalar.
	Shape []int64
}

// Operator is a kind of operator.
type Operator struct{ Domain, Name string }

// String returns the name with its domain, as in com.microsoft.Gelu.
func (o Operator) String() string {
	if o.Domain == "" {
		return o.Name
	}
	return o.Domain + "." + o.Name
}

// node is an operator at work: what makes an output, and from what.
type node struct {
	op    string
	input string // the first
}

// Uses reports whether any graph of the file has a standard operator of that name.
func (m *Model) Uses(op string) bool { return slices.Contains(m.Operators, Operator{Name: op}) }

// shapers change the form of a tensor and none of its values.
var shapers = []string{"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast"}

// Maker returns the standard operator that computes an output's values, such as Softmax. Operators that only change the
// shape are looked through. It is "" where nothing in the main graph makes the output.
func (m *Model) Maker(output string) string {
	for range len(m.nodes) + 1 {
		n, ok := m.nodes[output]
		if !ok {
			return ""
		}
		if !slices.Contains(shapers, n.op) {
			return n.op
		}
		output = n.input
	}
	return "" // a circle
}

func sorted(set map[Operator]bool) []Operator {
	return slices.SortedFunc(maps.Keys(set), func(a, b Operator) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Name, b.Name))
	})
}
