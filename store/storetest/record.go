package storetest

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

func roundTrip(t *testing.T, s Store) {
	e := Entry(7, inspection.Fail)
	e.Image.Ref = ""
	commit(t, s, e)
	want := inspection.Result{
		ID: e.Key.ID(), Frame: *e.Frame, Image: e.Image, Judgements: []inspection.Judgement{*e.Judgement}, Received: e.Received,
		Effective: inspection.Effect{Verdict: inspection.Fail, Source: inspection.SourceModel, Reason: inspection.ReasonDefect}, Revision: 1,
	}
	want.Frame.Image = inspection.Image{Format: inspection.FormatJPEG, Width: 640, Height: 480}
	got, err := s.Lookup(t.Context(), e.Key)
	if err != nil {
		t.Fatalf("look up: %v", err)
	}
	if got.Recorded.IsZero() {
		t.Error("recorded is not set")
	}
	want.Recorded = got.Recorded
	opts := cmp.AllowUnexported(inspection.Buffer{})
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Errorf("look up (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, get(t, s, e.Key), opts); d != "" {
		t.Errorf("get (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]inspection.Result{want}, all(t, s, inspection.Query{}), opts); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}

	bare := inspection.Entry{Key: Key(8), Frame: &inspection.Frame{Key: Key(8), Recipe: "board"}, Judgement: &inspection.Judgement{}}
	bare.Frame.Key.Seq, bare.Key.Seq = math.MaxUint64, math.MaxUint64
	commit(t, s, bare)
	r := get(t, s, bare.Key)
	if r.Frame.Key != bare.Key || !r.Frame.CapturedAt.IsZero() || r.Frame.Encoder != nil || r.Effective.Verdict != inspection.Undetermined {
		t.Errorf("got %+v: want the key as it was, no capture time, no encoder, UNDETERMINED", r)
	}
	if r.Image.State != inspection.ImageShed {
		t.Errorf("a frame without bytes: got image state %s, want shed", r.Image.State)
	}
	if _, err := s.Lookup(t.Context(), Key(99)); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("look up an unknown key: got %v, want ErrNotFound", err)
	}
	if _, err := s.Get(t.Context(), Key(99).ID()); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("get an unknown id: got %v, want ErrNotFound", err)
	}
}

func allOrNone(t *testing.T, s Store) {
	before := Entry(1, inspection.Pass)
	unknown := inspection.Entry{Key: Key(50), Judgement: Entry(50, inspection.Fail).Judgement}
	err := s.Commit(t.Context(), []inspection.Entry{before, unknown, Entry(2, inspection.Pass)})
	if !errors.Is(err, inspection.ErrNotFound) {
		t.Fatalf("evidence for an unknown key: got %v, want ErrNotFound", err)
	}
	if got := all(t, s, inspection.Query{}); len(got) != 0 {
		t.Errorf("after a refused group there are results %v, want none", seqs(got))
	}
	commit(t, s, before)
	if got := get(t, s, before.Key).Revision; got != 1 {
		t.Errorf("a refused group used revisions up: got %d, want 1", got)
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Errorf("an empty group: %v", err)
	}
}

