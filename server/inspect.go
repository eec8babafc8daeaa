package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

type inspectionService struct {
	assayv1.UnimplementedInspectionServiceServer
	srv *Server
}

// Inspect serves one camera. The handler's goroutine sends; another one receives and starts one for each frame.
func (g *inspectionService) Inspect(rpc grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]) error {
	s := g.srv
	st := &stream{
		srv: s, rpc: rpc, ctx: rpc.Context(),
		out:   make(chan outgoing, s.cfg.Credits),
		notes: make(chan struct{}, maxNotes),
	}
	ended := make(chan error, 1)
	s.tasks.Go(func() { ended <- st.receive() })
	err := st.send(ended)
	var who inspection.FrameKey
	if st.greeted.Load() { // before that the receiver may still be writing it
		who = st.key
	}
	switch c := status.Code(err); c {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.ResourceExhausted, codes.Internal:
		s.metrics.protocols.WithLabelValues(c.String()).Inc()
		s.log.Warn("camera stream ended for what it sent", "line", who.Line, "station", who.Station, "camera", who.Camera, "err", err)
	default:
		s.log.Info("camera stream closed", "line", who.Line, "station", who.Station, "camera", who.Camera, "code", c.String())
	}
	return err
}

// receive reads until the camera is done (nil), the stream breaks, or the camera breaks the protocol (a status).
func (st *stream) receive() error {
	if err := st.hello(); err != nil {
		return err
	}
	st.srv.streams.Add(1)
	defer st.srv.streams.Add(-1)
	st.srv.metrics.streams.Inc()
	defer st.srv.metrics.streams.Dec()
	defer st.srv.connected.remove(st)
	for {
		var up proto.Upstream
		if err := st.rpc.RecvMsg(&up); err != nil {
			return receiveError(err)
		}
		received := time.Now()
		var err error
		switch m := up.Msg.GetMessage().(type) {
		case *assayv1.InspectRequest_Frame:
			err = st.frame(m.Frame.GetHeader(), up.Image, received)
		case *assayv1.InspectRequest_Announced:
			err = st.announced(m.Announced)
		case *assayv1.InspectRequest_Dropped:
			err = st.dropped(m.Dropped)
		case *assayv1.InspectRequest_Hello:
			err = status.Error(codes.InvalidArgument, "hello was sent a second time: open a new stream for another camera or session")
		default:
			err = status.Error(codes.InvalidArgument, "an InspectRequest holds no message that this node knows: send frame, announced or dropped")
		}
		if err != nil {
			return err
		}
		// Too many bytes are in flight: not reading on closes the HTTP/2 window, and the camera waits.
		if err := st.srv.budget.wait(st.ctx); err != nil {
			return status.FromContextError(err).Err()
		}
	}
}

