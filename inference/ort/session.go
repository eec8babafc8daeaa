package ort

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Session is one model on one device. All callers share it; each has the tensors that it leased.
type Session struct {
	inner     *onnx.DynamicAdvancedSession
	wide      *onnx.DynamicAdvancedSession // the same graph with several threads for each run; nil: none
	apart     *places                      // of wide's threads; nil: anywhere
	manifest  models.Manifest
	sizes     []int          // batches that are prepared
	ranks     map[string]int // axes of the graph's inputs
	outputs   []string       // the manifest's names, in the order of Run's answer
	device    string
	fallbacks []string
	declared  map[string][]int64 // shapes of the graph's outputs
	varies    map[string]bool    // outputs with more open axes than the batch's
	keep      int                // tensors kept for each batch size
	onClose   func()

	mu     sync.Mutex
	shapes map[int][]onnx.Shape // outputs' shapes by batch size, seen while warming; nil for one that varies
	free   map[int][]*tensors
	leased int
	closed bool
}

var _ inference.Session = (*Session)(nil)

// newSession loads graph with one execution provider and warms every batch size.
func newSession(ctx context.Context, m *models.Model, graph loadedGraph, p models.Provider, o inference.Opening) (*Session, error) {
	s := &Session{
		manifest: m.Manifest, sizes: m.Manifest.BatchSizes, ranks: graph.ranks(), device: device(p), keep: o.Leases, declared: graph.declared(), varies: graph.varies(m.Manifest),
		shapes: map[int][]onnx.Shape{}, free: map[int][]*tensors{},
		outputs: slices.Sorted(maps.Values(m.Manifest.Output.Tensors)),
	}
	var err error
	if s.inner, err = s.load(graph, p, 1, nil); err != nil {
		return nil, err
	}
	if o.Wide > 1 && p.Name == models.ProviderCPU {
		s.apart = placesFor(o.Wide)
		if s.wide, err = s.load(graph, p, o.Wide, s.apart); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.tryBatch(ctx, graph.info, o); err != nil {
		return nil, errors.Join(fmt.Errorf("try a batch of 2: %w", err), s.Close())
	}
	for _, size := range s.sizes {
		if err := errors.Join(ctx.Err(), s.warm(ctx, size, o)); err != nil {
			return nil, errors.Join(fmt.Errorf("warm up batch of %d: %w", size, err), s.Close())
		}
	}
	return s, nil
}

// load makes a session of ONNX Runtime. Two of the same graph share nothing: each has its own, optimised copy of the
// weights, memory and threads.
func (s *Session) load(graph loadedGraph, p models.Provider, threads int, apart *places) (*onnx.DynamicAdvancedSession, error) {
	options, err := sessionOptions(p, threads, apart)
	if err != nil {
		return nil, err
	}
	defer func() { _ = options.Destroy() }()
	var inputs []string
	for _, in := range s.manifest.Inputs {
		inputs = append(inputs, in.Name)
	}
	for _, k := range s.manifest.Constants {
		inputs = append(inputs, k.Name)
	}
	var outputs []string
	for _, name := range s.outputs {
		outputs = append(outputs, graph.asFloats(name))
	}
	return onnx.NewDynamicAdvancedSessionWithONNXData(graph.bytes, inputs, outputs, options)
}

// warm runs a batch size once, which lets the runtime lay out its memory for it and shows the outputs' real shapes: what a
// graph declares of them need not be so. Then it makes ready the tensors that callers will lease.
func (s *Session) warm(ctx context.Context, size int, o inference.Opening) error {
	first, err := newTensors(s, size, nil)
	if err != nil {
		return err
	}
	defer first.destroy()
	inTurn := turns(o)
	outs, err := first.runInTurn(ctx, inTurn)
	if err != nil {
		return err
	}
	if size > 1 {
		if fault := s.fault(outs, size); fault != "" {
			return fmt.Errorf("%w: %s: take %d out of batch_sizes", inspection.ErrInvalid, fault, size)
		}
	}
	shapes := first.fixedShapes()
	if s.wide != nil && size == s.sizes[0] { // all threads are for one sample; see WideBatch
		if err := inTurn(ctx, o.Wide, func() error { _, err := wideTensors{first}.RunWide(); return err }); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shapes[size] = shapes
	for range s.keep {
		t, err := newTensors(s, size, shapes)
		if err != nil {
			return err
		}
		s.free[size] = append(s.free[size], t)
	}
	return nil
}

// BatchSizes implements inference.Session.
func (s *Session) BatchSizes() []int { return s.sizes }

// Device implements inference.Session.
func (s *Session) Device() string { return s.device }

// Fallbacks implements inference.Session.
func (s *Session) Fallbacks() []string { return slices.Clone(s.fallbacks) }

// Lease implements inference.Session.
func (s *Session) Lease(size int) (inference.Batch, error) {
	t, shapes, err := s.take(size)
	if err != nil {
		return nil, err
	}
	if t == nil {
		if t, err = newTensors(s, size, shapes); err != nil {
			s.returned(nil)
			return nil, err
		}
	}
	if s.wide != nil {
		return wideTensors{t}, nil
	}
	return t, nil
}

// take counts a lease and returns free tensors, or nil where there are none.
func (s *Session) take(size int) (*tensors, []onnx.Shape, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, fmt.Errorf("lease tensors: %w", inspection.ErrClosed)
	}
	shapes, ok := s.shapes[size]
	if !ok {
		return nil, nil, fmt.Errorf("%w: batch size %d: the model is warmed for %v", inspection.ErrInvalid, size, s.sizes)
	}
	s.leased++
	n := len(s.free[size])
	if n == 0 {
		return nil, shapes, nil
	}
	t := s.free[size][n-1]
	s.free[size] = s.free[size][:n-1]
	return t, shapes, nil
}

// returned ends a lease; t is kept for the next one where there is room. The last lease of a closed session frees it.
func (s *Session) returned(t *tensors) {
	s.mu.Lock()
	s.leased--
	if t != nil && !s.closed && len(s.free[t.size]) < s.keep {
		s.free[t.size] = append(s.free[t.size], t)
		t = nil
	}
	last := s.closed && s.leased == 0
	s.mu.Unlock()
	if t != nil {
		t.destroy()
	}
	if last {
		_ = s.destroy()
	}
}

// destroy frees the network, once.
func (s *Session) destroy() error {
	err := s.inner.Destroy()
	if s.wide != nil {
		err = errors.Join(err, s.wide.Destroy())
	}
	return err
}

// Close implements inference.Session.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	free, last := s.free, s.leased == 0
	s.free = nil
	s.mu.Unlock()
	for _, ts := range free {
		for _, t := range ts {
			t.destroy()
		}
	}
	if s.onClose != nil {
		s.onClose()
	}
	if last {
		return s.destroy()
	}
	return nil
}
