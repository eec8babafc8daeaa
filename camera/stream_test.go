package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func TestFrameIsAnsweredAndRecorded(t *testing.T) {
	node := newNode(t, nil)
	s := connected(t, testStream(t, nil, node.addr))
	encoder := int64(7)
	f := picture("bytes")
	f.View, f.Reference, f.Serial, f.Lot, f.Encoder, f.Simulated = "top", "ref", "SN1", "L1", &encoder, true
	o := settled(t, send(t, s, f))
	if o.Verdict != inspection.Pass || o.Source != inspection.SourceModel || !o.Recorded || o.FellBack || o.Dropped || o.Err != nil || o.Sends != 1 {
		t.Errorf("outcome %+v, want a recorded PASS of the model, sent once", o)
	}
	if o.Frame.Key != (inspection.FrameKey{Line: "line", Station: "station", Camera: "camera", Session: s.Session(), Seq: 1}) || o.Frame.Image.Data != nil {
		t.Errorf("outcome of frame %+v, want the stream's key and no image", o.Frame)
	}
	closeDrained(t, s)
	hello, got := node.hellos[0], node.deliveries()[0]
	if hello.Line != "line" || hello.Station != "station" || hello.Camera != "camera" || hello.Session != s.Session() || hello.Recipe != "board" {
		t.Errorf("hello %v", hello)
	}
	h := got.header
	if got.image != "bytes" || h.Seq != 1 || h.Attempt != 1 || h.View != "top" || h.Reference != "ref" || h.Serial != "SN1" || h.Lot != "L1" ||
		h.GetEncoder() != 7 || !h.Simulated || h.Format != assayv1.ImageFormat_IMAGE_FORMAT_PNG {
		t.Errorf("delivered %v with %q", h, got.image)
	}
	if b := h.Budget.AsDuration(); b <= 0 || b >= testBudget {
		t.Errorf("budget %v on the wire, want what was left of %v", b, testBudget)
	}
	if node.ends != 1 {
		t.Errorf("%d streams were ended in order, want 1", node.ends)
	}
}

func TestLostConnectionSendsAgainUnderTheSameKey(t *testing.T) {
	var broken atomic.Int32
	node := newNode(t, func(n *fakeNode) {
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			if h.Seq == 2 && broken.Add(1) <= 2 {
				return status.Error(codes.Unavailable, "going down")
			}
			return c.answer(h.Seq, inspection.Pass, true)
		}
	})
	s := connected(t, testStream(t, nil, node.addr))
	settled(t, send(t, s, picture("one")))
	o := settled(t, send(t, s, picture("two")))
	if o.Verdict != inspection.Pass || o.Sends != 3 {
		t.Errorf("outcome %+v, want PASS at the third delivery", o)
	}
	closeDrained(t, s)
	var attempts []uint32
	for _, d := range node.deliveries() {
		if d.header.Seq == 2 {
			attempts = append(attempts, d.header.Attempt)
			if d.image != "two" {
				t.Errorf("delivery %d carries %q", d.header.Attempt, d.image)
			}
		}
	}
	if fmt.Sprint(attempts) != "[1 2 3]" {
		t.Errorf("attempts %v, want 1 2 3", attempts)
	}
	for _, h := range node.hellos {
		if h.Session != s.Session() {
			t.Errorf("session %s after a reconnect, want %s", h.Session, s.Session())
		}
	}
}

