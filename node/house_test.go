//go:build gocv_specific_modules

package node_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
	"github.com/assay-vision/assay/node/nodetest"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// patience bounds whatever a test waits for.
const patience = 60 * time.Second

// boards is the recipe of the drawn boards, in boards.yaml.
const boards = "boards"

// house is a node that judges drawn boards, and what cameras and MES do with it.
type house struct {
	*nodetest.Node
	t      testing.TB
	series *synthetic.Series
}

// open starts a node that has the recipe boards, and waits until it judges.
func open(t testing.TB, change func(*node.Config)) *house {
	t.Helper()
	h := prepare(t, change)
	h.WriteRecipe("boards.yaml", nodetest.BoardRecipe(boards))
	h.Start()
	h.WaitReady()
	return h
}

// prepare is a node with templates, without a recipe, that was not started.
func prepare(t testing.TB, change func(*node.Config)) *house {
	t.Helper()
	h := &house{Node: nodetest.Prepare(t, change), t: t, series: nodetest.Series(t)}
	h.WriteTemplates(h.series)
	return h
}

// ctx ends with the test's patience.
func (h *house) ctx() context.Context {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	h.t.Cleanup(cancel)
	return ctx
}

// camera opens a camera's stream that is closed with the test.
func (h *house) camera(name string, change func(*camera.StreamConfig)) *camera.Stream {
	h.t.Helper()
	cfg := camera.DefaultStream()
	cfg.Addrs, cfg.Line, cfg.Station, cfg.Camera, cfg.Recipe = []string{h.GRPCAddr()}, "line-1", "aoi", name, boards
	cfg.Budget, cfg.BackoffMin, cfg.MaxFrames = patience, 10*time.Millisecond, 1024
	cfg.ReadyWait = 0 // some tests ask what a node says that is not ready
	if change != nil {
		change(&cfg)
	}
	s, err := camera.NewStream(cfg, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			h.t.Errorf("close the camera: %v", err)
		}
	})
	return s
}

// send gives a frame to a stream.
func (h *house) send(s *camera.Stream, f inspection.Frame) *camera.Ticket {
	h.t.Helper()
	ticket, err := s.Send(h.ctx(), f)
	if err != nil {
		h.t.Fatalf("send %s: %v", f.Serial, err)
	}
	return ticket
}

// settled waits for a frame's outcome, which must be a recorded answer.
func (h *house) settled(ticket *camera.Ticket) camera.Outcome {
	h.t.Helper()
	o, err := ticket.Settled(h.ctx())
	if err != nil || o.Answer == nil || !o.Recorded {
		h.t.Fatalf("frame %s: %+v, %v; want a recorded answer", o.Frame.Key, o, err)
	}
	return o
}

// judge sends a frame and waits for its recorded answer.
func (h *house) judge(s *camera.Stream, f inspection.Frame) camera.Outcome {
	h.t.Helper()
	return h.settled(h.send(s, f))
}

// board is a frame of a board: a good one (-1 takes the first) or the i-th of the line.
func (h *house) board(i int, format inspection.ImageFormat) inspection.Frame {
	h.t.Helper()
	return nodetest.Picture(h.t, h.series, i, format)
}

// good and bad return the number of a board without and of one with planted defects.
func (h *house) good() int { return h.first(func(n int) bool { return n == 0 }) }
func (h *house) bad() int  { return h.first(func(n int) bool { return n > 3 }) }

func (h *house) first(is func(defects int) bool) int {
	h.t.Helper()
	for i := range 100 {
		b, err := h.series.Board(i)
		if err != nil {
			h.t.Fatal(err)
		}
		if is(len(b.Defects)) {
			return i
		}
	}
	h.t.Fatal("no such board")
	return 0
}

func (h *house) results() assayv1.ResultServiceClient {
	return assayv1.NewResultServiceClient(h.Conn())
}

// list asks for all pages of a query, and checks that they keep one order and hold nothing twice.
func (h *house) list(q inspection.Query) []inspection.Result {
	h.t.Helper()
	var all []inspection.Result
	seen := map[inspection.ResultID]bool{}
	for {
		resp, err := h.results().ListResults(h.ctx(), proto.FromQuery(q))
		if err != nil {
			h.t.Fatalf("list %+v: %v", q, err)
		}
		if q.Limit > 0 && len(resp.GetResults()) > q.Limit {
			h.t.Errorf("a page holds %d results, asked for %d", len(resp.GetResults()), q.Limit)
		}
		for _, m := range resp.GetResults() {
			r := proto.ToResult(m)
			if seen[r.ID] {
				h.t.Errorf("list %+v: result %s came twice", q, r.ID)
			}
			seen[r.ID] = true
			all = append(all, r)
		}
		if q.Cursor = resp.GetNextCursor(); q.Cursor == "" {
			break
		}
	}
	ordered := slices.IsSortedFunc(all, func(a, b inspection.Result) int {
		if q.Ascending {
			return a.Received.Compare(b.Received)
		}
		return b.Received.Compare(a.Received)
	})
	if !ordered {
		h.t.Errorf("list %+v is not in the order of receipt", q)
	}
	return all
}

