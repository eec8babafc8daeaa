package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// assorted commits 24 results that differ in everything that a query can ask for, two of each time of receipt, every
// fourth simulated.
func assorted(t *testing.T, s Store) []inspection.Entry {
	t.Helper()
	var out []inspection.Entry
	verdicts := []inspection.Verdict{inspection.Pass, inspection.Fail, inspection.Review, inspection.Undetermined}
	for i := range uint64(24) {
		e := Entry(i+1, verdicts[i/2%4])
		e.Received = epoch.Add(time.Duration(i/2) * time.Second)
		f := e.Frame
		f.Key.Line, f.Key.Station = fmt.Sprintf("L%d", i%2), fmt.Sprintf("S%d", i%3)
		f.Key.Camera, f.Key.Session = fmt.Sprintf("C%d", i%2), fmt.Sprintf("session-%d", i%4)
		e.Key = f.Key
		f.Serial, f.RunID, f.Lot = fmt.Sprintf("SN%d", i%5), fmt.Sprintf("run-%d", i%6), fmt.Sprintf("lot-%d", i%3)
		f.WorkOrder, f.Product, f.Recipe = fmt.Sprintf("wo-%d", i%7), fmt.Sprintf("product-%d", i%2), fmt.Sprintf("recipe-%d", i%3)
		f.Simulated = i%4 == 3
		e.Judgement.Model.Name, e.Judgement.Model.Version = fmt.Sprintf("model-%d", i%2), fmt.Sprint(i%3)
		if e.Judgement.Verdict == inspection.Fail && i%3 == 0 {
			e.Judgement.Defects[0].Class = "open"
		}
		out = append(out, e)
	}
	commit(t, s, out...)
	return out
}

// filterCase is a query and what it must find, simulated results aside.
type filterCase struct {
	q    inspection.Query
	want func(e inspection.Entry) bool
}

func filterCases() map[string]filterCase {
	called := func(e inspection.Entry, class string) bool {
		return slices.ContainsFunc(e.Judgement.Called(), func(d inspection.Defect) bool { return d.Class == class })
	}
	return map[string]filterCase{
		"all":         {inspection.Query{}, func(inspection.Entry) bool { return true }},
		"serial":      {inspection.Query{Serial: "SN3"}, func(e inspection.Entry) bool { return e.Frame.Serial == "SN3" }},
		"run":         {inspection.Query{RunID: "run-1"}, func(e inspection.Entry) bool { return e.Frame.RunID == "run-1" }},
		"lot":         {inspection.Query{Lot: "lot-2"}, func(e inspection.Entry) bool { return e.Frame.Lot == "lot-2" }},
		"work order":  {inspection.Query{WorkOrder: "wo-4"}, func(e inspection.Entry) bool { return e.Frame.WorkOrder == "wo-4" }},
		"line":        {inspection.Query{Line: "L1"}, func(e inspection.Entry) bool { return e.Key.Line == "L1" }},
		"station":     {inspection.Query{Station: "S1"}, func(e inspection.Entry) bool { return e.Key.Station == "S1" }},
		"session":     {inspection.Query{Session: "session-2"}, func(e inspection.Entry) bool { return e.Key.Session == "session-2" }},
		"product":     {inspection.Query{Product: "product-1"}, func(e inspection.Entry) bool { return e.Frame.Product == "product-1" }},
		"recipe":      {inspection.Query{Recipe: "recipe-0"}, func(e inspection.Entry) bool { return e.Frame.Recipe == "recipe-0" }},
		"model":       {inspection.Query{Model: "model-1"}, func(e inspection.Entry) bool { return e.Judgement.Model.Name == "model-1" }},
		"version":     {inspection.Query{ModelVersion: "2"}, func(e inspection.Entry) bool { return e.Judgement.Model.Version == "2" }},
		"one verdict": {inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail}}, func(e inspection.Entry) bool { return e.Judgement.Verdict == inspection.Fail }},
		"two verdicts, one twice": {
			inspection.Query{Verdicts: []inspection.Verdict{inspection.Review, inspection.Undetermined, inspection.Review}},
			func(e inspection.Entry) bool {
				return e.Judgement.Verdict == inspection.Review || e.Judgement.Verdict == inspection.Undetermined
			},
		},
		"class":                                {inspection.Query{DefectClass: "open"}, func(e inspection.Entry) bool { return called(e, "open") }},
		"class that was seen and never called": {inspection.Query{DefectClass: "spur"}, func(inspection.Entry) bool { return false }},
		"class on a line":                      {inspection.Query{DefectClass: "short", Line: "L1"}, func(e inspection.Entry) bool { return called(e, "short") && e.Key.Line == "L1" }},
		"class and serial":                     {inspection.Query{DefectClass: "short", Serial: "SN3"}, func(e inspection.Entry) bool { return called(e, "short") && e.Frame.Serial == "SN3" }},
		"camera": {
			inspection.Query{Line: "L1", Station: "S2", Camera: "C1"},
			func(e inspection.Entry) bool {
				return e.Key.Line == "L1" && e.Key.Station == "S2" && e.Key.Camera == "C1"
			},
		},
		"from and to": {
			inspection.Query{From: epoch.Add(2 * time.Second), To: epoch.Add(5 * time.Second)},
			func(e inspection.Entry) bool {
				return !e.Received.Before(epoch.Add(2*time.Second)) && e.Received.Before(epoch.Add(5*time.Second))
			},
		},
		"from between microseconds": {
			inspection.Query{From: epoch.Add(2*time.Second + 1)}, func(e inspection.Entry) bool { return e.Received.After(epoch.Add(2 * time.Second)) },
		},
		"many at once": {
			inspection.Query{Lot: "lot-0", Line: "L0", Verdicts: []inspection.Verdict{inspection.Pass}, Model: "model-0", To: epoch.Add(8 * time.Second)},
			func(e inspection.Entry) bool {
				return e.Frame.Lot == "lot-0" && e.Key.Line == "L0" && e.Judgement.Verdict == inspection.Pass &&
					e.Judgement.Model.Name == "model-0" && e.Received.Before(epoch.Add(8*time.Second))
			},
		},
	}
}

