package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-vision/assay/inspection"
)

// drawEntry draws something that may happen to one of a few keys of a session.
func drawEntry(t *rapid.T, session string) inspection.Entry {
	seq := rapid.Uint64Range(1, 6).Draw(t, "seq")
	v := rapid.SampledFrom([]inspection.Verdict{inspection.Pass, inspection.Review, inspection.Fail, inspection.Undetermined}).Draw(t, "verdict")
	e := Entry(seq, v)
	e.Key.Session, e.Frame.Key.Session = session, session
	e.Judgement.Node = rapid.SampledFrom([]string{"node-a", "node-b"}).Draw(t, "node")
	e.Judgement.Role = rapid.SampledFrom([]inspection.Role{inspection.RolePrimary, inspection.RoleLate, inspection.RoleShadow, inspection.RoleRejudge}).Draw(t, "role")
	e.Frame.Simulated = seq == 6
	at := epoch.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at")) * time.Second)
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0, 1:
		if rapid.Bool().Draw(t, "another image") {
			e.Image.XXH128 = fmt.Sprintf("%032d", 1)
		}
		return e
	case 2, 3:
		source := rapid.SampledFrom([]inspection.Source{inspection.SourceModel, inspection.SourceCamera, inspection.SourceFallback}).Draw(t, "source")
		return inspection.Entry{Key: e.Key, Simulated: seq == 6, Received: e.Received, Announcement: &inspection.Announcement{Verdict: v, Source: source, At: at}}
	case 4:
		d := &inspection.Drop{Key: e.Key, First: seq, Last: min(seq+rapid.Uint64Range(0, 3).Draw(t, "more"), 5), At: at, Reason: "test"}
		if seq == 6 {
			d.Last, d.Simulated = 6, true
		}
		return inspection.Entry{Drop: d, Received: e.Received}
	default:
		return inspection.Entry{Key: e.Key, Judgement: e.Judgement}
	}
}

// commitDrawn commits entries in groups of random size, drops each as often as it draws, and returns every key touched.
func commitDrawn(t *rapid.T, s Store, entries []inspection.Entry) map[inspection.FrameKey]bool {
	keys := map[inspection.FrameKey]bool{}
	for len(entries) > 0 {
		n := rapid.IntRange(1, len(entries)).Draw(t, "group")
		var group []inspection.Entry
		for _, e := range entries[:n] {
			if e.Frame == nil && e.Judgement != nil && !keys[e.Key] {
				continue // evidence alone needs a result
			}
			group = append(group, e)
			if e.Drop == nil {
				keys[e.Key] = true
				continue
			}
			for seq := e.Drop.First; seq <= e.Drop.Last; seq++ {
				k := e.Drop.Key
				k.Seq = seq
				keys[k] = true
			}
		}
		if err := s.Commit(t.Context(), group); err != nil {
			t.Fatalf("commit: %v", err)
		}
		entries = entries[n:]
	}
	return keys
}

// anyOrder: whatever is committed in whatever order, how often and in which groups, every key has exactly one result.
// The verdict of a key that only ever got frames and announcements does not depend on their order.
func anyOrder(t *testing.T, s Store) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		draw := func(order string) []inspection.Result {
			session := fmt.Sprintf("%s-%d", order, round)
			n := rapid.IntRange(1, 12).Draw(rt, "entries")
			var entries []inspection.Entry
			for range n {
				entries = append(entries, drawEntry(rt, session))
			}
			entries = append(entries, entries[rapid.IntRange(0, n-1).Draw(rt, "again")])
			entries = rapid.Permutation(entries).Draw(rt, "order")
			keys := commitDrawn(rt, s, entries)
			got := all(t, s, inspection.Query{Session: session, Simulated: inspection.SimulatedInclude, Limit: 3})
			seen := map[inspection.FrameKey]bool{}
			for _, r := range got {
				if seen[r.Frame.Key] {
					rt.Fatalf("frame %s has two results", r.Frame.Key)
				}
				seen[r.Frame.Key] = true
				if r.ID != r.Frame.Key.ID() {
					rt.Fatalf("frame %s has id %s, want %s", r.Frame.Key, r.ID, r.Frame.Key.ID())
				}
			}
			if len(seen) != len(keys) {
				rt.Fatalf("%d keys were committed and %d have a result", len(keys), len(seen))
			}
			return got
		}
		for _, r := range draw("s") {
			if e := inspection.Effective(r.Judgements, r.Announced, r.Dispositions); e != r.Effective {
				rt.Fatalf("frame %s: recorded %+v, its evidence folds to %+v", r.Frame.Key, r.Effective, e)
			}
		}
	})
}

