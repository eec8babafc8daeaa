package raw

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/ort"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Model is a network that raw loops run: one with one picture input.
type Model struct {
	Name     string
	manifest models.Manifest
	graphs   [][]byte // of all variants
	graph    []byte   // the one that runs
	decoder  decode.Decoder
	outputs  []string
}

// Open finds a model in dir, else among those that ship. It loads ONNX Runtime, as a node does.
func Open(dir, name string) (*Model, error) {
	repo, err := models.Open(models.Dir(dir), models.Shipped())
	if err != nil {
		return nil, err
	}
	found, err := repo.Get(name, "")
	if err != nil {
		return nil, err
	}
	m := &Model{Name: name, manifest: found.Manifest}
	if len(m.manifest.Inputs) != 1 {
		return nil, fmt.Errorf("%w: %s has %d inputs: the raw loop feeds one", inspection.ErrInvalid, name, len(m.manifest.Inputs))
	}
	for _, v := range found.Manifest.VariantNames() {
		graph, err := found.VariantGraph(v)
		if err != nil {
			return nil, err
		}
		m.graphs = append(m.graphs, graph)
	}
	m.graph = m.graphs[0]
	if m.decoder, err = decode.New(m.manifest); err != nil {
		return nil, err
	}
	m.outputs = slices.Compact(slices.Sorted(maps.Values(m.manifest.Output.Tensors)))
	_, err = ort.New(ort.Config{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return m, err
}

// Version returns ONNX Runtime's version; it is loaded once Open has returned.
func Version() string { return onnx.GetVersion() }

// Graphs returns the number of the version's graphs, the default first.
func (m *Model) Graphs() int { return len(m.graphs) }

// Use says which of the graphs runs from now on.
func (m *Model) Use(graph int) { m.graph = m.graphs[graph] }

// SampleBytes returns the bytes of one sample of the input.
func (m *Model) SampleBytes() int { return m.spec().SampleBytes() }

// session opens the graph with so many threads for each caller.
func (m *Model) session(threads int, spin bool) (*onnx.DynamicAdvancedSession, error) {
	o, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Destroy() }()
	spinning := "0"
	if spin {
		spinning = "1"
	}
	for _, err := range []error{
		o.SetIntraOpNumThreads(threads), o.SetInterOpNumThreads(1),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", spinning),
		o.SetGraphOptimizationLevel(onnx.GraphOptimizationLevelEnableAll),
	} {
		if err != nil {
			return nil, err
		}
	}
	return onnx.NewDynamicAdvancedSessionWithONNXData(m.graph, []string{m.manifest.Inputs[0].Name}, m.outputs, o)
}

// lane is the tensors of one caller.
type lane struct {
	session *onnx.DynamicAdvancedSession
	slab    []byte // the input's bytes
	floats  []float32
	input   onnx.Value
	outputs []onnx.Value
}

func (m *Model) lane(s *onnx.DynamicAdvancedSession, batch int) (*lane, error) {
	in := m.manifest.Inputs[0]
	shape := onnx.NewShape(int64(batch), int64(in.Channels()), int64(in.Height), int64(in.Width))
	if in.Layout == models.NHWC {
		shape = onnx.NewShape(int64(batch), int64(in.Height), int64(in.Width), int64(in.Channels()))
	}
	l := &lane{session: s, outputs: make([]onnx.Value, len(m.outputs))}
	var err error
	if in.Type == models.Uint8 {
		l.slab = make([]byte, shape.FlattenedSize())
		l.input, err = onnx.NewTensor(shape, l.slab)
	} else {
		l.floats = make([]float32, shape.FlattenedSize())
		l.slab = bytesOf(l.floats)
		l.input, err = onnx.NewTensor(shape, l.floats)
	}
	if err != nil {
		return nil, err
	}
	// The first run shows the outputs' shapes; its tensors serve all later ones.
	return l, l.run()
}

func (l *lane) run() error { return l.session.Run([]onnx.Value{l.input}, l.outputs) }

func (l *lane) close() {
	for _, v := range append(l.outputs, l.input) {
		if v != nil {
			_ = v.Destroy()
		}
	}
}

// read returns the outputs as the decoders want them.
func (m *Model) read(l *lane) ([]decode.Output, error) {
	outs := make([]decode.Output, len(m.outputs))
	for i, v := range l.outputs {
		t, ok := v.(*onnx.Tensor[float32])
		if !ok {
			return nil, fmt.Errorf("%w: output %q is no float32 tensor", inspection.ErrModelOutput, m.outputs[i])
		}
		outs[i] = decode.Output{Name: m.outputs[i], Shape: t.GetShape(), Data: t.GetData()}
	}
	return outs, nil
}