func filters(t *testing.T, s Store) {
	entries := assorted(t, s)
	for name, c := range filterCases() {
		for side, in := range map[inspection.SimulatedFilter]func(bool) bool{
			inspection.SimulatedExclude: func(sim bool) bool { return !sim },
			inspection.SimulatedOnly:    func(sim bool) bool { return sim },
			inspection.SimulatedInclude: func(bool) bool { return true },
		} {
			for _, ascending := range []bool{false, true} {
				q := c.q
				q.Simulated, q.Ascending, q.Limit = side, ascending, 2
				var want []uint64
				for _, e := range ordered(entries, ascending) {
					if c.want(e) && in(e.Frame.Simulated) {
						want = append(want, e.Key.Seq)
					}
				}
				if got := seqs(all(t, s, q)); !slices.Equal(got, want) {
					t.Errorf("%s, simulated %d, ascending %v: got %v, want %v", name, side, ascending, got, want)
				}
			}
		}
	}
}

// ordered sorts entries, which stand in the order of their recording, as a list does.
func ordered(entries []inspection.Entry, ascending bool) []inspection.Entry {
	out := slices.Clone(entries)
	slices.SortStableFunc(out, func(a, b inspection.Entry) int { return a.Received.Compare(b.Received) })
	if !ascending {
		slices.Reverse(out)
	}
	return out
}

func paging(t *testing.T, s Store) {
	var entries []inspection.Entry
	for i := range uint64(250) {
		e := Entry(i+1, inspection.Pass)
		e.Received = epoch.Add(time.Duration(i/50) * time.Second) // long runs of one time of receipt
		entries = append(entries, e)
	}
	commit(t, s, entries...)
	for _, limit := range []int{1, 7, 50, 249, 250, 251, 1000} {
		got := seqs(all(t, s, inspection.Query{Limit: limit, Ascending: true}))
		var want []uint64
		for _, e := range ordered(entries, true) {
			want = append(want, e.Key.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %d results in another order than that of receipt, then of recording, or not all of %d", limit, len(got), len(want))
		}
	}
	p, err := s.List(t.Context(), inspection.Query{})
	if err != nil || len(p.Results) != 100 || p.Next == "" {
		t.Errorf("limit 0: got %d results, next %q, %v; want 100 and a cursor", len(p.Results), p.Next, err)
	}
	for _, limit := range []int{-1, 1001} {
		if _, err := s.List(t.Context(), inspection.Query{Limit: limit}); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("limit %d: got %v, want ErrInvalid", limit, err)
		}
	}
}