// A frame is kept and sent again until recorded=true. What the gate was told first stays, and is announced where the
// record came out milder.
func TestNotRecordedIsSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		first, then inspection.Verdict
		announced   bool
	}{
		"milder record":  {inspection.Fail, inspection.Pass, true},
		"same record":    {inspection.Review, inspection.Review, false},
		"careful record": {inspection.Review, inspection.Fail, false},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			node := newNode(t, func(node *fakeNode) {
				node.frame = func(call *call, h *assayv1.FrameHeader) error {
					if n.Add(1) <= 3 {
						return call.answer(h.Seq, c.first, false)
					}
					return call.answer(h.Seq, c.then, true)
				}
			})
			s := connected(t, testStream(t, nil, node.addr))
			o := settled(t, send(t, s, picture("a")))
			if o.Verdict != c.first || o.FellBack || !o.Recorded || o.Sends != 4 || o.Answer.Verdict != c.then || o.Announced != c.announced {
				t.Errorf("outcome %+v with answer %+v", o, o.Answer)
			}
			closeDrained(t, s)
			for _, d := range node.deliveries() {
				if d.header.Attempt != 1 {
					t.Errorf("attempt %d: an answer came every time, want 1", d.header.Attempt)
				}
			}
			for _, d := range node.deliveries()[1:] {
				if d.header.Budget != nil {
					t.Errorf("budget %v: the gate had its verdict, want the recipe's", d.header.Budget.AsDuration())
				}
			}
			announced, _ := node.notes()
			if got := len(announced) == 1 && announced[0].Verdict == assayv1.Verdict(c.first); got != c.announced {
				t.Errorf("announced %v, want it %v", announced, c.announced)
			}
		})
	}
}

func TestUnrecordedPassIsNotBelieved(t *testing.T) {
	var n atomic.Int32
	node := newNode(t, func(node *fakeNode) {
		node.frame = func(c *call, h *assayv1.FrameHeader) error { return c.answer(h.Seq, inspection.Pass, n.Add(1) > 1) }
	})
	s := connected(t, testStream(t, nil, node.addr))
	if o := settled(t, send(t, s, picture("a"))); o.Verdict != inspection.Review || !o.FellBack || !o.Recorded || !o.Announced {
		t.Errorf("outcome %+v, want the camera's REVIEW, announced", o)
	}
}

func TestOwnFallbackByTheDeadline(t *testing.T) {
	answer := make(chan struct{})
	node := newNode(t, func(n *fakeNode) {
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			<-answer
			return c.answer(h.Seq, inspection.Pass, true)
		}
	})
	s := connected(t, testStream(t, nil, node.addr))
	f := picture("a")
	f.Budget, f.Simulated = 30*time.Millisecond, true
	ticket := send(t, s, f)
	o := verdict(t, ticket)
	if o.Verdict != inspection.Review || o.Source != inspection.SourceCamera || o.Reason != inspection.ReasonDeadline || !o.FellBack || o.Answer != nil {
		t.Errorf("outcome %+v, want the recipe's REVIEW by the camera", o)
	}
	if o.Latency < f.Budget {
		t.Errorf("fell back after %v, before the deadline at %v", o.Latency, f.Budget)
	}
	close(answer)
	o = settled(t, ticket)
	if o.Verdict != inspection.Review || !o.FellBack || !o.Recorded || !o.Announced || o.Answer.Verdict != inspection.Pass {
		t.Errorf("outcome %+v, want REVIEW still, recorded and announced, with the late PASS beside it", o)
	}
	announced, _ := node.notes()
	if len(announced) != 1 || announced[0].Seq != 1 || announced[0].Verdict != assayv1.Verdict_VERDICT_REVIEW || announced[0].Reason != "DEADLINE" || !announced[0].Simulated {
		t.Errorf("announced %v, want REVIEW of the simulated frame 1", announced)
	}
	if st := s.Stats(); st.FellBack != 1 || st.Recorded != 1 || st.Kept != 0 || st.KeptBytes != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestNoNodeThenOne(t *testing.T) {
	node := newNode(t, nil)
	node.srv.Stop()
	s := testStream(t, func(c *StreamConfig) { c.Budget, c.Fallback = 20*time.Millisecond, inspection.Fail }, node.addr)
	ticket := send(t, s, picture("a"))
	if o := verdict(t, ticket); o.Verdict != inspection.Fail || !o.FellBack {
		t.Errorf("outcome %+v, want the configured FAIL", o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), node.addr) {
		t.Errorf("Connect: %v, want a time-out that names the node", err)
	}
	node.start(t, node.addr)
	if o := settled(t, ticket); o.Verdict != inspection.Fail || !o.Recorded || !o.Announced {
		t.Errorf("outcome %+v, want FAIL, recorded and announced", o)
	}
	if d := node.deliveries(); len(d) != 1 || d[0].header.Budget != nil || d[0].header.Attempt != 1 {
		t.Errorf("deliveries %v, want one, the first attempt, with the recipe's budget", d)
	}
}

