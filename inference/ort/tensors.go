package ort

/*
#include <stdlib.h>
#include <string.h>

// assay_alloc returns n zeroed bytes at an address that is a multiple of 64.
static void *assay_alloc(size_t n) {
	void *p = NULL;
	if (posix_memalign(&p, 64, n) != 0) return NULL;
	return memset(p, 0, n);
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// tensors is the memory of one batch. It lies in C: the runtime keeps the addresses between runs, which it may not do
// with memory of Go's.
type tensors struct {
	session *Session
	size    int
	memory  []unsafe.Pointer
	slabs   [][]byte
	inputs  []onnx.Value
	fixed   []onnx.Value // outputs with memory of their own; nil where the runtime allocates
	owned   []onnx.Value // outputs that the runtime allocated in the last run
	outputs []decode.Output
}

var _ inference.Batch = (*tensors)(nil)

// newTensors makes inputs for a batch, and outputs where their shape is known.
func newTensors(s *Session, size int, shapes []onnx.Shape) (*tensors, error) {
	t := &tensors{session: s, size: size, fixed: make([]onnx.Value, len(s.outputs)), outputs: make([]decode.Output, len(s.outputs))}
	for _, in := range s.manifest.Inputs {
		if err := t.addInput(in); err != nil {
			t.destroy()
			return nil, err
		}
	}
	for _, k := range s.manifest.Constants {
		if err := t.addConstant(k); err != nil {
			t.destroy()
			return nil, err
		}
	}
	for i, shape := range shapes {
		if shape == nil {
			continue
		}
		b, err := t.alloc(int(shape.FlattenedSize()) * 4)
		if err == nil {
			t.fixed[i], err = onnx.NewTensor(shape, asFloats(b))
		}
		if err != nil {
			t.destroy()
			return nil, fmt.Errorf("output %q %v: %w", s.outputs[i], shape, err)
		}
	}
	return t, nil
}

func (t *tensors) addInput(in models.Input) error {
	n, c, h, w := int64(t.size), int64(in.Channels()), int64(in.Height), int64(in.Width)
	shape := onnx.NewShape(n, c, h, w)
	if in.Layout == models.NHWC {
		shape = onnx.NewShape(n, h, w, c)
	}
	if t.session.ranks[in.Name] == 3 { // one picture, and no batch
		shape = shape[1:]
	}
	bytes := int(shape.FlattenedSize())
	if in.Type != models.Uint8 {
		bytes *= 4
	}
	b, err := t.alloc(bytes)
	if err != nil {
		return err
	}
	var v onnx.Value
	if in.Type == models.Uint8 {
		v, err = onnx.NewTensor(shape, b)
	} else {
		v, err = onnx.NewTensor(shape, asFloats(b))
	}
	if err != nil {
		return fmt.Errorf("input %q %v: %w", in.Name, shape, err)
	}
	t.slabs, t.inputs = append(t.slabs, b), append(t.inputs, v)
	return nil
}

func (t *tensors) alloc(n int) ([]byte, error) {
	p := C.assay_alloc(C.size_t(n))
	if p == nil {
		return nil, fmt.Errorf("%w: no memory for a tensor of %d bytes", inspection.ErrOverloaded, n)
	}
	t.memory = append(t.memory, p)
	return unsafe.Slice((*byte)(p), n), nil
}

func asFloats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Inputs implements inference.Batch.
func (t *tensors) Inputs() [][]byte { return t.slabs }

// Run implements inference.Batch.
func (t *tensors) Run() ([]decode.Output, error) { return t.run(t.session.inner) }

// wideTensors is the memory of a batch of a session with a wide network too. Both run on the same memory.
type wideTensors struct{ *tensors }

var _ inference.WideBatch = wideTensors{}

// RunWide implements inference.WideBatch.
func (t wideTensors) RunWide() ([]decode.Output, error) {
	back := t.session.apart.take()
	defer back()
	return t.run(t.session.wide)
}

func (t *tensors) run(network *onnx.DynamicAdvancedSession) ([]decode.Output, error) {
	t.dropOwned()
	values := make([]onnx.Value, len(t.fixed))
	copy(values, t.fixed)
	err := network.Run(t.inputs, values)
	for i, v := range values {
		if scalar, ok := v.(*onnx.Tensor[float32]); ok && scalar == nil { // the binding has no tensors without axes
			err = t.session.manifest.NoAxes(t.session.outputs[i])
			continue
		}
		if v != nil && t.fixed[i] == nil {
			t.owned = append(t.owned, v)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("run batch of %d on %s: %w", t.size, t.session.device, err)
	}
	for i, v := range values {
		floats, ok := v.(*onnx.Tensor[float32])
		if !ok {
			return nil, fmt.Errorf("%w: output %q is no float32 tensor", inspection.ErrModelOutput, t.session.outputs[i])
		}
		t.outputs[i] = decode.Output{Name: t.session.outputs[i], Shape: floats.GetShape(), Data: floats.GetData()}
	}
	return t.outputs, nil
}

// fixedShapes returns, after a run, the outputs' shapes, nil for those that may vary from run to run, where more than the batch
// axis is open in what the graph declares, and for those that declare another shape: the runtime then refuses memory of ours.
func (t *tensors) fixedShapes() []onnx.Shape {
	shapes := make([]onnx.Shape, len(t.outputs))
	for i, o := range t.outputs {
		if t.session.varies[o.Name] || !allows(t.session.declared[o.Name], o.Shape) || onnx.Shape(o.Shape).FlattenedSize() <= 0 {
			continue
		}
		shapes[i] = o.Shape
	}
	return shapes
}

// allows reports whether a declared shape has a place for one that was seen.
func allows(declared, seen []int64) bool {
	if len(declared) != len(seen) {
		return false
	}
	for i, n := range declared {
		if n > 0 && n != seen[i] {
			return false
		}
	}
	return true
}

func (t *tensors) dropOwned() {
	for _, v := range t.owned {
		_ = v.Destroy()
	}
	t.owned = t.owned[:0]
}

// Release implements inference.Batch.
func (t *tensors) Release() {
	t.dropOwned()
	t.session.returned(t)
}

// destroy frees everything; the memory goes after the tensors that point to it.
func (t *tensors) destroy() {
	t.dropOwned()
	for _, v := range append(t.inputs, t.fixed...) {
		if v != nil {
			_ = v.Destroy()
		}
	}
	for _, p := range t.memory {
		C.free(p)
	}
	t.inputs, t.fixed, t.memory, t.slabs, t.outputs = nil, nil, nil, nil, nil
}
