package custody_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/custody"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
)

var _ custody.Store = (*store.Store)(nil)

// engine says PASS of even frames and FAIL of odd ones; frames of the recipe "slow" it answers once let go.
type engine struct{ gate chan struct{} }

func (e engine) Inspect(ctx context.Context, job inspection.Job) (inspection.Judgement, error) {
	if job.Frame.Lot == "slow" {
		select {
		case <-e.gate:
		case <-ctx.Done():
			return inspection.Judgement{}, ctx.Err()
		}
	}
	j := inspection.Judgement{Verdict: inspection.Pass, Source: inspection.SourceModel, Model: job.Model, Recipe: job.Recipe.Ref(), At: time.Now()}
	if job.Frame.Key.Seq%2 == 1 {
		j.Verdict, j.Reason = inspection.Fail, inspection.ReasonDefect
		j.Defects = []inspection.Defect{{ID: 1, Class: "open", Score: 0.9, Called: true, Verdict: inspection.Fail}}
	}
	return j, nil
}

type noImages struct{}

func (noImages) Keep(custody.Picture) {}

func onStore(t *testing.T, e engine) (*custody.Desk, *store.Store) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	d, err := custody.New(custody.Default(), e, st, noImages{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d, st
}

func job(seq uint64, image string, budget time.Duration) inspection.Job {
	now := time.Now()
	return inspection.Job{
		Frame: inspection.Frame{
			Key: inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "01J", Seq: seq}, Attempt: 1, Recipe: "board",
			Image: inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, []byte(image))},
		},
		Recipe:   &inspection.Recipe{Name: "board", Revision: 1, Fallback: inspection.Review},
		Model:    inspection.ModelRef{Name: "m", Version: "1", Digest: "d"},
		Received: now, Deadline: now.Add(budget),
	}
}

// The desk on the real store: many frames at once, each delivered three times, each recorded once.
func TestDeskOnTheStore(t *testing.T) {
	d, st := onStore(t, engine{})
	const frames = 100
	var work sync.WaitGroup
	for seq := uint64(1); seq <= frames; seq++ {
		for range 3 {
			work.Go(func() {
				a, err := d.Inspect(t.Context(), job(seq, "a", time.Minute))
				if want := []inspection.Verdict{inspection.Pass, inspection.Fail}[seq%2]; err != nil || a.Verdict != want || !a.Recorded {
					t.Errorf("frame %d: %s, recorded %v, %v; want a recorded %s", seq, a.Verdict, a.Recorded, err, want)
				}
			})
		}
	}
	work.Wait()
	if a, err := d.Inspect(t.Context(), job(2, "other", time.Minute)); err != nil || a.Verdict != inspection.Undetermined || a.Effect.Reason != inspection.ReasonConflict || !a.Recorded {
		t.Errorf("another image under key 2: %+v, %v; want a recorded conflict", a.Effect, err)
	}
	if err := d.Announce(t.Context(), job(4, "", 0).Frame.Key, inspection.Announcement{Verdict: inspection.Review, Source: inspection.SourceCamera, At: time.Now()}, false); err != nil {
		t.Error(err)
	}
	if err := d.Drop(t.Context(), inspection.Drop{Key: job(1, "", 0).Frame.Key, First: 99, Last: 103, Reason: "DROP_OLDEST", At: time.Now()}); err != nil {
		t.Error(err)
	}
	page, err := st.List(t.Context(), inspection.Query{Limit: 1000, Ascending: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Results) != frames+3 {
		t.Errorf("%d results, want %d frames and 3 gaps", len(page.Results), frames)
	}
	for _, r := range page.Results {
		want, judgements := []inspection.Verdict{inspection.Pass, inspection.Fail}[r.Frame.Key.Seq%2], 1
		switch seq := r.Frame.Key.Seq; {
		case seq == 2:
			want, judgements = inspection.Undetermined, 2
		case seq == 4:
			want = inspection.Review
		case seq > frames:
			want = inspection.Undetermined
		}
		if r.Effective.Verdict != want || len(r.Judgements) != judgements {
			t.Errorf("frame %d: %s by %d judgements, want %s by %d", r.Frame.Key.Seq, r.Effective.Verdict, len(r.Judgements), want, judgements)
		}
	}
}

// A fallback, the engine's late word, and a frame that was announced before it came, on the real store.
func TestEvidenceOnTheStore(t *testing.T) {
	e := engine{gate: make(chan struct{})}
	d, st := onStore(t, e)
	late := job(1, "a", 200*time.Millisecond)
	late.Frame.Lot = "slow"
	a, err := d.Inspect(t.Context(), late)
	// On a busy machine the disk may be late as well; then that is the reason.
	reason := a.Effect.Reason == inspection.ReasonDeadline || a.Effect.Reason == inspection.ReasonNotRecorded && !a.Recorded
	if err != nil || a.Verdict != inspection.Review || !reason {
		t.Errorf("slow frame: %+v, recorded %v, %v; want the fallback", a.Effect, a.Recorded, err)
	}
	close(e.gate)
	early := job(2, "a", time.Minute)
	if err := d.Announce(t.Context(), early.Frame.Key, inspection.Announcement{Verdict: inspection.Review, Source: inspection.SourceCamera, At: time.Now()}, false); err != nil {
		t.Fatal(err)
	}
	if a, err := d.Inspect(t.Context(), early); err != nil || a.Verdict != inspection.Review || !a.Recorded || a.Repeated {
		t.Errorf("announced frame: %s, recorded %v, repeated %v, %v; want it judged, and REVIEW", a.Verdict, a.Recorded, a.Repeated, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil { // waits for the late answer
		t.Fatal(err)
	}
	for seq, want := range map[uint64]string{1: "FAIL: primary REVIEW fallback, late FAIL model", 2: "REVIEW: primary PASS model"} {
		r, err := st.Lookup(t.Context(), job(seq, "", 0).Frame.Key)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Effective.Verdict.String() + ":"
		for i, j := range r.Judgements {
			if i > 0 {
				got += ","
			}
			got += fmt.Sprintf(" %s %s %s", j.Role, j.Verdict, j.Source)
		}
		if got != want {
			t.Errorf("frame %d: %s, want %s", seq, got, want)
		}
	}
}
