package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
	"github.com/assay-vision/assay/server"
)

func TestInspectWelcome(t *testing.T) {
	d := open(t, func(c *server.Config) { c.Peers = []string{"b:1", "c:2"}; c.Credits = 5 })
	w := d.dial(t, "cam").welcome
	if w.Node != "node-1" || w.MaxMessageBytes != 64<<20 || w.MaxPixels != 128<<20 || w.Credits != 5 || len(w.Peers) != 2 {
		t.Errorf("got terms %v, want those of the config", w)
	}
	if len(w.Recipes) != 2 || w.Recipes[0].Name != "cold" || w.Recipes[1].Name != "pcb" {
		t.Fatalf("got recipes %v, want cold and pcb", w.Recipes)
	}
	pcb := w.Recipes[1]
	if pcb.Fallback != assayv1.Verdict_VERDICT_REVIEW || pcb.Budget.AsDuration() != 2*time.Second || !pcb.Ready || pcb.Recipe.Revision != 3 {
		t.Errorf("got terms %v, want REVIEW within 2 s, revision 3, ready", pcb)
	}
}

// Two clients under one name are told to the operator, once for each that comes. The same client again is not, nor one that comes
// after the other left.
func TestInspectWarnsOfTwoClientsUnderOneName(t *testing.T) {
	d := open(t, nil)
	const warning = "two clients are connected under one camera's name"
	greet := func(camera, session string) *camera {
		h := hello(camera)
		h.Session = session
		return d.greet(t, h)
	}
	first := greet("cam", "01J0000000000000000000000A")
	again := greet("cam", "01J0000000000000000000000A")
	other := greet("cam2", "01J0000000000000000000000B")
	if lines := d.log.lines(warning); len(lines) != 0 {
		t.Errorf("got %q, want no warning of one session's streams, nor of two cameras", lines)
	}
	second := greet("cam", "01J0000000000000000000000C")
	lines := d.log.lines(warning)
	if len(lines) != 1 {
		t.Fatalf("got warnings %q, want one", lines)
	}
	for _, want := range []string{"level=WARN", "camera=cam", "session=01J0000000000000000000000C", "other_session=01J0000000000000000000000A", " peer=127.0.0.1:", "other_peer=127.0.0.1:"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("the warning %q does not say %s", lines[0], want)
		}
	}
	for _, c := range []*camera{first, again, second, other} {
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := c.end(); !errors.Is(err, io.EOF) {
			t.Errorf("end of a stream: %v", err)
		}
	}
	poll(t, "all streams ended", func() bool { return metric(t, d, "assay_server_streams") == 0 })
	greet("cam", "01J0000000000000000000000D")
	if lines := d.log.lines(warning); len(lines) != 1 {
		t.Errorf("got warnings %q, want none of a client that comes after the others left", lines)
	}
}

