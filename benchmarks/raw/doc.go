// Package raw is what the benchmarks compare with: ONNX Runtime called in a loop in this process, with the number of
// callers, threads and the batch that are best for the model on this machine. It also says what the right answer to a
// picture is.
//
// It must not use the engine, whose figures it is there to judge: of inference it takes the decoders, the pixels' way
// into a tensor, and the loading of the library.
package raw
