//go:build !race

package proto_test

// raceEnabled: see race_on_test.go.
const raceEnabled = false
