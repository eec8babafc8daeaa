package models

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models/onnx"
)

// MaxGraph is the most bytes that a graph may have, 1 GiB. ONNX itself ends at 2 GiB, and a node holds a graph in memory
// while it checks and loads it.
const MaxGraph = 1 << 30

// What ONNX Runtime 1.24 loads: the newest version of the file format, and of each domain that has operators of its own.
const maxIR = 13

var maxOpset = map[string]int64{"": 25, "ai.onnx.ml": 5, "com.microsoft": 1}

//go:embed operators.txt
var operatorsText string

// standard are the operators of the domains ai.onnx and ai.onnx.ml that ONNX Runtime 1.24 has, by onnx.Operator.String.
var standard = func() map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(operatorsText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, name := range strings.Fields(line) {
			out[name] = true
		}
	}
	return out
}()

// contrib are the operators of the domain com.microsoft that ONNX Runtime 1.24 has for the CPU.
var contrib = strings.Fields(`
	Attention AttnLSTM BeamSearch BiasGelu BifurcationDetector CDist ConvTransposeWithDynamicPads CropAndResize
	DecoderMaskedMultiHeadAttention DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul DynamicTimeWarping
	EmbedLayerNormalization ExpandDims FastGelu FusedConv FusedGemm FusedMatMul GatherBlockQuantized GatherND Gelu GreedySearch
	GridSample GroupQueryAttention Inverse MatMulBnb4 MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat MatMulNBits MaxpoolWithMask
	MoE MultiHeadAttention MurmurHash3 NGramRepeatBlock NhwcMaxPool Pad QAttention QEmbedLayerNormalization QGemm QLinearAdd
	QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid
	QLinearSoftmax QLinearWhere QMoE QuantizeLinear QuickGelu Range RotaryEmbedding SampleOp Sampling SkipLayerNormalization
	SkipSimplifiedLayerNormalization SparseAttention SparseToDenseMatMul Tokenizer TransposeMatMul Trilu UnfoldTensor Unique
	WhisperBeamSearch WordConvEmbedding`)

// CheckGraph reads the bytes of a model.onnx and refuses a graph that no node takes, whatever its manifest: one above
// MaxGraph, one that keeps tensors in other files, that needs operators which ONNX Runtime does not have or a newer ONNX Runtime, or
// that has no picture input. Graphs within graphs count. It runs nothing. The error wraps inspection.ErrInvalid and
// lists everything, one per line, each with its remedy. The answer is what the graph says of itself.
func CheckGraph(graph []byte) (*onnx.Model, error) {
	if err := CheckGraphSize(int64(len(graph))); err != nil {
		return nil, err
	}
	m, err := onnx.Read(graph)
	if err != nil {
		return nil, err
	}
	errs := append(newerThanRuntime(m), unknownOperators(m), dataElsewhere(m), noPictureInput(m))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", inspection.ErrInvalid, err)
	}
	return m, nil
}

// CheckGraphSize refuses a graph above MaxGraph bytes, for callers that know the size before they read. The error wraps
// inspection.ErrInvalid.
func CheckGraphSize(size int64) error {
	if size > MaxGraph {
		return fmt.Errorf("%w: the graph has %d bytes, more than the %d that a node takes: export it in float16 or int8, or a smaller network", inspection.ErrInvalid, size, MaxGraph)
	}
	return nil
}

func newerThanRuntime(m *onnx.Model) []error {
	var errs []error
	if m.IR > maxIR {
		errs = append(errs, fmt.Errorf("ir_version %d: ONNX Runtime 1.24 reads up to %d: export with an older onnx package", m.IR, maxIR))
	}
	for _, domain := range slices.Sorted(maps.Keys(maxOpset)) {
		if got, most := m.Opsets[domain], maxOpset[domain]; got > most {
			errs = append(errs, fmt.Errorf("opset %d of %s: ONNX Runtime 1.24 knows up to %d: export with opset_version=%d or lower", got, domainName(domain), most, most))
		}
	}
	return errs
}

func domainName(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return domain
}

func unknownOperators(m *onnx.Model) error {
	var names []string
	for _, o := range m.Operators {
		if slices.Contains(m.Functions, o) || standard[o.String()] || o.Domain == "com.microsoft" && slices.Contains(contrib, o.Name) {
			continue
		}
		names = append(names, fmt.Sprintf("%.60q", o.String()))
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("operators that ONNX Runtime does not have: %s: export with standard operators alone, without plug-ins of another runtime", shorten(names))
}

// ReadOneFile reads a graph and refuses one that keeps tensors in other files, whose paths the runtime would follow wherever they
// lead. It is what of CheckGraph a node asks again before it loads. The error wraps inspection.ErrInvalid.
func ReadOneFile(graph []byte) (*onnx.Model, error) {
	m, err := onnx.Read(graph)
	if err != nil {
		return nil, err
	}
	if err := dataElsewhere(m); err != nil {
		return nil, fmt.Errorf("%w: %w", inspection.ErrInvalid, err)
	}
	return m, nil
}

func dataElsewhere(m *onnx.Model) error {
	if len(m.External) == 0 {
		return nil
	}
	var names []string
	for _, n := range m.External {
		names = append(names, fmt.Sprintf("%.60q", n))
	}
	return fmt.Errorf("tensors that lie in other files: %s: save the graph as one file (onnx.save_model without external data)", shorten(names))
}

func noPictureInput(m *onnx.Model) error {
	var names []string
	for _, t := range m.Inputs {
		if TakesPicture(t) {
			return nil
		}
		names = append(names, fmt.Sprintf("%.60q %s %v", t.Name, t.Type, t.Shape))
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return fmt.Errorf("no picture input: want one of [N,C,H,W] or [N,H,W,C], or these without N, in float32 or uint8; the graph's inputs are %s: export the network with its picture as input, in float32 (half=False)", shorten(names))
}

// TakesPicture reports whether an input can be filled with a picture: it has four axes, or three without a
// batch, and is float32 or uint8.
func TakesPicture(t onnx.Tensor) bool {
	return (len(t.Shape) == 4 || len(t.Shape) == 3) && (t.Type == string(Float32) || t.Type == string(Uint8))
}

// shorten lists at most five names.
func shorten(names []string) string {
	if more := len(names) - 5; more > 0 {
		names = append(slices.Clone(names[:5]), fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// InfoOf returns what the graph says of itself as Manifest.Check takes it. Shapes that the file leaves out are nil; ONNX
// Runtime may know more of them once it has loaded the graph.
func InfoOf(m *onnx.Model) GraphInfo {
	return GraphInfo{Inputs: infos(m.Inputs), Outputs: infos(m.Outputs), LargestBatch: LargestBatch(m.Metadata)}
}

func infos(ts []onnx.Tensor) []TensorInfo {
	out := make([]TensorInfo, len(ts))
	for i, t := range ts {
		out[i] = TensorInfo{Name: t.Name, Type: t.Type, Shape: t.Shape}
	}
	return out
}

// ValidName reports whether a model may have the name: a-z, 0-9, _ and -, beginning with a letter or digit.
func ValidName(s string) bool { return validName(s) }
