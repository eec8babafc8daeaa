// Package plan finds out how a model runs best on this machine. It measures the model's latency surface (graph variant,
// native threads a run, runs at the same time, samples a batch) within a bounded time, chooses by what it measured, keeps
// the answer on disk for the next start, and watches whether reality stays near it.
//
// It does not know sessions, queues, frames or which library runs a model: whoever asks for a plan hands in a Bench. It
// says nothing about accuracy: a manifest that lists a variant vouches for it.
package plan