// foldedAlways: after every single step the recorded effective verdict is the fold over the recorded evidence, evidence
// never disappears, and without a person's word no verdict gets milder.
func foldedAlways(t *testing.T, s Store) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		session := fmt.Sprintf("fold-%d", round)
		before := map[inspection.FrameKey]inspection.Result{}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			disposed := false
			if len(before) > 0 && rapid.IntRange(0, 3).Draw(rt, "person") == 0 {
				disposed = disposeDrawn(rt, s, before)
			}
			if !disposed {
				commitDrawn(rt, s, []inspection.Entry{drawEntry(rt, session)})
			}
			for _, r := range all(t, s, inspection.Query{Session: session, Simulated: inspection.SimulatedInclude}) {
				if e := inspection.Effective(r.Judgements, r.Announced, r.Dispositions); e != r.Effective {
					rt.Fatalf("frame %s: recorded %+v, its evidence folds to %+v", r.Frame.Key, r.Effective, e)
				}
				was, known := before[r.Frame.Key]
				before[r.Frame.Key] = r
				if !known {
					continue
				}
				if len(r.Judgements) < len(was.Judgements) || len(r.Announced) < len(was.Announced) || len(r.Dispositions) < len(was.Dispositions) {
					rt.Fatalf("frame %s lost evidence", r.Frame.Key)
				}
				if counted(was) && len(r.Dispositions) == 0 && was.Effective.Verdict.MoreCareful(r.Effective.Verdict) {
					rt.Fatalf("frame %s went from %s to the milder %s", r.Frame.Key, was.Effective.Verdict, r.Effective.Verdict)
				}
				if r.Revision < was.Revision {
					rt.Fatalf("frame %s went back from revision %d to %d", r.Frame.Key, was.Revision, r.Revision)
				}
			}
		}
	})
}

// counted reports whether the verdict stands on evidence that only grows. Nothing but a shadow's word is no evidence yet,
// and an announced PASS counts as UNDETERMINED until the judgement that it announced is recorded.
func counted(r inspection.Result) bool {
	if slices.ContainsFunc(r.Announced, func(a inspection.Announcement) bool { return a.Verdict == inspection.Pass }) {
		return false
	}
	return len(r.Announced) > 0 || slices.ContainsFunc(r.Judgements, func(j inspection.Judgement) bool { return j.Role != inspection.RoleShadow })
}

func disposeDrawn(t *rapid.T, s Store, known map[inspection.FrameKey]inspection.Result) bool {
	keys := make([]inspection.FrameKey, 0, len(known))
	for k := range known {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b inspection.FrameKey) int { return int(a.Seq) - int(b.Seq) })
	r := known[rapid.SampledFrom(keys).Draw(t, "result")]
	d := inspection.Disposition{
		Kind:     rapid.SampledFrom([]inspection.DispositionKind{inspection.FalseCall, inspection.JudgedGood, inspection.JudgedBad, inspection.Inconclusive}).Draw(t, "word"),
		Operator: "op", At: epoch.Add(time.Hour),
	}
	if d.Kind == inspection.FalseCall {
		i := slices.IndexFunc(r.Judgements, func(j inspection.Judgement) bool { return len(j.Called()) > 0 })
		if i < 0 {
			return false
		}
		d.Judgement, d.DefectID = i, 1
	}
	if err := s.Dispose(t.Context(), r.ID, d); err != nil {
		t.Fatalf("dispose: %v", err)
	}
	return true
}

// listsAgree: a list under any filter holds exactly the results that pass it when all are read and filtered here.
func listsAgree(t *testing.T, s Store) {
	assorted(t, s)
	whole := all(t, s, inspection.Query{Simulated: inspection.SimulatedInclude, Ascending: true})
	rapid.Check(t, func(rt *rapid.T) {
		maybe := func(name string, values ...string) string {
			return rapid.SampledFrom(append([]string{"", "", ""}, values...)).Draw(rt, name)
		}
		q := inspection.Query{
			Serial: maybe("serial", "SN1", "SN2"), Lot: maybe("lot", "lot-0", "lot-1"), RunID: maybe("run", "run-0"), Line: maybe("line", "L0", "L1"),
			Station: maybe("station", "S0"), Camera: maybe("camera", "C0"), Session: maybe("session", "session-1"), WorkOrder: maybe("order", "wo-1"),
			Model: maybe("model", "model-0"), DefectClass: maybe("class", "short", "open"), Recipe: maybe("recipe", "recipe-1"),
			Verdicts:  rapid.SliceOfN(rapid.SampledFrom([]inspection.Verdict{inspection.Pass, inspection.Fail, inspection.Review, inspection.Undetermined}), 0, 2).Draw(rt, "verdicts"),
			Simulated: rapid.SampledFrom([]inspection.SimulatedFilter{0, 1, 2}).Draw(rt, "side"), Ascending: true, Limit: rapid.IntRange(1, 5).Draw(rt, "limit"),
		}
		var want []uint64
		for _, r := range whole {
			if passes(r, q) {
				want = append(want, r.Frame.Key.Seq)
			}
		}
		if got := seqs(all(t, s, q)); !slices.Equal(got, want) {
			rt.Fatalf("%+v: got %v, want %v", q, got, want)
		}
	})
}

func passes(r inspection.Result, q inspection.Query) bool {
	for _, c := range [...][2]string{
		{q.Serial, r.Frame.Serial}, {q.Lot, r.Frame.Lot}, {q.RunID, r.Frame.RunID}, {q.Line, r.Frame.Key.Line}, {q.Station, r.Frame.Key.Station},
		{q.Camera, r.Frame.Key.Camera}, {q.Session, r.Frame.Key.Session}, {q.WorkOrder, r.Frame.WorkOrder}, {q.Recipe, r.Frame.Recipe},
		{q.Model, r.Primary().Model.Name},
	} {
		if c[0] != "" && c[0] != c[1] {
			return false
		}
	}
	if len(q.Verdicts) > 0 && !slices.Contains(q.Verdicts, r.Effective.Verdict) {
		return false
	}
	if q.DefectClass != "" && !slices.ContainsFunc(r.Primary().Called(), func(d inspection.Defect) bool { return d.Class == q.DefectClass }) {
		return false
	}
	return q.Simulated == inspection.SimulatedInclude || r.Frame.Simulated == (q.Simulated == inspection.SimulatedOnly)
}
