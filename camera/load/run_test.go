package load

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// bare is a client whose streams are not connected: what is given to one stays in its queue.
func bare(streams, credits int) *Client {
	c := &Client{}
	for range streams {
		c.streams = append(c.streams, &stream{client: c, credits: credits, wake: make(chan struct{}, 1), sent: map[uint64]*shot{}})
	}
	return c
}

func pictures() Options { return Options{Pictures: make([]inspection.Frame, 3)} }

// late is a sleeper that wakes up late.
type late struct{ by time.Duration }

func (l late) until(ctx context.Context, t time.Time) { timers{}.until(ctx, t.Add(l.by)) }

func TestLagIsTheGeneratorsOwnAndLatencyCountsFromWhenAFrameWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(1, 10)
		r, err := c.begin(pictures(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		s := Schedule{{At: 10 * time.Millisecond, Stream: -1}, {At: 40 * time.Millisecond, Stream: -1, Picture: 4}}
		r.feed(t.Context(), s, late{3 * time.Millisecond})
		time.Sleep(7 * time.Millisecond)
		c.mu.Lock()
		for _, sh := range r.shots {
			sh.answered(Outcome{Answered: true, Judged: true, Correct: true}, time.Now())
		}
		c.mu.Unlock()
		out, err := c.finish(t.Context(), r, s.Length())
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if o.Due != s[i].At || o.Lag != 3*time.Millisecond {
				t.Errorf("frame %d: due at %v with a lag of %v, want %v and 3ms", i, o.Due, o.Lag, s[i].At)
			}
			if want := 50*time.Millisecond - s[i].At; o.Latency() != want {
				t.Errorf("frame %d: latency %v, want %v: from when it was due to its answer at 50ms", i, o.Latency(), want)
			}
		}
		if out[1].Picture != 1 {
			t.Errorf("picture %d of 3, want 1: round and round", out[1].Picture)
		}
		report := NewReport(out)
		if report.LagP99 != 3*time.Millisecond || report.Void() == "" {
			t.Errorf("lag p99 %v, void %q: want 3ms and void", report.LagP99, report.Void())
		}
	})
}

func TestAFrameWaitsForACreditAndIsHeldBackWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(1, 1)
		o := pictures()
		o.Budget = 50 * time.Millisecond
		r, err := c.begin(o, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		s := Schedule{{Stream: -1}, {Stream: -1}, {At: 20 * time.Millisecond, Stream: -1}}
		r.feed(t.Context(), s, timers{})
		st := c.streams[0]
		first, seq := st.next()
		if first != r.shots[0] || seq != 1 {
			t.Fatalf("the first frame is not the first to be sent, or its seq is %d", seq)
		}
		if sh, _ := st.next(); sh != nil {
			t.Fatal("a frame was sent without a credit")
		}
		time.Sleep(35 * time.Millisecond) // 55 ms: the second frame's time is over, the third has 15 ms left
		st.give(1)
		sh, seq := st.next()
		if sh != r.shots[2] || seq != 2 {
			t.Fatalf("the frame that has time left is not sent next, or its seq is %d: the numbers must have no gap", seq)
		}
		if left := sh.left(); left != 15*time.Millisecond {
			t.Errorf("it is sent with %v left, want 15ms", left)
		}
		if held := r.shots[1].outcome; !held.Unsent || held.Answered || held.Good() {
			t.Errorf("the second frame: %+v, want it held back", held)
		}
	})
}

