package custody

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// flight is one frame in custody, from the moment that it was taken until it is recorded or given up. It belongs to the
// desk; those who wait for it come and go.
type flight struct {
	job     inspection.Job // its frame without the image's bytes
	image   *inspection.Buffer
	xxh128  string        // of the image
	size    int           // of the image, in bytes
	invalid error         // what is wrong with the image, as far as that can be told without decoding
	placed  bool          // it holds a place and its image bytes; without, it is recorded as OVERLOADED
	done    chan struct{} // closed when it ended; answer and err are valid then
	said    reply         // the engine's; valid when what ask returned is closed

	answer inspection.Answer
	err    error // nothing is recorded

	mu      sync.Mutex
	verdict *inspection.Verdict       // decided, not yet recorded
	told    []inspection.Announcement // left before the record; to be recorded
	ended   bool
}

func newFlight(job inspection.Job, xxh128 string, placed bool) *flight {
	im := job.Frame.Image
	f := &flight{job: job, xxh128: xxh128, size: im.Data.Len(), invalid: im.Validate(), placed: placed, done: make(chan struct{})}
	f.job.Frame.Image.Data = nil
	if placed {
		f.image = im.Data.Ref()
	}
	return f
}

// tell notes what left for the line before the record. False: the flight has ended, look at its answer.
func (f *flight) tell(a inspection.Announcement) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	f.told = append(f.told, a)
	return true
}

// end returns what was told since the last call; when that is nothing, the flight has ended and nothing can be told to it.
func (f *flight) end() (told []inspection.Announcement, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	told, f.told = f.told, nil
	f.ended = len(told) == 0
	return told, f.ended
}

func (f *flight) decide(v inspection.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verdict = &v
}

// known is the verdict that was decided and is not recorded yet, or nothing.
func (f *flight) known() []inspection.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verdict == nil {
		return nil
	}
	return []inspection.Verdict{*f.verdict}
}

// reason is why the frame is not recorded yet: it was not judged in time, or it was and the store is late.
func (f *flight) reason() inspection.Reason {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verdict == nil {
		return inspection.ReasonDeadline
	}
	return inspection.ReasonNotRecorded
}

// fly takes a flight from its start to its end.
func (d *Desk) fly(f *flight) {
	defer d.leave(f)
	key := f.job.Frame.Key
	rec, err := d.store.Lookup(d.storing, key)
	switch {
	case err == nil:
		d.recorded(f, rec)
	case errors.Is(err, inspection.ErrNotFound):
		d.judgeAndRecord(f, rec)
	default:
		// A frame whose record cannot be read may be recorded as anything: it is not judged again.
		d.giveUp(f, fmt.Errorf("look frame %s up: %w", key, err))
	}
}

