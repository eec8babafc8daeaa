package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/assay-vision/assay/inspection"
)

func TestCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code codes.Code
		http int
		text string
	}{
		{fmt.Errorf("%w: lot is bad", inspection.ErrInvalid), codes.InvalidArgument, 400, "lot is bad"},
		{inspection.ErrNotFound, codes.NotFound, 404, "not found"},
		{inspection.ErrUnknownRecipe, codes.NotFound, 404, "unknown recipe"},
		{inspection.ErrUnknownModel, codes.NotFound, 404, "unknown model"},
		{inspection.ErrNotReady, codes.Unavailable, 503, "not ready"},
		{inspection.ErrOverloaded, codes.ResourceExhausted, 503, "overloaded"},
		{inspection.ErrDeadline, codes.DeadlineExceeded, 504, "deadline exceeded"},
		{inspection.ErrFrameConflict, codes.AlreadyExists, 409, "another image"},
		{inspection.ErrImage, codes.InvalidArgument, 422, "bad image"},
		{inspection.ErrImageTooLarge, codes.InvalidArgument, 422, "image too large"},
		{inspection.ErrModelOutput, codes.Internal, 500, "see the node's log"},
		{inspection.ErrDiskFull, codes.ResourceExhausted, 507, "disk is full"},
		{inspection.ErrUnavailable, codes.Unimplemented, 501, "without what that needs"},
		{inspection.ErrClosed, codes.Unavailable, 503, "shutting down"},
		{inspection.ErrExists, codes.AlreadyExists, 409, "exists already"},
		{inspection.ErrRefused, codes.FailedPrecondition, 409, "refused"},
		{inspection.ErrGolden, codes.FailedPrecondition, 409, "golden check failed"},
		{context.Canceled, codes.Canceled, 499, "cancelled"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, http.StatusGatewayTimeout, "out of time"},
		{errors.New("anything else"), codes.Internal, 500, "see its log"},
	} {
		got := code(fmt.Errorf("while testing: %w", tc.err))
		if got.code != tc.code || got.http != tc.http || !strings.Contains(got.text, tc.text) {
			t.Errorf("%v: got %v, want %v, %d, %q", tc.err, got, tc.code, tc.http, tc.text)
		}
	}
}

// What the operating system says stays inside, whatever it is wrapped in.
func TestCodeNamesNoPath(t *testing.T) {
	system := &fs.PathError{Op: "open", Path: "/var/lib/assay/images/1.jpg", Err: fs.ErrNotExist}
	for _, o := range outcomes {
		if got := code(fmt.Errorf("%w: %w", o.err, system)); strings.Contains(got.text, "/") || got.text == "" {
			t.Errorf("%v: the client is told %q", o.err, got.text)
		}
	}
	if got := code(system); strings.Contains(got.text, "/") {
		t.Errorf("the client is told %q", got.text)
	}
}
