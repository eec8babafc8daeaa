package proto

import (
	"testing"

	"google.golang.org/grpc/mem"
)

var _ mem.BufferPool = (*bufferPool)(nil)

func TestPooledBuffersAreAsLongAsAskedFor(t *testing.T) {
	var p bufferPool
	for _, n := range []int{0, 1, 255, 256, 257, 1 << 14, 1<<14 + 1, 1 << 26, 1<<26 + 1} {
		b := p.Get(n)
		if len(*b) != n {
			t.Errorf("asked for %d bytes, got %d", n, len(*b))
		}
		whole := cap(*b)
		*b = (*b)[:n/2] // gRPC gives back a prefix
		p.Put(b)
		if again := p.Get(n); len(*again) != n || cap(*again) < whole && n <= 1<<largestBuffer {
			t.Errorf("asked again for %d bytes, got %d with room for %d, want room for %d", n, len(*again), cap(*again), whole)
		}
	}
}

// A buffer that is not the pool's own must not come back as a larger one than it is.
func TestForeignBuffersAreNotHandedOut(t *testing.T) {
	var p bufferPool
	for _, c := range []int{0, 1, 300, 1<<14 + 1, 1 << 26} {
		b := make([]byte, c)
		p.Put(&b)
	}
	for _, n := range []int{1, 300, 512, 1 << 14, 1 << 15, 1<<14 + 1} {
		if b := p.Get(n); len(*b) != n || cap(*b) != 1<<(smallestBuffer+tier(n)) {
			t.Errorf("asked for %d bytes, got %d with room for %d", n, len(*b), cap(*b))
		}
	}
}
