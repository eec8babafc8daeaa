//go:build !linux

package ort

// places keeps the threads of a run by all apart. Here that is for the system to do.
type places struct{}

func placesFor(int) *places { return nil }

func (*places) others() string { return "" }

func (*places) take() (back func()) { return func() {} }
