package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// maxNote bounds who and why in the record of activations, in bytes.
const maxNote = 1000

// maxHistory is how many activations are told, the latest ones.
const maxHistory = 1000

func (g *modelService) PushModel(stream grpc.ClientStreamingServer[assayv1.PushModelRequest, assayv1.PushModelResponse]) error {
	resp, err := g.push(stream)
	switch _, ended := status.FromError(err); {
	case err != nil && ended: // by the client, or by what it sent
		return err
	case err != nil:
		return g.srv.fail(stream.Context(), "PushModel", err)
	}
	return stream.SendAndClose(resp)
}

func (g *modelService) push(stream grpc.ClientStreamingServer[assayv1.PushModelRequest, assayv1.PushModelResponse]) (resp *assayv1.PushModelResponse, err error) {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	header := first.GetHeader()
	if header == nil {
		return nil, fmt.Errorf("%w: the first message must be the header, which names the version", inspection.ErrInvalid)
	}
	if err := versioned(header.GetName(), header.GetVersion()); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("push model %s@%s", header.GetName(), header.GetVersion())
	up, err := g.srv.deps.Versions.BeginUpload(header.GetName(), header.GetVersion())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer func() {
		if cerr := up.Close(); cerr != nil {
			g.srv.log.WarnContext(stream.Context(), "an upload is not removed whole; the next start does it", "error", cerr)
		}
	}()
	if err := receive(stream, up); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	ref, existed, err := up.Commit()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	g.srv.log.InfoContext(stream.Context(), "model version is pushed", "model", ref.Name, "version", ref.Version, "digest", ref.Digest, "existed", existed, "peer", peerOf(stream.Context()))
	return &assayv1.PushModelResponse{Model: proto.FromModelRef(ref), Existed: existed}, nil
}

// receive takes the files of an upload, to the stream's end.
func receive(stream grpc.ClientStreamingServer[assayv1.PushModelRequest, assayv1.PushModelResponse], up Upload) error {
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch m := m.GetMessage().(type) {
		case *assayv1.PushModelRequest_File:
			err = up.File(m.File.GetName(), m.File.GetSize(), m.File.GetSha256())
		case *assayv1.PushModelRequest_Chunk:
			_, err = up.Write(m.Chunk)
		default:
			err = fmt.Errorf("%w: after the header come files and their bytes", inspection.ErrInvalid)
		}
		if err != nil {
			return err
		}
	}
}

func (g *modelService) ActivateModel(ctx context.Context, r *assayv1.ActivateModelRequest) (*assayv1.ActivateModelResponse, error) {
	resp, err := g.srv.activate(ctx, r, peerOf(ctx))
	if err != nil {
		return nil, g.srv.fail(ctx, "ActivateModel", err)
	}
	return resp, nil
}

func (s *Server) activate(ctx context.Context, r *assayv1.ActivateModelRequest, from string) (*assayv1.ActivateModelResponse, error) {
	if err := errors.Join(versioned(r.GetName(), r.GetVersion()), noted(r.GetBy(), r.GetReason())); err != nil {
		return nil, err
	}
	a, changed, err := s.deps.Versions.Activate(ctx, Activation{Model: r.GetName(), To: r.GetVersion(), By: r.GetBy(), Peer: from, Reason: r.GetReason()})
	if err != nil {
		return nil, fmt.Errorf("activate model %s@%s: %w", r.GetName(), r.GetVersion(), err)
	}
	return &assayv1.ActivateModelResponse{Activation: fromActivation(a), Changed: changed}, nil
}

func (g *modelService) RollbackModel(ctx context.Context, r *assayv1.RollbackModelRequest) (*assayv1.RollbackModelResponse, error) {
	resp, err := g.srv.rollback(ctx, r, peerOf(ctx))
	if err != nil {
		return nil, g.srv.fail(ctx, "RollbackModel", err)
	}
	return resp, nil
}

func (s *Server) rollback(ctx context.Context, r *assayv1.RollbackModelRequest, from string) (*assayv1.RollbackModelResponse, error) {
	if err := errors.Join(named(r.GetName(), ""), noted(r.GetBy(), r.GetReason())); err != nil {
		return nil, err
	}
	a, err := s.deps.Versions.Rollback(ctx, Activation{Model: r.GetName(), By: r.GetBy(), Peer: from, Reason: r.GetReason()})
	if err != nil {
		return nil, fmt.Errorf("roll back model %s: %w", r.GetName(), err)
	}
	return &assayv1.RollbackModelResponse{Activation: fromActivation(a)}, nil
}

func (g *modelService) RemoveModel(ctx context.Context, r *assayv1.RemoveModelRequest) (*assayv1.RemoveModelResponse, error) {
	if err := g.srv.remove(ctx, r.GetName(), r.GetVersion()); err != nil {
		return nil, g.srv.fail(ctx, "RemoveModel", err)
	}
	return &assayv1.RemoveModelResponse{}, nil
}

