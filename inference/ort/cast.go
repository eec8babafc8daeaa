package ort

import (
	"encoding/binary"
	"slices"

	"github.com/assay-vision/assay/models"
)

// loadedGraph is a graph and what the runtime says of it.
type loadedGraph struct {
	bytes []byte
	info  models.GraphInfo
	casts map[string]string // outputs that are not float32 to those that hold the same as float32
}

// asFloats returns the name under which an output is had as float32.
func (g loadedGraph) asFloats(output string) string {
	if name, ok := g.casts[output]; ok {
		return name
	}
	return output
}

// castOutputs adds a Cast to float32 behind each of the outputs that the manifest names and that is of another type. Whole numbers
// are then exact below 2^24. The runtime itself is asked because its binding hands out half-precision outputs damaged.
func castOutputs(graph []byte, info models.GraphInfo, m models.Manifest) loadedGraph {
	g := loadedGraph{bytes: graph, info: info, casts: map[string]string{}}
	var more []byte
	for _, t := range info.Outputs {
		if t.Type == string(models.Float32) || !names(m, t.Name) {
			continue
		}
		cast := "assay/float32/" + t.Name
		g.casts[t.Name] = cast
		more = slices.Concat(more, lenField(graphNode, castNode(t.Name, cast)), lenField(graphOutput, floatOutput(cast)))
	}
	if more != nil {
		// Of a message that is given twice protobuf appends the lists, so this adds to the graph's nodes and outputs.
		g.bytes = slices.Concat(graph, lenField(modelGraph, more))
	}
	return g
}

func names(m models.Manifest, output string) bool {
	for _, name := range m.Output.Tensors {
		if name == output {
			return true
		}
	}
	return false
}

// Field numbers of onnx.proto.
const (
	modelGraph  = 7
	graphNode   = 1
	graphOutput = 12

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOp        = 4
	nodeAttribute = 5

	attributeName = 1
	attributeInt  = 3
	attributeType = 20

	infoName   = 1
	infoType   = 2
	typeTensor = 1
	tensorElem = 1

	elemFloat    = 1 // TensorProto.FLOAT
	attributeOfI = 2 // AttributeProto.INT
)

// castNode is a NodeProto.
func castNode(from, to string) []byte {
	attribute := slices.Concat(lenField(attributeName, []byte("to")), intField(attributeInt, elemFloat), intField(attributeType, attributeOfI))
	return slices.Concat(
		lenField(nodeInput, []byte(from)), lenField(nodeOutput, []byte(to)), lenField(nodeName, []byte(to)), lenField(nodeOp, []byte("Cast")), lenField(nodeAttribute, attribute),
	)
}

// floatOutput is a ValueInfoProto of a float32 tensor of any shape.
func floatOutput(name string) []byte {
	return slices.Concat(lenField(infoName, []byte(name)), lenField(infoType, lenField(typeTensor, intField(tensorElem, elemFloat))))
}

// lenField writes a protobuf field of bytes: a text or another message.
func lenField(field uint64, body []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, field<<3|2), uint64(len(body))), body...)
}

// intField writes a protobuf field of a whole number.
func intField(field, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, field<<3), value)
}

// ranks returns how many axes each input has.
func (g loadedGraph) ranks() map[string]int {
	out := map[string]int{}
	for _, t := range g.info.Inputs {
		out[t.Name] = len(t.Shape)
	}
	return out
}

// declared returns the shapes of the outputs.
func (g loadedGraph) declared() map[string][]int64 {
	out := map[string][]int64{}
	for _, t := range g.info.Outputs {
		out[t.Name] = t.Shape
	}
	return out
}

// varies returns the outputs that declare an open axis besides the batch's, or nothing of their axes.
func (g loadedGraph) varies(m models.Manifest) map[string]bool {
	out := map[string]bool{}
	axes := m.OutputAxes()
	for role, name := range m.Output.Tensors {
		i := slices.IndexFunc(g.info.Outputs, func(t models.TensorInfo) bool { return t.Name == name })
		if i < 0 {
			continue
		}
		shape := g.info.Outputs[i].Shape
		own := shape
		if models.Batched(axes[role], len(shape)) && len(shape) > 0 {
			own = shape[1:]
		}
		out[name] = len(shape) == 0 || slices.ContainsFunc(own, func(n int64) bool { return n <= 0 })
	}
	return out
}
