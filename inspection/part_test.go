package inspection

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func frameOf(view, run string, v Verdict, second int, id ResultID) ViewResult {
	return ViewResult{View: view, RunID: run, Verdict: v, At: epoch.Add(time.Duration(second) * time.Second), ID: id}
}

func TestJoinPart(t *testing.T) {
	both := PartSpec{Views: []string{"top", "bottom"}}
	simulated := func(r ViewResult) ViewResult { r.Simulated = true; return r }
	tests := []struct {
		name  string
		spec  PartSpec
		views []ViewResult
		want  Part
	}{
		{"no frame", both, nil, Part{Missing: []string{"top", "bottom"}}},
		{"no frame, no view asked for", PartSpec{}, nil, Part{}},
		{
			"any one frame does", PartSpec{},
			[]ViewResult{frameOf("", "", Pass, 1, "a")},
			Part{Verdict: Pass, Complete: true, Views: []PartView{{"", Pass, []ResultID{"a"}}}},
		},
		{
			"complete, in the spec's order", both,
			[]ViewResult{frameOf("bottom", "r1", Review, 1, "b"), frameOf("top", "r1", Pass, 2, "a")},
			Part{Verdict: Review, Complete: true, RunID: "r1", Views: []PartView{{"top", Pass, []ResultID{"a"}}, {"bottom", Review, []ResultID{"b"}}}},
		},
		{
			"a view is missing", both,
			[]ViewResult{frameOf("top", "r1", Pass, 1, "a")},
			Part{Verdict: Undetermined, Missing: []string{"bottom"}, RunID: "r1", Views: []PartView{{"top", Pass, []ResultID{"a"}}}},
		},
		{
			"a view is missing, another failed", both,
			[]ViewResult{frameOf("top", "r1", Fail, 1, "a")},
			Part{Verdict: Fail, Missing: []string{"bottom"}, RunID: "r1", Views: []PartView{{"top", Fail, []ResultID{"a"}}}},
		},
		{
			"several frames of a view", PartSpec{Views: []string{"top"}},
			[]ViewResult{frameOf("top", "r1", Pass, 3, "c"), frameOf("top", "r1", Undetermined, 1, "a"), frameOf("top", "r1", Review, 2, "b")},
			Part{Verdict: Undetermined, Complete: true, RunID: "r1", Views: []PartView{{"top", Undetermined, []ResultID{"a", "b", "c"}}}},
		},
		{
			"measured again: the earlier run is replaced", both,
			[]ViewResult{frameOf("top", "r2", Pass, 10, "c"), frameOf("bottom", "r2", Pass, 11, "d"), frameOf("top", "r1", Fail, 1, "a"), frameOf("bottom", "r1", Pass, 2, "b")},
			Part{Verdict: Pass, Complete: true, RunID: "r2", Views: []PartView{{"top", Pass, []ResultID{"c"}}, {"bottom", Pass, []ResultID{"d"}}}},
		},
		{
			"views of the earlier run do not complete the later", both,
			[]ViewResult{frameOf("bottom", "r1", Pass, 1, "a"), frameOf("top", "r1", Pass, 2, "b"), frameOf("top", "r2", Pass, 3, "c")},
			Part{Verdict: Undetermined, Missing: []string{"bottom"}, RunID: "r2", Views: []PartView{{"top", Pass, []ResultID{"c"}}}},
		},
		{
			"runs of the same time: the greater id", PartSpec{},
			[]ViewResult{frameOf("top", "r2", Pass, 1, "b"), frameOf("top", "r1", Fail, 1, "a")},
			Part{Verdict: Pass, Complete: true, RunID: "r2", Views: []PartView{{"top", Pass, []ResultID{"b"}}}},
		},
		{
			"a view that nobody asked for counts", PartSpec{Views: []string{"top"}},
			[]ViewResult{frameOf("top", "", Pass, 1, "a"), frameOf("side", "", Review, 1, "b"), frameOf("edge", "", Pass, 1, "c")},
			Part{Verdict: Review, Complete: true, Views: []PartView{{"top", Pass, []ResultID{"a"}}, {"edge", Pass, []ResultID{"c"}}, {"side", Review, []ResultID{"b"}}}},
		},
		{
			"a view asked for twice", PartSpec{Views: []string{"top", "top", "side", "side"}},
			[]ViewResult{frameOf("top", "", Pass, 1, "a")},
			Part{Verdict: Undetermined, Missing: []string{"side"}, Views: []PartView{{"top", Pass, []ResultID{"a"}}}},
		},
		{
			"simulated frames do not stand beside real ones", both,
			[]ViewResult{frameOf("top", "r1", Pass, 1, "a"), simulated(frameOf("bottom", "r1", Pass, 2, "b")), simulated(frameOf("top", "r9", Fail, 9, "c"))},
			Part{Verdict: Undetermined, Missing: []string{"bottom"}, RunID: "r1", Views: []PartView{{"top", Pass, []ResultID{"a"}}}},
		},
		{
			"simulated frames alone", PartSpec{},
			[]ViewResult{simulated(frameOf("top", "", Pass, 1, "a"))},
			Part{Verdict: Pass, Complete: true, Simulated: true, Views: []PartView{{"top", Pass, []ResultID{"a"}}}},
		},
		{
			"no verdict at all", PartSpec{},
			[]ViewResult{frameOf("top", "", Verdict(9), 1, "a")},
			Part{Verdict: Undetermined, Complete: true, Views: []PartView{{"top", Undetermined, []ResultID{"a"}}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := JoinPart(tt.spec, tt.views); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\n got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestJoinPartProperties(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) ViewResult {
		return ViewResult{
			View: rapid.SampledFrom([]string{"top", "bottom", "side"}).Draw(t, "view"), RunID: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "run"),
			Verdict: genVerdict().Draw(t, "verdict"), At: epoch.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Second),
			ID: ResultID(rapid.StringMatching(`[a-f]{2}`).Draw(t, "id")), Simulated: rapid.IntRange(0, 5).Draw(t, "simulated") == 0,
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		spec := PartSpec{Views: rapid.SampledFrom([][]string{nil, {"top"}, {"top", "bottom"}}).Draw(t, "spec")}
		views := rapid.SliceOfN(gen, 0, 6).Draw(t, "views")
		kept := slices.Clone(views)
		got := JoinPart(spec, views)
		if !reflect.DeepEqual(views, kept) {
			t.Fatalf("the caller's slice was changed: %v", views)
		}
		if again := JoinPart(spec, rapid.Permutation(views).Draw(t, "order")); !reflect.DeepEqual(got, again) {
			t.Fatalf("got %+v, in another order %+v", got, again)
		}
		if got.Verdict == Pass && (!got.Complete || len(got.Missing) > 0 || len(got.Views) == 0) {
			t.Fatalf("got PASS of %+v", got)
		}
		for _, v := range got.Views {
			if milder(got.Verdict, v.Verdict) {
				t.Fatalf("got %v, view %s has %v", got.Verdict, v.View, v.Verdict)
			}
		}
		if len(got.Views) == 0 {
			return
		}
		more := gen.Draw(t, "more")
		more.RunID, more.Simulated, more.At = got.RunID, got.Simulated, epoch
		if after := JoinPart(PartSpec{}, append(views, more)); milder(after.Verdict, JoinPart(PartSpec{}, views).Verdict) {
			t.Fatalf("one more frame of the run made it milder: %+v, then %+v", got, after)
		}
	})
}
