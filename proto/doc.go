// Package proto is the wire: the .proto files under assay/v1, the Go that is generated from them, the codec that puts an
// image's bytes together once, in pooled memory, and the conversions between the words of package inspection and the
// messages.
//
// It does not know who is at the other end of a stream, what a message is used for, or whether what it says is allowed:
// a number that it does not know becomes the safe zero value, and the rest is for the reader to judge.
package proto
