package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

// picturedEvidence: masks come back from everywhere. A heatmap's picture comes with the result that is asked for by its id
// or key, and a page or a watch, which may hold a thousand, says only where it lies.
func picturedEvidence(t *testing.T, s Store) {
	e := Entry(1, inspection.Fail)
	j := e.Judgement
	j.Defects[0].Mask = inspection.EncodeMask(640, 480, 3, 4, 2, 2, []bool{true, false, true, true})
	j.Heatmap = &inspection.Heatmap{PNG: []byte("\x89PNG\x00\xff picture"), Area: inspection.Box{X1: -0.5, X2: 640, Y2: 480}, Low: -3.25, High: 17}
	late := Judgement(inspection.Review)
	late.Role = inspection.RoleLate
	commit(t, s, e, inspection.Entry{Key: e.Key, Judgement: &late})
	commit(t, s, e) // the very same again, whose picture need not be read to see that

	whole := []inspection.Judgement{*j, late}
	light := []inspection.Judgement{*j, late}
	light[0].Heatmap = j.Heatmap.WithoutPNG()
	same := func(from string, want []inspection.Judgement, got inspection.Result) {
		t.Helper()
		if d := cmp.Diff(want, got.Judgements); d != "" {
			t.Errorf("%s (-want +got):\n%s", from, d)
		}
	}
	same("get", whole, get(t, s, e.Key))
	known, err := s.Lookup(t.Context(), e.Key)
	if err != nil {
		t.Fatalf("look up: %v", err)
	}
	same("look up", whole, known)
	for _, r := range all(t, s, inspection.Query{}) {
		same("list", light, r)
	}
	seen, _, err := collect(t.Context(), s, "0", inspection.Query{}, 1)
	if err != nil || len(seen) != 1 {
		t.Fatalf("watch: got %d changes, %v, want 1", len(seen), err)
	}
	same("watch", light, seen[0])

	other := Entry(1, inspection.Fail)
	*other.Judgement = *j
	other.Judgement.Heatmap = &inspection.Heatmap{PNG: j.Heatmap.PNG, Low: -3.25, High: 18}
	commit(t, s, other)
	if got := get(t, s, e.Key); len(got.Judgements) != 3 {
		t.Errorf("a judgement with another heatmap: got %d judgements, want it as a third", len(got.Judgements))
	}
}
