package proto

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/assay-vision/assay/inspection"
)

// Buffers are pooled in powers of two from 256 B to 64 MiB, the largest frame that a node takes by default: a frame arrives in pieces of 16 KiB and is joined to one. gRPC's
// own pools clear every buffer that they hand out, which for a large frame is one more walk over all of its bytes, and end
// at 1 MiB.
const (
	smallestBuffer = 8
	largestBuffer  = 26
)

// bufferPool is a mem.BufferPool. What its buffers hold is undefined: gRPC fills each before anybody reads it.
type bufferPool struct {
	tiers [largestBuffer - smallestBuffer + 1]sync.Pool // of *[]byte with a capacity of 1 << (smallestBuffer + i)
}

// tier returns the number of the smallest tier whose buffers hold n bytes; beyond the largest one there is none.
func tier(n int) int { return max(bits.Len(uint(max(n, 1)-1)), smallestBuffer) - smallestBuffer }

// Get implements mem.BufferPool.
func (p *bufferPool) Get(n int) *[]byte {
	t := tier(n)
	if t >= len(p.tiers) {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p.tiers[t].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<(smallestBuffer+t))
	return &b
}

// Put implements mem.BufferPool. Only buffers of exactly a tier's capacity are kept.
func (p *bufferPool) Put(b *[]byte) {
	c := cap(*b)
	if t := tier(c); t < len(p.tiers) && c == 1<<(smallestBuffer+t) {
		p.tiers[t].Put(b)
	}
}

// join copies an image out of the pieces in which it arrived, so that all who read it after that (checksum, decoder, disk) have
// it in a row. Its buffer comes from the pool and goes back there with the last reference.
func (p *bufferPool) join(data mem.BufferSlice, s span) *inspection.Buffer {
	b := p.Get(s.size)
	start, at := s.start, 0
	for _, piece := range data {
		if at == s.size {
			break
		}
		if start >= piece.Len() {
			start -= piece.Len()
			continue
		}
		at += copy((*b)[at:], piece.ReadOnlyData()[start:])
		start = 0
	}
	return inspection.NewBuffer(func() { p.Put(b) }, *b)
}
