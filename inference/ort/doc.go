// Package ort runs models with ONNX Runtime on CPU, CUDA, TensorRT or OpenVINO. It finds and checks the library, loads it
// once per process, and keeps one session per model that all callers share, with tensor memory of its own in C.
//
// It does not know frames, recipes, candidates or queues.
package ort