func TestInspectFrames(t *testing.T) {
	d := open(t, nil)
	c := d.dial(t, "cam")
	image := bytes.Repeat([]byte("picture "), 100_000)
	before := time.Now()
	c.frame(1, image)
	a := c.answer()
	key := inspection.FrameKey{Line: "l1", Station: "s1", Camera: "cam", Session: "01J0000000000000000000000A", Seq: 1}
	if a.Seq != 1 || a.Verdict != assayv1.Verdict_VERDICT_PASS || !a.Recorded || a.ResultId != string(key.ID()) {
		t.Errorf("got %v, want PASS of frame 1, recorded, under its id", a)
	}
	c.frame(2, image, func(h *assayv1.FrameHeader) { h.Budget = durationpb.New(100 * time.Millisecond); h.Simulated = true })
	c.answer()
	c.frame(3, image, func(h *assayv1.FrameHeader) { h.Budget = durationpb.New(0) })
	c.answer()
	jobs := d.desk.seen()
	if len(jobs) != 3 {
		t.Fatalf("the desk saw %d jobs, want 3", len(jobs))
	}
	if f := jobs[0].Frame; f.Key != key || f.Recipe != "pcb" || f.Serial != "SN-1" || f.View != "top" || f.Attempt != 1 {
		t.Errorf("got frame %+v, want what was sent, with the recipe of Hello", f)
	}
	if !bytes.Equal(d.desk.images[0], image) {
		t.Errorf("the desk saw %d bytes that are not the image", len(d.desk.images[0]))
	}
	for i, want := range []struct {
		budget time.Duration
		class  inspection.Class
	}{{2 * time.Second, inspection.ClassLine}, {100 * time.Millisecond, inspection.ClassBulk}, {time.Nanosecond, inspection.ClassLine}} {
		j := jobs[i]
		if got := j.Deadline.Sub(j.Received); got != want.budget || j.Class != want.class {
			t.Errorf("job %d: got %v until the deadline and class %v, want %v and %v", i+1, got, j.Class, want.budget, want.class)
		}
		if j.Received.Before(before) || j.Recipe == nil || j.Recipe.Revision != 3 || j.Model.Version != "1" {
			t.Errorf("job %d: received %v, recipe %+v, model %v: want it resolved at the door", i+1, j.Received, j.Recipe.Ref(), j.Model)
		}
	}
	if got := metric(t, d, "assay_server_answers_total", "recorded=true", "reason=", "verdict=PASS"); got != 3 {
		t.Errorf("%v answers are counted, want 3", got)
	}
	if got, want := metric(t, d, "assay_server_image_bytes_received_total"), float64(3*len(image)); got != want {
		t.Errorf("%v image bytes are counted, want %v", got, want)
	}
	poll(t, "all image bytes are given back", func() bool { return metric(t, d, "assay_server_image_bytes_in_flight") == 0 })
}

// What is wrong with one frame is said in its answer, and the stream goes on.
func TestInspectFrameErrors(t *testing.T) {
	d := open(t, nil)
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		switch job.Frame.Serial {
		case "overloaded":
			return inspection.Answer{}, fmt.Errorf("desk: %w", inspection.ErrOverloaded)
		case "full":
			return inspection.Answer{}, fmt.Errorf("write /var/lib/assay/db: %w", inspection.ErrDiskFull)
		case "fault":
			return inspection.Answer{}, errors.New("open /etc/secret: it broke")
		}
		if job.Recipe == nil {
			return answer(job, inspection.Undetermined, inspection.ReasonUnknownRecipe), nil
		}
		if job.Frame.Image.Validate() != nil {
			return answer(job, inspection.Undetermined, inspection.ReasonImage), nil
		}
		return answer(job, inspection.Pass, inspection.ReasonNone), nil
	}
	serial := func(s string) func(*assayv1.FrameHeader) { return func(h *assayv1.FrameHeader) { h.Serial = s } }
	c := d.dial(t, "cam")
	for i, tc := range []struct {
		name     string
		image    string
		change   func(*assayv1.FrameHeader)
		verdict  assayv1.Verdict
		reason   inspection.Reason
		detail   string
		recorded bool
	}{
		{"unknown recipe", "x", func(h *assayv1.FrameHeader) { h.Recipe = "nope" }, 0, inspection.ReasonUnknownRecipe, "", true},
		{"no image", "", nil2, 0, inspection.ReasonImage, "", true},
		{"bad format", "x", func(h *assayv1.FrameHeader) { h.Format = 77 }, 0, inspection.ReasonImage, "", true},
		{"cold model", "x", func(h *assayv1.FrameHeader) { h.Recipe = "cold" }, assayv1.Verdict_VERDICT_PASS, "", "", true},
		{"bad serial", "x", serial("a\nb"), 0, inspection.ReasonInvalid, "serial", false},
		{"long lot", "x", func(h *assayv1.FrameHeader) { h.Lot = strings.Repeat("x", 200) }, 0, inspection.ReasonInvalid, "lot has 200 bytes", false},
		{"no seq", "x", func(h *assayv1.FrameHeader) { h.Seq = 0 }, 0, inspection.ReasonInvalid, "number frames from 1", false},
		{"overloaded", "x", serial("overloaded"), assayv1.Verdict_VERDICT_REVIEW, inspection.ReasonOverloaded, "overloaded", false},
		{"disk full", "x", serial("full"), assayv1.Verdict_VERDICT_REVIEW, inspection.ReasonNotRecorded, "disk is full", false},
		{"fault", "x", serial("fault"), assayv1.Verdict_VERDICT_REVIEW, inspection.ReasonInternal, "see its log", false},
		{"the next one", "x", nil2, assayv1.Verdict_VERDICT_PASS, "", "", true},
	} {
		seq := uint64(i + 1)
		c.frame(seq, []byte(tc.image), tc.change)
		a := c.answer()
		if a.Seq != seq && tc.name != "no seq" || a.Verdict != tc.verdict || a.Judgement.Reason != string(tc.reason) || a.Recorded != tc.recorded {
			t.Errorf("%s: got %v, want %v with reason %q, recorded %v", tc.name, a, tc.verdict, tc.reason, tc.recorded)
		}
		if !strings.Contains(a.Judgement.Detail, tc.detail) || strings.Contains(a.Judgement.Detail, "/") {
			t.Errorf("%s: got detail %q, want it to say %q and to name no path", tc.name, a.Judgement.Detail, tc.detail)
		}
		if a.Judgement.Source == assayv1.Source_SOURCE_MODEL && a.Verdict != assayv1.Verdict_VERDICT_PASS {
			t.Errorf("%s: got source model for a frame that no model judged", tc.name)
		}
	}
}

