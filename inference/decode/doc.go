// Package decode turns a graph's outputs into candidates in pixels of the frame: one decoder for each output layout that
// a manifest can name.
//
// It knows tensors, manifests and placements. It does not know how a graph was run, how a picture came into its input, or
// what a recipe makes of a candidate.
package decode
