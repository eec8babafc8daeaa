// Package node is one running node: it reads the configuration, builds the rooms, joins them in order and closes them in
// reverse.
//
// It decides nothing about frames: whatever is worth a test of its own belongs in the room that does it. It does not know
// the camera's side of the stream.
package node
