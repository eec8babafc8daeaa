package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// Config says which node is loaded, and by how many cameras.
type Config struct {
	Addr   string // host:port of the node's gRPC side
	Recipe string // the recipe of all frames
	// Line, Station and Camera name the load in the record; each stream's camera has its number behind.
	Line, Station, Camera string
	// Streams is how many cameras there are. Each has the credits that the node gives it.
	Streams int
	// Apart gives every camera a connection of its own, as cameras have that are not in one box. False: one for all.
	Apart bool
	// DialOptions are gRPC's, such as transport credentials. None: plaintext.
	DialOptions []grpc.DialOption
}

// Client is a number of open streams to a node. It makes one run at a time.
type Client struct {
	cfg     Config
	cancel  context.CancelFunc
	conns   []*grpc.ClientConn
	streams []*stream
	work    sync.WaitGroup

	mu      sync.Mutex
	backlog []*shot // due, for any stream, and none had a credit
	run     *run    // the one under way
	err     error   // why a stream ended
}

// stream is one camera. Its numbers are guarded by the client's mu.
type stream struct {
	client  *Client
	session string
	rpc     grpc.BidiStreamingClient[assayv1.InspectRequest, assayv1.InspectResponse]
	wake    chan struct{} // something is in queue
	credits int
	flying  int              // given to the sender and not answered
	queue   []*shot          // to be sent now, each with a credit
	backlog []*shot          // due, for this stream, without a credit
	sent    map[uint64]*shot // by seq
	seq     uint64
	picture int // of the frame before
}

// Dial opens the streams and waits for every Welcome. ctx bounds that and the streams' life. Close must be called.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Streams < 1 {
		return nil, fmt.Errorf("%w: %d streams: give at least 1", inspection.ErrInvalid, cfg.Streams)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{cfg: cfg, cancel: cancel}
	for i := range cfg.Streams {
		if err := c.open(ctx, i); err != nil {
			return nil, errors.Join(fmt.Errorf("open stream %d of %d to %s: %w", i+1, cfg.Streams, cfg.Addr, err), c.Close())
		}
	}
	for _, s := range c.streams {
		c.work.Go(s.send)
		c.work.Go(s.receive)
	}
	return c, nil
}

func (c *Client) open(ctx context.Context, i int) error {
	if c.cfg.Apart || i == 0 {
		opts := proto.DialOptions()
		if len(c.cfg.DialOptions) == 0 {
			opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
		}
		conn, err := grpc.NewClient(c.cfg.Addr, append(opts, c.cfg.DialOptions...)...)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
	}
	rpc, err := assayv1.NewInspectionServiceClient(c.conns[len(c.conns)-1]).Inspect(ctx)
	if err != nil {
		return err
	}
	session := ulid.Make().String()
	hello := &assayv1.Hello{
		Line: c.cfg.Line, Station: c.cfg.Station, Camera: fmt.Sprintf("%s-%d", c.cfg.Camera, i+1), Session: session,
		Recipe: c.cfg.Recipe, Client: "assay-load",
	}
	_ = rpc.SendMsg(&proto.Upstream{Msg: &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: hello}}}) // Recv has the status
	resp, err := rpc.Recv()
	switch {
	case err != nil:
		return err
	case resp.GetWelcome() == nil:
		return fmt.Errorf("the node's first message is %T and not a welcome", resp.GetMessage())
	}
	c.streams = append(c.streams, &stream{
		client: c, session: session, rpc: rpc, wake: make(chan struct{}, 1), credits: int(resp.GetWelcome().GetCredits()), sent: map[uint64]*shot{},
	})
	return nil
}

// Credits returns how many frames may be without an answer at once, over all streams, when nothing is under way.
func (c *Client) Credits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, s := range c.streams {
		n += s.credits + s.flying
	}
	return n
}

// Close ends all streams. It may be called twice.
func (c *Client) Close() error {
	c.cancel()
	c.work.Wait()
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	c.conns = nil
	return errors.Join(errs...)
}

// fail ends the run under way, if any: a stream is gone.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if c.run != nil {
		c.run.end()
	}
}

