package ort

import (
	"errors"
	"fmt"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// providers returns the manifest's execution providers, ending with the CPU: what follows the CPU is never reached.
func providers(listed []models.Provider) []models.Provider {
	var out []models.Provider
	for _, p := range listed {
		out = append(out, p)
		if p.Name == "cpu" {
			return out
		}
	}
	return append(out, models.Provider{Name: "cpu"})
}

// device names a provider together with its device, as Session.Device does.
func device(p models.Provider) string {
	switch {
	case p.Name == "cpu":
		return "cpu"
	case p.Device != "":
		return p.Name + ":" + p.Device
	case p.Name == "openvino":
		return "openvino:AUTO"
	default:
		return p.Name + ":0"
	}
}

// sessionOptions returns the options for one execution provider: so many threads for each run, its caller's among them. None
// spins where each run has one, because the engine's workers are the only threads that shall run. Those that share a run
// spin for each other, for a run of 5 ms takes 9 ms where the second thread has to be woken for each of its parts (measured,
// 2 cores of a virtual machine), and stop with the run: they would spin on for the next one for many milliseconds, and take
// a core from the runs that come first. apart, which may be nil, says where they run. The caller destroys the options.
func sessionOptions(p models.Provider, threads int, apart *places) (*onnx.SessionOptions, error) {
	o, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	spin := "0"
	if threads > 1 {
		spin = "1"
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(threads),
		o.SetInterOpNumThreads(1),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.force_spinning_stop", spin),
		o.SetGraphOptimizationLevel(onnx.GraphOptimizationLevelEnableAll),
	)
	if apart != nil {
		err = errors.Join(err, o.AddSessionConfigEntry("session.intra_op_thread_affinities", apart.others()))
	}
	if err == nil {
		err = appendProvider(o, p)
	}
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

// appendProvider asks for an execution provider. It fails where the library was built without it, or its driver or
// device is missing.
func appendProvider(o *onnx.SessionOptions, p models.Provider) error {
	id := p.Device
	if id == "" {
		id = "0"
	}
	switch p.Name {
	case "cpu":
		return nil
	case "cuda":
		c, err := onnx.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		defer func() { _ = c.Destroy() }()
		return errors.Join(c.Update(map[string]string{"device_id": id}), o.AppendExecutionProviderCUDA(c))
	case "tensorrt":
		t, err := onnx.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		defer func() { _ = t.Destroy() }()
		return errors.Join(t.Update(map[string]string{"device_id": id}), o.AppendExecutionProviderTensorRT(t))
	case "openvino":
		options := map[string]string{}
		if p.Device != "" {
			options["device_type"] = p.Device
		}
		return o.AppendExecutionProviderOpenVINO(options)
	}
	return fmt.Errorf("%w: unknown execution provider %q: use cpu, cuda, tensorrt or openvino", inspection.ErrInvalid, p.Name)
}
