package inspection

import "sync/atomic"

// Buffer is a frame's image bytes, in one piece or several. It is immutable and reference counted: whoever
// keeps it beyond the call that handed it over takes a reference with Ref and gives it back with Release; the last
// Release hands the memory back to where it came from.
type Buffer struct {
	pieces [][]byte
	size   int
	refs   atomic.Int64
	free   func()
}

// NewBuffer wraps pieces without copying them. free, which may be nil, runs when the last reference is released. The
// caller holds the first reference and must not change the bytes any more.
func NewBuffer(free func(), pieces ...[]byte) *Buffer {
	b := &Buffer{pieces: pieces, free: free}
	for _, p := range pieces {
		b.size += len(p)
	}
	b.refs.Store(1)
	return b
}

// Len returns the number of bytes; a nil Buffer has none.
func (b *Buffer) Len() int {
	if b == nil {
		return 0
	}
	return b.size
}

// Pieces returns the pieces in order, to be read only while a reference is held.
func (b *Buffer) Pieces() [][]byte {
	if b == nil {
		return nil
	}
	return b.pieces
}

// AppendTo appends all bytes to dst, the one copy for readers that need them in a row.
func (b *Buffer) AppendTo(dst []byte) []byte {
	for _, p := range b.Pieces() {
		dst = append(dst, p...)
	}
	return dst
}

// Contiguous returns the bytes in a row: the only piece itself, or a copy made into scratch, which grows when needed.
func (b *Buffer) Contiguous(scratch []byte) []byte {
	if p := b.Pieces(); len(p) == 1 {
		return p[0]
	}
	return b.AppendTo(scratch[:0])
}

// Ref takes one more reference and returns b, so that a hand-over reads as one expression.
func (b *Buffer) Ref() *Buffer {
	if b != nil && b.refs.Add(1) <= 1 {
		panic("inspection: Ref of a released Buffer")
	}
	return b
}

// Release gives one reference back. Releasing more often than was taken is a programming error and panics.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	switch n := b.refs.Add(-1); {
	case n < 0:
		panic("inspection: Release of a released Buffer")
	case n == 0 && b.free != nil:
		b.free()
	}
}
