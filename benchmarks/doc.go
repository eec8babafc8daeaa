// Package benchmarks measures a node as its cameras see it: throughput, added latency, goodput under deadlines, and what a
// frame costs, each as a ratio to ONNX Runtime called in a loop here, in the same minutes. `make bench` runs it. The node
// is the real program in a process of its own; the client is camera/load in this one, on the same cores.
//
// It must not change what it measures: nodes run on their defaults but for addresses, directories and logging, and what
// it found void, missed or left out is printed as that.
package benchmarks
