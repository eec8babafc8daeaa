package inspection

import (
	"context"
	"time"
)

// Class orders jobs by weight in a scheduler. The zero value is ClassLine: a part is waiting.
type Class uint8

// The classes, from the heaviest to the lightest.
const (
	ClassLine       Class = iota // a part on a line is waiting for this verdict
	ClassBulk                    // simulated frames: eval, replay, benchmark
	ClassBackground              // warm-up, measuring, re-judging
)

var classNames = [...]string{ClassLine: "line", ClassBulk: "bulk", ClassBackground: "background"}

// String returns the class's name.
func (c Class) String() string { return enumName(classNames[:], uint8(c), "Class") }

// Job is a frame with everything that its judging needs, resolved once at the door: Recipe is the revision that rules and
// Model the version that it named then, so that a switch in mid-flight changes nothing for this frame.
type Job struct {
	Frame    Frame
	Recipe   *Recipe
	Model    ModelRef
	Class    Class
	Received time.Time // monotonic: when the last byte was here
	Deadline time.Time // monotonic: when the verdict must be out; zero means never
}

// Inspector judges a frame. The engine, the router and a peer are Inspectors, each may hold the next. Inspect returns
// when the judgement is there, or an error that wraps one of this package's sentinels; an error never travels with a
// PASS. ctx means abort; the job's Deadline is its own field. The frame's image bytes are the caller's: an inspector that
// uses them after it returned must have taken a reference.
type Inspector interface {
	Inspect(ctx context.Context, job Job) (Judgement, error)
}

// Evidence takes judgements of frames that are recorded already: late ones, a second node's, a shadow model's.
type Evidence interface {
	Append(ctx context.Context, key FrameKey, j Judgement) error
}
