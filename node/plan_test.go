//go:build gocv_specific_modules

package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func (h *house) profile(measure bool) *assayv1.ProfileModelResponse {
	h.t.Helper()
	p, err := assayv1.NewModelServiceClient(h.Conn()).ProfileModel(h.ctx(), &assayv1.ProfileModelRequest{Name: "pcb-pair", Measure: measure})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// A node measures a model at its first start, and its second start uses what was kept.
func TestASecondStartUsesThePlanOfTheFirst(t *testing.T) {
	graph, manifest := shipped(t)
	// Batches of one alone, so that the rounds are over before the time is on a busy machine too.
	manifest = []byte(strings.Replace(string(manifest), "batch_sizes: [1, 2, 4, 8]", "batch_sizes: [1]", 1))
	dir := writeModel(t, "pcb-pair", graph, manifest)
	h := boardsOn(t, dir, "pcb-pair", func(c *node.Config) { c.Inference.Measure, c.Inference.Threads = 20*time.Second, 2 })
	h.WaitReady()
	first := h.profile(false)
	if first.GetCached() || !first.GetLoaded() || !first.GetComplete() || len(first.GetSurface()) != 3 || first.GetDevice() != "cpu" || !holds(first.GetModel().GetVersion(), "1") {
		t.Fatalf("got the profile %v, want three points, measured at this start", first)
	}
	h.Stop()
	kept, err := filepath.Glob(filepath.Join(h.Config.Node.DataDir, "plans", "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %v, %v; want one plan", kept, err)
	}

	h.Start()
	h.WaitReady()
	second := h.profile(false)
	if !second.GetCached() || !second.GetMeasured().AsTime().Equal(first.GetMeasured().AsTime()) {
		t.Errorf("the second start has a plan of %v, cached %v; want that of %v", second.GetMeasured().AsTime(), second.GetCached(), first.GetMeasured().AsTime())
	}
	if o := h.judge(h.camera("cam-1", nil), h.board(h.bad(), inspection.FormatPNG)); o.Verdict != inspection.Fail || o.Source != inspection.SourceModel {
		t.Errorf("a bad board: got %v from %v, want FAIL from the model", o.Verdict, o.Source)
	}
	after := h.profile(false)
	if n := after.GetNarrow().GetRuns() + after.GetWide().GetRuns(); n != 1 {
		t.Errorf("one frame was judged, and the profile tells of %d runs", n)
	}
	_, _, metrics := h.Get("/metrics", nil)
	if want := `assay_plan_drift_ratio{model="pcb-pair",version="1"}`; !strings.Contains(string(metrics), want) {
		t.Errorf("/metrics does not say %s", want)
	}
	if third := h.profile(true); third.GetCached() || !third.GetMeasured().AsTime().After(first.GetMeasured().AsTime()) {
		t.Errorf("measured again: got a plan of %v, want one of now", third.GetMeasured().AsTime())
	}
	h.Stop()

	if err := os.WriteFile(kept[0], []byte("noise"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Start()
	h.WaitReady()
	if p := h.profile(false); p.GetCached() || !holds(h.Log(), "kept plan is passed over", filepath.Base(kept[0])) {
		t.Errorf("a damaged plan was used, or is not in the log: %v", p)
	}
}
