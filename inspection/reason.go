package inspection

import (
	"context"
	"errors"
)

// reasons is looked through in order: the narrower error stands before the wider one.
var reasons = [...]struct {
	err    error
	reason Reason
}{
	{ErrImageTooLarge, ReasonImageTooLarge},
	{ErrImage, ReasonImage},
	{ErrModelOutput, ReasonModelOutput},
	{ErrUnknownRecipe, ReasonUnknownRecipe},
	{ErrUnknownModel, ReasonModelNotReady},
	{ErrNotReady, ReasonModelNotReady},
	{ErrUnavailable, ReasonModelNotReady},
	{ErrDeadline, ReasonDeadline},
	{context.DeadlineExceeded, ReasonDeadline},
	{ErrOverloaded, ReasonOverloaded},
	{ErrFrameConflict, ReasonConflict},
	{ErrDiskFull, ReasonNotRecorded},
	{ErrInvalid, ReasonInvalid},
	{ErrClosed, ReasonShutdown},
	{context.Canceled, ReasonShutdown},
}

// ReasonFor maps an inspector's error to the reason under which its frame is recorded; what has no reason of its own is
// ReasonInternal.
func ReasonFor(err error) Reason {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return ReasonInternal
}
