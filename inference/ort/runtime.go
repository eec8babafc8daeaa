package ort

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Config says how models are run.
type Config struct {
	// Library is the path of libonnxruntime. Empty: $ASSAY_ONNXRUNTIME_LIB, then beside the program, then where the system
	// looks.
	Library string
	// RefuseFallback refuses a model whose preferred execution provider cannot be used here. False: the next one of its
	// manifest is taken, and at last the CPU, with a warning.
	RefuseFallback bool
}

// Runtime is ONNX Runtime in this process. It may be shared by goroutines, and there may be several in one process, all
// with the library that the first of them loaded.
type Runtime struct {
	config    Config
	log       *slog.Logger
	path      string
	version   string
	fallbacks *prometheus.GaugeVec
	closed    atomic.Bool
}

var _ inference.Runtime = (*Runtime)(nil)

// environment is ONNX Runtime's, of which there is one per process whatever we would like. Once loaded it stays: unloading
// a library that has started threads and claimed devices gains nothing and can crash.
var environment struct {
	mu      sync.Mutex
	path    string
	version string
}

// New finds, checks and loads the library. The error wraps inspection.ErrUnavailable and says what was tried and what to
// do.
func New(config Config, log *slog.Logger, reg prometheus.Registerer) (*Runtime, error) {
	path, version, err := loadEnvironment(config.Library)
	if err != nil {
		return nil, err
	}
	r := &Runtime{config: config, log: log, path: path, version: version}
	r.fallbacks = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "assay_provider_fallback",
		Help: "1 for each execution provider that a loaded model prefers and cannot use here.",
	}, []string{"model", "version", "provider"})
	if err := reg.Register(r.fallbacks); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	log.Info("ONNX Runtime is loaded", "version", version, "library", path)
	return r, nil
}

func loadEnvironment(configured string) (path, version string, err error) {
	environment.mu.Lock()
	defer environment.mu.Unlock()
	if environment.path != "" {
		if configured != "" && configured != environment.path {
			return "", "", fmt.Errorf("%w: ONNX Runtime %s is loaded from %s in this process already, %s cannot be loaded too: name one library", inspection.ErrUnavailable, environment.version, environment.path, configured)
		}
		return environment.path, environment.version, nil
	}
	if path, version, err = findLibrary(configured); err != nil {
		return "", "", err
	}
	onnx.SetSharedLibraryPath(path)
	if err := onnx.InitializeEnvironment(onnx.WithLogLevelError()); err != nil {
		return "", "", fmt.Errorf("%w: ONNX Runtime %s in %s does not start: %w: %s", inspection.ErrUnavailable, version, path, err, remedy)
	}
	environment.path, environment.version = path, version
	return path, version, nil
}

// Version returns the library's version.
func (r *Runtime) Version() string { return r.version }

// Library returns the path under which the library was found.
func (r *Runtime) Library() string { return r.path }

// Close refuses models from now on. Sessions that are open go on until they are closed. It may be called twice.
func (r *Runtime) Close() error {
	r.closed.Store(true)
	return nil
}

// Open implements inference.Runtime.
func (r *Runtime) Open(ctx context.Context, m *models.Model, o inference.Opening) (inference.Session, error) {
	if o.Variant == "" {
		o.Variant = models.DefaultVariant
	}
	o.Leases = max(o.Leases, 1)
	s, err := r.open(ctx, m, o)
	if err != nil {
		return nil, fmt.Errorf("load model %s@%s, graph %s: %w", m.Ref.Name, m.Ref.Version, o.Variant, err)
	}
	return s, nil
}

func (r *Runtime) open(ctx context.Context, m *models.Model, o inference.Opening) (*Session, error) {
	if r.closed.Load() {
		return nil, fmt.Errorf("ONNX Runtime: %w", inspection.ErrClosed)
	}
	graph, err := m.VariantGraph(o.Variant)
	if err != nil {
		return nil, err
	}
	file, err := models.ReadOneFile(graph)
	if err != nil {
		return nil, err
	}
	info, err := inspect(graph)
	if err != nil {
		return nil, err
	}
	takeUnsaid(info.Outputs, models.InfoOf(file).Outputs)
	info.LargestBatch = models.LargestBatch(file.Metadata)
	if err := m.Manifest.Check(info); err != nil {
		return nil, err
	}
	return r.openOnFirst(ctx, m, castOutputs(graph, info, m.Manifest), o)
}