func TestCreditsAreNeverExceeded(t *testing.T) {
	node := newNode(t, func(n *fakeNode) {
		n.credits = 2
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			go func() { // in any order
				time.AfterFunc(time.Duration(h.Seq%3)*time.Millisecond, func() { _ = c.answer(h.Seq, inspection.Pass, true) })
			}()
			if h.Seq == 20 {
				c.mu.Lock()
				c.may++
				c.mu.Unlock()
				return c.send(&assayv1.InspectResponse{Message: &assayv1.InspectResponse_Credit{Credit: &assayv1.Credit{Frames: 1}}})
			}
			return nil
		}
	})
	s := connected(t, testStream(t, nil, node.addr))
	var tickets []*Ticket
	for i := range 60 {
		tickets = append(tickets, send(t, s, picture(fmt.Sprint("image ", i))))
	}
	for i, ticket := range tickets {
		if o := settled(t, ticket); o.Verdict != inspection.Pass || o.Frame.Key.Seq != uint64(i+1) {
			t.Errorf("frame %d: outcome %+v", i+1, o)
		}
	}
	closeDrained(t, s)
	if node.over != 0 || len(node.deliveries()) != 60 {
		t.Errorf("%d frames without a credit in %d deliveries, want none in 60", node.over, len(node.deliveries()))
	}
}

// full is a stream to a node that answers nothing until it is let go, with room for two frames.
func full(t *testing.T, policy Policy, bytes int64) (s *Stream, node *fakeNode, letGo func()) {
	t.Helper()
	gate := make(chan struct{})
	node = newNode(t, func(n *fakeNode) {
		n.credits = 1
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			<-gate
			return c.answer(h.Seq, inspection.Pass, true)
		}
	})
	s = connected(t, testStream(t, func(c *StreamConfig) { c.Policy, c.MaxFrames, c.MaxBytes = policy, 2, bytes }, node.addr))
	letGo = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(letGo)
	return s, node, letGo
}

