package raw

import (
	"context"
	"sync"
	"time"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/assay-vision/assay/inspection"
)

// whole is one caller of Whole: it makes itself ready, waits for begin, and counts frames.
func (m *Model) whole(ctx context.Context, session *onnx.DynamicAdvancedSession, frames []inspection.Frame, ready *sync.WaitGroup, begin <-chan struct{}, length time.Duration) (n int, err error) {
	isReady := sync.OnceFunc(ready.Done)
	defer isReady()
	h, err := m.hand(nil)
	if err != nil {
		return 0, err
	}
	defer h.close()
	l, err := m.lane(session, 1)
	if err != nil {
		return 0, err
	}
	defer l.close()
	one := func(i int) error {
		if _, err := h.fill(l.slab, frames[i%len(frames)]); err != nil {
			return err
		}
		return l.run()
	}
	if err := one(0); err != nil { // warm
		return 0, err
	}
	isReady()
	<-begin
	for until := time.Now().Add(length); time.Now().Before(until) && ctx.Err() == nil; n++ {
		if err := one(n); err != nil {
			return n, err
		}
	}
	return n, nil
}
