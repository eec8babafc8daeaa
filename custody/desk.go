package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// Store is what the desk needs of the store.
type Store interface {
	// Commit writes all entries or none, in their order, and returns when they are on disk. A new result whose key is
	// recorded already must not become a second one: a commit that was reported as failed may have happened.
	// ErrDiskFull means that nothing can be recorded until space is back. The slice is lent for the call.
	Commit(ctx context.Context, entries []inspection.Entry) error
	// Lookup returns the recorded result of a key, or an error that wraps inspection.ErrNotFound where its frame has still
	// to be judged; the result beside that error holds what was announced or said of the key before.
	Lookup(ctx context.Context, key inspection.FrameKey) (inspection.Result, error)
}

// Picture is an image that is to be kept, after its result was recorded with ImagePending.
type Picture struct {
	ID        inspection.ResultID
	Key       inspection.FrameKey
	Received  time.Time // wall clock, as in the result
	Verdict   inspection.Verdict
	Simulated bool
	Info      inspection.ImageInfo
	Data      *inspection.Buffer
}

// Images takes the pictures that the desk decided to keep. Keep must return at once; the bytes are lent for the call, and
// whoever uses them later takes a reference.
type Images interface {
	Keep(p Picture)
}

// abortGrace is how long Close waits for the engine, then for the store, once it has aborted it.
const abortGrace = time.Second

// Desk takes frames into custody. It is safe for concurrent use.
type Desk struct {
	cfg    Config
	engine inspection.Inspector
	store  Store
	images Images
	log    *slog.Logger
	m      *metrics

	writer  *writer
	reserve *reserve
	told    *ledger
	keeper  *keeper
	timers  sync.Pool // see alarm

	judging context.Context // the engine's; ends when Close gives up waiting
	storing context.Context // the store's; ends when Close gives up what was not recorded by then
	abort   [2]context.CancelFunc
	work    sync.WaitGroup // flights, which the writer must outlive

	mu      sync.Mutex
	flights map[inspection.FrameKey]*flight
	places  int // flights that hold a place of cfg.InFlight
	closed  bool
}

// New returns a desk that judges with engine and records in store. The engine's Inspect must return when its ctx ends.
// A nil log or reg is replaced by one that discards.
func New(cfg Config, engine inspection.Inspector, store Store, images Images, log *slog.Logger, reg prometheus.Registerer) (*Desk, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if engine == nil || store == nil || images == nil {
		return nil, fmt.Errorf("%w: custody.New needs an engine, a store and images", inspection.ErrInvalid)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{
		cfg: cfg, engine: engine, store: store, images: images, log: log, m: newMetrics(reg),
		reserve: newReserve(cfg.CommitReserve), told: newLedger(cfg.Unrecorded), keeper: newKeeper(cfg.KeepSimulated),
		flights: map[inspection.FrameKey]*flight{},
	}
	d.judging, d.abort[0] = context.WithCancel(context.Background())
	d.storing, d.abort[1] = context.WithCancel(context.Background())
	d.writer = newWriter(d.storing, cfg, store, d.reserve, log, d.m)
	return d, nil
}

// Inspect takes the job's frame into custody and returns its answer, by job.Deadline whatever engine and store do. The
// same key with the same image joins the frame in flight or is answered from the record. The image bytes are the
// caller's; the desk takes its own reference.
//
// An error means that there is no answer: the frame's identity breaks a rule (ErrInvalid: nothing can be recorded under
// it), the desk is closed (ErrClosed), or ctx ended, which stops the waiting and not the frame.
func (d *Desk) Inspect(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
	if err := job.Frame.Validate(); err != nil && !errors.Is(err, inspection.ErrImage) {
		return inspection.Answer{}, fmt.Errorf("take frame %s: %w", job.Frame.Key, err)
	}
	if job.Received.IsZero() {
		job.Received = time.Now()
	}
	sum := xxh128Of(job.Frame.Image.Data)
	due := d.lastCall(job)
	defer due.stop()
	for {
		f, joined, err := d.board(job, sum)
		switch {
		case errors.Is(err, inspection.ErrOverloaded):
			return d.unrecorded(job, d.fallback(job, inspection.ReasonOverloaded, err.Error())), nil
		case err != nil:
			return inspection.Answer{}, fmt.Errorf("take frame %s: %w", job.Frame.Key, err)
		case f.xxh128 == sum:
			return d.await(ctx, f, job, joined, due)
		}
		// Another picture is in flight under this key. Whether this one is a conflict or the first to be recorded is
		// known when that one has ended.
		select {
		case <-f.done:
		case <-due.c:
			return d.unrecorded(job, d.rule(job, inspection.ReasonConflict, "another image is in flight under the same key")), nil
		case <-ctx.Done():
			return inspection.Answer{}, context.Cause(ctx)
		}
	}
}

// board finds the flight of a key or starts one for this job.
func (d *Desk) board(job inspection.Job, sum string) (f *flight, joined bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, inspection.ErrClosed
	}
	if f := d.flights[job.Frame.Key]; f != nil {
		return f, true, nil
	}
	if len(d.flights) >= d.cfg.InFlight+d.cfg.CommitQueue {
		return nil, false, inspection.ErrOverloaded
	}
	f = newFlight(job, sum, d.places < d.cfg.InFlight)
	if f.placed {
		d.places++
	}
	d.flights[job.Frame.Key] = f
	d.m.inFlight.Set(float64(len(d.flights)))
	d.work.Go(func() { d.fly(f) })
	return f, false, nil
}

