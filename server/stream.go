package server

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// maxNotes bounds the Announced and Dropped messages of one stream that are being recorded.
const maxNotes = 64

// stream is one camera's stream.
type stream struct {
	srv *Server
	rpc grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]
	ctx context.Context // ends with the stream

	key     inspection.FrameKey // of its frames, without Seq; set by Hello
	recipe  string              // of frames that name none
	greeted atomic.Bool         // Hello was accepted

	out   chan outgoing // to the sender
	open  atomic.Int64  // frames without an answer
	notes chan struct{} // a place for each note that is being recorded

	mu      sync.Mutex
	closing bool           // nothing more is taken
	work    sync.WaitGroup // frames and notes that were taken
}

// outgoing is a message to the camera; an answer gives a credit back.
type outgoing struct {
	msg    *assayv1.InspectResponse
	answer bool
}

// send writes to the camera until the stream ends, and returns the status to end it with.
func (st *stream) send(ended <-chan error) error {
	hello := time.NewTimer(st.srv.cfg.HelloTimeout)
	defer hello.Stop()
	for {
		select {
		case m := <-st.out:
			hello.Stop()
			if err := st.write(m); err != nil {
				return cmp.Or(<-ended, err) // the stream is over; the receiver knows better why
			}
		case err := <-ended:
			if err != nil {
				return err
			}
			return st.finish(nil)
		case <-st.srv.draining:
			return st.finish(errDraining)
		case <-hello.C:
			if !st.greeted.Load() {
				return status.Errorf(codes.InvalidArgument, "no hello within %v: say who is calling", st.srv.cfg.HelloTimeout)
			}
		}
	}
}

// finish takes nothing more, answers what was taken, and returns end.
func (st *stream) finish(end error) error {
	st.mu.Lock()
	st.closing = true
	st.mu.Unlock()
	idle := make(chan struct{})
	st.srv.tasks.Go(func() {
		st.work.Wait()
		close(idle)
	})
	for {
		select {
		case m := <-st.out:
			if err := st.write(m); err != nil {
				return err
			}
		case <-st.ctx.Done():
			return status.FromContextError(st.ctx.Err()).Err()
		case <-idle:
			for len(st.out) > 0 {
				if err := st.write(<-st.out); err != nil {
					return err
				}
			}
			return end
		}
	}
}

// write sends one message. An answer's credit is free from here on: the camera may use it as soon as it has the answer.
func (st *stream) write(m outgoing) error {
	if m.answer {
		st.open.Add(-1)
	}
	return st.rpc.SendMsg(m.msg)
}

// put hands a message to the sender, unless the stream is over.
func (st *stream) put(m outgoing) {
	select {
	case st.out <- m:
	case <-st.ctx.Done():
	}
}

// start runs f beside the receiver, or returns false when nothing more is taken.
func (st *stream) start(f func()) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closing {
		return false
	}
	st.work.Add(1)
	st.srv.tasks.Go(func() {
		defer st.work.Done()
		f()
	})
	return true
}

// frame takes one frame. The error ends the stream; what is wrong with the frame itself is for its answer.
func (st *stream) frame(h *assayv1.FrameHeader, image *inspection.Buffer, received time.Time) error {
	s := st.srv
	if n := st.open.Add(1); n > int64(s.cfg.Credits) {
		image.Release()
		return status.Errorf(codes.FailedPrecondition, "frame %d was sent without a credit: at most %d frames may be without an answer", h.GetSeq(), s.cfg.Credits)
	}
	size, held := image.Len(), s.hold(image)
	taken := st.start(func() {
		defer held.Release()
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		f := proto.ToFrame(st.key, h, held)
		if f.Recipe == "" {
			f.Recipe = st.recipe
		}
		if answer, ok := st.inspect(f, received); ok {
			s.metrics.answered(answer)
			answer.Judgement.Heatmap = answer.Judgement.Heatmap.WithoutPNG() // a gate waits for the answer, and a person looks later
			st.put(outgoing{answer: true, msg: &assayv1.InspectResponse{
				Message: &assayv1.InspectResponse_Answer{Answer: proto.FromAnswer(answer)},
			}})
		}
	})
	if !taken { // shutting down: the camera has no answer, keeps the frame and goes elsewhere
		held.Release()
		return nil
	}
	s.metrics.frames.Inc()
	s.metrics.bytes.Add(float64(size))
	return nil
}

// hold counts an image's bytes as in flight until the last reference is released, wherever that is: what an abandoned
// stream left behind fills memory like the rest.
func (s *Server) hold(image *inspection.Buffer) *inspection.Buffer {
	if image == nil {
		return nil
	}
	n := int64(image.Len())
	s.budget.add(n)
	return inspection.NewBuffer(func() {
		image.Release()
		s.budget.sub(n)
	}, image.Bytes())
}

// announced records what the camera told the gate by itself.
func (st *stream) announced(m *assayv1.Announced) error {
	a := proto.ToAnnounced(m)
	a.Reason = inspection.Reason(words(string(a.Reason)))
	key := st.key
	key.Seq = m.GetSeq()
	switch {
	case key.Seq == 0:
		return status.Error(codes.InvalidArgument, "announced.seq is 0: name the frame")
	case !a.Verdict.FallbackVerdict():
		return status.Errorf(codes.InvalidArgument, "announced.verdict of frame %d is %v: a camera's own verdict is FAIL, REVIEW or UNDETERMINED", key.Seq, a.Verdict)
	}
	return st.note("announced", &assayv1.Recorded{Announced: []uint64{key.Seq}}, func() error {
		return st.srv.deps.Desk.Announce(st.ctx, key, a, m.GetSimulated())
	})
}

// dropped records frames that the camera gave up.
func (st *stream) dropped(m *assayv1.Dropped) error {
	d := proto.ToDrop(st.key, m)
	d.Reason, d.Detail = words(d.Reason), inspection.CutDetail(d.Detail)
	if err := d.Validate(); err != nil {
		return status.Error(codes.InvalidArgument, "dropped: "+err.Error())
	}
	return st.note("dropped", &assayv1.Recorded{Dropped: []uint64{d.First}}, func() error {
		return st.srv.deps.Desk.Drop(st.ctx, d)
	})
}

// note records something beside the receiver and tells the camera when it is on disk. When it is not, the camera, which is
// not told, sends it again.
func (st *stream) note(kind string, recorded *assayv1.Recorded, record func() error) error {
	select {
	case st.notes <- struct{}{}:
	case <-st.ctx.Done():
		return status.FromContextError(st.ctx.Err()).Err()
	}
	st.start(func() {
		defer func() { <-st.notes }()
		err := record()
		st.srv.metrics.noted(kind, err)
		if err != nil {
			st.srv.log.Debug("not recorded", "kind", kind, "camera", st.key.Camera, "err", err)
			return
		}
		st.put(outgoing{msg: &assayv1.InspectResponse{Message: &assayv1.InspectResponse_Recorded{Recorded: recorded}}})
	})
	return nil
}

// words makes a camera's own words fit to be kept: one line of printable text, not too long.
func words(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), inspection.MaxName)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
