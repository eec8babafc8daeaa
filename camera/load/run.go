package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// Options say what is sent.
type Options struct {
	// Pictures are sent round and round, none by one camera twice in a row unless there is no other. Key, attempt, budget
	// and Simulated of each are set by the run; their images are the caller's and must stay for as long as the client is open.
	Pictures []inspection.Frame
	// Simulated marks the frames: recorded apart from the line's.
	Simulated bool
	// Budget is from when a frame is due to its verdict, for frames whose arrival states none. 0: the recipe's, which
	// then starts at the node, and no answer is late.
	Budget time.Duration
	// Margin is taken off the budget that a frame carries, for the way back.
	Margin time.Duration
	// Check reports whether the answer of a model is the right one for a picture. Several goroutines call it. Nil: any is.
	Check func(picture int, a *assayv1.Answer) bool
	// Patience is how long to wait for answers after the last frame was due. 0: ten seconds.
	Patience time.Duration
	// Window bounds the frames in flight of a closed loop, over all streams. 0: by the node's credits alone.
	Window int
}

// Outcome is what became of one frame. Times count from the start of the run.
type Outcome struct {
	Picture  int
	Budget   time.Duration // 0: none of its own
	Due      time.Duration
	Lag      time.Duration // how late the generator itself was; of an open loop
	At       time.Duration // when it was answered, or given up
	Answered bool
	Judged   bool // by the model
	Correct  bool // and Check agrees
	Recorded bool
	Unsent   bool // no stream had a credit for it before its time was over
	Reason   string
}

// Latency counts from when the frame was due.
func (o Outcome) Latency() time.Duration { return o.At - o.Due }

// Good reports whether the frame got the right verdict from the model within its budget.
func (o Outcome) Good() bool {
	return o.Correct && (o.Budget <= 0 || o.Latency() <= o.Budget)
}

// shot is a frame on its way.
type shot struct {
	run     *run
	arrival Arrival
	due     time.Time
	outcome *Outcome
	settled bool
}

// left returns what a frame that is sent now has left of its budget.
func (s *shot) left() time.Duration {
	return s.outcome.Budget - time.Since(s.due) - s.run.options.Margin
}

// answered ends a shot by an answer. The client's mu is held.
func (s *shot) answered(o Outcome, now time.Time) {
	if s.settled { // the run gave it up
		return
	}
	p := s.outcome
	p.Answered, p.Judged, p.Correct, p.Recorded, p.Reason = o.Answered, o.Judged, o.Correct, o.Recorded, o.Reason
	s.settle(now)
}

// settle ends a shot. The client's mu is held.
func (s *shot) settle(now time.Time) {
	if s.settled {
		return
	}
	s.settled = true
	s.outcome.At = now.Sub(s.run.start)
	s.run.one()
}

// run is one run under way. The client's mu guards it.
type run struct {
	client  *Client
	options Options
	start   time.Time
	shots   []*shot
	open    int // not settled
	last    bool
	until   time.Time // of a closed loop
	ended   bool
	done    chan struct{}
}

// one counts a settled shot; a closed loop sends the next.
func (r *run) one() {
	r.open--
	switch {
	case r.ended:
	case !r.until.IsZero() && time.Now().Before(r.until):
		r.more(Arrival{At: time.Since(r.start), Stream: -1, Picture: len(r.shots)}, 0)
	case r.open == 0 && (r.last || !r.until.IsZero()):
		r.end()
	}
}

func (r *run) end() {
	if !r.ended {
		r.ended = true
		close(r.done)
	}
}

// more puts one more frame on its way.
func (r *run) more(a Arrival, lag time.Duration) {
	budget := a.Budget
	if budget == 0 {
		budget = r.options.Budget
	}
	s := &shot{run: r, arrival: a, due: r.start.Add(a.At), outcome: &Outcome{
		Picture: a.Picture % len(r.options.Pictures), Budget: budget, Due: a.At, Lag: lag,
	}}
	r.shots = append(r.shots, s)
	r.open++
	r.client.place(s)
}

// Open sends the frames of a timetable, each when it is due, and returns what became of them in that order.
func (c *Client) Open(ctx context.Context, s Schedule, o Options) ([]Outcome, error) {
	r, err := c.begin(o, time.Time{})
	if err != nil {
		return nil, err
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		r.feed(ctx, s, newPrecise())
	}()
	<-fed
	return c.finish(ctx, r, s.Length())
}

// feed hands out frames when they are due.
func (r *run) feed(ctx context.Context, s Schedule, sleep sleeper) {
	for _, a := range s {
		due := r.start.Add(a.At)
		sleep.until(ctx, due)
		r.client.mu.Lock()
		if ctx.Err() != nil || r.ended {
			r.client.mu.Unlock()
			return
		}
		r.more(a, time.Since(due))
		r.client.mu.Unlock()
	}
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	r.last = true
	if r.open == 0 {
		r.end()
	}
}

// Closed keeps every credit in use for length, and returns what became of the frames in the order of sending.
func (c *Client) Closed(ctx context.Context, length time.Duration, o Options) ([]Outcome, error) {
	n := c.Credits()
	if o.Window > 0 {
		n = min(n, o.Window)
	}
	r, err := c.begin(o, time.Now().Add(length))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	for range n {
		r.more(Arrival{At: time.Since(r.start), Stream: -1, Picture: len(r.shots)}, 0)
	}
	c.mu.Unlock()
	return c.finish(ctx, r, length)
}

func (c *Client) begin(o Options, until time.Time) (*run, error) {
	if len(o.Pictures) == 0 {
		return nil, fmt.Errorf("%w: there is no picture to send", inspection.ErrInvalid)
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return nil, c.err
	case c.run != nil && !c.run.ended:
		return nil, errors.New("a run is under way on these streams")
	}
	c.run = &run{client: c, options: o, start: time.Now(), until: until, done: make(chan struct{})}
	return c.run, nil
}

// finish waits for what is outstanding and gives up the rest.
func (c *Client) finish(ctx context.Context, r *run, length time.Duration) ([]Outcome, error) {
	timer := time.NewTimer(time.Until(r.start.Add(length + r.options.Patience)))
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.end()
	out := make([]Outcome, len(r.shots))
	now := time.Now()
	for i, s := range r.shots {
		s.settle(now)
		out[i] = *s.outcome
	}
	c.backlog = nil
	for _, s := range c.streams {
		s.backlog = nil
	}
	return out, errors.Join(ctx.Err(), c.err)
}
