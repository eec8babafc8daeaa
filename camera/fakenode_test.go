package camera

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// fakeNode is a node that does what a test says: a real gRPC server on loopback whose answers are scripted.
type fakeNode struct {
	assayv1.UnimplementedInspectionServiceServer
	addr    string
	srv     *grpc.Server
	credits uint32
	limit   uint64
	peers   []string
	budget  time.Duration                               // of the recipe "board", whose fallback is REVIEW
	hello   func(*assayv1.Hello) error                  // nil: everyone is welcome
	frame   func(c *call, h *assayv1.FrameHeader) error // nil: PASS, recorded; an error ends the stream
	cold    func() bool                                 // the recipe's model is not warm yet; nil: it is
	deaf    bool                                        // acknowledges no announcement and no drop

	mu        sync.Mutex
	hellos    []*assayv1.Hello
	got       []delivery
	announced []*assayv1.Announced
	dropped   []*assayv1.Dropped
	over      int // frames that were sent without a credit
	ends      int // streams that the camera ended in order
	streams   int // open now
}

type delivery struct {
	header *assayv1.FrameHeader
	image  string
}

// call is one stream as the script sees it.
type call struct {
	rpc  grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]
	node *fakeNode
	mu   sync.Mutex // one Send at a time
	open int        // frames without an answer
	may  int        // frames that may be
}

const testBudget = 10 * time.Second

func newNode(t *testing.T, change func(*fakeNode)) *fakeNode {
	t.Helper()
	n := &fakeNode{credits: 4, limit: 1 << 20, budget: testBudget}
	if change != nil {
		change(n)
	}
	n.start(t, "127.0.0.1:0")
	return n
}

// start listens on addr, which a stopped node had before.
func (n *fakeNode) start(t *testing.T, addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	opts := proto.ServerOptions(4<<20, 1<<20)
	n.addr = lis.Addr().String()
	n.srv = grpc.NewServer(opts...)
	assayv1.RegisterInspectionServiceServer(n.srv, n)
	done := make(chan struct{})
	srv := n.srv
	go func() {
		defer close(done)
		_ = srv.Serve(lis)
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
}

func (n *fakeNode) Inspect(rpc grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]) error {
	c := &call{rpc: rpc, node: n, may: int(n.credits)}
	n.count(+1)
	defer n.count(-1)
	for {
		var up proto.Upstream
		if err := rpc.RecvMsg(&up); err != nil {
			if errors.Is(err, io.EOF) {
				n.mu.Lock()
				n.ends++
				n.mu.Unlock()
				return nil
			}
			return err
		}
		image := string(up.Image.Bytes())
		up.Image.Release()
		if err := n.take(c, up.Msg, image); err != nil {
			return err
		}
	}
}

func (n *fakeNode) count(d int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams += d
	return n.streams
}

func (n *fakeNode) take(c *call, msg *assayv1.InspectRequest, image string) error {
	switch m := msg.GetMessage().(type) {
	case *assayv1.InspectRequest_Hello:
		n.mu.Lock()
		n.hellos = append(n.hellos, m.Hello)
		n.mu.Unlock()
		if n.hello != nil {
			if err := n.hello(m.Hello); err != nil {
				return err
			}
		}
		return c.send(&assayv1.InspectResponse{Message: &assayv1.InspectResponse_Welcome{Welcome: &assayv1.Welcome{
			Node: n.addr, MaxMessageBytes: n.limit, Credits: n.credits, Peers: n.peers,
			Recipes: []*assayv1.RecipeTerms{{Name: "board", Fallback: assayv1.Verdict_VERDICT_REVIEW, Budget: durationpb.New(n.budget), Ready: n.cold == nil || !n.cold()}},
		}}})
	case *assayv1.InspectRequest_Frame:
		n.mu.Lock()
		n.got = append(n.got, delivery{m.Frame.Header, image})
		n.mu.Unlock()
		c.mu.Lock()
		c.open++
		over := c.open > c.may
		c.mu.Unlock()
		if over {
			n.mu.Lock()
			n.over++
			n.mu.Unlock()
			return status.Error(codes.FailedPrecondition, "no credit")
		}
		if n.frame != nil {
			return n.frame(c, m.Frame.Header)
		}
		return c.answer(m.Frame.Header.Seq, inspection.Pass, true)
	case *assayv1.InspectRequest_Announced:
		n.mu.Lock()
		n.announced = append(n.announced, m.Announced)
		n.mu.Unlock()
		return c.acknowledge(&assayv1.Recorded{Announced: []uint64{m.Announced.Seq}})
	case *assayv1.InspectRequest_Dropped:
		n.mu.Lock()
		n.dropped = append(n.dropped, m.Dropped)
		n.mu.Unlock()
		return c.acknowledge(&assayv1.Recorded{Dropped: []uint64{m.Dropped.FirstSeq}})
	}
	return status.Error(codes.InvalidArgument, "what is this")
}

