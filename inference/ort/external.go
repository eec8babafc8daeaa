package ort

import (
	"encoding/binary"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// A graph may keep tensors in other files, whose paths the runtime would follow wherever they lead. A model is one file
// here, so such a graph is refused before the runtime sees it.

// message is a kind of ONNX protobuf message. other may be any that leads to no tensor.
type message uint8

const (
	other message = iota
	modelMessage
	graphMessage
	nodeMessage
	attributeMessage
	functionMessage
	trainingMessage
	sparseMessage
	tensorMessage
)

// field returns what kind of message a field of m holds. The numbers are those of ONNX 1.17's onnx.proto.
func (m message) field(n uint64) message {
	switch m {
	case modelMessage:
		return map[uint64]message{7: graphMessage, 20: trainingMessage, 25: functionMessage}[n]
	case trainingMessage:
		return map[uint64]message{1: graphMessage, 2: graphMessage}[n]
	case graphMessage:
		return map[uint64]message{1: nodeMessage, 5: tensorMessage, 15: sparseMessage}[n]
	case functionMessage:
		return map[uint64]message{7: nodeMessage, 11: attributeMessage}[n]
	case nodeMessage:
		return map[uint64]message{5: attributeMessage}[n]
	case attributeMessage:
		return map[uint64]message{5: tensorMessage, 6: graphMessage, 10: tensorMessage, 11: graphMessage, 22: sparseMessage, 23: sparseMessage}[n]
	case sparseMessage:
		return map[uint64]message{1: tensorMessage, 2: tensorMessage}[n]
	default:
		return other
	}
}

// Fields of a tensor that say that its data lie elsewhere.
const (
	externalDataField = 13
	dataLocationField = 14 // 0: here
)

// maxDepth bounds how deep messages may lie in each other.
const maxDepth = 100

// refuseExternalData returns an error that wraps inspection.ErrInvalid for a graph with tensors in other files, and for
// one that is no protobuf.
func refuseExternalData(graph []byte) error { return modelMessage.walk(graph, 0) }

func (m message) walk(b []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: graphs lie more than %d deep in each other", inspection.ErrInvalid, maxDepth)
	}
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errNoGraph
		}
		number, wire := key>>3, key&7
		value, body, rest, ok := protoValue(b[n:], wire)
		if !ok {
			return errNoGraph
		}
		b = rest
		if m == tensorMessage && (number == externalDataField || number == dataLocationField && value != 0) {
			return fmt.Errorf("%w: the graph keeps tensors in other files: save it as one file (onnx.save_model without external data)", inspection.ErrInvalid)
		}
		if inner := m.field(number); inner != other && wire == 2 {
			if err := inner.walk(body, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNoGraph = fmt.Errorf("%w: the graph is damaged: it is no ONNX protobuf; copy it again", inspection.ErrInvalid)

// protoValue reads one value of a wire type: a number or the body of a length-delimited field.
func protoValue(b []byte, wire uint64) (value uint64, body, rest []byte, ok bool) {
	switch wire {
	case 0, 2:
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, nil, nil, false
		}
		b = b[n:]
		if wire == 0 {
			return v, nil, b, true
		}
		if v > uint64(len(b)) {
			return 0, nil, nil, false
		}
		return 0, b[:v], b[v:], true
	case 1, 5:
		size := 8
		if wire == 5 {
			size = 4
		}
		if len(b) < size {
			return 0, nil, nil, false
		}
		return 0, nil, b[size:], true
	}
	return 0, nil, nil, false
}
