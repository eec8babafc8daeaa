//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node/nodetest"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

const session = "01JD0000000000000000000000"

func TestARepeatIsAnsweredFromTheRecord(t *testing.T) {
	h := open(t, nil)
	f := h.board(h.bad(), inspection.FormatPNG)
	c := h.raw("cam-1", session)
	first := c.deliver(f, 1, 1)
	c.close()
	h.Restart(nil) // what is recorded outlives the process
	h.WaitReady()
	c = h.raw("cam-1", session)
	second := c.deliver(f, 1, 2)
	c.close()
	if first.Repeated || !first.Recorded || first.Verdict != inspection.Fail {
		t.Errorf("the first delivery: %+v, want a recorded FAIL", first)
	}
	if !second.Repeated || !second.Recorded || second.Verdict != first.Verdict || second.ID != first.ID || len(second.Judgement.Defects) != len(first.Judgement.Defects) {
		t.Errorf("the second delivery: %+v\nwant the first's answer, repeated: %+v", second, first)
	}
	if rs := h.list(inspection.Query{}); len(rs) != 1 || len(rs[0].Judgements) != 1 {
		t.Errorf("recorded: %+v, want one result with one judgement", rs)
	}
}

func TestAnotherPictureUnderTheSameKeyIsAConflict(t *testing.T) {
	h := open(t, nil)
	good := h.board(h.good(), inspection.FormatPNG)
	c := h.raw("cam-1", session)
	if a := c.deliver(good, 1, 1); a.Verdict != inspection.Pass {
		t.Fatalf("the good board is %v, want PASS", a.Verdict)
	}
	for range 2 { // told again, recorded once
		a := c.deliver(withBytes(good, append(bytesOf(good), 0)), 1, 2)
		if a.Verdict != inspection.Undetermined || a.Effect.Reason != inspection.ReasonConflict || !a.Recorded {
			t.Errorf("another picture: %v, %q, recorded %v; want a recorded UNDETERMINED, FRAME_CONFLICT", a.Verdict, a.Effect.Reason, a.Recorded)
		}
	}
	a := c.deliver(good, 1, 3)
	c.close()
	if a.Verdict != inspection.Undetermined || !a.Repeated {
		t.Errorf("the first picture again: %v, repeated %v; want UNDETERMINED, for nobody knows which one the part has", a.Verdict, a.Repeated)
	}
	rs := h.list(inspection.Query{})
	if len(rs) != 1 || len(rs[0].Judgements) != 2 || rs[0].Judgements[1].Role != inspection.RoleDuplicate || rs[0].Effective.Verdict != inspection.Undetermined {
		t.Errorf("recorded: %+v, want one UNDETERMINED result with the PASS and the duplicate", rs)
	}
}

func TestAPoisonFrameIsNotJudgedAndKept(t *testing.T) {
	h := open(t, nil)
	good := h.board(h.good(), inspection.FormatPNG)
	c := h.raw("cam-1", session)
	if a := c.deliver(good, 1, 2); a.Verdict != inspection.Pass {
		t.Errorf("the second delivery without an answer is %v, want PASS: it is judged", a.Verdict)
	}
	a := c.deliver(good, 2, 3)
	c.close()
	if a.Verdict != inspection.Undetermined || a.Effect.Reason != inspection.ReasonPoison || !a.Recorded {
		t.Errorf("the third delivery: %v, %q, recorded %v; want a recorded UNDETERMINED, POISON", a.Verdict, a.Effect.Reason, a.Recorded)
	}
	nodetest.Until(t, "its image is kept", func() error {
		if r := h.get(a.ID); r.Image.State != inspection.ImageKept {
			return errors.New(r.Image.State.String())
		}
		return nil
	})
	if code, _, body := h.Get("/v1/results/"+string(a.ID)+"/image", nil); code != http.StatusOK || !bytes.Equal(body, bytesOf(good)) {
		t.Errorf("its image: status %d with %d bytes, want the %d that were sent", code, len(body), len(bytesOf(good)))
	}
}

