package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/assay-vision/assay/inspection"
)

// Stream brings frames to a node and loses none: each is kept until a node has it on disk, and is sent again under the
// same key, to any node, until then. Every frame has a verdict by its deadline, the node's or the camera's own fallback.
// It is safe for concurrent use.
type Stream struct {
	cfg    StreamConfig
	log    *slog.Logger
	key    inspection.FrameKey // of every frame, without Seq
	ctx    context.Context     // ends with the connection's work
	cancel context.CancelFunc
	gone   chan struct{}  // closed when the connection's work has ended
	old    sync.WaitGroup // links that bring their last answers

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, by every change that somebody may wait for
	closed  bool          // takes no more frames
	seq     uint64        // of the last frame
	frames  []*kept       // by seq: not recorded yet
	bytes   int64         // of their images
	notes   notes
	link    *link // nil while there is no connection
	terms   map[string]terms
	peers   []string
	refused bool      // every address of the last round said no in a way that waiting does not mend
	lastErr error     // of the last connection
	unready time.Time // since when nodes were passed over because their model is not warm; zero: none was
	stats   Stats
}

// Stats counts since the start.
type Stats struct {
	Frames     uint64 // given to the stream
	Sends      uint64 // frames sent, repeats included
	Answers    uint64
	FellBack   uint64 // verdicts that were the camera's own
	Recorded   uint64
	Dropped    uint64
	Forgotten  uint64 // announcements and drops discarded because too many waited, or the stream was closed
	Connects   uint64 // connections that got their Welcome
	Kept       int    // frames kept now
	KeptBytes  int64  // and the bytes of their images
	Unrecorded int    // announcements and drops that wait now
}

// terms is what a camera must know of a recipe to keep time by itself.
type terms struct {
	fallback inspection.Verdict
	budget   time.Duration
}

// kept is a frame in the stream's care. The stream's mu guards it; frame's image is held by one reference.
type kept struct {
	*Ticket
	frame    inspection.Frame
	size     int64
	deadline time.Time   // zero: never
	timer    *time.Timer // rings at the deadline; nil where there is none
	link     *link       // on which it is without an answer; nil: to be sent
	resend   time.Time   // not before
	refusals int         // answers with recorded=false
	given    bool        // no longer in frames
}

// NewStream validates cfg and begins to connect. Close ends it. A nil log discards.
func NewStream(cfg StreamConfig, log *slog.Logger) (*Stream, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("camera stream: %w", err)
	}
	if cfg.Session == "" {
		cfg.Session = ulid.Make().String()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Stream{
		cfg: cfg, log: log.With("line", cfg.Line, "station", cfg.Station, "camera", cfg.Camera),
		key:     inspection.FrameKey{Line: cfg.Line, Station: cfg.Station, Camera: cfg.Camera, Session: cfg.Session},
		changed: make(chan struct{}), gone: make(chan struct{}), notes: newNotes(), terms: map[string]terms{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.run()
	return s, nil
}

// Session returns the ULID of this start.
func (s *Stream) Session() string { return s.key.Session }

// Stats returns the counts of now.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Kept, st.KeptBytes, st.Unrecorded = len(s.frames), s.bytes, s.notes.len()
	return st
}

// Connect waits for the first Welcome. It fails with the last connection's error when ctx ends before, and at once when
// every node refuses the camera in a way that waiting does not mend. The stream goes on trying all the same.
func (s *Stream) Connect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stats.Connects == 0 {
		switch {
		case s.closed:
			return inspection.ErrClosed
		case s.refused:
			return fmt.Errorf("connect to %v: %w", s.cfg.Addrs, s.lastErr)
		}
		if err := s.wait(ctx, 0); err != nil {
			return fmt.Errorf("connect to %v: %w", s.cfg.Addrs, errors.Join(err, s.lastErr))
		}
	}
	return nil
}

// Send takes a frame into care and returns its ticket. Frame.Key and Frame.Attempt are the stream's to set; the recipe is
// the stream's where the frame names none; Budget counts from now on. The stream takes its own reference to the image.
//
// Under Block, Send waits while as many frames are kept as may be. ErrInvalid: the frame's words break a rule, and it was
// not taken. ErrClosed: the stream was closed. Else the error is ctx's.
func (s *Stream) Send(ctx context.Context, frame inspection.Frame) (*Ticket, error) {
	return s.send(ctx, frame, time.Time{})
}