// await waits for a flight's end, no longer than until the last call. What then leaves unrecorded is told to the flight,
// which records it beside the judgement.
func (d *Desk) await(ctx context.Context, f *flight, job inspection.Job, joined bool, due alarm) (inspection.Answer, error) {
	select {
	case <-f.done:
	case <-due.c:
		answer := unrecordedAnswer(job, d.fallback(job, f.reason(), "no record by the deadline"), f.known()...)
		if f.tell(announcement(answer)) {
			d.answered(job, answer)
			return answer, nil
		}
		<-f.done // it ended in this moment: its answer is the better one
	case <-ctx.Done():
		return inspection.Answer{}, context.Cause(ctx)
	}
	if f.err != nil {
		return d.unrecorded(job, d.fallback(job, inspection.ReasonNotRecorded, f.err.Error()), f.known()...), nil
	}
	answer := f.answer
	if joined {
		answer.Repeated = true
	}
	d.answered(job, answer)
	return answer, nil
}

// unrecorded answers a frame that is not in flight any more, or never was. What the line is told by it is remembered and
// recorded when the camera sends the frame again.
func (d *Desk) unrecorded(job inspection.Job, j inspection.Judgement, known ...inspection.Verdict) inspection.Answer {
	answer := unrecordedAnswer(job, j, known...)
	d.remember(job.Frame.Key, announcement(answer))
	d.answered(job, answer)
	return answer
}

func (d *Desk) remember(key inspection.FrameKey, as ...inspection.Announcement) {
	d.m.forgotten.Add(float64(d.told.add(key, as...)))
}

// answered counts one answer that leaves the desk.
func (d *Desk) answered(job inspection.Job, a inspection.Answer) {
	if !a.Recorded {
		d.m.unrecorded.WithLabelValues(string(a.Effect.Reason)).Inc()
	}
	if a.Repeated {
		d.m.repeats.Inc()
	} else {
		d.m.answerTime.Observe(time.Since(job.Received).Seconds())
	}
	if !job.Deadline.IsZero() && time.Now().After(job.Deadline) {
		d.m.misses.Inc()
	}
}

// Announce records what the camera itself told the gate for a frame, and returns when it is on disk. simulated says which
// side of the wall it belongs to, should it come before its frame.
func (d *Desk) Announce(ctx context.Context, key inspection.FrameKey, a inspection.Announcement, simulated bool) error {
	if err := key.Validate(); err != nil {
		return fmt.Errorf("record announcement of %s: %w", key, err)
	}
	if !a.Verdict.FallbackVerdict() {
		return fmt.Errorf("%w: announcement of %s says %s: a camera may announce FAIL, REVIEW or UNDETERMINED", inspection.ErrInvalid, key, a.Verdict)
	}
	return d.note(ctx, "announcement", inspection.Entry{Key: key, Announcement: &a, Simulated: simulated})
}

// Drop records frames that the camera gave up or never sent, and returns when that is on disk.
func (d *Desk) Drop(ctx context.Context, drop inspection.Drop) error {
	key := drop.Key
	key.Seq = drop.First
	if err := drop.Validate(); err != nil {
		return fmt.Errorf("record drop of %s: %w", key, err)
	}
	return d.note(ctx, "drop", inspection.Entry{Key: key, Drop: &drop, Simulated: drop.Simulated})
}

// note commits one entry that is no answer.
func (d *Desk) note(ctx context.Context, what string, e inspection.Entry) error {
	w, err := d.writer.submit([]inspection.Entry{e}, time.Time{})
	if err != nil {
		return fmt.Errorf("record %s of %s: %w", what, e.Key, err)
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.err != nil {
		return fmt.Errorf("record %s of %s: %w", what, e.Key, w.err)
	}
	return nil
}

// Close takes no more frames, waits until those in custody are recorded, late answers included, and stops. When ctx ends
// first it aborts the engine, records what can be recorded at once, aborts the store, and returns ctx's error. It may be
// called again.
func (d *Desk) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		d.work.Wait()
		d.writer.close()
		close(drained)
	}()
	select {
	case <-drained:
		d.abort[0]()
		d.abort[1]()
		return nil
	case <-ctx.Done():
	}
	for _, abort := range d.abort {
		abort()
		select {
		case <-drained:
		case <-time.After(abortGrace):
		}
	}
	d.log.Error("the desk was stopped before it was drained; cameras will send again what was not recorded")
	return fmt.Errorf("drain the desk: %w", context.Cause(ctx))
}
