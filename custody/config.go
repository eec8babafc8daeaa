package custody

import (
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Config bounds the desk and sets its clock.
type Config struct {
	// Node is the name written into judgements that the desk itself makes.
	Node string
	// InFlight is how many frames may be judged at the same time, late ones included: each holds its image bytes.
	// Beyond it a frame is not judged, its image is shed, and it is recorded as the recipe's fallback with reason OVERLOADED.
	InFlight int
	// PoisonAttempts is the delivery, counted from 1, from which on a frame without a record is not judged any more.
	PoisonAttempts int
	// CommitGroup is the most entries of one commit.
	CommitGroup int
	// CommitSpacing is how soon after a commit began the next one may begin, while at least twice as many frames are being
	// judged as wait for it: so that groups do not fall apart into many small commits. Nobody waits for it longer than their
	// deadline allows, and a frame alone never does. 0: none.
	CommitSpacing time.Duration
	// CommitQueue is how many writes may wait for the commit before theirs. Beyond it nothing can be recorded in time,
	// and frames are answered by the fallback with recorded=false at once.
	CommitQueue int
	// Unrecorded is how many frames that were answered without a record are remembered, so that what the line was told is
	// recorded when they come again. About 300 bytes each. Beyond it the oldest is forgotten.
	Unrecorded int
	// CommitReserve is what a commit is taken to last, until the first eight were measured: a local disk takes one or two
	// milliseconds, a rotating one ten to thirty.
	CommitReserve time.Duration
	// ReplyMargin is how long before the deadline the last reply leaves the desk, for its way out of the node. 0: none.
	ReplyMargin time.Duration
	// KeepSimulated keeps the images of simulated frames as if they were real. False: none of them but poison.
	KeepSimulated bool
}

// Default returns the configuration that we would deploy.
func Default() Config {
	return Config{
		InFlight:       1024,
		PoisonAttempts: 3,
		CommitGroup:    256,
		CommitSpacing:  15 * time.Millisecond,
		CommitQueue:    4096,
		Unrecorded:     16384,
		CommitReserve:  10 * time.Millisecond,
		ReplyMargin:    time.Millisecond,
	}
}

// Validate names the first field that cannot work, with the remedy. Errors are inspection.ErrInvalid.
func (c Config) Validate() error {
	for _, f := range [...]struct {
		name       string
		value, min int
	}{
		{"InFlight", c.InFlight, 1}, {"PoisonAttempts", c.PoisonAttempts, 2},
		{"CommitGroup", c.CommitGroup, 1}, {"CommitQueue", c.CommitQueue, 1},
		{"Unrecorded", c.Unrecorded, 1},
	} {
		if f.value < f.min {
			return fmt.Errorf("%w: custody.Config.%s is %d: give at least %d", inspection.ErrInvalid, f.name, f.value, f.min)
		}
	}
	if c.CommitReserve <= 0 {
		return fmt.Errorf("%w: custody.Config.CommitReserve is %v: give what a commit lasts at worst, such as 10ms", inspection.ErrInvalid, c.CommitReserve)
	}
	if c.ReplyMargin < 0 {
		return fmt.Errorf("%w: custody.Config.ReplyMargin is %v: give 0 or more", inspection.ErrInvalid, c.ReplyMargin)
	}
	if c.CommitSpacing < 0 || c.CommitSpacing >= time.Second {
		return fmt.Errorf("%w: custody.Config.CommitSpacing is %v: give 0 to a second, such as 15ms", inspection.ErrInvalid, c.CommitSpacing)
	}
	return nil
}
