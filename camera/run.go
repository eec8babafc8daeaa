package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// Run sends every shot of src and calls each once for every one of them, as soon as it is settled, one call at a time.
// It returns when src is at its end and all its shots are settled. A source that keeps time (Shot.Due) is followed, and
// latency and deadline count from when the picture was due; of any other, a shot is sent when the node has a credit free
// for it, so that no clock runs while pictures queue.
//
// A bad picture (ErrShot) is reported as dropped and given to each like the others.
//
// Run ends early with the first error of src, each or Settle, or with ctx's. It then sends no more and closes the stream,
// which waits StreamConfig.CloseWait at most until what was sent is recorded; each is told what became of it. A shot that
// was not sent is settled as not recorded and is not given to each.
func (s *Stream) Run(ctx context.Context, src Source, each func(Shot, Outcome) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu     sync.Mutex // one call of each at a time; guards failed
		failed error      // the first of each and Settle
		work   sync.WaitGroup
	)
	report := func(shot Shot, o Outcome, waits bool) {
		mu.Lock()
		defer mu.Unlock()
		shot.Frame.Image.Data, o.Frame.Image.Data = nil, nil // given back already
		err := each(shot, o)
		if waits {
			err = errors.Join(err, settle(src, shot, o.Recorded))
		}
		if err != nil && failed == nil {
			failed = err
			stop()
		}
	}
	err := s.feed(running, src, func(shot Shot, t *Ticket) {
		work.Go(func() {
			o, _ := t.Settled(context.WithoutCancel(ctx)) // it comes, at the latest when the stream is closed
			report(shot, o, true)
		})
	}, report)
	if err != nil {
		stop()
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		work.Wait()
	}()
	select {
	case <-settled:
	case <-running.Done():
	}
	var unclosed error
	if running.Err() != nil {
		closing, enough := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.CloseWait)
		unclosed = s.Close(closing)
		enough()
		<-settled
	}
	if err = errors.Join(err, failed); err == nil {
		err = context.Cause(ctx)
	}
	return errors.Join(err, unclosed)
}

// settle tells the source what became of a shot, where it wants to know.
func settle(src Source, shot Shot, recorded bool) error {
	if settler, ok := src.(Settler); ok {
		if err := settler.Settle(shot, recorded); err != nil {
			return fmt.Errorf("settle %s: %w", shot.Name, err)
		}
	}
	return nil
}

// feed gives the shots of src to the stream until its end or ctx's: sent gets each that was taken, skipped each that was
// not, and whether the source waits to hear of it.
func (s *Stream) feed(ctx context.Context, src Source, sent func(Shot, *Ticket), skipped func(Shot, Outcome, bool)) error {
	for {
		shot, err := src.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrShot):
			skipped(shot, s.Skip(shot.Frame, reasonNoImage, err), false)
			continue
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("next picture: %w", err)
		}
		ticket, err := s.take(ctx, shot)
		shot.Frame.Image.Data.Release()
		switch {
		case errors.Is(err, inspection.ErrInvalid):
			skipped(shot, s.Skip(shot.Frame, reasonInvalid, err), true)
		case err != nil && ctx.Err() != nil:
			return settle(src, shot, false)
		case err != nil:
			return errors.Join(err, settle(src, shot, false))
		default:
			sent(shot, ticket)
		}
	}
}

// take sends a shot, in its time or in the node's.
func (s *Stream) take(ctx context.Context, shot Shot) (*Ticket, error) {
	if shot.Due.IsZero() {
		if err := s.turn(ctx); err != nil {
			return nil, err
		}
	}
	return s.send(ctx, shot.Frame, shot.Due)
}

// turn waits until a frame that is sent now would go out now: the stream is connected, has a credit, and no frame waits
// before it.
func (s *Stream) turn(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return fmt.Errorf("send frame: %w", inspection.ErrClosed)
		}
		if s.link != nil && !s.link.retiring {
			waiting := 0
			for _, k := range s.frames {
				if k.link == nil && !k.hasVerdict() {
					waiting++
				}
			}
			if waiting < s.link.credits {
				return nil
			}
		}
		if err := s.wait(ctx, 0); err != nil {
			return err
		}
	}
}