func TestWhatTheCameraAnnouncedAndDroppedIsRecorded(t *testing.T) {
	h := open(t, nil)
	c := h.raw("cam-1", session)
	if a := c.deliver(h.board(h.good(), inspection.FormatPNG), 1, 1); a.Verdict != inspection.Pass {
		t.Fatalf("the good board is %v, want PASS", a.Verdict)
	}
	for _, seq := range []uint64{1, 2} { // of a frame that was judged, and of one that never comes
		c.put(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Announced{Announced: &assayv1.Announced{
			Seq: seq, Verdict: assayv1.Verdict_VERDICT_FAIL, Reason: "DEADLINE", At: timestamppb.Now(),
		}}})
		if got := c.take().GetRecorded().GetAnnounced(); len(got) != 1 || got[0] != seq {
			t.Errorf("recorded announcements: %v, want %d", got, seq)
		}
	}
	c.put(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Dropped{Dropped: &assayv1.Dropped{FirstSeq: 3, LastSeq: 5, Reason: "QUEUE_FULL", At: timestamppb.Now()}}})
	if got := c.take().GetRecorded().GetDropped(); len(got) != 1 || got[0] != 3 {
		t.Errorf("recorded drops: %v, want 3", got)
	}
	c.close()
	rs := h.list(inspection.Query{Session: session})
	got := map[uint64]string{}
	for _, r := range rs {
		got[r.Frame.Key.Seq] = fmt.Sprintf("%v %v, %d announced", r.Effective.Verdict, r.Effective.Reason, len(r.Announced))
	}
	want := map[uint64]string{
		1: "FAIL DEADLINE, 1 announced", 2: "FAIL DEADLINE, 1 announced",
		3: "UNDETERMINED SOURCE_GAP, 0 announced", 4: "UNDETERMINED SOURCE_GAP, 0 announced", 5: "UNDETERMINED SOURCE_GAP, 0 announced",
	}
	for seq, w := range want {
		if got[seq] != w {
			t.Errorf("frame %d: %q, want %q", seq, got[seq], w)
		}
	}
	if len(rs) != len(want) {
		t.Errorf("got %d results, want %d", len(rs), len(want))
	}
}

func TestAnUnknownRecipeIsUndeterminedAndRecorded(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	f := h.board(0, inspection.FormatPNG)
	f.Recipe = "borads"
	o := h.judge(s, f)
	if o.Verdict != inspection.Undetermined || o.Reason != inspection.ReasonUnknownRecipe {
		t.Errorf("got %v, %q, want UNDETERMINED, UNKNOWN_RECIPE", o.Verdict, o.Reason)
	}
	if rs := h.list(inspection.Query{Recipe: "borads"}); len(rs) != 1 || rs[0].Effective.Reason != inspection.ReasonUnknownRecipe {
		t.Errorf("recorded: %+v, want one UNKNOWN_RECIPE under the name that the frame gave", rs)
	}
}

func TestSimulatedFramesAreApart(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	real, simulated := h.board(0, inspection.FormatPNG), h.board(1, inspection.FormatPNG)
	simulated.Simulated = true
	a, b := h.judge(s, real), h.judge(s, simulated)
	for _, c := range []struct {
		filter inspection.SimulatedFilter
		want   []inspection.ResultID
	}{
		{inspection.SimulatedExclude, []inspection.ResultID{a.Answer.ID}},
		{inspection.SimulatedOnly, []inspection.ResultID{b.Answer.ID}},
		{inspection.SimulatedInclude, []inspection.ResultID{a.Answer.ID, b.Answer.ID}},
	} {
		var got []inspection.ResultID
		for _, r := range h.list(inspection.Query{Simulated: c.filter, Ascending: true}) {
			got = append(got, r.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("filter %d: got %v, want %v", c.filter, got, c.want)
		}
	}
	if st := h.get(b.Answer.ID).Image.State; st != inspection.ImageShed {
		t.Errorf("the simulated image is %v, want shed", st)
	}
	var frames uint64
	s2 := h.status()
	for _, n := range s2.GetFrames() {
		frames += n
	}
	if frames != 1 || s2.GetStorage().GetResults() != 1 {
		t.Errorf("status counts %d frames and %d results, want the line's one", frames, s2.GetStorage().GetResults())
	}
}