func TestBlock(t *testing.T) {
	s, _, letGo := full(t, Block, 1000)
	first := send(t, s, picture("a"))
	send(t, s, picture("b"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, picture("c")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send to a full stream: %v, want ctx's error", err)
	}
	letGo()
	third := send(t, s, picture("c"))
	if o := settled(t, third); o.Verdict != inspection.Pass || o.Frame.Key.Seq != 3 {
		t.Errorf("outcome %+v, want PASS of frame 3: a Send that gave up takes no number", o)
	}
	settled(t, first)
}

func TestDropNewest(t *testing.T) {
	s, node, letGo := full(t, DropNewest, 1000)
	tickets := []*Ticket{send(t, s, picture("a")), send(t, s, picture("b"))}
	for range 3 {
		o := settled(t, send(t, s, picture("c")))
		if !o.Dropped || !errors.Is(o.Err, inspection.ErrOverloaded) || o.Verdict != inspection.Review || !o.FellBack || o.Reason != inspection.ReasonOverloaded {
			t.Errorf("outcome %+v, want dropped with the fallback REVIEW", o)
		}
	}
	letGo()
	for _, ticket := range tickets {
		if o := settled(t, ticket); !o.Recorded || o.Dropped {
			t.Errorf("outcome %+v, want recorded", o)
		}
	}
	closeDrained(t, s)
	announced, dropped := node.notes()
	next := uint64(3) // in one message, or in several where the connection was quick
	for _, d := range dropped {
		if d.FirstSeq != next || d.Reason != reasonNewest {
			break
		}
		next = d.LastSeq + 1
	}
	if next != 6 {
		t.Errorf("dropped %v, want 3 to 5", dropped)
	}
	if len(announced) != 3 || announced[0].Verdict != assayv1.Verdict_VERDICT_REVIEW {
		t.Errorf("announced %v, want the fallback REVIEW of 3 frames: the gate was told so", announced)
	}
}

func TestDropOldest(t *testing.T) {
	s, node, letGo := full(t, DropOldest, 1000)
	onTheWay := send(t, s, picture("a"))
	eventually(t, "frame 1 on its way", func() bool { return len(node.deliveries()) == 1 })
	waiting := send(t, s, picture("b"))
	third := send(t, s, picture("c"))
	if o := settled(t, waiting); !o.Dropped || o.Frame.Key.Seq != 2 {
		t.Errorf("outcome %+v, want frame 2 dropped: frame 1 is on its way", o)
	}
	letGo()
	for _, ticket := range []*Ticket{onTheWay, third} {
		if o := settled(t, ticket); !o.Recorded || o.Dropped {
			t.Errorf("outcome %+v, want recorded", o)
		}
	}
	closeDrained(t, s)
	if _, dropped := node.notes(); len(dropped) != 1 || dropped[0].FirstSeq != 2 || dropped[0].LastSeq != 2 || dropped[0].Reason != reasonOldest {
		t.Errorf("dropped %v, want frame 2", dropped)
	}
}

func TestDropOldestOnItsWay(t *testing.T) {
	s, node, letGo := full(t, DropOldest, 4)
	first := send(t, s, picture("aaa"))
	eventually(t, "frame 1 on its way", func() bool { return len(node.deliveries()) == 1 })
	second := send(t, s, picture("bbb")) // has no room beside it
	if o := settled(t, first); !o.Dropped {
		t.Errorf("outcome %+v, want dropped", o)
	}
	letGo() // the answer to a frame that was given up is no harm and gives its credit back
	if o := settled(t, second); !o.Recorded {
		t.Errorf("outcome %+v, want recorded", o)
	}
	closeDrained(t, s)
	if node.over != 0 {
		t.Errorf("%d frames were sent without a credit", node.over)
	}
}

func TestTooLarge(t *testing.T) {
	node := newNode(t, func(n *fakeNode) { n.limit = 1000 })
	s := connected(t, testStream(t, func(c *StreamConfig) { c.MaxBytes = 5000 }, node.addr))
	for name, size := range map[string]int{"for the node": 1000, "for the stream": 5001} {
		o := settled(t, send(t, s, picture(strings.Repeat("x", size))))
		if !o.Dropped || !errors.Is(o.Err, inspection.ErrImageTooLarge) || o.Reason != inspection.ReasonImageTooLarge || o.Verdict != inspection.Undetermined {
			t.Errorf("%s: outcome %+v, want dropped as too large, UNDETERMINED whatever the fallback", name, o)
		}
	}
	if o := settled(t, send(t, s, picture(strings.Repeat("x", 900)))); !o.Recorded {
		t.Errorf("outcome %+v, want recorded", o)
	}
	closeDrained(t, s)
	if _, dropped := node.notes(); len(dropped) == 0 || len(node.deliveries()) != 1 {
		t.Errorf("dropped %v, delivered %d, want the gap reported and one frame sent", dropped, len(node.deliveries()))
	}
}

func TestInvalid(t *testing.T) {
	node := newNode(t, func(n *fakeNode) {
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			return c.answerWith(inspection.Answer{
				Key: inspection.FrameKey{Seq: h.Seq}, Effect: inspection.Effect{Source: inspection.SourceRule, Reason: inspection.ReasonInvalid},
				Judgement: inspection.Judgement{Reason: inspection.ReasonInvalid, Detail: "lot is too lucky"},
			})
		}
	})
	s := connected(t, testStream(t, nil, node.addr))
	o := settled(t, send(t, s, picture("a")))
	if !o.Dropped || o.Recorded || !errors.Is(o.Err, inspection.ErrInvalid) || !strings.Contains(o.Err.Error(), "lot is too lucky") || o.Verdict != inspection.Undetermined || o.Sends != 1 {
		t.Errorf("outcome %+v, want given up with the node's words", o)
	}
	f := picture("b")
	f.Lot = "a\nb"
	if _, err := s.Send(t.Context(), f); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "lot") {
		t.Errorf("Send: %v, want ErrInvalid that names lot", err)
	}
	closeDrained(t, s)
	if _, dropped := node.notes(); len(dropped) != 1 || dropped[0].FirstSeq != 1 || dropped[0].Reason != reasonInvalid {
		t.Errorf("dropped %v, want frame 1", dropped)
	}
}

