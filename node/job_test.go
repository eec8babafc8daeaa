//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node/nodetest"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// told is what a camera knows of a frame when all is done.
type told struct {
	outcome camera.Outcome
	sent    []byte
	truth   []synthetic.Defect
}

// streamBoards sends n boards of two lots as a camera program does, and checks what came back for each.
func streamBoards(t *testing.T, h *house, n int) []told {
	t.Helper()
	s := h.camera("cam-1", nil)
	var all []told
	var tickets []*camera.Ticket
	for i := range n {
		f := h.board(i, inspection.FormatJPEG)
		f.Lot, f.WorkOrder, f.RunID = fmt.Sprintf("lot-%d", i%2), "order-7", fmt.Sprintf("run-%d", i)
		f.CapturedAt = time.Now()
		b, err := h.series.Board(i)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, told{sent: bytesOf(f), truth: b.Defects})
		tickets = append(tickets, h.send(s, f))
	}
	for i, ticket := range tickets {
		o := h.settled(ticket)
		if o.Source != inspection.SourceModel || o.FellBack || o.Sends != 1 || o.Answer.Repeated {
			t.Errorf("%s: source %v, fell back %v, %d sends, repeated %v; want one delivery judged by the model", o.Frame.Serial, o.Source, o.FellBack, o.Sends, o.Answer.Repeated)
		}
		all[i].outcome = o
	}
	return all
}

func TestAFrameBecomesAVerdict(t *testing.T) {
	h := open(t, nil)
	all := streamBoards(t, h, 24)
	t.Run("the model sees what was planted", func(t *testing.T) { checkTruth(t, all) })
	t.Run("every frame is one result", func(t *testing.T) { checkRecorded(t, h, all) })
	t.Run("results are found by what the line knows", func(t *testing.T) { checkFilters(t, h, all) })
	t.Run("pages", func(t *testing.T) { checkPages(t, h, all) })
	t.Run("watch", func(t *testing.T) { checkWatch(t, h, all) })
	t.Run("images", func(t *testing.T) { checkImages(t, h, all) })
}

// checkTruth is rough on purpose: how good the model is has tests of its own. A node that mixes up frames, templates or
// outputs fails it.
func checkTruth(t *testing.T, all []told) {
	found, planted := 0, 0
	for _, f := range all {
		called := f.outcome.Answer.Judgement.Called()
		if len(f.truth) == 0 && f.outcome.Verdict != inspection.Pass {
			t.Errorf("%s is a good board: %v with %d called defects, want PASS", f.outcome.Frame.Serial, f.outcome.Verdict, len(called))
		}
		if len(f.truth) > 0 && f.outcome.Verdict == inspection.Pass {
			t.Errorf("%s has %d defects: PASS", f.outcome.Frame.Serial, len(f.truth))
		}
		for _, d := range f.truth {
			planted++
			x, y := float64(d.Box.Min.X+d.Box.Max.X)/2, float64(d.Box.Min.Y+d.Box.Max.Y)/2
			if slices.ContainsFunc(called, func(c inspection.Defect) bool {
				return c.Class == d.Class && c.Box.X1 <= x && x <= c.Box.X2 && c.Box.Y1 <= y && y <= c.Box.Y2
			}) {
				found++
			}
		}
	}
	if planted == 0 || float64(found) < 0.8*float64(planted) {
		t.Errorf("%d of %d planted defects were called in their place, want 80 %% at least", found, planted)
	}
}

