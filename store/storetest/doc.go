// Package storetest is the suite that every implementation of the store must pass: Run it with a function that opens an
// empty one. It does not know which database is behind it.
package storetest
