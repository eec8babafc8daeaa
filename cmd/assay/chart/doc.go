// Package chart draws curves over the unit square and matrices of counts as PNG pictures, with the standard library alone.
//
// It knows nothing of what it draws.
package chart
