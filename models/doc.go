// Package models keeps the model repository: folders of graph and manifest, their versions and digests, and the models
// that ship with the program.
//
// It reads and checks what a model says of itself. It does not know how a graph is run, what a frame looks like or which
// recipe asks for a model; package inference does.
package models