func (c *call) send(r *assayv1.InspectResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rpc.Send(r)
}

func (c *call) acknowledge(r *assayv1.Recorded) error {
	if c.node.deaf {
		return nil
	}
	return c.send(&assayv1.InspectResponse{Message: &assayv1.InspectResponse_Recorded{Recorded: r}})
}

func (c *call) answer(seq uint64, v inspection.Verdict, recorded bool) error {
	src, reason := inspection.SourceModel, inspection.ReasonNone
	if !recorded {
		src, reason = inspection.SourceFallback, inspection.ReasonNotRecorded
	}
	return c.answerWith(inspection.Answer{
		Key: inspection.FrameKey{Seq: seq}, Verdict: v, Recorded: recorded,
		Effect: inspection.Effect{Verdict: v, Source: src, Reason: reason},
	})
}

func (c *call) answerWith(a inspection.Answer) error {
	c.mu.Lock()
	c.open--
	c.mu.Unlock()
	return c.send(&assayv1.InspectResponse{Message: &assayv1.InspectResponse_Answer{Answer: proto.FromAnswer(a)}})
}

func (n *fakeNode) deliveries() []delivery {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]delivery(nil), n.got...)
}

func (n *fakeNode) notes() (announced []*assayv1.Announced, dropped []*assayv1.Dropped) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append(announced, n.announced...), append(dropped, n.dropped...)
}

// testStream is a stream with short times, closed at the end of the test.
func testStream(t *testing.T, change func(*StreamConfig), nodes ...string) *Stream {
	t.Helper()
	cfg := DefaultStream()
	cfg.Addrs, cfg.Line, cfg.Station, cfg.Camera, cfg.Recipe = nodes, "line", "station", "camera", "board"
	cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, 20*time.Millisecond
	cfg.ResendMin, cfg.ResendMax = time.Millisecond, 20*time.Millisecond
	cfg.Budget = testBudget
	if change != nil {
		change(&cfg)
	}
	s, err := NewStream(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(ctx) // a test that wants a drained stream closes it itself
	})
	return s
}

func connected(t *testing.T, s *Stream) *Stream {
	t.Helper()
	if err := s.Connect(patient(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// patient bounds what a test waits for something that must come.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func picture(bytes string) inspection.Frame {
	return inspection.Frame{Image: inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, []byte(bytes))}}
}

func send(t *testing.T, s *Stream, f inspection.Frame) *Ticket {
	t.Helper()
	ticket, err := s.Send(patient(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func verdict(t *testing.T, ticket *Ticket) Outcome {
	t.Helper()
	o, err := ticket.Verdict(patient(t))
	if err != nil {
		t.Fatalf("no verdict: %v", err)
	}
	return o
}

func settled(t *testing.T, ticket *Ticket) Outcome {
	t.Helper()
	o, err := ticket.Settled(patient(t))
	if err != nil {
		t.Fatalf("not settled: %v", err)
	}
	return o
}

func closeDrained(t *testing.T, s *Stream) {
	t.Helper()
	if err := s.Close(patient(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came: %s", what)
		}
	}
}