// place gives a shot to a stream that has a credit, or lets it wait for one. The client's mu is held.
func (c *Client) place(s *shot) {
	if s.arrival.Stream >= 0 {
		st := c.streams[s.arrival.Stream%len(c.streams)]
		if st.credits > 0 {
			st.take(s)
		} else {
			st.backlog = append(st.backlog, s)
		}
		return
	}
	var best *stream
	for _, st := range c.streams {
		if st.credits > 0 && (best == nil || st.flying < best.flying) {
			best = st
		}
	}
	if best == nil {
		c.backlog = append(c.backlog, s)
		return
	}
	best.take(s)
}

// take puts a shot before the sender and takes the credit for it. The client's mu is held.
func (s *stream) take(sh *shot) {
	s.credits--
	s.flying++
	s.queue = append(s.queue, sh)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// give gives credits back and lets the next in line have them. The client's mu is held.
func (s *stream) give(n int) {
	s.credits += n
	for s.credits > 0 {
		from := &s.backlog
		if len(*from) == 0 {
			from = &s.client.backlog
		}
		if len(*from) == 0 {
			return
		}
		sh := (*from)[0]
		*from = (*from)[1:]
		s.take(sh)
	}
}

// send sends what is put before it until the stream ends.
func (s *stream) send() {
	frame := &assayv1.Frame{}
	msg := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: frame}}
	for {
		sh, seq := s.next()
		if sh == nil {
			select {
			case <-s.wake:
				continue
			case <-s.rpc.Context().Done():
				return
			}
		}
		picture := sh.run.options.Pictures[sh.outcome.Picture]
		header := proto.FromFrame(picture)
		header.Seq, header.Attempt, header.Simulated = seq, 1, sh.run.options.Simulated
		if picture.Serial == "" { // every frame is of a part of its own, as on a line
			header.Serial = s.session + "-" + strconv.FormatUint(seq, 10)
		}
		if sh.outcome.Budget > 0 {
			header.Budget = durationpb.New(sh.left())
		}
		frame.Header = header
		if s.rpc.SendMsg(&proto.Upstream{Msg: msg, Image: picture.Image.Data}) != nil {
			return // the receiver has the status
		}
	}
}

// next returns what to send now, or nil. What has no time left is not sent: its credit is the next one's.
func (s *stream) next() (*shot, uint64) {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.queue) > 0 {
		sh := s.queue[0]
		s.queue = s.queue[1:]
		if sh.settled { // by the end of its run
			s.flying--
			s.give(1)
			continue
		}
		if sh.outcome.Budget > 0 && sh.left() <= 0 {
			s.flying--
			sh.outcome.Unsent = true
			sh.settle(time.Now())
			s.give(1)
			continue
		}
		if n := len(sh.run.options.Pictures); s.seq > 0 && sh.outcome.Picture == s.picture && n > 1 {
			sh.outcome.Picture = (s.picture + 1) % n // a camera that sends a picture again is frozen to a node
		}
		s.picture = sh.outcome.Picture
		s.seq++
		s.sent[s.seq] = sh
		return sh, s.seq
	}
	return nil, 0
}

// receive takes the node's answers until the stream ends.
func (s *stream) receive() {
	for {
		resp, err := s.rpc.Recv()
		if err != nil {
			s.client.fail(fmt.Errorf("a stream to %s ended: %w", s.client.cfg.Addr, err))
			return
		}
		now := time.Now()
		switch m := resp.GetMessage().(type) {
		case *assayv1.InspectResponse_Answer:
			s.answered(m.Answer, now)
		case *assayv1.InspectResponse_Credit:
			s.client.mu.Lock()
			s.give(int(m.Credit.GetFrames()))
			s.client.mu.Unlock()
		}
	}
}

func (s *stream) answered(a *assayv1.Answer, now time.Time) {
	c := s.client
	c.mu.Lock()
	sh := s.sent[a.GetSeq()]
	delete(s.sent, a.GetSeq())
	if sh != nil {
		s.flying--
	}
	s.give(1)
	c.mu.Unlock()
	if sh == nil {
		return
	}
	o := Outcome{Answered: true, Recorded: a.GetRecorded(), Reason: a.GetJudgement().GetReason()}
	o.Judged = proto.ToSource(a.GetJudgement().GetSource()) == inspection.SourceModel
	o.Correct = o.Judged && (sh.run.options.Check == nil || sh.run.options.Check(sh.outcome.Picture, a))
	c.mu.Lock()
	defer c.mu.Unlock()
	sh.answered(o, now)
}