// leave frees the flight's place and bytes.
func (d *Desk) leave(f *flight) {
	f.image.Release()
	if !f.placed {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.places--
}

// close ends a flight for those who wait for it. A frame that arrives from here on finds the record.
func (d *Desk) close(f *flight) {
	d.mu.Lock()
	delete(d.flights, f.job.Frame.Key)
	d.m.inFlight.Set(float64(len(d.flights)))
	d.mu.Unlock()
	close(f.done)
}

// judgeAndRecord is the way of a frame that is seen for the first time. rec holds what was announced or said of its key
// before it came.
func (d *Desk) judgeAndRecord(f *flight, rec inspection.Result) {
	d.writer.judging.Add(1)
	j, late := d.judge(f)
	d.writer.judging.Add(-1)
	f.decide(j.Verdict)

	told := d.told.take(f.job.Frame.Key)
	rec.Judgements = append(slices.Clone(rec.Judgements), j)
	rec.Announced = append(slices.Clone(rec.Announced), told...)
	effect := answerable(rec)
	frame := &f.job.Frame
	info := d.keeper.image(f, effect, j.Reason)
	received := time.Now().Add(-time.Since(f.job.Received)).Round(0)
	entries := []inspection.Entry{{
		Key: frame.Key, Frame: frame, Received: received, Image: info, Judgement: &j, Simulated: frame.Simulated,
	}}
	took, err := d.writer.commit(append(entries, announcements(frame.Key, told, frame.Simulated)...), d.commitBy(f.job))
	if err != nil {
		d.remember(frame.Key, told...)
		d.giveUp(f, err)
		d.lateAnswer(f, late, false)
		return
	}
	rec.Judgements[len(rec.Judgements)-1].Timings.Commit = took
	d.m.count(j, frame.Simulated)
	if info.State == inspection.ImagePending {
		d.images.Keep(Picture{
			ID: frame.Key.ID(), Key: frame.Key, Received: received, Verdict: effect.Verdict,
			Simulated: frame.Simulated, Info: info, Data: f.image,
		})
	}
	d.conclude(f, rec, false)
	d.lateAnswer(f, late, true)
}

// recorded is the way of a frame that is recorded already: the same picture is answered from the record, another one is a
// conflict. A record that knows of no picture is answered from too.
func (d *Desk) recorded(f *flight, rec inspection.Result) {
	known := rec.Image.XXH128
	if known == "" || known == f.xxh128 {
		d.conclude(f, rec, true)
		return
	}
	d.conflict(f, rec, fmt.Sprintf("delivered again with another image: XXH128 %s, recorded is %s", f.xxh128, known))
}

// conflict records that the same key came with another picture, once for each other picture.
func (d *Desk) conflict(f *flight, rec inspection.Result, detail string) {
	d.m.conflicts.Inc()
	j := d.rule(f.job, inspection.ReasonConflict, detail)
	j.Role = inspection.RoleDuplicate
	f.decide(j.Verdict)
	known := slices.ContainsFunc(rec.Judgements, func(r inspection.Judgement) bool {
		return r.Reason == j.Reason && r.Detail == j.Detail
	})
	if !known {
		took, err := d.writer.commit([]inspection.Entry{{Key: f.job.Frame.Key, Judgement: &j, Simulated: f.job.Frame.Simulated}}, d.commitBy(f.job))
		if err != nil {
			d.giveUp(f, err)
			return
		}
		j.Timings.Commit = took
	}
	if !known {
		rec.Judgements = append(slices.Clone(rec.Judgements), j)
	}
	d.conclude(f, rec, false)
}

// conclude ends a recorded flight. What was told meanwhile is recorded first: an answer that says recorded=true means
// everything that the line was told.
func (d *Desk) conclude(f *flight, rec inspection.Result, repeated bool) {
	key := f.job.Frame.Key
	recorded := true
	told, ended := d.told.take(key), false
	for !ended {
		if len(told) > 0 {
			rec.Announced = append(slices.Clone(rec.Announced), told...)
			if _, err := d.writer.commit(announcements(key, told, f.job.Frame.Simulated), d.commitBy(f.job)); err != nil {
				d.remember(key, told...)
				recorded = false
			}
		}
		told, ended = f.end()
	}
	effect := answerable(rec)
	f.answer = inspection.Answer{
		ID: key.ID(), Key: key, Verdict: effect.Verdict, Effect: effect, Judgement: deciding(rec.Judgements, effect),
		Recorded: recorded, Repeated: repeated,
	}
	d.close(f)
}

// giveUp ends a flight of which nothing is recorded. The camera has the frame and sends it again.
func (d *Desk) giveUp(f *flight, err error) {
	f.err = err
	for {
		told, ended := f.end()
		if ended {
			break
		}
		d.remember(f.job.Frame.Key, told...)
	}
	d.m.count(d.fallback(f.job, inspection.ReasonNotRecorded, ""), f.job.Frame.Simulated)
	d.close(f)
}

// lateAnswer waits for the engine's answer to a frame that was answered without it, and appends it as evidence.
func (d *Desk) lateAnswer(f *flight, late <-chan struct{}, recorded bool) {
	if late == nil {
		return
	}
	<-late
	r := &f.said
	if r.err != nil {
		d.m.late.WithLabelValues("error").Inc()
		return
	}
	if !recorded {
		d.m.late.WithLabelValues("no_record").Inc()
		return
	}
	r.judgement.Role = inspection.RoleLate
	if _, err := d.writer.commit([]inspection.Entry{{Key: f.job.Frame.Key, Judgement: &r.judgement, Simulated: f.job.Frame.Simulated}}, time.Time{}); err != nil {
		d.m.late.WithLabelValues("not_recorded").Inc()
		return
	}
	d.m.late.WithLabelValues("recorded").Inc()
}
