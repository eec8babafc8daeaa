package storetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
)

var errEnough = errors.New("enough")

// collect watches until n changes came and returns them with the last cursor.
func collect(ctx context.Context, s Store, cursor string, q inspection.Query, n int) (got []inspection.Result, last string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = s.Watch(ctx, cursor, q, func(r inspection.Result, c string) error {
		got, last = append(got, r), c
		if len(got) == n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, last, err
}

func watch(t *testing.T, s Store) {
	commit(t, s, Entry(1, inspection.Pass)) // before: not seen by a watch that begins now
	type outcome struct {
		rs  []inspection.Result
		err error
	}
	started, done := make(chan struct{}), make(chan outcome, 1)
	go func() {
		// The first change that it sees proves that it is listening.
		var o outcome
		var cursor string
		first := true
		o.err = s.Watch(t.Context(), "", inspection.Query{}, func(r inspection.Result, c string) error {
			if first {
				first = false
				close(started)
			}
			o.rs, cursor = append(o.rs, r), c
			if r.Frame.Key.Seq == 600 {
				return errEnough
			}
			return nil
		})
		_ = cursor
		done <- o
	}()
	n := uint64(2)
	for listening := false; !listening; n++ {
		commit(t, s, Entry(n, inspection.Pass))
		select {
		case <-started:
			listening = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	for i := uint64(201); i <= 600; i++ { // more than a watcher reads at a time
		commit(t, s, Entry(i, inspection.Pass))
	}
	o := <-done
	if !errors.Is(o.err, errEnough) {
		t.Fatalf("watch ended with %v", o.err)
	}
	if !slices.IsSortedFunc(o.rs, func(a, b inspection.Result) int { return int(a.Revision) - int(b.Revision) }) {
		t.Error("changes did not come in the order of revisions")
	}
	got := map[uint64]bool{}
	for _, r := range o.rs {
		got[r.Frame.Key.Seq] = true
	}
	if got[1] {
		t.Error("a watch from now on got what was recorded before")
	}
	for i := uint64(201); i <= 600; i++ {
		if !got[i] {
			t.Fatalf("frame %d was never sent", i)
		}
	}
}

func watchResumes(t *testing.T, s Store) {
	for i := uint64(1); i <= 10; i++ {
		commit(t, s, Entry(i, inspection.Pass))
	}
	got, cursor, err := collect(t.Context(), s, "0", inspection.Query{}, 4)
	if err != nil || !slices.Equal(seqs(got), []uint64{1, 2, 3, 4}) {
		t.Fatalf("from the beginning: got %v, %v; want 1 to 4", seqs(got), err)
	}
	late := Judgement(inspection.Fail)
	late.Role = inspection.RoleLate
	if err := s.Append(t.Context(), Key(2), late); err != nil {
		t.Fatal(err)
	}
	got, cursor, err = collect(t.Context(), s, cursor, inspection.Query{}, 7)
	if err != nil || !slices.Equal(seqs(got), []uint64{5, 6, 7, 8, 9, 10, 2}) {
		t.Fatalf("resumed: got %v, %v; want 5 to 10, then the changed 2", seqs(got), err)
	}
	if last := got[6]; last.Effective.Verdict != inspection.Fail || len(last.Judgements) != 2 {
		t.Errorf("the change: got %s of %d judgements, want FAIL of 2", last.Effective.Verdict, len(last.Judgements))
	}
	ahead, err := strconv.Atoi(cursor)
	if err != nil {
		t.Fatalf("cursor %q: %v", cursor, err)
	}
	for _, bad := range []string{strconv.Itoa(ahead + 1), "x", "-1"} {
		if _, _, err := collect(t.Context(), s, bad, inspection.Query{}, 1); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("cursor %q: got %v, want ErrInvalid", bad, err)
		}
	}
	if err := s.Watch(t.Context(), "", inspection.Query{Limit: 3}, nil); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a watch with a page size: got %v, want ErrInvalid", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Watch(ctx, "0", inspection.Query{}, func(inspection.Result, string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: got %v, want context.Canceled", err)
	}
}

func watchFilter(t *testing.T, s Store) {
	entries := assorted(t, s)
	for name, c := range map[string]struct {
		q    inspection.Query
		want func(e inspection.Entry) bool
	}{
		"real only":  {inspection.Query{}, func(e inspection.Entry) bool { return !e.Frame.Simulated }},
		"both sides": {inspection.Query{Simulated: inspection.SimulatedInclude}, func(inspection.Entry) bool { return true }},
		"serial":     {inspection.Query{Serial: "SN1"}, func(e inspection.Entry) bool { return !e.Frame.Simulated && e.Frame.Serial == "SN1" }},
		"defect class": {inspection.Query{DefectClass: "short"}, func(e inspection.Entry) bool {
			return !e.Frame.Simulated && len(e.Judgement.Called()) > 0 && e.Judgement.Defects[0].Class == "short"
		}},
		"two verdicts": {inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail, inspection.Review}}, func(e inspection.Entry) bool { return !e.Frame.Simulated && len(e.Judgement.Called()) > 0 }},
		"model and lot": {inspection.Query{Model: "model-1", Lot: "lot-1"}, func(e inspection.Entry) bool {
			return !e.Frame.Simulated && e.Judgement.Model.Name == "model-1" && e.Frame.Lot == "lot-1"
		}},
	} {
		var want []uint64
		for _, e := range entries {
			if c.want(e) {
				want = append(want, e.Key.Seq)
			}
		}
		got, _, err := collect(t.Context(), s, "0", c.q, len(want))
		if err != nil || !slices.Equal(seqs(got), want) {
			t.Errorf("%s: got %v, %v; want %v", name, seqs(got), err, want)
		}
	}
}