func nil2(*assayv1.FrameHeader) {}

// A broken protocol ends the stream with a status that says what to do.
func TestInspectProtocolErrors(t *testing.T) {
	helloMsg := func(change func(*assayv1.Hello)) *assayv1.InspectRequest {
		h := hello("cam")
		change(h)
		return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: h}}
	}
	good := helloMsg(func(*assayv1.Hello) {})
	announced := func(a *assayv1.Announced) *assayv1.InspectRequest {
		return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Announced{Announced: a}}
	}
	dropped := func(a *assayv1.Dropped) *assayv1.InspectRequest {
		return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Dropped{Dropped: a}}
	}
	big := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: &assayv1.Frame{
		Header: &assayv1.FrameHeader{Seq: 1}, Image: make([]byte, 1<<20),
	}}}
	bad := hello("cam") // field 1 again, as the start of a group that does not end
	bad.ProtoReflect().SetUnknown([]byte{0x0b})
	for _, tc := range []struct {
		name string
		send []*assayv1.InspectRequest
		code codes.Code
		text string
	}{
		{"no hello", []*assayv1.InspectRequest{announced(&assayv1.Announced{Seq: 1})}, codes.InvalidArgument, "not hello"},
		{"no line", []*assayv1.InspectRequest{helloMsg(func(h *assayv1.Hello) { h.Line = "" })}, codes.InvalidArgument, "line is empty"},
		{"no session", []*assayv1.InspectRequest{helloMsg(func(h *assayv1.Hello) { h.Session = "" })}, codes.InvalidArgument, "session is empty"},
		{"bad recipe", []*assayv1.InspectRequest{helloMsg(func(h *assayv1.Hello) { h.Recipe = "a\x00" })}, codes.InvalidArgument, "recipe"},
		{"hello twice", []*assayv1.InspectRequest{good, good}, codes.InvalidArgument, "second time"},
		{"nothing", []*assayv1.InspectRequest{good, {}}, codes.InvalidArgument, "no message"},
		{"announced nothing", []*assayv1.InspectRequest{good, announced(&assayv1.Announced{})}, codes.InvalidArgument, "announced.seq"},
		{"announced PASS", []*assayv1.InspectRequest{good, announced(&assayv1.Announced{Seq: 1, Verdict: assayv1.Verdict_VERDICT_PASS})}, codes.InvalidArgument, "announced.verdict"},
		{"dropped backwards", []*assayv1.InspectRequest{good, dropped(&assayv1.Dropped{FirstSeq: 5, LastSeq: 4})}, codes.InvalidArgument, "last_seq must not be less"},
		{"too many dropped", []*assayv1.InspectRequest{good, dropped(&assayv1.Dropped{FirstSeq: 1, LastSeq: inspection.MaxDrop + 1})}, codes.InvalidArgument, "split it"},
		{"too large", []*assayv1.InspectRequest{good, big}, codes.ResourceExhausted, "larger than max"},
		{"unreadable", []*assayv1.InspectRequest{good, {Message: &assayv1.InspectRequest_Hello{Hello: bad}}}, codes.Internal, "unmarshal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, func(c *server.Config) { c.MaxFrameBytes = 64 << 10 })
			c := d.dialSilent(t)
			for _, m := range tc.send {
				if err := c.Send(m); err != nil {
					break // the stream is over; end says why
				}
			}
			err := c.end()
			if status.Code(err) != tc.code || !strings.Contains(status.Convert(err).Message(), tc.text) {
				t.Errorf("got %v, want %v that says %q", err, tc.code, tc.text)
			}
			if n := len(d.desk.announced) + len(d.desk.drops) + len(d.desk.seen()); n != 0 {
				t.Errorf("the desk was given %d things, want none", n)
			}
			poll(t, "the error is counted", func() bool {
				return metric(t, d, "assay_server_protocol_errors_total", "code="+tc.code.String()) == 1
			})
			poll(t, "no stream is counted", func() bool { return metric(t, d, "assay_server_streams") == 0 })
		})
	}
}

