package proto

import (
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/assay-vision/assay/inspection"
)

// holders makes inspection.Buffers out of received buffers. It reuses the lists of pieces, which for a large image are
// the larger part of what receiving it would leave to the garbage collector.
type holders struct{ pool sync.Pool }

// holder keeps the received buffers of one image.
type holder struct {
	home    *holders
	buffers mem.BufferSlice
	pieces  [][]byte
}

// hold returns the bytes of s as a Buffer that has references of its own on the received buffers.
func (hs *holders) hold(data mem.BufferSlice, s span) *inspection.Buffer {
	h, _ := hs.pool.Get().(*holder)
	if h == nil {
		h = &holder{home: hs}
	}
	start, left := s.start, s.size
	for _, b := range data {
		if left == 0 {
			break
		}
		n := b.Len()
		if start >= n {
			start -= n
			continue
		}
		take := min(left, n-start)
		part := b.Slice(start, start+take)
		h.buffers = append(h.buffers, part)
		h.pieces = append(h.pieces, part.ReadOnlyData())
		start, left = 0, left-take
	}
	return inspection.NewBuffer(h.free, h.pieces...)
}

// free returns the received buffers to gRPC's pool and the holder to its own.
func (h *holder) free() {
	h.buffers.Free()
	clear(h.buffers)
	clear(h.pieces)
	h.buffers, h.pieces = h.buffers[:0], h.pieces[:0]
	h.home.pool.Put(h)
}