// pagingWhileRecording turns pages from old to new and from new to old while results are recorded on both ends.
func pagingWhileRecording(t *testing.T, s Store) {
	for i := uint64(1); i <= 100; i++ {
		e := Entry(i, inspection.Pass)
		e.Received = epoch.Add(time.Duration(i) * time.Minute)
		commit(t, s, e)
	}
	for _, ascending := range []bool{true, false} {
		var got []uint64
		q := inspection.Query{Limit: 9, Ascending: ascending}
		for n := uint64(0); ; n++ {
			p, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			for _, r := range p.Results {
				if r.Frame.Key.Seq <= 100 {
					got = append(got, r.Frame.Key.Seq)
				}
			}
			if p.Next == "" {
				break
			}
			q.Cursor = p.Next
			if n < 20 {
				older, newer := Entry(1000+2*n, inspection.Pass), Entry(1001+2*n, inspection.Fail)
				older.Received, newer.Received = epoch.Add(-time.Duration(n)*time.Second), epoch.Add(24*time.Hour+time.Duration(n)*time.Second)
				commit(t, s, older, newer)
				j := Judgement(inspection.Fail)
				j.At = j.At.Add(time.Duration(n+1) * time.Hour)
				if err := s.Append(t.Context(), Key(n+1), j); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.Sort(got)
		if len(got) != 100 || len(slices.Compact(slices.Clone(got))) != 100 {
			t.Errorf("ascending %v: saw %d of the 100 results that were there, want each once: %v", ascending, len(got), got)
		}
	}
}

func cursors(t *testing.T, s Store) {
	assorted(t, s)
	q := inspection.Query{Limit: 5, Line: "L0"}
	p, err := s.List(t.Context(), q)
	if err != nil || p.Next == "" {
		t.Fatalf("got next %q, %v", p.Next, err)
	}
	q.Cursor, q.Limit = p.Next, 3
	if _, err := s.List(t.Context(), q); err != nil {
		t.Errorf("another page size under the same filter: %v", err)
	}
	for name, other := range map[string]inspection.Query{
		"another line":      {Line: "L1", Cursor: p.Next},
		"no filter":         {Cursor: p.Next},
		"another direction": {Line: "L0", Ascending: true, Cursor: p.Next},
		"another side":      {Line: "L0", Simulated: inspection.SimulatedInclude, Cursor: p.Next},
		"not a cursor":      {Line: "L0", Cursor: "hello"},
		"empty JSON":        {Line: "L0", Cursor: "e30"},
	} {
		if _, err := s.List(t.Context(), other); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for name, q := range map[string]inspection.Query{
		"no such verdict": {Verdicts: []inspection.Verdict{8}},
		"no such side":    {Simulated: 7},
		"backwards":       {From: epoch, To: epoch.Add(-time.Second)},
	} {
		if _, err := s.List(t.Context(), q); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func concurrentCommits(t *testing.T, s Store) {
	const writers, each = 4, 50
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range uint64(each) {
				// Every key is written by two writers, in groups of three entries.
				seq := (uint64(w/2)*each + i) + 1
				e := Entry(seq, inspection.Pass)
				e.Judgement.Node = fmt.Sprint("node-", w)
				a := inspection.Announcement{Verdict: inspection.Pass, Source: inspection.SourceModel, At: epoch.Add(time.Duration(w))}
				if err := s.Commit(t.Context(), []inspection.Entry{e, {Key: e.Key, Announcement: &a}, e}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Errorf("commit: %v", err)
	}
	rs := all(t, s, inspection.Query{})
	if len(rs) != 2*each {
		t.Fatalf("got %d results, want %d", len(rs), 2*each)
	}
	revisions := map[uint64]bool{}
	for _, r := range rs {
		revisions[r.Revision] = true
		if len(r.Judgements) != 2 {
			t.Errorf("frame %d: got %d judgements, want one of each writer", r.Frame.Key.Seq, len(r.Judgements))
		}
	}
	if len(revisions) != len(rs) {
		t.Errorf("%d results share %d revisions", len(rs), len(revisions))
	}
}
