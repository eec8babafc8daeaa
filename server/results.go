package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

type resultService struct {
	assayv1.UnimplementedResultServiceServer
	srv *Server
}

// maxPage is the largest page, maxCursor the longest cursor in bytes.
const (
	maxPage   = 1000
	maxCursor = 1 << 10
)

func (g *resultService) GetResult(ctx context.Context, r *assayv1.GetResultRequest) (*assayv1.GetResultResponse, error) {
	resp, err := g.srv.getResult(ctx, r)
	if err != nil {
		return nil, g.srv.fail(ctx, "GetResult", err)
	}
	return resp, nil
}

func (g *resultService) ListResults(ctx context.Context, r *assayv1.ListResultsRequest) (*assayv1.ListResultsResponse, error) {
	resp, err := g.srv.listResults(ctx, r)
	if err != nil {
		return nil, g.srv.fail(ctx, "ListResults", err)
	}
	return resp, nil
}

// getResult serves gRPC and HTTP.
func (s *Server) getResult(ctx context.Context, r *assayv1.GetResultRequest) (*assayv1.GetResultResponse, error) {
	id := inspection.ResultID(r.GetId())
	switch {
	case (id == "") == (r.GetKey() == nil):
		return nil, fmt.Errorf("%w: give either id or key", inspection.ErrInvalid)
	case id != "":
		if err := validID(id); err != nil {
			return nil, err
		}
	default:
		key := proto.ToKey(r.GetKey())
		if err := key.Validate(); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		id = key.ID()
	}
	res, err := s.deps.Results.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("result %s: %w", id, err)
	}
	return &assayv1.GetResultResponse{Result: proto.FromResult(res)}, nil
}

// listResults serves gRPC and HTTP.
func (s *Server) listResults(ctx context.Context, r *assayv1.ListResultsRequest) (*assayv1.ListResultsResponse, error) {
	if n := r.GetPageSize(); n < 0 || n > maxPage {
		return nil, fmt.Errorf("%w: page_size is %d: give 1 to %d, or 0 for 100", inspection.ErrInvalid, n, maxPage)
	}
	q, err := proto.ToQuery(r)
	if err == nil {
		err = validQuery(q)
	}
	if err != nil {
		return nil, err
	}
	page, err := s.deps.Results.List(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list results: %w", err)
	}
	resp := &assayv1.ListResultsResponse{NextCursor: page.Next}
	for _, res := range page.Results {
		resp.Results = append(resp.Results, proto.FromResult(res))
	}
	return resp, nil
}

// WatchResults sends what the store announces until the watcher goes, lags too far (ABORTED), or the node shuts down.
func (g *resultService) WatchResults(r *assayv1.WatchResultsRequest, stream grpc.ServerStreamingServer[assayv1.WatchResultsResponse]) error {
	s := g.srv
	q, err := proto.ToFilter(r.GetFilter())
	q.Cursor = r.GetCursor()
	if err == nil {
		err = validQuery(q)
	}
	if err != nil {
		return s.fail(stream.Context(), "WatchResults", err)
	}
	q.Cursor = ""
	ctx, cancel := s.untilDrained(stream.Context())
	defer cancel()
	err = s.deps.Results.Watch(ctx, r.GetCursor(), q, func(res inspection.Result, cursor string) error {
		return stream.Send(&assayv1.WatchResultsResponse{Result: proto.FromResult(res), Cursor: cursor})
	})
	switch {
	case errors.Is(context.Cause(ctx), errDraining):
		return errDraining
	case errors.Is(err, inspection.ErrOverloaded):
		return status.Error(codes.Aborted, "the watch lagged too far behind: resume with the last cursor that you have seen")
	case err != nil:
		return s.fail(stream.Context(), "WatchResults", fmt.Errorf("watch results: %w", err))
	}
	return nil
}

// validID checks that an id is what FrameKey.ID makes: it becomes part of a look-up, never of a path.
func validID(id inspection.ResultID) error {
	if len(id) != 32 || strings.Trim(string(id), "0123456789abcdef") != "" {
		return fmt.Errorf("%w: id is not a result id: give the 32 hexadecimal digits of an answer's result_id", inspection.ErrInvalid)
	}
	return nil
}

// validQuery bounds what a filter may hold.
func validQuery(q inspection.Query) error {
	for _, f := range [...]struct{ name, value string }{
		{"serial", q.Serial}, {"run_id", q.RunID}, {"lot", q.Lot}, {"work_order", q.WorkOrder}, {"line", q.Line}, {"station", q.Station},
		{"camera", q.Camera}, {"session", q.Session}, {"product", q.Product}, {"recipe", q.Recipe}, {"model", q.Model},
		{"model_version", q.ModelVersion}, {"defect_class", q.DefectClass},
	} {
		if err := inspection.ValidName(f.name, f.value); err != nil {
			return err
		}
	}
	switch {
	case len(q.Cursor) > maxCursor:
		return fmt.Errorf("%w: cursor has %d bytes: give next_cursor of the page before as it came", inspection.ErrInvalid, len(q.Cursor))
	case len(q.Verdicts) > 16:
		return fmt.Errorf("%w: verdicts holds %d entries: there are four verdicts", inspection.ErrInvalid, len(q.Verdicts))
	case !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To):
		return fmt.Errorf("%w: from %s is not before to %s", inspection.ErrInvalid, q.From.Format(timeFormat), q.To.Format(timeFormat))
	}
	return nil
}