func TestInspectHelloTimeout(t *testing.T) {
	d := open(t, func(c *server.Config) { c.HelloTimeout = 20 * time.Millisecond })
	if err := d.dialSilent(t).end(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no hello within 20ms") {
		t.Errorf("got %v, want INVALID_ARGUMENT for a stream without Hello", err)
	}
}

// Answers leave in the order in which they are ready.
func TestInspectAnswersOutOfOrder(t *testing.T) {
	d := open(t, nil)
	gates := map[uint64]chan struct{}{1: make(chan struct{}), 2: make(chan struct{}), 3: make(chan struct{})}
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		<-gates[job.Frame.Key.Seq]
		return answer(job, inspection.Pass, ""), nil
	}
	c := d.dial(t, "cam")
	for seq := uint64(1); seq <= 3; seq++ {
		c.frame(seq, []byte("x"))
	}
	for _, seq := range []uint64{3, 1, 2} {
		close(gates[seq])
		if got := c.answer().Seq; got != seq {
			t.Errorf("got the answer to frame %d, want %d", got, seq)
		}
	}
}

func TestInspectCredits(t *testing.T) {
	d := open(t, func(c *server.Config) { c.Credits = 2 })
	gate := make(chan struct{})
	d.desk.hook = func(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
		select {
		case <-gate:
			return answer(job, inspection.Pass, ""), nil
		case <-ctx.Done():
			return inspection.Answer{}, ctx.Err()
		}
	}
	// As many as there are credits, again and again, each sent as soon as an answer is there.
	c := d.dial(t, "one")
	c.frame(1, []byte("x"))
	c.frame(2, []byte("x"))
	for seq := uint64(3); seq < 50; seq++ {
		pass(t, gate)
		c.answer()
		c.frame(seq, []byte("x"))
	}
	// One more than that.
	c = d.dial(t, "two")
	for seq := uint64(1); seq <= 3; seq++ {
		c.frame(seq, []byte("x"))
	}
	if err := c.end(); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "frame 3 was sent without a credit") {
		t.Errorf("got %v, want FAILED_PRECONDITION for frame 3", err)
	}
}