// send counts latency and deadline from since; zero means from when the frame was taken.
func (s *Stream) send(ctx context.Context, frame inspection.Frame, since time.Time) (*Ticket, error) {
	frame, err := s.named(frame)
	if err != nil {
		return nil, err
	}
	size := int64(frame.Image.Data.Len())
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		full := len(s.frames) >= s.cfg.MaxFrames || s.bytes+size > s.cfg.MaxBytes
		switch {
		case s.closed:
			return nil, fmt.Errorf("send frame: %w", inspection.ErrClosed)
		case size > s.cfg.MaxBytes:
			return s.never(frame, since, reasonTooLarge, fmt.Errorf("%w: %d bytes, the stream keeps at most %d: raise MaxBytes", inspection.ErrImageTooLarge, size, s.cfg.MaxBytes)), nil
		case !full:
			return s.keep(frame, size, since), nil
		case s.cfg.Policy == DropNewest:
			return s.never(frame, since, reasonNewest, errFull), nil
		case s.cfg.Policy == DropOldest:
			s.giveUp(s.oldest(), reasonOldest, errFull)
		default:
			if err := s.wait(ctx, 0); err != nil {
				return nil, fmt.Errorf("send frame: %w", err)
			}
		}
	}
}

// Skip gives a number to a frame that there is no picture of and reports it as dropped, so that a picture that could not
// be had becomes a row and not a silence. reason is one word in capitals, err why.
func (s *Stream) Skip(frame inspection.Frame, reason string, err error) Outcome {
	if named, invalid := s.named(frame); invalid == nil {
		frame = named
	} else {
		frame = inspection.Frame{Recipe: s.cfg.Recipe, Simulated: frame.Simulated}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.never(frame, time.Time{}, reason, err).outcome
}

// named fills in what is the stream's to say of a frame and checks the rest.
func (s *Stream) named(frame inspection.Frame) (inspection.Frame, error) {
	frame.Key, frame.Attempt = s.key, 1
	frame.Key.Seq = 1 // for the check; its own comes when it is taken
	if frame.Recipe == "" {
		frame.Recipe = s.cfg.Recipe
	}
	if err := frame.Validate(); err != nil && !errors.Is(err, inspection.ErrImage) {
		return frame, fmt.Errorf("send frame: %w", err)
	}
	return frame, nil // a bad image has an identity: the node records it as such
}

// ticket numbers a frame.
func (s *Stream) ticket(frame *inspection.Frame, since time.Time) *Ticket {
	if since.IsZero() {
		since = time.Now()
	}
	s.seq++
	s.stats.Frames++
	frame.Key.Seq = s.seq
	t := &Ticket{s: s, since: since, acted: make(chan struct{}), settled: make(chan struct{})}
	t.outcome.Frame = *frame
	t.outcome.Frame.Image.Data = nil
	return t
}

// keep takes a frame into care and starts its clock.
func (s *Stream) keep(frame inspection.Frame, size int64, since time.Time) *Ticket {
	k := &kept{Ticket: s.ticket(&frame, since), frame: frame, size: size}
	k.frame.Image.Data.Ref()
	budget := frame.Budget
	if budget == 0 {
		budget = s.termsOf(frame.Recipe).budget
	}
	if budget > 0 {
		k.deadline = k.since.Add(budget)
		k.timer = time.AfterFunc(time.Until(k.deadline), func() { s.expire(k) })
	}
	s.frames = append(s.frames, k)
	s.bytes += size
	s.ring()
	return k.Ticket
}

// never settles a frame that is not taken into care.
func (s *Stream) never(frame inspection.Frame, since time.Time, reason string, err error) *Ticket {
	t := s.ticket(&frame, since)
	s.dropped(t, reason, err)
	return t
}

// termsOf returns a recipe's terms as far as they are known.
func (s *Stream) termsOf(recipe string) terms {
	if t, ok := s.terms[recipe]; ok {
		return t
	}
	return terms{fallback: s.cfg.Fallback, budget: s.cfg.Budget}
}

// ring wakes all who wait for a change.
func (s *Stream) ring() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait gives mu up until something changes, or for the time being when that is not 0.
func (s *Stream) wait(ctx context.Context, atMost time.Duration) error {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	var timeout <-chan time.Time
	if atMost > 0 {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-changed:
	case <-timeout:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Close takes no more frames, waits until all are recorded, with what was announced and dropped, and ends the connection.
// When ctx ends first it gives up what is left, whose tickets say so, and returns an error that counts it. It may be
// called again.
func (s *Stream) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.ring()
	var err error
	for err == nil && !s.drained() {
		err = s.wait(ctx, 0)
	}
	frames, notes := len(s.frames), s.notes.len()
	for len(s.frames) > 0 {
		s.giveUp(s.frames[0], reasonClosed, inspection.ErrClosed)
	}
	s.abandonNotes()
	linked := s.link != nil
	s.ring()
	s.mu.Unlock()
	if err == nil && linked {
		// The writer says that nothing more comes, and the node ends the stream.
		select {
		case <-s.gone:
		case <-time.After(s.cfg.ConnectTimeout):
		case <-ctx.Done():
		}
	}
	s.cancel()
	<-s.gone
	if err != nil {
		return fmt.Errorf("close camera stream: %d frames and %d announcements or drops are not recorded: %w", frames, notes, err)
	}
	return nil
}

// drained reports whether nothing is left to do.
func (s *Stream) drained() bool { return len(s.frames) == 0 && s.notes.len() == 0 }