func checkRecorded(t *testing.T, h *house, all []told) {
	in := h.recipe(boards)
	for _, f := range all {
		o := f.outcome
		byID := h.get(o.Answer.ID)
		resp, err := h.results().GetResult(h.ctx(), &assayv1.GetResultRequest{Key: proto.FromKey(o.Frame.Key)})
		if err != nil {
			t.Fatalf("get result by key: %v", err)
		}
		if r := proto.ToResult(resp.GetResult()); r.ID != byID.ID || r.Frame.Key != o.Frame.Key {
			t.Errorf("by key %s: got result %s of %s, want %s", o.Frame.Key, r.ID, r.Frame.Key, byID.ID)
		}
		if byID.Effective.Verdict != o.Verdict || len(byID.Judgements) != 1 {
			t.Errorf("%s: recorded %v with %d judgements, the camera was told %v", o.Frame.Serial, byID.Effective, len(byID.Judgements), o.Verdict)
			continue
		}
		j := byID.Judgements[0]
		if len(j.Called()) != len(o.Answer.Judgement.Called()) || j.Node != "node-under-test" || j.Model.Name != "pcb-pair" || len(j.Model.Digest) != 64 {
			t.Errorf("%s: recorded %d defects by model %+v on %q, the camera was told %d", o.Frame.Serial, len(j.Called()), j.Model, j.Node, len(o.Answer.Judgement.Called()))
		}
		if j.Recipe != proto.ToRecipeRef(in.GetRef()) {
			t.Errorf("%s: recipe %+v, want %v", o.Frame.Serial, j.Recipe, in.GetRef())
		}
		if j.Timings.ComputeInfer <= 0 || j.Timings.Decode <= 0 {
			t.Errorf("%s: timings %+v", o.Frame.Serial, j.Timings)
		}
		want := o.Frame
		if g := byID.Frame; g.Serial != want.Serial || g.Lot != want.Lot || g.WorkOrder != want.WorkOrder || g.RunID != want.RunID || g.View != want.View || g.Reference != want.Reference || !g.CapturedAt.Equal(want.CapturedAt.Truncate(time.Microsecond)) {
			t.Errorf("recorded frame %+v\nsent           %+v", g, want)
		}
	}
}

// checkFilters compares every filter with the same question asked of what the camera was told.
func checkFilters(t *testing.T, h *house, all []told) {
	one := all[3].outcome
	received := h.get(one.Answer.ID).Received
	everything := h.list(inspection.Query{})
	later := 0
	for _, r := range everything {
		if !r.Received.Before(received) {
			later++
		}
	}
	count := func(is func(camera.Outcome) bool) (n int) {
		for _, f := range all {
			if is(f.outcome) {
				n++
			}
		}
		return n
	}
	called := func(o camera.Outcome, class string) bool {
		return slices.ContainsFunc(o.Answer.Judgement.Called(), func(d inspection.Defect) bool { return d.Class == class })
	}
	for _, c := range []struct {
		name  string
		query inspection.Query
		want  int
	}{
		{"nothing", inspection.Query{}, len(all)},
		{"serial", inspection.Query{Serial: one.Frame.Serial}, 1},
		{"run", inspection.Query{RunID: "run-5"}, 1},
		{"lot", inspection.Query{Lot: "lot-1"}, len(all) / 2},
		{"work order", inspection.Query{WorkOrder: "order-7"}, len(all)},
		{"line, station, camera, session", inspection.Query{Line: "line-1", Station: "aoi", Camera: "cam-1", Session: one.Frame.Key.Session}, len(all)},
		{"another camera", inspection.Query{Camera: "cam-2"}, 0},
		{"recipe and model", inspection.Query{Recipe: boards, Model: "pcb-pair"}, len(all)},
		{"another model", inspection.Query{Model: "pcb"}, 0},
		{"PASS", inspection.Query{Verdicts: []inspection.Verdict{inspection.Pass}}, count(func(o camera.Outcome) bool { return o.Verdict == inspection.Pass })},
		{"not PASS", inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail, inspection.Review, inspection.Undetermined}}, count(func(o camera.Outcome) bool { return o.Verdict != inspection.Pass })},
		{"defect class", inspection.Query{DefectClass: "short"}, count(func(o camera.Outcome) bool { return called(o, "short") })},
		{"defect class and lot", inspection.Query{DefectClass: "open", Lot: "lot-0"}, count(func(o camera.Outcome) bool { return called(o, "open") && o.Frame.Lot == "lot-0" })},
		{"from, inclusive", inspection.Query{From: received}, later},
		{"to, exclusive", inspection.Query{To: received}, len(all) - later},
		{"simulated only", inspection.Query{Simulated: inspection.SimulatedOnly}, 0},
	} {
		if got := h.list(c.query); len(got) != c.want {
			t.Errorf("%s: got %d results, want %d", c.name, len(got), c.want)
		}
	}
	if n := count(func(o camera.Outcome) bool { return called(o, "short") }); n == 0 || n == len(all) {
		t.Errorf("%d of %d boards have a short: the filter by class shows nothing", n, len(all))
	}
}