func refusals(t *testing.T, s Store) {
	base := func() inspection.Entry { return Entry(1, inspection.Pass) }
	for _, c := range []struct {
		name, says string
		entry      func() inspection.Entry
	}{
		{"PASS without a model digest", "model digest", func() inspection.Entry { e := base(); e.Judgement.Model.Digest = ""; return e }},
		{"PASS by fallback", "source fallback", func() inspection.Entry { e := base(); e.Judgement.Source = inspection.SourceFallback; return e }},
		{"PASS by a person", "source operator", func() inspection.Entry { e := base(); e.Judgement.Source = inspection.SourceOperator; return e }},
		{"no verdict at all", "verdict", func() inspection.Entry { e := base(); e.Judgement.Verdict = 9; return e }},
		{"a score that is not a number", "defects", func() inspection.Entry {
			e := Entry(1, inspection.Fail)
			e.Judgement.Defects[0].Score = math.NaN()
			return e
		}},
		{"a frame without a judgement", "judgement", func() inspection.Entry { e := base(); e.Judgement = nil; return e }},
		{"nothing", "0 of them", func() inspection.Entry { return inspection.Entry{Key: Key(1)} }},
		{"two things", "2 of them", func() inspection.Entry { e := base(); e.Announcement = &inspection.Announcement{}; return e }},
		{"another key in the frame", "own key", func() inspection.Entry { e := base(); e.Frame.Key.Seq = 2; return e }},
		{"no camera", "camera", func() inspection.Entry { e := base(); e.Key.Camera = ""; e.Frame.Key = e.Key; return e }},
		{"an image called kept", "pending", func() inspection.Entry { e := base(); e.Image.State = inspection.ImageKept; return e }},
		{"a pending image without checksum", "XXH128", func() inspection.Entry { e := base(); e.Image.XXH128 = ""; return e }},
		{"a drop that ends before it begins", "less than first", func() inspection.Entry {
			return inspection.Entry{Drop: &inspection.Drop{Key: Key(0), First: 5, Last: 4}}
		}},
		{"a drop of too many", "split", func() inspection.Entry {
			return inspection.Entry{Drop: &inspection.Drop{Key: Key(0), First: 1, Last: inspection.MaxDrop + 1}}
		}},
		{"a drop of the whole range", "split", func() inspection.Entry {
			return inspection.Entry{Drop: &inspection.Drop{Key: Key(0), First: 1, Last: math.MaxUint64}}
		}},
	} {
		err := s.Commit(t.Context(), []inspection.Entry{Entry(2, inspection.Pass), c.entry()})
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want ErrInvalid that says %q", c.name, err, c.says)
		}
	}
	if got := all(t, s, inspection.Query{}); len(got) != 0 {
		t.Errorf("refused entries left results %v", seqs(got))
	}
}

func repeats(t *testing.T, s Store) {
	first := Entry(1, inspection.Pass)
	commit(t, s, first)
	commit(t, s, first)        // the very same again
	commit(t, s, first, first) // and twice in a group
	if got := get(t, s, first.Key); len(got.Judgements) != 1 || got.Revision != 1 {
		t.Errorf("the same entry again: got %d judgements at revision %d, want 1 at 1", len(got.Judgements), got.Revision)
	}
	other := Entry(1, inspection.Fail)
	other.Judgement.Node = "node-b"
	commit(t, s, other)
	got := get(t, s, first.Key)
	if len(got.Judgements) != 2 || got.Judgements[1].Role != inspection.RoleDuplicate || got.Judgements[1].Node != "node-b" {
		t.Fatalf("a second node's judgement: got %+v, want it second, as duplicate", got.Judgements)
	}
	if got.Effective.Verdict != inspection.Fail {
		t.Errorf("effective verdict: got %s, want the more careful FAIL", got.Effective.Verdict)
	}
	if rs := all(t, s, inspection.Query{}); len(rs) != 1 {
		t.Errorf("got %d results, want one", len(rs))
	}
}

func conflictingImage(t *testing.T, s Store) {
	commit(t, s, Entry(1, inspection.Pass))
	other := Entry(1, inspection.Pass)
	other.Judgement.At = other.Judgement.At.Add(time.Second)
	other.Image.XXH128 = strings.Repeat("77", 16)
	commit(t, s, other)
	got := get(t, s, Key(1))
	want := inspection.Effect{Verdict: inspection.Undetermined, Source: inspection.SourceRule, Reason: inspection.ReasonConflict}
	if got.Effective != want {
		t.Errorf("PASS twice of two pictures under one key: got %+v, want %+v", got.Effective, want)
	}
	if got.Image.XXH128 != Entry(1, inspection.Pass).Image.XXH128 {
		t.Errorf("the recorded image changed to %s", got.Image.XXH128)
	}
	if d := got.Judgements[len(got.Judgements)-1].Detail; !strings.Contains(d, "XXH128 7777") || !strings.Contains(d, "recorded is 0f0f") {
		t.Errorf("the conflict says %q, want both checksums under their name", d)
	}

	// Without a checksum on either side nothing is known to differ.
	without := func(seq uint64) inspection.Entry {
		e := Entry(seq, inspection.Pass)
		e.Judgement.At = e.Judgement.At.Add(time.Second)
		e.Image.State, e.Image.XXH128 = inspection.ImageShed, ""
		return e
	}
	commit(t, s, without(2), Entry(2, inspection.Pass), Entry(3, inspection.Pass), without(3))
	for seq := uint64(2); seq <= 3; seq++ {
		if got := get(t, s, Key(seq)); got.Effective.Verdict != inspection.Pass || len(got.Judgements) != 2 {
			t.Errorf("frame %d, whose pictures are not known to differ: got %+v of %d judgements, want PASS of 2", seq, got.Effective, len(got.Judgements))
		}
	}
}

