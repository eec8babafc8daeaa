package onnx

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/assay-vision/assay/inspection"
)

// Bounds of what is kept of a file, far above what networks have. Reading takes time in proportion to the file, and memory
// in proportion to these.
const (
	maxDepth    = 100     // graphs within graphs
	maxItems    = 1 << 20 // nodes, tensors, axes and metadata entries together
	maxText     = 1 << 20 // bytes of one name or metadata value
	maxAllText  = 1 << 26
	maxExternal = 8
)

// Read reads an ONNX file. The error wraps inspection.ErrInvalid. The answer shares no memory with data.
func Read(data []byte) (*Model, error) {
	r := reader{
		m:         &Model{Opsets: map[string]int64{}, Metadata: map[string]string{}, nodes: map[string]node{}},
		operators: map[Operator]bool{}, functions: map[Operator]bool{}, weights: map[string]bool{},
	}
	if err := r.model(data); err != nil {
		return nil, err
	}
	if !r.hasGraph || len(r.m.Opsets) == 0 {
		return nil, errDamaged
	}
	r.m.Inputs = slices.DeleteFunc(r.m.Inputs, func(t Tensor) bool { return r.weights[t.Name] })
	r.m.Weights = len(r.weights)
	r.m.Operators, r.m.Functions = sorted(r.operators), sorted(r.functions)
	return r.m, nil
}

// reader reads one file. Its methods take the bytes of a message; field numbers are those of onnx.proto as of ONNX 1.20.
type reader struct {
	m                    *Model
	hasGraph             bool
	operators, functions map[Operator]bool
	weights              map[string]bool // initialisers of the main graph
	items, text          int
	interned             map[string]string
}

// item counts what is kept.
func (r *reader) item() error {
	if r.items++; r.items > maxItems {
		return fmt.Errorf("%w: the graph has more than %d nodes, tensors and axes: is it one network?", inspection.ErrInvalid, maxItems)
	}
	return nil
}

// string copies a text. Names that come again share one copy.
func (r *reader) string(b []byte) (string, error) {
	if s, ok := r.interned[string(b)]; ok {
		return s, nil
	}
	r.text += len(b)
	switch {
	case len(b) > maxText || r.text > maxAllText:
		return "", fmt.Errorf("%w: names and metadata of the graph are longer than %d bytes: is it one network?", inspection.ErrInvalid, maxText)
	case !utf8.Valid(b):
		return "", errDamaged
	}
	if r.interned == nil {
		r.interned = map[string]string{}
	}
	s := string(b)
	r.interned[s] = s
	return s, nil
}

func (r *reader) model(b []byte) error {
	return each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			r.m.IR = int64(f.value)
		case 2:
			r.m.Producer, err = r.string(f.body)
		case 7:
			r.hasGraph = r.hasGraph || f.isBody
			err = r.graph(f.body, 0)
		case 8:
			err = r.opset(f.body)
		case 14:
			err = r.metadata(f.body)
		case 20: // training: an initialisation and an algorithm, both graphs
			err = each(f.body, func(f field) error {
				if f.number == 1 || f.number == 2 {
					return r.graph(f.body, 1)
				}
				return nil
			})
		case 25:
			err = r.function(f.body)
		}
		return err
	})
}

func (r *reader) opset(b []byte) error {
	var o Operator
	var version int64
	err := each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			o.Domain, err = r.domain(f.body)
		case 2:
			version = int64(f.value)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.m.Opsets[o.Domain] = max(r.m.Opsets[o.Domain], version)
	return r.item()
}

// domain brings the two names of the standard domain together.
func (r *reader) domain(b []byte) (string, error) {
	if string(b) == "ai.onnx" {
		return "", nil
	}
	return r.string(b)
}

func (r *reader) metadata(b []byte) error {
	var kv [2]string
	err := each(b, func(f field) (err error) {
		if f.number == 1 || f.number == 2 {
			kv[f.number-1], err = r.string(f.body)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.m.Metadata[kv[0]] = kv[1]
	return r.item()
}

// graph reads a graph; that at depth 0 is the main one.
func (r *reader) graph(b []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: graphs lie more than %d deep in each other: is it one network?", inspection.ErrInvalid, maxDepth)
	}
	return each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			err = r.node(f.body, depth)
		case 5:
			err = r.tensor(f.body, depth == 0)
		case 15:
			err = r.sparse(f.body, depth == 0)
		case 11, 12:
			if depth > 0 {
				return nil
			}
			var t Tensor
			t, err = r.valueInfo(f.body)
			if f.number == 11 {
				r.m.Inputs = append(r.m.Inputs, t)
			} else {
				r.m.Outputs = append(r.m.Outputs, t)
			}
		}
		return err
	})
}

