package plan

import (
	"context"
	"errors"
	"time"
)

// Bench runs the model that is to be measured.
type Bench interface {
	// Run runs a setting once by each of its callers, all at the same time, and returns how long each run took, without
	// what it waited to begin. The error wraps ErrBusy where others need the threads now.
	Run(ctx context.Context, s Setting) ([]time.Duration, error)
}

// ErrBusy says that a setting cannot be run now, because it needs threads that others have.
var ErrBusy = errors.New("others need the threads")

// How often a setting is run.
const (
	minRuns   = 3  // fewer say nothing
	minRounds = 7  // besides the first, which warms
	maxRounds = 50 // for models so fast that seven runs are no time at all
	roundsFor = 200 * time.Millisecond
)

// measure takes a model's surface: batches grow until that gains less than minGain. Settings take turns, run by run, so
// that a noisy moment of the machine hits all of them. It ends when the budget is used; complete is false where something
// could not be measured, for time or because others had the threads.
func measure(ctx context.Context, c Config, space Space, b Bench) (s Surface, complete bool, err error) {
	within, cancel := context.WithTimeout(ctx, c.Budget)
	defer cancel()
	complete = true
	growing := space.lanes()
	last := map[Setting]Point{} // by lane: its largest batch so far
	for _, size := range space.Batches {
		growing = thatFit(growing, last, size, c.LongestRun)
		times, err := takeTurns(within, growing, size, b)
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		if err != nil && within.Err() == nil {
			return nil, false, err
		}
		var next []Setting
		for i, lane := range growing {
			if len(times[i]) < minRuns {
				complete = false
				continue
			}
			before, grown := last[lane]
			p := pointOf(atBatch(lane, size), times[i])
			s, last[lane] = append(s, p), p
			if !grown || gains(p, before) {
				next = append(next, lane)
			}
		}
		growing = next
	}
	s.sort(space.Variants)
	return s, complete, nil
}

func atBatch(lane Setting, size int) Setting {
	lane.Batch = size
	return lane
}

// thatFit leaves out lanes whose runs of this size would hold a thread for longer than longest, going by the size before:
// a frame that comes meanwhile waits for such a run.
func thatFit(lanes []Setting, last map[Setting]Point, size int, longest time.Duration) []Setting {
	var out []Setting
	for _, lane := range lanes {
		if p, ok := last[lane]; ok && p.Median*time.Duration(size)/time.Duration(p.Batch) > longest {
			continue
		}
		out = append(out, lane)
	}
	return out
}

// takeTurns runs all lanes at one batch size, in turns, and returns the times by lane. What was timed until an error is
// returned with it.
func takeTurns(ctx context.Context, lanes []Setting, size int, b Bench) ([][]time.Duration, error) {
	times := make([][]time.Duration, len(lanes))
	if len(lanes) == 0 {
		return nil, nil
	}
	start := time.Now()
	for round := range maxRounds {
		if round > minRounds && time.Since(start) > roundsFor {
			break
		}
		for i, lane := range lanes {
			took, err := b.Run(ctx, atBatch(lane, size))
			switch {
			case err == nil && round > 0:
				times[i] = append(times[i], took...)
			case ctx.Err() != nil:
				return times, ctx.Err()
			case err != nil && !errors.Is(err, ErrBusy):
				return times, err
			}
		}
	}
	return times, nil
}
