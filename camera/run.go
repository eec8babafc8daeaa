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
// A bad picture (ErrShot) is reported as dropped and given to each like the others. Run ends early with the error of src
// or each, or with ctx's; shots without an outcome are given to each with that error, are not settled as recorded, and
// stay in the stream's care.
func (s *Stream) Run(ctx context.Context, src Source, each func(Shot, Outcome) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu   sync.Mutex // one call of each at a time
		work sync.WaitGroup
	)
	report := func(shot Shot, o Outcome, settle bool) {
		mu.Lock()
		defer mu.Unlock()
		shot.Frame.Image.Data, o.Frame.Image.Data = nil, nil // given back already
		var err error
		if settler, ok := src.(Settler); ok && settle {
			if err = settler.Settle(shot, o.Recorded); err != nil {
				err = fmt.Errorf("settle %s: %w", shot.Name, err)
			}
		}
		if err = errors.Join(each(shot, o), err); err != nil {
			cancel(err)
		}
	}
	err := s.feed(ctx, src, func(shot Shot, t *Ticket) {
		work.Go(func() {
			o, err := t.Settled(ctx)
			o.Err = errors.Join(o.Err, err)
			report(shot, o, true)
		})
	}, func(shot Shot, o Outcome, settle bool) { report(shot, o, settle) })
	if err != nil {
		cancel(err)
	}
	work.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// feed gives the shots of src to the stream until its end: sent gets each that was taken, skipped each that was not.
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
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("next picture: %w", err)
		}
		ticket, err := s.take(ctx, shot)
		shot.Frame.Image.Data.Release()
		switch {
		case errors.Is(err, inspection.ErrInvalid):
			skipped(shot, s.Skip(shot.Frame, reasonInvalid, err), true)
		case err != nil:
			skipped(shot, Outcome{Frame: shot.Frame, Err: err}, true)
			return err
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