func appendEvidence(t *testing.T, s Store) {
	commit(t, s, Entry(1, inspection.Pass))
	late := Judgement(inspection.Review)
	late.Role = inspection.RoleLate
	if err := s.Append(t.Context(), Key(1), late); err != nil {
		t.Fatalf("append: %v", err)
	}
	if got := get(t, s, Key(1)); got.Effective.Verdict != inspection.Review || got.Revision != 2 {
		t.Errorf("after late evidence: got %s at revision %d, want REVIEW at 2", got.Effective.Verdict, got.Revision)
	}
	shadow := Judgement(inspection.Fail)
	shadow.Role = inspection.RoleShadow
	if err := s.Append(t.Context(), Key(1), shadow); err != nil {
		t.Fatalf("append: %v", err)
	}
	if got := get(t, s, Key(1)); got.Effective.Verdict != inspection.Review || len(got.Judgements) != 3 {
		t.Errorf("after a shadow's FAIL: got %s of %d judgements, want REVIEW of 3", got.Effective.Verdict, len(got.Judgements))
	}
	if err := s.Append(t.Context(), Key(2), late); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("append to an unknown key: got %v, want ErrNotFound", err)
	}
}

func announcementFirst(t *testing.T, s Store) {
	a := inspection.Announcement{Verdict: inspection.Review, Source: inspection.SourceCamera, Reason: inspection.ReasonDeadline, At: epoch}
	e := inspection.Entry{Key: Key(1), Announcement: &a, Received: epoch}
	commit(t, s, e)
	commit(t, s, e)
	r, err := s.Lookup(t.Context(), Key(1))
	if !errors.Is(err, inspection.ErrNotFound) || len(r.Announced) != 1 {
		t.Fatalf("look a frame up that was only announced: got %+v, %v; want its one announcement beside ErrNotFound", r, err)
	}
	frame := Entry(1, inspection.Pass)
	commit(t, s, frame)
	got, err := s.Lookup(t.Context(), Key(1))
	if err != nil {
		t.Fatalf("look up: %v", err)
	}
	if got.Effective.Verdict != inspection.Review || got.Frame.Serial != frame.Frame.Serial || got.Image.State != inspection.ImagePending {
		t.Errorf("got %s, serial %q, image %s; want the announced REVIEW with the frame filled in and its image pending",
			got.Effective.Verdict, got.Frame.Serial, got.Image.State)
	}
	if len(got.Judgements) != 1 || got.Judgements[0].Role != inspection.RolePrimary {
		t.Errorf("got judgements %+v, want the model's as primary", got.Judgements)
	}
	if rs := all(t, s, inspection.Query{Serial: frame.Frame.Serial}); len(rs) != 1 {
		t.Errorf("by serial: got %d results, want 1", len(rs))
	}
	commit(t, s, e) // the camera repeats itself after the frame
	if again := get(t, s, Key(1)); again.Revision != got.Revision {
		t.Errorf("the same announcement again made a change: revision %d, then %d", got.Revision, again.Revision)
	}
}

