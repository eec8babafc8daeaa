package inspection

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func jobOf(r *Recipe) Job {
	return Job{Frame: Frame{Recipe: "board"}, Recipe: r, Model: ModelRef{Name: "pcb", Version: "1", Digest: "m1"}}
}

func TestRulingJudgement(t *testing.T) {
	r, o := boardRecipe(), seen(at("short", 0.9))
	o.Heatmap = &Heatmap{PNG: []byte("picture"), High: 0.9}
	o.Candidates[0].Mask = &Mask{Width: 640, Height: 480, Counts: "counts"}
	ruling := r.Judge(o)
	if got := ruling.Defects[0].Mask; got != o.Candidates[0].Mask {
		t.Errorf("the mask of the defect is %v, want the candidate's", got)
	}
	got := ruling.Judgement(jobOf(r), "node-a", o.Facts, Timings{Queue: time.Millisecond}, epoch)
	want := Judgement{
		Role: RolePrimary, Verdict: Fail, Source: SourceModel, Reason: ReasonDefect, Detail: ruling.Detail, Defects: ruling.Defects, Facts: o.Facts, Heatmap: o.Heatmap,
		Model: ModelRef{"pcb", "1", "m1"}, Recipe: RecipeRef{"board", 3, "d3"}, Node: "node-a", Timings: Timings{Queue: time.Millisecond}, At: epoch,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestFallbackJudgement(t *testing.T) {
	with := func(v Verdict) *Recipe { r := boardRecipe(); r.Fallback = v; return r }
	tests := []struct {
		name   string
		recipe *Recipe
		want   Verdict
		ref    RecipeRef
	}{
		{"the recipe's", with(Review), Review, RecipeRef{"board", 3, "d3"}},
		{"FAIL", with(Fail), Fail, RecipeRef{"board", 3, "d3"}},
		{"PASS is none", with(Pass), Undetermined, RecipeRef{"board", 3, "d3"}},
		{"no verdict", with(Verdict(8)), Undetermined, RecipeRef{"board", 3, "d3"}},
		{"no recipe", nil, Undetermined, RecipeRef{Name: "board"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := FallbackJudgement(jobOf(tt.recipe), ReasonDeadline, "late", "node-a", epoch)
			want := Judgement{Verdict: tt.want, Source: SourceFallback, Reason: ReasonDeadline, Detail: "late", Model: ModelRef{"pcb", "1", "m1"}, Recipe: tt.ref, Node: "node-a", At: epoch}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestErrorJudgement(t *testing.T) {
	tests := []struct {
		err    error
		want   Verdict
		source Source
		reason Reason
	}{
		{ErrImage, Undetermined, SourceRule, ReasonImage},
		{ErrImageTooLarge, Undetermined, SourceRule, ReasonImageTooLarge},
		{ErrModelOutput, Undetermined, SourceRule, ReasonModelOutput},
		{ErrUnknownRecipe, Undetermined, SourceRule, ReasonUnknownRecipe},
		{ErrInvalid, Undetermined, SourceRule, ReasonInvalid},
		{ErrFrameConflict, Undetermined, SourceRule, ReasonConflict},
		{ErrUnknownModel, Review, SourceFallback, ReasonModelNotReady},
		{ErrNotReady, Review, SourceFallback, ReasonModelNotReady},
		{ErrUnavailable, Review, SourceFallback, ReasonModelNotReady},
		{ErrDeadline, Review, SourceFallback, ReasonDeadline},
		{context.DeadlineExceeded, Review, SourceFallback, ReasonDeadline},
		{ErrOverloaded, Review, SourceFallback, ReasonOverloaded},
		{ErrDiskFull, Review, SourceFallback, ReasonNotRecorded},
		{ErrClosed, Review, SourceFallback, ReasonShutdown},
		{context.Canceled, Review, SourceFallback, ReasonShutdown},
		{errors.New("boom"), Review, SourceFallback, ReasonInternal},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			err := fmt.Errorf("judge frame 7: %w", tt.err)
			got := ErrorJudgement(jobOf(boardRecipe()), err, "node-a", epoch)
			if got.Verdict != tt.want || got.Source != tt.source || got.Reason != tt.reason || got.Detail != err.Error() {
				t.Errorf("got %v %v %q %q, want %v %v %q", got.Verdict, got.Source, got.Reason, got.Detail, tt.want, tt.source, tt.reason)
			}
		})
	}
}

func TestRuleReasonsAreUndetermined(t *testing.T) {
	for _, reason := range []Reason{ReasonPoison, ReasonSourceGap, ReasonReference, ReasonAlignment, ReasonImageLimits, ReasonRepeatedImage, ReasonUnknownClass} {
		if !reason.Rules() {
			t.Errorf("%s: got a fallback's reason, want a rule's", reason)
		}
		r := boardRecipe()
		if got := RuleJudgement(jobOf(r), reason, "x", "n", epoch); got.Verdict != Undetermined || got.Source != SourceRule {
			t.Errorf("%s: got %v of %v, want UNDETERMINED of rule", reason, got.Verdict, got.Source)
		}
	}
}
