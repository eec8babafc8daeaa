package inspection

import "sync/atomic"

// Buffer is a frame's image bytes. It is immutable and reference counted: whoever keeps it beyond the call that handed it
// over takes a reference with Ref and gives it back with Release; the last Release hands the memory back to where it came
// from.
type Buffer struct {
	data []byte
	refs atomic.Int64
	free func()
}

// NewBuffer wraps data without copying it. free, which may be nil, runs when the last reference is released. The
// caller holds the first reference and must not change the bytes any more.
func NewBuffer(free func(), data []byte) *Buffer {
	b := &Buffer{data: data, free: free}
	b.refs.Store(1)
	return b
}

// Bytes returns the bytes, to be read only while a reference is held; a nil Buffer has none.
func (b *Buffer) Bytes() []byte {
	if b == nil {
		return nil
	}
	return b.data
}

// Len returns the number of bytes.
func (b *Buffer) Len() int { return len(b.Bytes()) }

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