func (s *Server) remove(ctx context.Context, name, version string) error {
	if err := versioned(name, version); err != nil {
		return err
	}
	if err := s.deps.Versions.RemoveModel(ctx, name, version); err != nil {
		return fmt.Errorf("remove model %s@%s: %w", name, version, err)
	}
	return nil
}

func (g *modelService) ListActivations(_ context.Context, r *assayv1.ListActivationsRequest) (*assayv1.ListActivationsResponse, error) {
	return g.srv.activations(r.GetName()), nil
}

func (s *Server) activations(name string) *assayv1.ListActivationsResponse {
	resp := &assayv1.ListActivationsResponse{}
	all := s.deps.Versions.Activations(name)
	for _, a := range all[:min(len(all), maxHistory)] {
		resp.Activations = append(resp.Activations, fromActivation(a))
	}
	return resp
}

func fromActivation(a Activation) *assayv1.Activation {
	return &assayv1.Activation{
		Name: a.Model, Act: a.Act, From: a.From, To: a.To, Digest: a.Digest, Time: proto.FromTime(a.At), By: a.By, Peer: a.Peer, Reason: a.Reason,
	}
}

// versioned checks the name of a model and a version that must be given.
func versioned(name, version string) error {
	if version == "" {
		return fmt.Errorf("%w: version is empty: write NAME@VERSION", inspection.ErrInvalid)
	}
	return named(name, version)
}

// noted checks who asks and why.
func noted(by, reason string) error {
	for _, f := range [...]struct{ field, text string }{{"by", by}, {"reason", reason}} {
		if len(f.text) > maxNote {
			return fmt.Errorf("%w: %s has %d bytes: write at most %d", inspection.ErrInvalid, f.field, len(f.text), maxNote)
		}
	}
	if by == "" {
		return fmt.Errorf("%w: by is empty: say who asks, for the record", inspection.ErrInvalid)
	}
	return nil
}

// peerOf is the address that a call came from.
func peerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// routeVersions adds the REST twins of ModelService, but for the upload and the profile.
func (s *Server) routeVersions(mux *http.ServeMux) {
	models := &modelService{srv: s}
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		resp, _ := models.ListModels(r.Context(), &assayv1.ListModelsRequest{}) // never fails
		s.writeMessage(w, r, resp)
	})
	mux.HandleFunc("GET /v1/activations", func(w http.ResponseWriter, r *http.Request) {
		s.writeMessage(w, r, s.activations(r.URL.Query().Get("name")))
	})
	// Pages that a browser shows must not act on a node that listens on its machine.
	protection := http.NewCrossOriginProtection()
	act := func(pattern string, handle http.HandlerFunc) { mux.Handle(pattern, protection.Handler(handle)) }
	act("POST /v1/models/{name}/activate", s.handleActivate)
	act("POST /v1/models/{name}/rollback", s.handleRollback)
	act("DELETE /v1/models/{name}/versions/{version}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.remove(r.Context(), r.PathValue("name"), r.PathValue("version")); err != nil {
			s.failHTTP(w, r, err)
			return
		}
		s.writeMessage(w, r, &assayv1.RemoveModelResponse{})
	})
}

// ask is the body of an activation or a rollback.
type ask struct {
	Version string `json:"version"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
}

// readAsk reads the body, and lets the answer take the time that loading a model takes.
func readAsk(w http.ResponseWriter, r *http.Request) (ask, error) {
	var a ask
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("%w: the body is no JSON object with version, by and reason: %v", inspection.ErrInvalid, err) //nolint:errorlint // told, not wrapped
	}
	// The server's limits are for pages and pictures; the one for reading would end the request's context, too.
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})); err != nil {
		return a, fmt.Errorf("let the request take its time: %w", err)
	}
	return a, nil
}

func (s *Server) handleActivate(w http.ResponseWriter, r *http.Request) {
	a, err := readAsk(w, r)
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	resp, err := s.activate(r.Context(), &assayv1.ActivateModelRequest{Name: r.PathValue("name"), Version: a.Version, By: a.By, Reason: a.Reason}, r.RemoteAddr)
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	s.writeMessage(w, r, resp)
}

func (s *Server) handleRollback(w http.ResponseWriter, r *http.Request) {
	a, err := readAsk(w, r)
	if err == nil && a.Version != "" {
		err = fmt.Errorf("%w: version has no effect: a rollback goes to the version before: remove it, or activate that version", inspection.ErrInvalid)
	}
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	resp, err := s.rollback(r.Context(), &assayv1.RollbackModelRequest{Name: r.PathValue("name"), By: a.By, Reason: a.Reason}, r.RemoteAddr)
	if err != nil {
		s.failHTTP(w, r, err)
		return
	}
	s.writeMessage(w, r, resp)
}