// get asks for one result.
func (h *house) get(id inspection.ResultID) inspection.Result {
	h.t.Helper()
	resp, err := h.results().GetResult(h.ctx(), &assayv1.GetResultRequest{Id: string(id)})
	if err != nil {
		h.t.Fatalf("get result %s: %v", id, err)
	}
	return proto.ToResult(resp.GetResult())
}

// recipe asks how a recipe stands.
func (h *house) recipe(name string) *assayv1.Recipe {
	h.t.Helper()
	resp, err := assayv1.NewRecipeServiceClient(h.Conn()).GetRecipe(h.ctx(), &assayv1.GetRecipeRequest{Name: name})
	if err != nil {
		h.t.Fatalf("get recipe %s: %v", name, err)
	}
	return resp.GetRecipe()
}

// status asks how the node is.
func (h *house) status() *assayv1.GetStatusResponse {
	h.t.Helper()
	s, err := assayv1.NewNodeServiceClient(h.Conn()).GetStatus(h.ctx(), &assayv1.GetStatusRequest{})
	if err != nil {
		h.t.Fatalf("get status: %v", err)
	}
	return s
}

// raw is a camera by hand: it chooses the numbers and deliveries of its frames itself.
type raw struct {
	t   testing.TB
	rpc grpc.BidiStreamingClient[assayv1.InspectRequest, assayv1.InspectResponse]
	key inspection.FrameKey
}

func (h *house) raw(name, session string) *raw {
	h.t.Helper()
	rpc, err := assayv1.NewInspectionServiceClient(h.Conn()).Inspect(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	c := &raw{t: h.t, rpc: rpc, key: inspection.FrameKey{Line: "line-1", Station: "aoi", Camera: name, Session: session}}
	hello := &assayv1.Hello{Line: c.key.Line, Station: c.key.Station, Camera: name, Session: session, Recipe: boards, Client: "by hand"}
	c.put(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: hello}})
	if w := c.take().GetWelcome(); w.GetNode() != "node-under-test" || w.GetCredits() == 0 {
		h.t.Fatalf("the first message is %v, want a Welcome of this node with credits", w)
	}
	return c
}

func (c *raw) put(m *assayv1.InspectRequest) {
	c.t.Helper()
	if err := c.rpc.Send(m); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *raw) take() *assayv1.InspectResponse {
	c.t.Helper()
	m, err := c.rpc.Recv()
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return m
}

// deliver sends a frame under a number, as the delivery that attempt counts, and returns the answer.
func (c *raw) deliver(f inspection.Frame, seq uint64, attempt int) inspection.Answer {
	c.t.Helper()
	return c.deliverWith(f, seq, attempt, func(*assayv1.FrameHeader) {})
}

func (c *raw) deliverWith(f inspection.Frame, seq uint64, attempt int, change func(*assayv1.FrameHeader)) inspection.Answer {
	c.t.Helper()
	f.Key, f.Attempt = c.key, attempt
	f.Key.Seq = seq
	frame := &assayv1.Frame{Header: proto.FromFrame(f), Image: bytesOf(f)}
	change(frame.Header)
	c.put(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: frame}})
	m := c.take().GetAnswer()
	if m.GetSeq() != seq {
		c.t.Fatalf("got %v, want the answer to frame %d", m, seq)
	}
	return proto.ToAnswer(f.Key, m)
}

func (c *raw) close() {
	c.t.Helper()
	if err := c.rpc.CloseSend(); err != nil {
		c.t.Fatal(err)
	}
	if m, err := c.rpc.Recv(); err == nil {
		c.t.Errorf("after the end came %v", m)
	}
}

func bytesOf(f inspection.Frame) []byte { return f.Image.Data.Bytes() }

// withBytes is the frame with another picture.
func withBytes(f inspection.Frame, data []byte) inspection.Frame {
	f.Image.Data = inspection.NewBuffer(nil, data)
	return f
}

// mentions reports whether one of the lines holds all words.
func mentions(lines []string, words ...string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return holds(line, words...) })
}

// absent checks that nothing was made at a path.
func (h *house) absent(path string) {
	h.t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		h.t.Errorf("%s was made (%v)", path, err)
	}
}

// slow is a node whose camera has so many pixels that judging one frame takes a while: boards of 4096 x 4096, one product,
// every one with defects, of which the faintest candidate fails the frame.
func slow(t *testing.T) *house {
	t.Helper()
	h := prepare(t, nil)
	cfg := synthetic.DefaultSeries(synthetic.SetTest)
	cfg.Products, cfg.GoodPercent, cfg.Spec.Width, cfg.Spec.Height, cfg.Spec.Defects = 1, 0, 4096, 4096, 40
	series, err := synthetic.NewSeries(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.series = series
	h.WriteTemplates(series)
	h.WriteRecipe("boards.yaml", strings.Replace(nodetest.BoardRecipe(boards), "review_at: 0.3, reject_at: 0.49", "reject_at: 0.05", 1))
	h.Start()
	h.WaitReady()
	return h
}

func holds(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
