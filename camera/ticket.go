package camera

import (
	"context"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Outcome is what is known of one frame that was given to a Stream. Verdict, Source, Reason, FellBack and Latency are
// final once there is a verdict; the rest once the frame is settled.
type Outcome struct {
	Frame   inspection.Frame // with its key, without image bytes
	Verdict inspection.Verdict
	Source  inspection.Source // who is behind Verdict; SourceCamera where the stream fell back by itself
	Reason  inspection.Reason
	// FellBack: no answer was there by the deadline, or ever, and Verdict is the camera's own fallback. It stays what to
	// act on, whatever a node says later.
	FellBack bool
	// Answer is the last one that a node gave, nil where none did. It may differ from Verdict when it came too late.
	Answer *inspection.Answer
	// Recorded: a node has the frame on disk.
	Recorded bool
	// Announced: a node has on disk what the camera told the gate by itself, or on an answer that was not recorded.
	Announced bool
	// Dropped: the frame was given up, by policy, because no node takes it, or because the stream was closed; Err says why.
	Dropped bool
	Err     error
	// Sends is how often the frame was sent.
	Sends int
	// Latency is from Send (for a paced source, from when the picture was due) to the verdict.
	Latency time.Duration
}

// Ticket stands for one frame in a Stream's care.
type Ticket struct {
	s       *Stream
	since   time.Time
	acted   chan struct{} // closed when there is a verdict
	settled chan struct{} // closed when the stream has nothing more to do for the frame
	outcome Outcome       // guarded by s.mu
}

// Verdict waits until there is something to act on: the node's answer, or the camera's own fallback at the deadline. The
// error is ctx's.
func (t *Ticket) Verdict(ctx context.Context) (Outcome, error) { return t.wait(ctx, t.acted) }

// Settled waits until the frame is recorded or given up. The error is ctx's; the stream goes on with the frame.
func (t *Ticket) Settled(ctx context.Context) (Outcome, error) { return t.wait(ctx, t.settled) }

func (t *Ticket) wait(ctx context.Context, c <-chan struct{}) (Outcome, error) {
	var err error
	select {
	case <-c:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return t.outcome, err
}

// act makes v the verdict, unless there is one. The caller holds s.mu.
func (t *Ticket) act(v inspection.Verdict, src inspection.Source, r inspection.Reason) bool {
	select {
	case <-t.acted:
		return false
	default:
	}
	t.outcome.Verdict, t.outcome.Source, t.outcome.Reason = v, src, r
	t.outcome.FellBack = src == inspection.SourceCamera
	t.outcome.Latency = time.Since(t.since)
	close(t.acted)
	return true
}

func (t *Ticket) hasVerdict() bool {
	select {
	case <-t.acted:
		return true
	default:
		return false
	}
}