func (r *reader) function(b []byte) error {
	var o Operator
	err := each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			o.Name, err = r.string(f.body)
		case 7:
			err = r.node(f.body, 1)
		case 10:
			o.Domain, err = r.domain(f.body)
		case 11:
			err = r.attribute(f.body, 1)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.functions[o] = true
	return r.item()
}

func (r *reader) node(b []byte, depth int) error {
	var o Operator
	var n node
	var outputs []string
	inputs := 0
	err := each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			if inputs++; inputs == 1 && depth == 0 {
				n.input, err = r.string(f.body)
			}
		case 2:
			if depth > 0 {
				return nil
			}
			var name string
			name, err = r.string(f.body)
			outputs = append(outputs, name)
		case 4:
			o.Name, err = r.string(f.body)
		case 5:
			err = r.attribute(f.body, depth)
		case 7:
			o.Domain, err = r.domain(f.body)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.operators[o] = true
	n.op = o.String()
	for _, name := range outputs {
		r.m.nodes[name] = n
		if err := r.item(); err != nil {
			return err
		}
	}
	return r.item()
}

// attribute follows a node's attribute into the graphs and tensors that it holds.
func (r *reader) attribute(b []byte, depth int) error {
	return each(b, func(f field) error {
		switch f.number {
		case 5, 10:
			return r.tensor(f.body, false)
		case 6, 11:
			return r.graph(f.body, depth+1)
		case 22, 23:
			return r.sparse(f.body, false)
		}
		return nil
	})
}

func (r *reader) sparse(b []byte, weight bool) error {
	return each(b, func(f field) error {
		switch f.number {
		case 1: // the values, which bear the name
			return r.tensor(f.body, weight)
		case 2:
			return r.tensor(f.body, false)
		}
		return nil
	})
}

// tensor reads where a tensor's data lie; weight: it is an initialiser of the main graph.
func (r *reader) tensor(b []byte, weight bool) error {
	name, elsewhere := "", false
	err := each(b, func(f field) (err error) {
		switch f.number {
		case 4, 5, 6, 7, 9, 10, 11:
			r.m.WeightBytes += int64(len(f.body))
		case 8:
			name, err = r.string(f.body)
		case 13:
			elsewhere = true
		case 14:
			elsewhere = elsewhere || f.value != 0
		}
		return err
	})
	if err != nil {
		return err
	}
	if elsewhere && len(r.m.External) < maxExternal {
		r.m.External = append(r.m.External, name)
	}
	if weight {
		r.weights[name] = true
	}
	return r.item()
}

func (r *reader) valueInfo(b []byte) (Tensor, error) {
	var t Tensor
	err := each(b, func(f field) (err error) {
		switch f.number {
		case 1:
			t.Name, err = r.string(f.body)
		case 2:
			err = r.valueType(f.body, &t)
		}
		return err
	})
	if err != nil {
		return Tensor{}, err
	}
	return t, r.item()
}

func (r *reader) valueType(b []byte, t *Tensor) error {
	return each(b, func(f field) error {
		switch f.number {
		case 1:
			return r.tensorType(f.body, t)
		case 4:
			t.Type = "sequence"
		case 5:
			t.Type = "map"
		case 8:
			t.Type = "sparse tensor"
		case 9:
			t.Type = "optional"
		}
		return nil
	})
}

func (r *reader) tensorType(b []byte, t *Tensor) error {
	return each(b, func(f field) error {
		switch f.number {
		case 1:
			t.Type = elementType(f.value)
		case 2:
			if t.Shape == nil {
				t.Shape = []int64{}
			}
			return each(f.body, func(f field) error {
				if f.number != 1 {
					return nil
				}
				d, err := r.axis(f.body)
				t.Shape = append(t.Shape, d)
				return err
			})
		}
		return nil
	})
}

// axis reads the length of an axis: -1 where the file has a name for it, or nothing.
func (r *reader) axis(b []byte) (int64, error) {
	length := int64(-1)
	err := each(b, func(f field) error {
		if v := int64(f.value); f.number == 1 && v > 0 {
			length = v
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return length, r.item()
}

// elementType names an element type as manifests do.
func elementType(v uint64) string {
	names := [...]string{
		1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
		10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
	}
	if v < uint64(len(names)) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("type %d", v)
}