// receiveError is nil when the camera is done. gRPC itself has told the camera what else went wrong: RESOURCE_EXHAUSTED for a
// message over the limit, INTERNAL for one that cannot be read.
func receiveError(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// hello takes the first message and answers it with the node's terms.
func (st *stream) hello() error {
	var up proto.Upstream
	if err := st.rpc.RecvMsg(&up); err != nil {
		return receiveError(err)
	}
	up.Image.Release()
	h := up.Msg.GetHello()
	if h == nil {
		return status.Error(codes.InvalidArgument, "the first message is not hello: say who is calling before any frame")
	}
	st.key, st.recipe = proto.HelloKey(h), h.GetRecipe()
	first := st.key
	first.Seq = 1
	err := cmp.Or(first.Validate(), inspection.ValidName("recipe", h.GetRecipe()), inspection.ValidName("client", h.GetClient()))
	if err != nil {
		return status.Error(codes.InvalidArgument, "hello: "+err.Error())
	}
	st.greeted.Store(true)
	st.srv.log.Info("camera stream opened", "line", h.Line, "station", h.Station, "camera", h.Camera, "session", h.Session, "client", h.Client)
	if other := st.srv.connected.add(st); other != nil {
		st.srv.log.Warn("two clients are connected under one camera's name: give each camera its own, and stop a client that was left behind",
			"line", h.Line, "station", h.Station, "camera", h.Camera, "session", h.Session, "peer", peerOf(st.ctx),
			"other_session", other.key.Session, "other_peer", peerOf(other.ctx))
	}
	st.put(outgoing{msg: &assayv1.InspectResponse{Message: &assayv1.InspectResponse_Welcome{Welcome: st.srv.welcome()}}})
	return nil
}

// welcome states the node's terms as they are now.
func (s *Server) welcome() *assayv1.Welcome {
	w := &assayv1.Welcome{
		Node: s.cfg.Node, MaxMessageBytes: uint64(s.cfg.MaxFrameBytes), MaxPixels: uint64(s.cfg.MaxPixels),
		Credits: uint32(s.cfg.Credits), Peers: s.cfg.Peers,
	}
	for _, r := range s.deps.Catalog.Recipes() {
		w.Recipes = append(w.Recipes, &assayv1.RecipeTerms{
			Name: r.Recipe.Name, Recipe: proto.FromRecipeRef(r.Recipe.Ref()), Fallback: proto.FromVerdict(r.Recipe.Fallback),
			Budget: proto.FromDuration(r.Recipe.Budget), Ready: r.Ready,
		})
	}
	slices.SortFunc(w.Recipes, func(a, b *assayv1.RecipeTerms) int { return cmp.Compare(a.Name, b.Name) })
	return w
}

// inspect makes a job of a frame and returns the desk's answer, or one that says what is wrong. False: nobody waits for it.
func (st *stream) inspect(f inspection.Frame, received time.Time) (inspection.Answer, bool) {
	if err := f.Validate(); err != nil && !errors.Is(err, inspection.ErrImage) {
		return st.srv.refusal(f.Key, nil, err), true
	}
	recipe, model, err := st.srv.deps.Catalog.Resolve(f.Recipe)
	if err != nil && recipe == nil && !errors.Is(err, inspection.ErrUnknownRecipe) {
		return st.srv.refusal(f.Key, nil, fmt.Errorf("resolve recipe %q: %w", f.Recipe, err)), true
	}
	job := inspection.Job{Frame: f, Recipe: recipe, Model: model, Received: received}
	if f.Simulated {
		job.Class = inspection.ClassBulk
	}
	budget := f.Budget
	if budget == 0 && recipe != nil {
		budget = recipe.Budget
	}
	if budget > 0 {
		job.Deadline = received.Add(budget)
	}
	answer, err := st.srv.deps.Desk.Inspect(st.ctx, job)
	switch {
	case err == nil:
		return answer, true
	case st.ctx.Err() != nil:
		return inspection.Answer{}, false
	}
	return st.srv.refusal(f.Key, recipe, err), true
}

// refusal is the answer to a frame that the desk could not take: nothing was recorded, and the verdict is the recipe's
// fallback where there is a recipe.
func (s *Server) refusal(key inspection.FrameKey, recipe *inspection.Recipe, err error) inspection.Answer {
	o := code(err)
	if o.code == codes.Internal {
		s.logFault(context.Background(), o, "frame "+key.String(), err)
	}
	j := inspection.Judgement{
		Reason: inspection.ReasonFor(err), Detail: o.text, Recipe: recipe.Ref(), Node: s.cfg.Node, At: time.Now().UTC(),
	}
	if j.Reason == inspection.ReasonInvalid {
		j.Source = inspection.SourceRule
	} else if recipe != nil && recipe.Fallback.FallbackVerdict() {
		j.Verdict = recipe.Fallback
	}
	effect := inspection.Effect{Verdict: j.Verdict, Source: j.Source, Reason: j.Reason}
	return inspection.Answer{ID: key.ID(), Key: key, Verdict: j.Verdict, Effect: effect, Judgement: j}
}