func checkPages(t *testing.T, h *house, all []told) {
	down := h.list(inspection.Query{Limit: 5})
	up := h.list(inspection.Query{Limit: 7, Ascending: true})
	slices.Reverse(up)
	if len(down) != len(all) || len(up) != len(all) {
		t.Fatalf("got %d results in pages of 5 and %d in pages of 7, want %d", len(down), len(up), len(all))
	}
	for i := range down {
		if down[i].ID != up[i].ID {
			t.Fatalf("newest first and oldest first disagree at %d", i)
		}
	}
	page, err := h.results().ListResults(h.ctx(), proto.FromQuery(inspection.Query{Limit: 5}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.results().ListResults(h.ctx(), proto.FromQuery(inspection.Query{Limit: 5, Lot: "lot-1", Cursor: page.GetNextCursor()}))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a cursor of another filter: %v, want INVALID_ARGUMENT", err)
	}
}

// checkWatch sees all from the beginning, resumes in the middle, and then sees what is new.
func checkWatch(t *testing.T, h *house, all []told) {
	first := watch(t, h, "0", len(all))
	middle := len(all) / 3
	resumed := watch(t, h, first[middle].GetCursor(), len(all)-middle-1)
	for i, m := range resumed {
		if want := first[middle+1+i]; m.GetResult().GetId() != want.GetResult().GetId() {
			t.Fatalf("resumed after %d: change %d is of %s, want %s", middle, i, m.GetResult().GetId(), want.GetResult().GetId())
		}
	}
	ctx, cancel := context.WithCancel(h.ctx())
	defer cancel()
	live, err := h.results().WatchResults(ctx, &assayv1.WatchResultsRequest{Cursor: first[len(first)-1].GetCursor(), Filter: &assayv1.ResultFilter{Camera: "cam-late"}})
	if err != nil {
		t.Fatal(err)
	}
	o := h.judge(h.camera("cam-late", nil), h.board(0, inspection.FormatJPEG))
	if m, err := live.Recv(); err != nil || m.GetResult().GetId() != string(o.Answer.ID) {
		t.Errorf("watching while a frame comes: %v, %v, want result %s", m.GetResult().GetId(), err, o.Answer.ID)
	}
	_, err = receive(h.results().WatchResults(h.ctx(), &assayv1.WatchResultsRequest{Cursor: "no cursor"}))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a cursor that is none: %v, want INVALID_ARGUMENT", err)
	}
}

func receive(stream interface {
	Recv() (*assayv1.WatchResultsResponse, error)
}, err error) (*assayv1.WatchResultsResponse, error) {
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

// watch takes n changes after a cursor, then hangs up.
func watch(t *testing.T, h *house, cursor string, n int) []*assayv1.WatchResultsResponse {
	t.Helper()
	ctx, cancel := context.WithCancel(h.ctx())
	defer cancel()
	w, err := h.results().WatchResults(ctx, &assayv1.WatchResultsRequest{Cursor: cursor})
	if err != nil {
		t.Fatal(err)
	}
	var got []*assayv1.WatchResultsResponse
	for len(got) < n {
		m, err := w.Recv()
		if err != nil {
			t.Fatalf("watch from %q: %v after %d changes of %d", cursor, err, len(got), n)
		}
		got = append(got, m)
	}
	return got
}

// checkImages fetches what the camera sent.
func checkImages(t *testing.T, h *house, all []told) {
	for _, f := range all {
		path := "/v1/results/" + string(f.outcome.Answer.ID) + "/image"
		nodetest.Until(t, "the image is kept", func() error {
			if r := h.get(f.outcome.Answer.ID); r.Image.State != inspection.ImageKept {
				return errors.New(r.Image.State.String())
			}
			return nil
		})
		code, header, body := h.Get(path, nil)
		if code != http.StatusOK || !bytes.Equal(body, f.sent) || header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s: status %d, %s, %d bytes; want the %d bytes that were sent, as image/jpeg", path, code, header.Get("Content-Type"), len(body), len(f.sent))
		}
		etag := `"` + h.get(f.outcome.Answer.ID).Image.SHA256 + `"`
		if header.Get("ETag") != etag {
			t.Errorf("ETag %s, want %s", header.Get("ETag"), etag)
		}
		if code, _, body := h.Get(path, http.Header{"If-None-Match": {etag}}); code != http.StatusNotModified || len(body) != 0 {
			t.Errorf("If-None-Match: status %d with %d bytes, want 304", code, len(body))
		}
		if code, _, body := h.Get(path, http.Header{"Range": {"bytes=100-299"}}); code != http.StatusPartialContent || !bytes.Equal(body, f.sent[100:300]) {
			t.Errorf("Range: status %d with %d bytes, want the 200 asked for", code, len(body))
		}
	}
	if code, _, _ := h.Get("/v1/results/00000000000000000000000000000000/image", nil); code != http.StatusNotFound {
		t.Errorf("the image of no result: status %d, want 404", code)
	}
}
