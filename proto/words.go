package proto

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// From... functions make messages of the words of package inspection, To... functions make words of messages. The enums
// have the same numbers on both sides (a test says so); a number that this side does not know becomes zero, the safe value.

// FromVerdict returns the wire's verdict.
func FromVerdict(v inspection.Verdict) assayv1.Verdict {
	return known(assayv1.Verdict(v), assayv1.Verdict_name)
}

// ToVerdict returns UNDETERMINED for a number that is no verdict.
func ToVerdict(v assayv1.Verdict) inspection.Verdict {
	return inspection.Verdict(known(v, assayv1.Verdict_name))
}

// FromSource returns the wire's source.
func FromSource(s inspection.Source) assayv1.Source {
	return known(assayv1.Source(s), assayv1.Source_name)
}

// ToSource returns SourceFallback, nobody judged, for a number that is no source.
func ToSource(s assayv1.Source) inspection.Source {
	return inspection.Source(known(s, assayv1.Source_name))
}

// FromRole returns the wire's role.
func FromRole(r inspection.Role) assayv1.Role { return known(assayv1.Role(r), assayv1.Role_name) }

// ToRole returns RolePrimary, a role that counts, for a number that is no role.
func ToRole(r assayv1.Role) inspection.Role { return inspection.Role(known(r, assayv1.Role_name)) }

// FromImageFormat returns the wire's image format.
func FromImageFormat(f inspection.ImageFormat) assayv1.ImageFormat {
	return known(assayv1.ImageFormat(f), assayv1.ImageFormat_name)
}

// ToImageFormat returns FormatUnknown, which is refused, for a number that is no format.
func ToImageFormat(f assayv1.ImageFormat) inspection.ImageFormat {
	return inspection.ImageFormat(known(f, assayv1.ImageFormat_name))
}

// FromImageState returns the wire's image state.
func FromImageState(s inspection.ImageState) assayv1.ImageState {
	return known(assayv1.ImageState(s), assayv1.ImageState_name)
}

// ToImageState returns ImagePending for a number that is no state.
func ToImageState(s assayv1.ImageState) inspection.ImageState {
	return inspection.ImageState(known(s, assayv1.ImageState_name))
}

// known returns v, or zero when the enum has no such number.
func known[E ~int32](v E, names map[int32]string) E {
	if _, ok := names[int32(v)]; !ok {
		return 0
	}
	return v
}

// FromTime returns nil for the zero time.
func FromTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ToTime returns the time in UTC, and the zero time for an absent or impossible one.
func ToTime(t *timestamppb.Timestamp) time.Time {
	if t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

// FromDuration returns nil for zero: it did not happen, or it was not stated.
func FromDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// ToDuration returns zero for an absent or impossible duration.
func ToDuration(d *durationpb.Duration) time.Duration {
	if d.CheckValid() != nil {
		return 0
	}
	return d.AsDuration()
}

// noTimeLeft is what a budget that was used up on the way becomes: an inspection.Frame's zero means the recipe's budget.
const noTimeLeft = time.Nanosecond

// toBudget tells a budget that is used up from one that was not stated.
func toBudget(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return max(ToDuration(d), noTimeLeft)
}

// Sizes are int here and 32 bits on the wire. What does not fit is not a size that anything has; it becomes the largest.
func fromSize(n int) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }
func fromInt(n int) int32   { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
