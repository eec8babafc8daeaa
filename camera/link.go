package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "google.golang.org/protobuf/proto"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// link is one open stream to one node.
type link struct {
	addr    string
	conn    *grpc.ClientConn
	rpc     grpc.BidiStreamingClient[assayv1.InspectRequest, assayv1.InspectResponse]
	ctx     context.Context // ends with the link
	cancel  context.CancelCauseFunc
	welcome *assayv1.Welcome
	work    sync.WaitGroup // its reader and writer
	ended   chan error     // the reader's last word

	// Guarded by the Stream's mu.
	credits  int
	flying   map[uint64]time.Time // seqs without an answer on this link, and when that says that it is dead
	retiring bool                 // takes no more frames
	useful   bool                 // has brought an answer
}

// errNoWelcome says that a node took the connection and kept silent.
var errNoWelcome = errors.New("no welcome in time")

// dial opens a link to a node and waits for its Welcome, until ctx ends; the link outlives that.
func (s *Stream) dial(ctx context.Context, addr string) (*link, error) {
	ctx, enough := context.WithTimeoutCause(ctx, s.cfg.ConnectTimeout, errNoWelcome)
	defer enough()
	opts := proto.DialOptions()
	if len(s.cfg.DialOptions) == 0 {
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	conn, err := grpc.NewClient(addr, append(opts, s.cfg.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	l := &link{addr: addr, conn: conn, flying: map[uint64]time.Time{}}
	l.ctx, l.cancel = context.WithCancelCause(s.ctx)
	welcomed := context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })
	err = l.greet(&assayv1.Hello{
		Line: s.cfg.Line, Station: s.cfg.Station, Camera: s.cfg.Camera, Session: s.key.Session,
		Recipe: s.cfg.Recipe, Client: s.cfg.Client,
	})
	if !welcomed() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		if cause := context.Cause(l.ctx); cause != nil { //nolint:contextcheck // the link's own, which outlives the dial
			err = cause
		}
		l.close(err)
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	l.credits = int(l.welcome.GetCredits())
	return l, nil
}

func (l *link) greet(hello *assayv1.Hello) error {
	rpc, err := assayv1.NewInspectionServiceClient(l.conn).Inspect(l.ctx)
	if err != nil {
		return err
	}
	l.rpc = rpc
	if err := l.send(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: hello}}, nil); err != nil && !errors.Is(err, io.EOF) {
		return err // at EOF Recv knows better
	}
	resp, err := rpc.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the node ended the stream before its welcome")
	case err != nil:
		return err
	case resp.GetWelcome() == nil:
		return fmt.Errorf("the node's first message is %T and not a welcome", resp.GetMessage())
	}
	l.welcome = resp.GetWelcome()
	return nil
}

// send writes one message; image is only borrowed.
func (l *link) send(msg *assayv1.InspectRequest, image *inspection.Buffer) error {
	return l.rpc.SendMsg(&proto.Upstream{Msg: msg, Image: image})
}

func (l *link) close(cause error) {
	l.cancel(cause)
	_ = l.conn.Close() // closing what is broken says nothing new
}

// write sends what is to be sent until the link ends, or the stream is closed and all is recorded.
func (s *Stream) write(l *link) {
	for {
		msg, image, ok := s.next(l)
		if !ok {
			_ = l.rpc.CloseSend() // the reader learns how the stream ended
			return
		}
		err := l.send(msg, image)
		image.Release()
		if err != nil {
			return // the reader has the status
		}
	}
}

// next waits for the next message of a link; image comes with a reference. False: there will be none.
func (s *Stream) next(l *link) (msg *assayv1.InspectRequest, image *inspection.Buffer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed && s.drained() {
			return nil, nil, false
		}
		if !l.retiring {
			if n := s.notes.next(); n != nil {
				return n.request(), nil, true
			}
		}
		var pause time.Duration
		if !l.retiring && l.credits > 0 {
			var k *kept
			if k, pause = s.pick(); k != nil {
				if request := s.request(l, k); request != nil {
					return request, k.frame.Image.Data.Ref(), true
				}
				continue // it was given up
			}
		}
		if s.wait(l.ctx, pause) != nil {
			return nil, nil, false
		}
	}
}