func TestFailoverAndHome(t *testing.T) {
	home, peer := newNode(t, nil), newNode(t, nil)
	other := newNode(t, func(n *fakeNode) { n.peers = []string{peer.addr} })
	home.srv.Stop()
	s := connected(t, testStream(t, func(c *StreamConfig) { c.HomeRetry = 4 * time.Millisecond }, home.addr, other.addr))
	settled(t, send(t, s, picture("a")))
	if len(other.deliveries()) != 1 {
		t.Fatalf("the second address got %d frames, want 1", len(other.deliveries()))
	}
	other.srv.Stop()
	settled(t, send(t, s, picture("b")))
	if len(peer.deliveries()) != 1 {
		t.Fatalf("the peer that the second node named got %d frames, want 1", len(peer.deliveries()))
	}
	home.start(t, home.addr)
	eventually(t, "a frame at home", func() bool {
		settled(t, send(t, s, picture("c")))
		return len(home.deliveries()) > 0
	})
	closeDrained(t, s)
	for _, d := range append(home.deliveries(), peer.deliveries()...) {
		if d.header.Seq > 2 && d.header.Attempt != 1 { // the second may have gone to the node that was stopped
			t.Errorf("frame %d was delivered %d times: going home loses no answer", d.header.Seq, d.header.Attempt)
		}
	}
}

// The way home is taken at once; the other node brings the answers that it owes beside it.
func TestGoingHomeWaitsForNobody(t *testing.T) {
	gate := make(chan struct{})
	home := newNode(t, nil)
	other := newNode(t, func(n *fakeNode) {
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			<-gate
			return c.answer(h.Seq, inspection.Pass, true)
		}
	})
	home.srv.Stop()
	s := connected(t, testStream(t, func(c *StreamConfig) { c.HomeRetry = 4 * time.Millisecond }, home.addr, other.addr))
	owed := send(t, s, picture("a"))
	eventually(t, "a frame at the other node", func() bool { return len(other.deliveries()) == 1 })
	home.start(t, home.addr)
	eventually(t, "the way home", func() bool { return s.Stats().Connects == 2 })
	settled(t, send(t, s, picture("b")))
	if len(home.deliveries()) != 1 {
		t.Errorf("%d frames at home, want the second", len(home.deliveries()))
	}
	close(gate)
	if o := settled(t, owed); o.Verdict != inspection.Pass || o.Sends != 1 {
		t.Errorf("outcome %+v, want PASS by the node that had the frame", o)
	}
	eventually(t, "the end of the old stream", func() bool { return other.count(0) == 0 })
}

// A way home that is being looked for, and hangs, is not waited for when the other node goes.
func TestFailoverWaitsForNoWayHome(t *testing.T) {
	home, other := newNode(t, nil), newNode(t, nil)
	home.srv.Stop()
	s := connected(t, testStream(t, func(c *StreamConfig) { c.HomeRetry, c.ConnectTimeout = 4*time.Millisecond, time.Hour }, home.addr, other.addr))
	asked, silent := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(silent) })
	var hellos atomic.Int64
	home.hello = func(*assayv1.Hello) error {
		if hellos.Add(1) == 1 {
			close(asked)
			<-silent
		}
		return nil
	}
	home.start(t, home.addr)
	<-asked
	other.srv.Stop()
	settled(t, send(t, s, picture("a")))
	if len(home.deliveries()) != 1 {
		t.Errorf("%d frames at home, want 1", len(home.deliveries()))
	}
}

// What still waits for its verdict goes before what only has to be recorded.
func TestFramesInTimeGoFirst(t *testing.T) {
	node := newNode(t, func(n *fakeNode) { n.credits = 1 })
	node.srv.Stop()
	s := testStream(t, nil, node.addr)
	late := picture("late")
	late.Budget = time.Millisecond
	first := send(t, s, late)
	verdict(t, first)
	second := send(t, s, picture("in time"))
	node.start(t, node.addr)
	if o := settled(t, second); o.FellBack {
		t.Errorf("outcome %+v, want the node's", o)
	}
	settled(t, first)
	if d := node.deliveries(); d[0].image != "in time" {
		t.Errorf("first delivered %q, want the one in time", d[0].image)
	}
}

