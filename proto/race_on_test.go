//go:build race

package proto_test

// raceEnabled: under the race detector sync.Pool drops buffers at random, so what is allocated says nothing.
const raceEnabled = true
