package inspection

import "time"

// Judgement makes the primary judgement of a job from a ruling. facts may be nil; node names who judged, t says where the
// time went, at is the wall clock.
func (r Ruling) Judgement(job Job, node string, facts *ImageFacts, t Timings, at time.Time) Judgement {
	j := blank(job, node, at)
	j.Verdict, j.Source, j.Reason, j.Detail, j.Defects = r.Verdict, r.Source, r.Reason, r.Detail, r.Defects
	j.Heatmap, j.Facts, j.Timings = r.Heatmap, facts, t
	return j
}

// FallbackJudgement is the answer for a frame that nobody judged in time, or at all: the recipe's fallback verdict, and
// UNDETERMINED where there is no recipe or its fallback may not stand as one (PASS never may).
func FallbackJudgement(job Job, reason Reason, detail, node string, at time.Time) Judgement {
	j := blank(job, node, at)
	j.Source, j.Reason, j.Detail = SourceFallback, reason, detail
	if job.Recipe != nil && job.Recipe.Fallback.FallbackVerdict() {
		j.Verdict = job.Recipe.Fallback
	}
	return j
}

// RuleJudgement is the answer for a frame about which a rule decided without a model: UNDETERMINED with the reason,
// whatever the recipe's fallback.
func RuleJudgement(job Job, reason Reason, detail, node string, at time.Time) Judgement {
	j := blank(job, node, at)
	j.Source, j.Reason, j.Detail = SourceRule, reason, detail
	return j
}

// ErrorJudgement is the answer for a frame whose inspection ended in err: a RuleJudgement where the frame itself or what
// the model said of it is at fault (see Reason.Rules), else the recipe's fallback.
func ErrorJudgement(job Job, err error, node string, at time.Time) Judgement {
	reason := ReasonFor(err)
	if reason.Rules() {
		return RuleJudgement(job, reason, err.Error(), node, at)
	}
	return FallbackJudgement(job, reason, err.Error(), node, at)
}

// Rules reports whether a reason makes a frame UNDETERMINED by rule. These faults lie in the frame, in the output for it
// or in what it asks for, so trying again would not help; of all others (time, load, readiness, storage, shutdown) the
// recipe's fallback speaks.
func (r Reason) Rules() bool {
	switch r {
	case ReasonImageLimits, ReasonRepeatedImage, ReasonAlignment, ReasonReference, ReasonImage, ReasonImageTooLarge,
		ReasonModelOutput, ReasonUnknownClass, ReasonUnknownRecipe, ReasonPoison, ReasonConflict, ReasonSourceGap, ReasonInvalid:
		return true
	case ReasonNone, ReasonDefect, ReasonCount, ReasonModelNotReady, ReasonDeadline, ReasonOverloaded, ReasonNotRecorded, ReasonShutdown,
		ReasonInternal:
	}
	return false
}

func blank(job Job, node string, at time.Time) Judgement {
	j := Judgement{Role: RolePrimary, Verdict: Undetermined, Model: job.Model, Recipe: job.Recipe.Ref(), Node: node, At: at}
	if job.Recipe == nil {
		j.Recipe.Name = job.Frame.Recipe
	}
	return j
}
