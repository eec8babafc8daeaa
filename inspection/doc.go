// Package inspection holds the words and the rules of Assay: frames, jobs, judgements, results, recipes, and the pure
// functions that turn what a model saw into a verdict.
//
// It does no I/O, starts no goroutine, keeps no clock and imports the standard library alone. It does not know how a
// frame arrives, which engine judges it or where a result is kept; every other room speaks these words.
package inspection