func drop(t *testing.T, s Store) {
	told := inspection.Announcement{Verdict: inspection.Undetermined, Source: inspection.SourceCamera, Reason: inspection.ReasonSourceGap, At: epoch}
	commit(t, s, inspection.Entry{Key: Key(9), Received: epoch, Simulated: true, Announcement: &told}) // the two may come in any order
	one := inspection.Drop{Key: Key(0), First: 9, Last: 9, Reason: "NO_IMAGE", Serial: "S-9", Recipe: "board", Detail: "9.png is empty", At: epoch}
	commit(t, s, inspection.Entry{Received: epoch, Simulated: true, Drop: func() *inspection.Drop { one.Simulated = true; return &one }()})
	if r := get(t, s, Key(9)); r.Frame.Serial != "S-9" || r.Frame.Recipe != "board" || r.Judgements[0].Detail != "NO_IMAGE: 9.png is empty" {
		t.Errorf("a gap of one frame is %+v with %+v, want its serial, recipe and detail", r.Frame, r.Judgements)
	}
	commit(t, s, Entry(3, inspection.Pass))
	d := inspection.Entry{Received: epoch, Drop: &inspection.Drop{Key: Key(0), First: 2, Last: 5, Reason: "memory full", At: epoch}}
	commit(t, s, d)
	commit(t, s, d)
	got := all(t, s, inspection.Query{})
	slices.SortFunc(got, func(a, b inspection.Result) int { return int(a.Frame.Key.Seq) - int(b.Frame.Key.Seq) })
	if want := []uint64{2, 3, 4, 5}; !slices.Equal(seqs(got), want) {
		t.Fatalf("got results %v, want %v", seqs(got), want)
	}
	for _, r := range got {
		want := inspection.Effect{Verdict: inspection.Undetermined, Source: inspection.SourceRule, Reason: inspection.ReasonSourceGap}
		if r.Frame.Key.Seq == 3 {
			want = inspection.Effect{Verdict: inspection.Pass, Source: inspection.SourceModel} // it did arrive
		}
		if r.Effective != want || len(r.Judgements) != 1 {
			t.Errorf("frame %d: got %+v of %d judgements, want %+v of 1", r.Frame.Key.Seq, r.Effective, len(r.Judgements), want)
		}
	}
	if _, err := s.Lookup(t.Context(), Key(4)); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("look a gap up: got %v, want ErrNotFound so that its frame is judged when it comes", err)
	}
	commit(t, s, Entry(4, inspection.Pass), Entry(5, inspection.Fail))
	for seq, want := range map[uint64]inspection.Verdict{4: inspection.Undetermined, 5: inspection.Fail} {
		if r := get(t, s, Key(seq)); r.Effective.Verdict != want || len(r.Judgements) != 2 || r.Frame.Recipe != "board" {
			t.Errorf("frame %d came after all: got %s of %d judgements, recipe %q; want %s of 2, filled in", seq, r.Effective.Verdict, len(r.Judgements), r.Frame.Recipe, want)
		}
	}
}

func disposition(t *testing.T, s Store) {
	commit(t, s, Entry(1, inspection.Fail))
	id := Key(1).ID()
	falseCall := inspection.Disposition{Kind: inspection.FalseCall, Judgement: 0, DefectID: 1, Operator: "op-1", At: epoch.Add(time.Minute)}
	if err := s.Dispose(t.Context(), id, falseCall); err != nil {
		t.Fatalf("dispose: %v", err)
	}
	got := get(t, s, Key(1))
	if got.Effective.Verdict != inspection.Pass || len(got.Dispositions) != 1 || got.Dispositions[0] != falseCall {
		t.Errorf("every called defect a false call: got %s with %+v, want PASS with the word as it was given", got.Effective.Verdict, got.Dispositions)
	}
	for name, d := range map[string]inspection.Disposition{
		"no such defect":    {Kind: inspection.FalseCall, DefectID: 77, Operator: "op-1"},
		"no such judgement": {Kind: inspection.RealDefect, Judgement: 3, DefectID: 1, Operator: "op-1"},
		"nobody":            {Kind: inspection.JudgedGood},
		"no such word":      {Kind: "fine", Operator: "op-1"},
	} {
		if err := s.Dispose(t.Context(), id, d); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if err := s.Dispose(t.Context(), Key(2).ID(), falseCall); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("unknown result: got %v, want ErrNotFound", err)
	}
}