// inspect asks the runtime what the graph says of its inputs and outputs.
func inspect(graph []byte) (models.GraphInfo, error) {
	inputs, outputs, err := onnx.GetInputOutputInfoWithONNXData(graph)
	if err != nil {
		return models.GraphInfo{}, fmt.Errorf("%w: ONNX Runtime cannot read the graph: %w: it is damaged, or needs a newer library", inspection.ErrInvalid, err)
	}
	return models.GraphInfo{Inputs: tensorInfos(inputs), Outputs: tensorInfos(outputs)}, nil
}

func tensorInfos(all []onnx.InputOutputInfo) []models.TensorInfo {
	out := make([]models.TensorInfo, len(all))
	for i, t := range all {
		out[i] = models.TensorInfo{Name: t.Name, Type: typeName(t), Shape: t.Dimensions}
	}
	return out
}

// takeUnsaid gives outputs of which the runtime knows no axes the shape that the file declares: the runtime calls one without axes
// and one of which nothing is said the same.
func takeUnsaid(outputs, declared []models.TensorInfo) {
	for i, o := range outputs {
		if len(o.Shape) > 0 {
			continue
		}
		outputs[i].Shape = nil
		if at := slices.IndexFunc(declared, func(t models.TensorInfo) bool { return t.Name == o.Name }); at >= 0 {
			outputs[i].Shape = declared[at].Shape
		}
	}
}

func typeName(t onnx.InputOutputInfo) string {
	if t.OrtValueType != onnx.ONNXTypeTensor {
		return t.OrtValueType.String()
	}
	switch t.DataType {
	case onnx.TensorElementDataTypeFloat:
		return "float32"
	case onnx.TensorElementDataTypeUint8:
		return "uint8"
	case onnx.TensorElementDataTypeInt8:
		return "int8"
	case onnx.TensorElementDataTypeInt32:
		return "int32"
	case onnx.TensorElementDataTypeInt64:
		return "int64"
	case onnx.TensorElementDataTypeFloat16:
		return "float16"
	case onnx.TensorElementDataTypeDouble:
		return "float64"
	case onnx.TensorElementDataTypeBool:
		return "bool"
	}
	return t.DataType.String()
}

// openOnFirst tries the manifest's execution providers in their order, and at last the CPU.
func (r *Runtime) openOnFirst(ctx context.Context, m *models.Model, graph loadedGraph, o inference.Opening) (*Session, error) {
	var fallbacks []string
	for _, p := range providers(m.Manifest.Providers) {
		s, err := newSession(ctx, m, graph, p, o)
		if err == nil {
			for _, reason := range s.fallbacks {
				r.log.Warn("model takes no batches", "model", m.Ref.Name, "version", m.Ref.Version, "reason", reason)
			}
			s.fallbacks = append(fallbacks, s.fallbacks...)
			for _, gone := range fallbacks {
				r.log.Warn("execution provider cannot be used here", "model", m.Ref.Name, "version", m.Ref.Version, "reason", gone, "instead", s.device)
			}
			s.onClose = func() { r.forget(m) }
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if p.Name == "cpu" { // which is always there: the model itself is at fault
			return nil, fmt.Errorf("%w: ONNX Runtime cannot run the graph: %w", inspection.ErrInvalid, err)
		}
		fallbacks = append(fallbacks, fmt.Sprintf("%s: %v", device(p), err))
		if r.config.RefuseFallback {
			return nil, fmt.Errorf("%w: execution provider %s: install the ONNX Runtime build and the driver that it needs, set models.on_missing_provider to fallback, or change providers in the manifest", inspection.ErrUnavailable, fallbacks[0])
		}
		r.fallbacks.WithLabelValues(m.Ref.Name, m.Ref.Version, device(p)).Set(1)
	}
	return nil, fmt.Errorf("%w: no execution provider", inspection.ErrUnavailable)
}

// forget takes the model's warnings out of the metrics.
func (r *Runtime) forget(m *models.Model) {
	r.fallbacks.DeletePartialMatch(prometheus.Labels{"model": m.Ref.Name, "version": m.Ref.Version})
}
