package server

import (
	"context"
	"sync"
)

// budget counts image bytes in flight over all streams. Bytes that are here are counted at once and may lift it over its
// limit, by one message a stream at most; who received them waits until it is below again before it reads on. What gRPC holds of
// messages that are not whole yet is not seen here: gRPC hands out whole ones alone.
type budget struct {
	limit int64

	mu    sync.Mutex
	used  int64
	below chan struct{} // closed when used is at or below limit
}

func newBudget(limit int64) *budget {
	b := &budget{limit: limit, below: make(chan struct{})}
	close(b.below)
	return b
}

func (b *budget) add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used <= b.limit && b.used+n > b.limit {
		b.below = make(chan struct{})
	}
	b.used += n
}

func (b *budget) sub(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > b.limit && b.used-n <= b.limit {
		close(b.below)
	}
	b.used -= n
}

// inUse returns the bytes that are counted now.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// wait returns when the budget is at or below its limit, or with an error when ctx ends.
func (b *budget) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		over, below := b.used > b.limit, b.below
		b.mu.Unlock()
		if !over {
			return nil
		}
		select {
		case <-below:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