func TestFramesGoToTheStreamWithLeastInFlightOrToTheirOwn(t *testing.T) {
	c := bare(3, 2)
	r, err := c.begin(pictures(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.more(Arrival{Stream: -1}, 0)
	}
	for i, s := range c.streams {
		if s.flying != 1 {
			t.Errorf("stream %d has %d frames, want 1", i, s.flying)
		}
	}
	for range 3 {
		r.more(Arrival{Stream: 1}, 0)
	}
	if s := c.streams[1]; s.flying != 2 || len(s.backlog) != 2 {
		t.Errorf("stream 1 has %d in flight and %d waiting, want 2 and 2", s.flying, len(s.backlog))
	}
}

func TestNoCameraSendsThePictureBeforeAgain(t *testing.T) {
	c := bare(2, 10)
	r, err := c.begin(pictures(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, picture := range []int{0, 3, 1, 1, 4} { // of 3: 0, 0, 1, 1, 1
		r.more(Arrival{Stream: 1, Picture: picture}, 0)
	}
	last := -1
	for range 5 {
		sh, _ := c.streams[1].next()
		if got := sh.outcome.Picture; got == last || got > 2 {
			t.Errorf("picture %d after picture %d of 3", got, last)
		} else {
			last = got
		}
	}
}

func TestAClosedLoopKeepsItsWindowUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(1, 4)
		go func() { // a node that takes 10 ms for each frame
			for range 25 {
				time.Sleep(10 * time.Millisecond)
				c.mu.Lock()
				sh := c.streams[0].queue[0]
				c.streams[0].queue = c.streams[0].queue[1:]
				c.streams[0].flying--
				c.streams[0].give(1)
				sh.answered(Outcome{Answered: true, Judged: true, Correct: true}, time.Now())
				if n := len(c.streams[0].queue); time.Since(c.run.start) < 200*time.Millisecond && n != 3 {
					t.Errorf("%d frames in flight, want 3", n)
				}
				done := c.run.ended
				c.mu.Unlock()
				if done {
					return
				}
			}
		}()
		o := pictures()
		o.Window = 3
		out, err := c.Closed(t.Context(), 200*time.Millisecond, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := Throughput(out, 20*time.Millisecond, 200*time.Millisecond); got != 100 {
			t.Errorf("%v frames/s, want 100", got)
		}
		if r := NewReport(out); r.Answered != len(out) || r.P50 != 30*time.Millisecond {
			t.Errorf("%+v: want all answered, after 30ms each", r)
		}
	})
}

func TestAnswersThatNeverComeAreMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(1, 4)
		r, err := c.begin(Options{Pictures: make([]inspection.Frame, 1), Patience: time.Second}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		r.feed(t.Context(), Schedule{{Stream: -1}}, timers{})
		out, err := c.finish(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		if report := NewReport(out); report.Missing != 1 || report.Good != 0 {
			t.Errorf("%+v: want one missing and none good", report)
		}
	})
}

func TestAStreamThatEndsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(1, 4)
		gone := errors.New("gone")
		go func() {
			time.Sleep(time.Millisecond)
			c.fail(gone)
		}()
		if _, err := c.Closed(t.Context(), time.Minute, pictures()); !errors.Is(err, gone) {
			t.Errorf("the run ended with %v, want that a stream is gone", err)
		}
		if _, err := c.Closed(t.Context(), time.Minute, pictures()); !errors.Is(err, gone) {
			t.Errorf("the next run began, or ended with %v", err)
		}
	})
}

func TestReports(t *testing.T) {
	var out []Outcome
	for i := range 1000 {
		at := time.Duration(i+1) * time.Millisecond
		out = append(out, Outcome{At: at, Budget: 900 * time.Millisecond, Answered: true, Judged: true, Correct: i != 0})
	}
	out = append(out, Outcome{Unsent: true, At: time.Second}, Outcome{At: time.Second}, Outcome{Answered: true, At: time.Second})
	r := NewReport(out)
	want := Report{
		Frames: 1003, Answered: 1001, Judged: 1000, Wrong: 1, Missing: 1, Unsent: 1, Good: 899,
		P50: 501 * time.Millisecond, P99: 991 * time.Millisecond, P999: time.Second, Max: time.Second, Length: time.Second,
	}
	if r != want {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
	if r.Void() != "" {
		t.Errorf("void: %s", r.Void())
	}
	if got, want := r.Goodput(), 899.0/1003; got != want {
		t.Errorf("goodput %v, want %v", got, want)
	}
	if NewReport(nil).Void() == "" {
		t.Error("a run without frames is not void")
	}
}
