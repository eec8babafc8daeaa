package custody

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// reply is what the engine had to say: a judgement or an error.
type reply struct {
	judgement inspection.Judgement
	err       error
}

// judge returns the primary judgement of a frame by its decide_by. late is set when the engine is still at it then: its
// answer will come there.
func (d *Desk) judge(f *flight) (j inspection.Judgement, late <-chan struct{}) {
	received := time.Since(f.job.Received)
	d.m.receiveTime.Observe(received.Seconds())
	defer func() {
		j.Role = inspection.RolePrimary
		if j.Timings.Receive == 0 {
			j.Timings.Receive = received
		}
	}()
	if j, refused := d.refuse(f); refused {
		return j, nil
	}
	deadline := d.decideBy(f.job) // what the engine cannot finish by then would not be waited for
	by := d.alarmAt(deadline)
	defer by.stop()
	answer := d.ask(f, deadline)
	select {
	case <-answer:
		if f.said.err != nil {
			return inspection.ErrorJudgement(f.job, f.said.err, d.cfg.Node, time.Now()), nil
		}
		return f.said.judgement, nil
	case <-by.c:
		if f.job.Model == (inspection.ModelRef{}) { // it came before its model was there
			return d.fallback(f.job, inspection.ReasonModelNotReady, "the recipe's model was not ready in time"), answer
		}
		return d.fallback(f.job, inspection.ReasonDeadline, "no judgement in time"), answer
	}
}

// refuse tells what is not to be judged at all.
func (d *Desk) refuse(f *flight) (inspection.Judgement, bool) {
	frame := f.job.Frame
	if frame.Attempt >= d.cfg.PoisonAttempts {
		d.m.poison.Inc()
		return d.rule(f.job, inspection.ReasonPoison, fmt.Sprintf("delivery %d of a frame that never got an answer", frame.Attempt)), true
	}
	if f.job.Recipe == nil {
		return d.rule(f.job, inspection.ReasonUnknownRecipe, fmt.Sprintf("this node has no recipe %q", frame.Recipe)), true
	}
	if f.invalid != nil {
		return inspection.ErrorJudgement(f.job, f.invalid, d.cfg.Node, time.Now()), true
	}
	if !f.placed {
		return d.fallback(f.job, inspection.ReasonOverloaded, fmt.Sprintf("%d frames are in flight", d.cfg.InFlight)), true
	}
	return inspection.Judgement{}, false
}

// ask calls the engine in a goroutine of its own. What it returns is closed when the answer is there.
func (d *Desk) ask(f *flight, deadline time.Time) <-chan struct{} {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		job := f.job
		job.Deadline, job.Frame.Image.Data = deadline, f.image
		f.said = d.inspect(job)
	}()
	return answered
}

// inspect calls the engine and believes no PASS that no model spoke. The flight holds the image bytes until the answer
// is there, for fly waits for late answers too.
func (d *Desk) inspect(job inspection.Job) (r reply) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("inspector panicked; the frame is answered by the fallback", "frame", job.Frame.Key.String(), "panic", p, "stack", string(debug.Stack()))
			r = reply{err: fmt.Errorf("inspector panicked: %v", p)}
		}
	}()
	j, err := d.engine.Inspect(d.judging, job)
	switch {
	case err != nil:
		return reply{err: err}
	case !j.Verdict.Valid():
		return reply{err: fmt.Errorf("inspector gave verdict %d, which is none", j.Verdict)}
	case j.Verdict == inspection.Pass && j.Source != inspection.SourceModel:
		return reply{err: fmt.Errorf("inspector gave PASS from source %s: only a model may", j.Source)}
	case j.Verdict == inspection.Pass && j.Model.Digest == "":
		return reply{err: errors.New("inspector gave PASS without the digest of the model that ran")}
	}
	return reply{judgement: j}
}

func (d *Desk) fallback(job inspection.Job, reason inspection.Reason, detail string) inspection.Judgement {
	return inspection.FallbackJudgement(job, reason, detail, d.cfg.Node, time.Now())
}

func (d *Desk) rule(job inspection.Job, reason inspection.Reason, detail string) inspection.Judgement {
	return inspection.RuleJudgement(job, reason, detail, d.cfg.Node, time.Now())
}

// unrecordedAnswer is what leaves without a record: j, a fallback's or a rule's word, hardened by what is known already.
func unrecordedAnswer(job inspection.Job, j inspection.Judgement, known ...inspection.Verdict) inspection.Answer {
	key := job.Frame.Key
	j.Verdict = inspection.MostCareful(append(known, j.Verdict)...)
	return inspection.Answer{
		ID: key.ID(), Key: key, Verdict: j.Verdict, Judgement: j,
		Effect: inspection.Effect{Verdict: j.Verdict, Source: j.Source, Reason: j.Reason},
	}
}

// announcement is what the line was told by an answer.
func announcement(a inspection.Answer) inspection.Announcement {
	return inspection.Announcement{Verdict: a.Verdict, Source: a.Effect.Source, Reason: a.Effect.Reason, At: time.Now()}
}

func announcements(key inspection.FrameKey, as []inspection.Announcement, simulated bool) []inspection.Entry {
	entries := make([]inspection.Entry, len(as))
	for i := range as {
		entries[i] = inspection.Entry{Key: key, Announcement: &as[i], Simulated: simulated}
	}
	return entries
}

// answerable is the effective verdict as a line may act on it: a person's word on the result may harden it, but a part is
// not let through because somebody cleared its picture later.
func answerable(rec inspection.Result) inspection.Effect {
	effect := inspection.Effective(rec.Judgements, rec.Announced, rec.Dispositions)
	if evidence := inspection.Effective(rec.Judgements, rec.Announced, nil); evidence.Verdict.MoreCareful(effect.Verdict) {
		return evidence
	}
	return effect
}

// deciding returns the judgement behind an effective verdict, and the first one where none says the same (an announcement
// or a person decided).
func deciding(js []inspection.Judgement, e inspection.Effect) inspection.Judgement {
	for _, j := range js {
		if j.Role != inspection.RoleShadow && j.Verdict == e.Verdict && j.Source == e.Source && j.Reason == e.Reason {
			return j
		}
	}
	return inspection.Result{Judgements: js}.Primary()
}