// A node that would only fall back is passed over, for a warm one, for its own warm-up, but not for ever.
func TestColdNode(t *testing.T) {
	cold := func(n *fakeNode) { n.cold = func() bool { return true } }
	t.Run("another is warm", func(t *testing.T) {
		home, other := newNode(t, cold), newNode(t, nil)
		s := connected(t, testStream(t, func(c *StreamConfig) { c.HomeRetry = 2 * time.Millisecond }, home.addr, other.addr))
		for range 20 {
			settled(t, send(t, s, picture("a")))
		}
		eventually(t, "a look at home", func() bool { home.mu.Lock(); defer home.mu.Unlock(); return len(home.hellos) > 2 })
		if len(home.deliveries()) != 0 {
			t.Errorf("%d frames for the cold node, want none", len(home.deliveries()))
		}
	})
	t.Run("home stays cold while another is warm", func(t *testing.T) {
		home, other := newNode(t, cold), newNode(t, nil)
		s := connected(t, testStream(t, func(c *StreamConfig) { c.HomeRetry, c.ReadyWait = 2*time.Millisecond, time.Millisecond }, home.addr, other.addr))
		eventually(t, "many looks at home", func() bool {
			settled(t, send(t, s, picture("a")))
			home.mu.Lock()
			defer home.mu.Unlock()
			return len(home.hellos) > 8 || len(home.got) > 0
		})
		if n := len(home.deliveries()); n != 0 {
			t.Errorf("%d frames for the cold home, want none: a warm node has them", n)
		}
	})
	t.Run("it warms up", func(t *testing.T) {
		var hellos atomic.Int32
		node := newNode(t, func(n *fakeNode) { n.cold = func() bool { return hellos.Add(1) <= 3 } })
		s := testStream(t, nil, node.addr)
		if o := settled(t, send(t, s, picture("a"))); o.Verdict != inspection.Pass || o.Sends != 1 || hellos.Load() != 4 {
			t.Errorf("outcome %+v after %d hellos, want PASS, sent once, at the fourth", o, hellos.Load())
		}
	})
	t.Run("it stays cold", func(t *testing.T) {
		node := newNode(t, cold)
		s := testStream(t, func(c *StreamConfig) { c.ReadyWait = 10 * time.Millisecond }, node.addr)
		if o := settled(t, send(t, s, picture("a"))); !o.Recorded {
			t.Errorf("outcome %+v, want recorded: nothing is withheld for ever", o)
		}
	})
}

func TestSilentNodeIsLeft(t *testing.T) {
	var frames atomic.Int32
	node := newNode(t, func(n *fakeNode) {
		n.frame = func(c *call, h *assayv1.FrameHeader) error {
			if frames.Add(1) == 1 {
				return nil // never an answer, and the connection stays
			}
			return c.answer(h.Seq, inspection.Pass, true)
		}
	})
	s := connected(t, testStream(t, func(c *StreamConfig) { c.Stall = 20 * time.Millisecond }, node.addr))
	f := picture("a")
	f.Budget = 20 * time.Millisecond
	if o := settled(t, send(t, s, f)); !o.FellBack || !o.Recorded || o.Sends != 2 {
		t.Errorf("outcome %+v, want the fallback, recorded at the second delivery", o)
	}
	if d := node.deliveries(); d[1].header.Attempt != 2 {
		t.Errorf("attempt %d, want 2", d[1].header.Attempt)
	}
}

func TestRefusedCamera(t *testing.T) {
	node := newNode(t, func(n *fakeNode) {
		n.hello = func(*assayv1.Hello) error { return status.Error(codes.InvalidArgument, "hello: no such line") }
	})
	s := testStream(t, nil, node.addr)
	if err := s.Connect(patient(t)); err == nil || !strings.Contains(err.Error(), "no such line") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v, want the node's refusal at once", err)
	}
}