// pick chooses the frame to send: one that still waits for its verdict before one that only has to be recorded, the oldest
// first. Without one it says when to look again; 0 is when something changes.
func (s *Stream) pick() (k *kept, pause time.Duration) {
	var settled *kept
	now := time.Now()
	for _, k := range s.frames {
		switch {
		case k.link != nil:
		case k.resend.After(now):
			if d := k.resend.Sub(now); pause == 0 || d < pause {
				pause = d
			}
		case !k.hasVerdict():
			return k, 0
		case settled == nil:
			settled = k
		}
	}
	return settled, pause
}

// request makes the message of a frame that goes out now, stamped with what is left of its budget. It returns nil where
// the node would not take the message; the frame is given up then.
func (s *Stream) request(l *link, k *kept) *assayv1.InspectRequest {
	header := proto.FromFrame(k.frame)
	budget, left := s.termsOf(k.frame.Recipe).budget, time.Until(k.deadline)
	switch {
	case k.deadline.IsZero():
	case k.hasVerdict() || left <= 0:
		// The gate has its verdict. What the model says is still evidence, and it gets the recipe's whole time to say it.
		header.Budget = nil
	default:
		budget = left - min(s.cfg.Margin, left/4)
		header.Budget = durationpb.New(budget)
	}
	msg := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: &assayv1.Frame{Header: header}}}
	const tags = 32 // the image's own tag and length, and what the frame's length grows by
	if size := uint64(pb.Size(msg)) + uint64(k.size) + tags; l.welcome.GetMaxMessageBytes() > 0 && size > l.welcome.GetMaxMessageBytes() {
		s.giveUp(k, reasonTooLarge, fmt.Errorf("%w: a message of %d bytes, node %s takes %d: raise limits.frame_bytes there or compress the picture",
			inspection.ErrImageTooLarge, size, l.addr, l.welcome.GetMaxMessageBytes()))
		return nil
	}
	k.link = l
	k.outcome.Sends++
	s.stats.Sends++
	l.credits--
	l.flying[k.frame.Key.Seq] = time.Now().Add(max(budget, 0) + s.cfg.Stall)
	return msg
}

// read takes what the node says until the link ends.
func (s *Stream) read(l *link) error {
	for {
		resp, err := l.rpc.Recv()
		if err != nil {
			if cause := context.Cause(l.ctx); cause != nil {
				return cause
			}
			return err
		}
		s.heard(l, resp)
	}
}

// heard takes one message of a node.
func (s *Stream) heard(l *link, resp *assayv1.InspectResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := resp.GetMessage().(type) {
	case *assayv1.InspectResponse_Answer:
		seq := m.Answer.GetSeq()
		if _, ok := l.flying[seq]; !ok {
			s.log.Warn("a node answered a frame that it was not sent", "node", l.addr, "seq", seq)
			return
		}
		delete(l.flying, seq)
		l.credits++
		l.useful = true
		defer l.leave()
		if i, ok := s.find(seq); ok { // else it was given up meanwhile
			s.answered(s.frames[i], proto.ToAnswer(s.key, m.Answer))
		}
	case *assayv1.InspectResponse_Credit:
		l.credits += int(m.Credit.GetFrames())
	case *assayv1.InspectResponse_Recorded:
		for _, n := range s.notes.acknowledge(m.Recorded) {
			n.ticket.outcome.Announced = true
			s.settle(n.ticket)
		}
	case *assayv1.InspectResponse_Welcome:
		s.learn(m.Welcome)
	}
	s.ring()
}

// learn takes a node's terms.
func (s *Stream) learn(w *assayv1.Welcome) {
	s.peers = w.GetPeers()
	for _, r := range w.GetRecipes() {
		t := terms{fallback: proto.ToVerdict(r.GetFallback()), budget: proto.ToDuration(r.GetBudget())}
		if !t.fallback.FallbackVerdict() {
			t.fallback = inspection.Undetermined
		}
		if t.budget <= 0 {
			t.budget = s.cfg.Budget
		}
		s.terms[r.GetName()] = t
	}
}
