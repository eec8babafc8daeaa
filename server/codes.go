package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
)

// outcome is what a client is told about an error.
type outcome struct {
	code codes.Code
	http int
	text string // told in place of the error's own words; empty: the error was written for the client
}

// outcomes is looked through in order: the narrower error stands before the wider one.
var outcomes = [...]struct {
	err error
	outcome
}{
	{inspection.ErrFrameConflict, outcome{codes.AlreadyExists, http.StatusConflict, ""}},
	{inspection.ErrExists, outcome{codes.AlreadyExists, http.StatusConflict, ""}},
	{inspection.ErrRefused, outcome{codes.FailedPrecondition, http.StatusConflict, ""}},
	{inspection.ErrGolden, outcome{codes.FailedPrecondition, http.StatusConflict, ""}},
	{inspection.ErrImage, outcome{codes.InvalidArgument, http.StatusUnprocessableEntity, ""}},
	{inspection.ErrInvalid, outcome{codes.InvalidArgument, http.StatusBadRequest, ""}},
	{inspection.ErrUnknownRecipe, outcome{codes.NotFound, http.StatusNotFound, ""}},
	{inspection.ErrUnknownModel, outcome{codes.NotFound, http.StatusNotFound, ""}},
	{inspection.ErrNotFound, outcome{codes.NotFound, http.StatusNotFound, ""}},
	{inspection.ErrNotReady, outcome{codes.Unavailable, http.StatusServiceUnavailable, ""}},
	{inspection.ErrOverloaded, outcome{codes.ResourceExhausted, http.StatusServiceUnavailable, ""}},
	{inspection.ErrDeadline, outcome{codes.DeadlineExceeded, http.StatusGatewayTimeout, ""}},
	{inspection.ErrModelOutput, outcome{codes.Internal, http.StatusInternalServerError, "the model's output cannot be used: see the node's log"}},
	{inspection.ErrDiskFull, outcome{codes.ResourceExhausted, http.StatusInsufficientStorage, "the node's disk is full: nothing is recorded until space is back"}},
	{inspection.ErrUnavailable, outcome{codes.Unimplemented, http.StatusNotImplemented, "this node was built or installed without what that needs: see its log"}},
	{inspection.ErrClosed, outcome{codes.Unavailable, http.StatusServiceUnavailable, "the node is shutting down: use another one"}},
	{context.Canceled, outcome{codes.Canceled, 499, "the request was cancelled"}},
	{context.DeadlineExceeded, outcome{codes.DeadlineExceeded, http.StatusGatewayTimeout, "the request ran out of time"}},
}

// code maps an error to what a client is told: the one place where the sentinels become gRPC and HTTP codes. Paths,
// addresses and the words of errors that are not ours stay inside.
func code(err error) outcome {
	for _, o := range outcomes {
		if !errors.Is(err, o.err) {
			continue
		}
		out := o.outcome
		if out.text == "" {
			if out.text = err.Error(); namesSystem(err) {
				out.text = o.err.Error()
			}
		}
		return out
	}
	return outcome{codes.Internal, http.StatusInternalServerError, "a fault inside the node: see its log"}
}

// namesSystem reports whether an error of the operating system, which names paths or addresses, is in the chain.
func namesSystem(err error) bool {
	var (
		path    *fs.PathError
		link    *os.LinkError
		syscall *os.SyscallError
		network *net.OpError
	)
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &syscall) || errors.As(err, &network)
}

// fail turns an error into a gRPC status; what is our own fault is logged, because the client is not told.
func (s *Server) fail(ctx context.Context, what string, err error) error {
	o := code(err)
	if o.http >= http.StatusInternalServerError {
		s.logFault(ctx, o, what, err)
	}
	return status.Error(o.code, o.text)
}

// logFault writes what the client is not told: a fault of the node is an error, what passes by itself a warning.
func (s *Server) logFault(ctx context.Context, o outcome, what string, err error) {
	level := slog.LevelWarn
	if o.code == codes.Internal {
		level = slog.LevelError
	}
	s.log.LogAttrs(ctx, level, "request failed", slog.String("request", what), slog.Any("err", err))
}
