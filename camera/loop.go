package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// Loop is a Source that goes through another from beginning to end several times. A part that comes round again is measured
// again, which is a new run: from the second round on the run id is "round-2", or the source's own with "/round-2" behind it.
type Loop struct {
	open   func() (Source, error)
	rounds int
	round  int // from 1
	length int // of one round; -1 unknown
	shots  int // of this round, bad ones included
	closed bool

	mu     sync.Mutex // Settle comes from any goroutine
	source Source     // written by Next alone, under mu
}

// NewLoop opens the first round. open yields the source for one round, from its beginning; rounds is how often, 0 for ever.
func NewLoop(rounds int, open func() (Source, error)) (*Loop, error) {
	if rounds < 0 {
		return nil, fmt.Errorf("%w: rounds is %d: use a number above 0, or 0 for ever", inspection.ErrInvalid, rounds)
	}
	source, err := open()
	if err != nil {
		return nil, err
	}
	return &Loop{open: open, rounds: rounds, round: 1, source: source, length: lenOf(source)}, nil
}

// Len is the number of shots of all rounds, -1 for ever or where the source cannot tell.
func (l *Loop) Len() int {
	if l.rounds == 0 || l.length < 0 {
		return -1
	}
	return l.rounds * l.length
}

// Next is the next shot of this round, or the first of the next one. A round without any shot ends the source, so that an
// empty one does not spin.
func (l *Loop) Next(ctx context.Context) (Shot, error) {
	if l.closed {
		return Shot{}, fmt.Errorf("loop: %w", inspection.ErrClosed)
	}
	for {
		shot, err := l.source.Next(ctx)
		switch {
		case err == nil:
			l.shots++
			return l.mark(shot)
		case errors.Is(err, ErrShot):
			l.shots++
			return shot, err
		case !errors.Is(err, io.EOF):
			return shot, err
		case l.shots == 0 || l.round == l.rounds:
			return Shot{}, io.EOF
		}
		if err := l.again(); err != nil {
			return Shot{}, err
		}
	}
}

func (l *Loop) again() error {
	if err := l.source.Close(); err != nil {
		return fmt.Errorf("end round %d: %w", l.round, err)
	}
	source, err := l.open()
	if err != nil {
		return fmt.Errorf("open round %d: %w", l.round+1, err)
	}
	l.mu.Lock()
	l.source = source
	l.mu.Unlock()
	l.shots = 0
	l.round++
	return nil
}

func (l *Loop) mark(shot Shot) (Shot, error) {
	if l.round == 1 {
		return shot, nil
	}
	mark := fmt.Sprintf("round-%d", l.round)
	if shot.Frame.RunID != "" {
		mark = shot.Frame.RunID + "/" + mark
	}
	if err := inspection.ValidName("run_id", mark); err != nil {
		shot.Frame.Image.Data.Release()
		shot.Frame.Image = inspection.Image{}
		return shot, fmt.Errorf("%w: %s: %w: give shorter run ids", ErrShot, shot.Name, err)
	}
	shot.Frame.RunID = mark
	return shot, nil
}

// Settle passes on to the round that is open.
func (l *Loop) Settle(shot Shot, recorded bool) error {
	l.mu.Lock()
	inside := wrapped{l.source}
	l.mu.Unlock()
	return inside.Settle(shot, recorded)
}

// Close closes the round that is open.
func (l *Loop) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	return l.source.Close()
}

var (
	_ Source  = (*Loop)(nil)
	_ Settler = (*Loop)(nil)
	_ Sized   = (*Loop)(nil)
)
