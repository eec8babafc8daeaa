// Package nodetest starts real nodes inside a test's process: the real engine, store, server and configuration, on ports of
// their own and in a directory that ends with the test. It also writes the recipes that such nodes judge by.
//
// It must not fake any room: what a test wants to see fail, it makes fail from outside, by files, frames and configuration.
package nodetest