func TestClose(t *testing.T) {
	t.Run("gives up what is left", func(t *testing.T) {
		s, _, _ := full(t, Block, 1000)
		ticket := send(t, s, picture("a"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 frames") {
			t.Errorf("Close: %v, want a time-out that counts 1 frame", err)
		}
		if o := settled(t, ticket); !o.Dropped || o.Recorded || !errors.Is(o.Err, inspection.ErrClosed) || o.Verdict != inspection.Review {
			t.Errorf("outcome %+v, want given up with the fallback", o)
		}
		if _, err := s.Send(t.Context(), picture("b")); !errors.Is(err, inspection.ErrClosed) {
			t.Errorf("Send after Close: %v, want ErrClosed", err)
		}
		closeDrained(t, s) // twice is no harm
	})
	t.Run("waits for announcements", func(t *testing.T) {
		node := newNode(t, func(n *fakeNode) {
			n.deaf = true
			n.frame = func(c *call, h *assayv1.FrameHeader) error {
				time.AfterFunc(40*time.Millisecond, func() { _ = c.answer(h.Seq, inspection.Pass, true) })
				return nil
			}
		})
		s := connected(t, testStream(t, nil, node.addr))
		f := picture("a")
		f.Budget = 10 * time.Millisecond
		ticket := send(t, s, f)
		eventually(t, "the record", func() bool { return s.Stats().Recorded == 1 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "0 frames and 1 announcements") {
			t.Errorf("Close: %v, want an error that counts 1 announcement", err)
		}
		if o := settled(t, ticket); !o.Recorded || o.Announced || o.Err == nil {
			t.Errorf("outcome %+v, want recorded, not announced, with an error", o)
		}
	})
}

func TestConfig(t *testing.T) {
	cfg := DefaultStream()
	cfg.Session, cfg.Fallback, cfg.MaxFrames = "no ulid", inspection.Pass, 0
	_, err := NewStream(cfg, nil)
	for _, field := range []string{"Addrs", "Line", "Station", "Camera", "Session", "Fallback", "MaxFrames"} {
		if err == nil || !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want ErrInvalid that names %s", err, field)
		}
	}
	for _, p := range []Policy{Block, DropOldest, DropNewest} {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("ParsePolicy(%s): %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("wait"); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("ParsePolicy(wait): %v, want ErrInvalid", err)
	}
}

// list is a source of prepared shots; a nil image is a bad picture.
type list struct {
	shots   []Shot
	next    int
	mu      sync.Mutex
	settled map[string]bool
	fails   bool // to settle
}

var errFails = errors.New("cannot settle")

func (l *list) Next(context.Context) (Shot, error) {
	if l.next == len(l.shots) {
		return Shot{}, io.EOF
	}
	l.next++
	shot := l.shots[l.next-1]
	if shot.Frame.Image.Data == nil {
		return shot, fmt.Errorf("%w: %s cannot be read", ErrShot, shot.Name)
	}
	return shot, nil
}

func (l *list) Close() error { return nil }

func (l *list) Settle(shot Shot, recorded bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.settled[shot.Name]; twice {
		return fmt.Errorf("%s settled twice", shot.Name)
	}
	l.settled[shot.Name] = recorded
	if l.fails {
		return errFails
	}
	return nil
}

func TestRun(t *testing.T) {
	node := newNode(t, func(n *fakeNode) { n.credits = 2 })
	s := connected(t, testStream(t, nil, node.addr))
	src := &list{settled: map[string]bool{}}
	for i := range 20 {
		shot := Shot{Name: fmt.Sprint("shot ", i), Frame: picture("x")}
		switch i {
		case 3:
			shot.Frame.Image.Data = nil
		case 5:
			shot.Frame.Lot = "a\nb"
		}
		src.shots = append(src.shots, shot)
	}
	seen := map[string]Outcome{}
	err := s.Run(patient(t), src, func(shot Shot, o Outcome) error {
		if _, twice := seen[shot.Name]; twice {
			t.Errorf("%s reported twice", shot.Name)
		}
		seen[shot.Name] = o
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		name := fmt.Sprint("shot ", i)
		o := seen[name]
		recorded, told := src.settled[name]
		switch i {
		case 3:
			if !o.Dropped || !errors.Is(o.Err, ErrShot) || o.Reason != inspection.ReasonSourceGap || o.Frame.Key.Seq != 4 || told {
				t.Errorf("%s: outcome %+v, settled %v: want dropped as frame 4 and not settled again", name, o, told)
			}
		case 5:
			if !o.Dropped || !errors.Is(o.Err, inspection.ErrInvalid) || !told || recorded {
				t.Errorf("%s: outcome %+v, settled %v: want dropped as invalid", name, o, told)
			}
		default:
			if o.Verdict != inspection.Pass || !o.Recorded || !recorded {
				t.Errorf("%s: outcome %+v, settled as recorded %v: want a recorded PASS", name, o, recorded)
			}
		}
	}
	closeDrained(t, s)
	if _, dropped := node.notes(); len(dropped) != 2 {
		t.Errorf("dropped %v, want frames 4 and 6", dropped)
	}
}

// shots is a source of n good pictures.
func shots(n int) *list {
	src := &list{settled: map[string]bool{}}
	for i := range n {
		src.shots = append(src.shots, Shot{Name: fmt.Sprint(i), Frame: picture("x")})
	}
	return src
}

func TestRunEndsWithItsCaller(t *testing.T) {
	s, _, _ := full(t, Block, 1000)
	s.cfg.CloseWait = 10 * time.Millisecond
	src := shots(5)
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(30*time.Millisecond, cancel)
	defer stop.Stop()
	n := 0
	err := s.Run(ctx, src, func(_ Shot, o Outcome) error {
		n++
		if o.Recorded || !o.Dropped || !errors.Is(o.Err, inspection.ErrClosed) {
			t.Errorf("outcome %+v, want given up by the closed stream", o)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("Run: %v after %d outcomes, want ctx's error and one outcome, for the shot that was sent", err, n)
	}
	if st := s.Stats(); st.Frames != 1 || st.Forgotten == 0 {
		t.Errorf("stats %+v, want 1 frame taken, as the node has one credit and no clock runs while pictures queue, and its drop forgotten", st)
	}
	if got := fmt.Sprint(src.settled); got != "map[0:false 1:false]" {
		t.Errorf("settled %v, want the shot that was sent and that in hand, neither as recorded", got)
	}
	boom := errors.New("boom")
	s = connected(t, testStream(t, nil, newNode(t, nil).addr))
	if err := s.Run(patient(t), shots(2), func(Shot, Outcome) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Run: %v, want the error of each", err)
	}
}

// What was sent before the caller ended Run is recorded, and told so: a source would offer it again otherwise.
func TestRunTellsWhatWasRecordedAfterItsCallerEnded(t *testing.T) {
	for _, failing := range []bool{false, true} {
		gate := make(chan struct{})
		node := newNode(t, func(n *fakeNode) {
			n.credits = 3
			n.frame = func(c *call, h *assayv1.FrameHeader) error {
				<-gate
				return c.answer(h.Seq, inspection.Pass, true)
			}
		})
		s := connected(t, testStream(t, nil, node.addr))
		src := shots(5)
		src.fails = failing
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var outcomes []Outcome
		go func() {
			ended <- s.Run(ctx, src, func(_ Shot, o Outcome) error {
				outcomes = append(outcomes, o)
				return nil
			})
		}()
		eventually(t, "as many frames as there are credits", func() bool { return s.Stats().Sends == 3 })
		cancel()
		eventually(t, "the end of the feeding", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.closed || len(ended) == 1
		})
		close(gate)
		err := <-ended
		if failing && !errors.Is(err, errFails) || !failing && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v; want ctx's error, and that of Settle before it", err)
		}
		if len(outcomes) != 3 {
			t.Errorf("%d outcomes, want those of the 3 shots that were sent", len(outcomes))
		}
		for _, o := range outcomes {
			if !o.Recorded || o.Err != nil || o.Verdict != inspection.Pass {
				t.Errorf("outcome %+v, want a recorded PASS", o)
			}
		}
		if got := fmt.Sprint(src.settled); got != "map[0:true 1:true 2:true 3:false]" {
			t.Errorf("settled %v, want the shots that were sent as recorded, and that in hand as not", got)
		}
		if st := s.Stats(); st.Kept != 0 || st.Dropped != 0 {
			t.Errorf("stats %+v, want nothing kept or dropped", st)
		}
	}
}
