package camera

import (
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"

	"github.com/assay-vision/assay/inspection"
)

// StreamConfig says who the camera is, where its nodes are, and how much it keeps.
type StreamConfig struct {
	// Addrs are host:port of nodes, in the order to try. The first is home: the stream goes back to it when it can. The
	// peers that a node names are tried after these.
	Addrs []string
	// Line, Station and Camera say who is calling. All three are required.
	Line, Station, Camera string
	// Session is a ULID that names this start of the camera. Empty: a new one.
	Session string
	// Recipe is that of frames that name none.
	Recipe string
	// Client is the program's name and version, for the node's log.
	Client string

	// MaxFrames and MaxBytes bound the frames, and their image bytes, that are kept until a node has recorded them.
	MaxFrames int
	MaxBytes  int64
	// Policy is what happens to a frame beyond that.
	Policy Policy

	// Fallback and Budget stand for a recipe's until a node has told them in its Welcome, and for recipes that it does not
	// know. Fallback is FAIL, REVIEW or UNDETERMINED (the zero value). A Budget of 0 means no deadline.
	Fallback inspection.Verdict
	Budget   time.Duration
	// Margin is taken off the budget that a frame carries, for the way to the node and back; at most a quarter of what is
	// left. 0: none.
	Margin time.Duration

	// ConnectTimeout bounds one attempt, from dialing to Welcome.
	ConnectTimeout time.Duration
	// BackoffMin and BackoffMax bound the wait between two rounds over all addresses, which doubles and is drawn at
	// random from its upper half.
	BackoffMin, BackoffMax time.Duration
	// ReadyWait is how long nodes whose model for Recipe is not warm yet are passed over, as after a start: they would
	// answer with the fallback at once. After that any node will do. 0: at once.
	ReadyWait time.Duration
	// Stall is how long after its deadline a frame may be without an answer before the connection is taken for dead.
	Stall time.Duration
	// HomeRetry is how often home is tried while another node serves. 0: never.
	HomeRetry time.Duration
	// ResendMin and ResendMax bound the wait before a frame that was answered with recorded=false is sent again.
	ResendMin, ResendMax time.Duration

	// CloseWait is how long a Run that ends early waits for what was sent to be recorded, before it gives that up. 0: not at
	// all.
	CloseWait time.Duration

	// DialOptions are gRPC's, such as transport credentials. None: plaintext.
	DialOptions []grpc.DialOption
}

// DefaultStream returns the configuration that we would deploy, without addresses and names.
func DefaultStream() StreamConfig {
	return StreamConfig{
		Client:    "assay-go",
		MaxFrames: 256, MaxBytes: 512 << 20,
		Budget: 2 * time.Second, Margin: 5 * time.Millisecond,
		ConnectTimeout: 3 * time.Second, BackoffMin: 100 * time.Millisecond, BackoffMax: 5 * time.Second,
		ReadyWait: 10 * time.Second, Stall: 15 * time.Second, HomeRetry: 15 * time.Second,
		ResendMin: 200 * time.Millisecond, ResendMax: 10 * time.Second, CloseWait: 10 * time.Second,
	}
}

// Validate names every field that cannot work, with the remedy. Errors are inspection.ErrInvalid.
func (c StreamConfig) Validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{inspection.ErrInvalid}, args...)...))
		}
	}
	require(len(c.Addrs) > 0, "Addrs is empty: give host:port of a node")
	for i, a := range c.Addrs {
		require(a != "", "Addrs[%d] is empty: give host:port of a node", i)
	}
	for _, n := range [...]struct{ name, value string }{{"Line", c.Line}, {"Station", c.Station}, {"Camera", c.Camera}} {
		require(n.value != "", "%s is empty: name it, it is part of every frame's key", n.name)
		errs = append(errs, inspection.ValidName(n.name, n.value))
	}
	errs = append(errs, inspection.ValidName("Recipe", c.Recipe), inspection.ValidName("Client", c.Client))
	if c.Session != "" {
		_, err := ulid.ParseStrict(c.Session)
		require(err == nil, "Session %q is no ULID: leave it empty", c.Session)
	}
	require(c.MaxFrames > 0, "MaxFrames is %d: give at least 1", c.MaxFrames)
	require(c.MaxBytes > 0, "MaxBytes is %d: give at least the bytes of one picture", c.MaxBytes)
	require(int(c.Policy) < len(policyNames), "Policy is %s: use Block, DropOldest or DropNewest", c.Policy)
	require(c.Fallback.FallbackVerdict(), "Fallback is %s: use FAIL, REVIEW or UNDETERMINED, nobody judged such a part", c.Fallback)
	require(c.ConnectTimeout > 0, "ConnectTimeout is %v: give a time above 0", c.ConnectTimeout)
	require(c.Stall > 0, "Stall is %v: give a time above 0", c.Stall)
	require(c.BackoffMin > 0 && c.BackoffMax >= c.BackoffMin, "BackoffMin %v and BackoffMax %v: give times above 0 in this order", c.BackoffMin, c.BackoffMax)
	require(c.ResendMin > 0 && c.ResendMax >= c.ResendMin, "ResendMin %v and ResendMax %v: give times above 0 in this order", c.ResendMin, c.ResendMax)
	require(c.Budget >= 0 && c.Margin >= 0 && c.HomeRetry >= 0 && c.ReadyWait >= 0 && c.CloseWait >= 0,
		"Budget %v, Margin %v, HomeRetry %v, ReadyWait %v and CloseWait %v: none may be negative", c.Budget, c.Margin, c.HomeRetry, c.ReadyWait, c.CloseWait)
	return errors.Join(errs...)
}
