// Package tiling cuts a large picture into tiles and makes one answer of what a model says of each. It is pure: it knows
// rectangles, candidates and maps, and neither pixels, models nor threads. Why its rules are what they are is said in
// ../DESIGN.md.
package tiling
