package ort

import (
	"encoding/binary"
	"fmt"
	"math"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// addConstant adds an input that is no picture and fills it, once for as long as the memory is used: for every sample where the
// graph's input has two axes, else for all of them together.
func (t *tensors) addConstant(k models.Constant) error {
	times, shape := 1, onnx.NewShape(int64(len(k.Values)))
	if t.session.ranks[k.Name] == 2 {
		times, shape = t.size, onnx.NewShape(int64(t.size), int64(len(k.Values)))
	}
	elem, values, err := encode(k)
	if err != nil {
		return err
	}
	b, err := t.alloc(times * len(values))
	if err != nil {
		return err
	}
	for i := range times {
		copy(b[i*len(values):], values)
	}
	v, err := onnx.NewCustomDataTensor(shape, b, elem)
	if err != nil {
		return fmt.Errorf("constant %q %v: %w", k.Name, shape, err)
	}
	t.inputs = append(t.inputs, v)
	return nil
}

// encode returns a constant's values as the runtime wants them in memory.
func encode(k models.Constant) (elem onnx.TensorElementDataType, b []byte, err error) {
	e := binary.NativeEndian
	for _, v := range k.Values {
		switch k.Type {
		case models.Float32:
			elem, b = onnx.TensorElementDataTypeFloat, e.AppendUint32(b, math.Float32bits(float32(v)))
		case models.Float64:
			elem, b = onnx.TensorElementDataTypeDouble, e.AppendUint64(b, math.Float64bits(v))
		case models.Int64:
			elem, b = onnx.TensorElementDataTypeInt64, e.AppendUint64(b, uint64(int64(v)))
		case models.Int32:
			elem, b = onnx.TensorElementDataTypeInt32, e.AppendUint32(b, uint32(int32(v)))
		case models.Uint8:
			elem, b = onnx.TensorElementDataTypeUint8, append(b, uint8(v))
		case models.Bool:
			elem, b = onnx.TensorElementDataTypeBool, append(b, uint8(v))
		default:
			return 0, nil, fmt.Errorf("%w: constant %q: no values of type %q can be fed", inspection.ErrInvalid, k.Name, k.Type)
		}
	}
	return elem, b, nil
}