func TestInspectNotes(t *testing.T) {
	d := open(t, nil)
	var mu sync.Mutex
	broken := true
	d.desk.fail = func() error {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			return inspection.ErrDiskFull
		}
		return nil
	}
	c := d.dial(t, "cam")
	announce := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Announced{Announced: &assayv1.Announced{
		Seq: 7, Verdict: assayv1.Verdict_VERDICT_FAIL, Reason: "no\nanswer " + strings.Repeat("é", 100),
	}}}
	drop := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Dropped{Dropped: &assayv1.Dropped{FirstSeq: 8, LastSeq: 9, Reason: "queue full", Simulated: true}}}
	c.send(announce)
	c.send(drop)
	poll(t, "both are refused", func() bool { return metric(t, d, "assay_server_notes_total", "recorded=false") == 2 })
	mu.Lock()
	broken = false
	mu.Unlock()
	c.send(announce)
	if got := c.recv().GetRecorded(); len(got.GetAnnounced()) != 1 || got.GetAnnounced()[0] != 7 {
		t.Errorf("got %v, want that announced 7 is recorded: the one that failed must not be acknowledged", got)
	}
	c.send(drop)
	if got := c.recv().GetRecorded(); len(got.GetDropped()) != 1 || got.GetDropped()[0] != 8 {
		t.Errorf("got %v, want that dropped 8 is recorded", got)
	}
	key := inspection.FrameKey{Line: "l1", Station: "s1", Camera: "cam", Session: "01J0000000000000000000000A", Seq: 7}
	as := d.desk.announced[key]
	if len(as) != 1 || as[0].Verdict != inspection.Fail || as[0].Source != inspection.SourceCamera {
		t.Fatalf("got announcements %+v, want one FAIL of the camera", as)
	}
	if err := inspection.ValidName("reason", string(as[0].Reason)); err != nil || !strings.HasPrefix(string(as[0].Reason), "no answer") {
		t.Errorf("got reason %q (%v), want it cut and on one line", as[0].Reason, err)
	}
	key.Seq = 0
	if want := (inspection.Drop{Key: key, First: 8, Last: 9, Reason: "queue full", Simulated: true}); len(d.desk.drops) != 1 || d.desk.drops[0] != want {
		t.Errorf("got drops %+v, want %+v", d.desk.drops, want)
	}
}

// Image bytes over the limit stop the reading of the stream that brought them, and only until some are given back.
func TestInspectBytesInFlight(t *testing.T) {
	const size = 1 << 20
	d := open(t, func(c *server.Config) { c.MaxFrameBytes, c.InFlightBytes, c.Credits = 2*size, 2*size, 100 })
	gate := make(chan struct{})
	d.desk.hook = func(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
		select {
		case <-gate:
			return answer(job, inspection.Pass, ""), nil
		case <-ctx.Done():
			return inspection.Answer{}, ctx.Err()
		}
	}
	c := d.dial(t, "cam")
	image := make([]byte, size)
	go func() {
		for seq := uint64(1); seq <= 40; seq++ { // far beyond what HTTP/2 windows hold, too
			c.frame(seq, image)
		}
	}()
	poll(t, "the limit is passed by one frame", func() bool { return metric(t, d, "assay_server_image_bytes_in_flight") == 3*size })
	for range 40 {
		if got := metric(t, d, "assay_server_image_bytes_in_flight"); got > 3*size {
			t.Fatalf("%v bytes in flight, want at most the limit and one frame", got)
		}
		pass(t, gate)
		c.answer()
	}
}

// pass lets one job go on.
func pass(t *testing.T, gate chan<- struct{}) {
	t.Helper()
	select {
	case gate <- struct{}{}:
	case <-time.After(10 * time.Second):
		t.Fatal("timed out: no job waits at the gate")
	}
}

// What an abandoned stream left behind counts until it is released.
func TestInspectBytesOfAbandonedStream(t *testing.T) {
	d := open(t, nil)
	taken, kept := make(chan struct{}), make(chan *inspection.Buffer, 1)
	d.desk.hook = func(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
		kept <- job.Frame.Image.Data.Ref() // as the desk does with an accepted job
		close(taken)
		<-ctx.Done()
		return inspection.Answer{}, ctx.Err()
	}
	stream, err := assayv1.NewInspectionServiceClient(d.conn).Inspect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &camera{t: t, BidiStreamingClient: stream}
	c.send(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: hello("cam")}})
	c.recv()
	c.frame(1, make([]byte, 5000))
	<-taken
	_ = d.conn.Close() // the camera is gone
	poll(t, "the stream is gone", func() bool { return metric(t, d, "assay_server_streams") == 0 })
	if got := metric(t, d, "assay_server_image_bytes_in_flight"); got != 5000 {
		t.Errorf("%v bytes in flight while the desk holds the image, want 5000", got)
	}
	(<-kept).Release()
	poll(t, "the bytes are given back", func() bool { return metric(t, d, "assay_server_image_bytes_in_flight") == 0 })
}

