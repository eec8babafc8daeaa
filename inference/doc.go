// Package inference judges frames on this node. Its Engine is an inspection.Inspector: it decodes a frame, lays it over
// its template, runs the recipe's model on it in a batch with others, and lets the recipe rule on what the model saw.
//
// It does not know that other nodes exist, where a frame came from, what becomes of a judgement, or which library runs
// the network: that is a Runtime, such as inference/ort.
package inference