// Frames that were taken are answered after the camera has closed its side.
func TestInspectHalfClose(t *testing.T) {
	d := open(t, nil)
	gate := make(chan struct{})
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		<-gate
		return answer(job, inspection.Pass, ""), nil
	}
	c := d.dial(t, "cam")
	c.frame(1, []byte("x"))
	c.frame(2, []byte("x"))
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	close(gate)
	if got := c.answer().Seq + c.answer().Seq; got != 3 {
		t.Errorf("got answers whose seqs add up to %d, want frames 1 and 2", got)
	}
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the stream's regular end", err)
	}
}

// Close answers what was taken, takes nothing more, and sends the camera elsewhere.
func TestInspectShutdown(t *testing.T) {
	d := open(t, nil)
	gate := make(chan struct{})
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		<-gate
		return answer(job, inspection.Pass, ""), nil
	}
	c, idle := d.dial(t, "cam"), d.dial(t, "idle")
	c.frame(1, []byte("x"))
	c.frame(2, []byte("x"))
	poll(t, "both frames are at the desk", func() bool { return len(d.desk.seen()) == 2 })
	closed := make(chan error, 1)
	go func() { closed <- d.Close(testContext(t)) }()
	if err := idle.end(); status.Code(err) != codes.Unavailable {
		t.Errorf("an idle stream: got %v, want UNAVAILABLE", err)
	}
	c.frame(3, []byte("x")) // after the drain began
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v while frames wait for their answers", err)
	default:
	}
	close(gate)
	if got := c.answer().Seq + c.answer().Seq; got != 3 {
		t.Errorf("got answers whose seqs add up to %d, want frames 1 and 2", got)
	}
	if err := c.end(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "another address") {
		t.Errorf("got %v, want UNAVAILABLE that sends the camera elsewhere", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
	if n := len(d.desk.seen()); n != 2 {
		t.Errorf("the desk was given %d frames, want the 2 from before the drain", n)
	}
}

// A desk that does not answer does not hold up Close longer than its ctx says.
func TestInspectShutdownGivesUp(t *testing.T) {
	d := open(t, nil)
	d.desk.hook = func(ctx context.Context, _ inspection.Job) (inspection.Answer, error) {
		<-ctx.Done()
		return inspection.Answer{}, ctx.Err()
	}
	c := d.dial(t, "cam")
	c.frame(1, []byte("x"))
	poll(t, "the frame is at the desk", func() bool { return len(d.desk.seen()) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if err := c.end(); err == nil {
		t.Error("the stream ended without an error")
	}
}

// Many cameras at once: every frame gets its own answer.
func TestInspectManyStreams(t *testing.T) {
	const cameras, frames = 40, 25
	d := open(t, nil)
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		a := answer(job, inspection.Fail, inspection.ReasonDefect)
		a.Judgement.Detail = string(job.Frame.Image.Data.Bytes())
		return a, nil
	}
	var wg sync.WaitGroup
	for i := range cameras {
		c := d.dial(t, fmt.Sprintf("cam-%d", i))
		wg.Go(func() {
			got := map[uint64]string{}
			credits := int(c.welcome.Credits)
			for seq := uint64(1); seq <= frames; {
				for ; credits > 0 && seq <= frames; seq, credits = seq+1, credits-1 {
					c.frame(seq, fmt.Appendf(nil, "image %d of camera %d %s", seq, i, strings.Repeat("-", 3000)))
				}
				a := c.answer()
				got[a.Seq] = a.Judgement.Detail
				credits++
			}
			for len(got) < frames {
				a := c.answer()
				got[a.Seq] = a.Judgement.Detail
			}
			for seq, detail := range got {
				if want := fmt.Sprintf("image %d of camera %d ", seq, i); !strings.HasPrefix(detail, want) {
					t.Errorf("camera %d: frame %d was answered for %.30q", i, seq, detail)
				}
			}
		})
	}
	wg.Wait()
	if got := len(d.desk.seen()); got != cameras*frames {
		t.Errorf("the desk saw %d frames, want %d", got, cameras*frames)
	}
}
