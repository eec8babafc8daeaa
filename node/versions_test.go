//go:build gocv_specific_modules

package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
	"github.com/assay-vision/assay/node/nodetest"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// shippedFiles are the files of the model that ships, its golden set included. note makes it another version.
func shippedFiles(t testing.TB, note string) map[string][]byte {
	t.Helper()
	const dir = "../models/pcb-pair/1"
	manifest := readFile(t, filepath.Join(dir, "model.yaml"))
	m, err := models.ParseManifest("model.yaml", manifest)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range m.Files() {
		out[name] = readFile(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	out["model.yaml"] = append(manifest, "# "+note+"\n"...)
	return out
}

func (h *house) models() assayv1.ModelServiceClient { return assayv1.NewModelServiceClient(h.Conn()) }

// push uploads a version of the model that ships.
func (h *house) push(version string, files map[string][]byte) (*assayv1.PushModelResponse, error) {
	h.t.Helper()
	stream, err := h.models().PushModel(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	send := func(m *assayv1.PushModelRequest) {
		if err == nil {
			err = stream.Send(m)
		}
	}
	send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Header{Header: &assayv1.PushHeader{Name: "pcb-pair", Version: version}}})
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data := files[name]
		sum := sha256.Sum256(data)
		send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_File{File: &assayv1.PushFile{Name: name, Size: int64(len(data)), Sha256: hex.EncodeToString(sum[:])}}})
		for chunk := range slices.Chunk(data, 1<<20) {
			send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Chunk{Chunk: chunk}})
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		h.t.Fatal(err)
	}
	return stream.CloseAndRecv()
}

func (h *house) mustPush(version, note string) *assayv1.ModelRef {
	h.t.Helper()
	resp, err := h.push(version, shippedFiles(h.t, note))
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.GetModel()
}

func (h *house) activate(version string) (*assayv1.ActivateModelResponse, error) {
	return h.models().ActivateModel(h.ctx(), &assayv1.ActivateModelRequest{Name: "pcb-pair", Version: version, By: "ann", Reason: "a test"})
}

func (h *house) mustActivate(version string) {
	h.t.Helper()
	if _, err := h.activate(version); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) history() []*assayv1.Activation {
	h.t.Helper()
	resp, err := h.models().ListActivations(h.ctx(), &assayv1.ListActivationsRequest{Name: "pcb-pair"})
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.GetActivations()
}

// judging is the version that a frame is judged by now.
func (h *house) judging(s *camera.Stream) string {
	h.t.Helper()
	o := h.judge(s, h.board(h.bad(), inspection.FormatPNG))
	if o.Source != inspection.SourceModel {
		h.t.Errorf("a frame is %v by %v, %q; want the model's word", o.Verdict, o.Source, o.Reason)
	}
	return h.get(o.Answer.ID).Judgements[0].Model.Version
}

func TestAVersionIsPushedActivatedAndRolledBack(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	two := h.mustPush("2", "two")
	if got := h.judging(s); got != "1" {
		t.Errorf("after the push version %s judges, want 1: a push activates nothing", got)
	}
	resp, err := h.activate("2")
	if a := resp.GetActivation(); err != nil || !resp.GetChanged() || a.GetFrom() != "1" || a.GetTo() != "2" || a.GetDigest() != two.GetDigest() {
		t.Fatalf("activate: got %v, %v", resp, err)
	}
	if got := h.judging(s); got != "2" {
		t.Errorf("after its activation version %s judges, want 2", got)
	}
	s.Close(h.ctx())
	h.Restart(nil)
	h.WaitReady()
	s = h.camera("cam-2", nil)
	if got := h.judging(s); got != "2" {
		t.Errorf("after a restart version %s judges, want 2", got)
	}
	if _, err := h.models().RollbackModel(h.ctx(), &assayv1.RollbackModelRequest{Name: "pcb-pair", By: "bob", Reason: "worse"}); err != nil {
		t.Fatal(err)
	}
	if got := h.judging(s); got != "1" {
		t.Errorf("after the rollback version %s judges, want 1", got)
	}
	var acts []string
	for _, a := range h.history() {
		acts = append(acts, fmt.Sprintf("%s %s>%s %s %s", a.GetAct(), a.GetFrom(), a.GetTo(), a.GetBy(), a.GetReason()))
	}
	want := []string{"rollback 2>1 bob worse", "activate 1>2 ann a test", "keep 1>1 the node version 2 is pushed, which activates nothing"}
	if !slices.Equal(acts, want) {
		t.Errorf("the record says %q, want %q", acts, want)
	}
	if a := h.history()[0]; !strings.HasPrefix(a.GetPeer(), "127.0.0.1:") || a.GetTime().AsTime().IsZero() {
		t.Errorf("the record says from %q at %v", a.GetPeer(), a.GetTime())
	}
}

// Whatever is wrong with a version, the one before goes on judging, and nothing is recorded.
func TestAVersionThatFailsChangesNothing(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	off := shippedFiles(t, "off")
	text := string(off["model.yaml"])
	at := strings.Index(text, "{class:")
	off["model.yaml"] = []byte(text[:at] + strings.Replace(text[at:], "score: 0.", "score: 0.5", 1)) // 0.8929 becomes 0.58929
	if _, err := h.push("2", off); err != nil {
		t.Fatal(err)
	}
	narrow := shippedFiles(t, "narrow")
	narrow["model.yaml"] = bytes.Replace(models.Without(narrow["model.yaml"], "golden"), []byte("height: 640"), []byte("height: 320"), 1)
	for name := range narrow {
		if strings.HasPrefix(name, "golden/") {
			delete(narrow, name)
		}
	}
	if _, err := h.push("3", narrow); err != nil {
		t.Fatal(err)
	}
	fewer := shippedFiles(t, "another class")
	for name := range fewer {
		if strings.HasPrefix(name, "golden/") {
			delete(fewer, name)
		}
	}
	fewer["model.yaml"] = bytes.Replace(models.Without(fewer["model.yaml"], "golden"), []byte("pin-hole]"), []byte("pinhole]"), 1)
	if _, err := h.push("4", fewer); err != nil {
		t.Fatal(err)
	}
	strict := nodetest.BoardRecipe("strict")
	var rules []string
	for _, class := range []string{"open", "short", "mousebite", "spur", "copper", "pin-hole"} {
		rules = append(rules, "  "+class+": {review_at: 0.3, reject_at: 0.49}")
	}
	h.WriteRecipe("strict.yaml", strings.Replace(strict, "  \"*\": {review_at: 0.3, reject_at: 0.49}", strings.Join(rules, "\n"), 1))
	nodetest.Until(t, "the strict recipe judges", func() error {
		if r := h.recipeOrNil("strict"); !r.GetReady() {
			return errors.New(r.GetMessage())
		}
		return nil
	})
	before := len(h.history())
	for _, c := range []struct {
		version string
		code    codes.Code
		says    []string
	}{
		{"2", codes.FailedPrecondition, []string{"golden/board-1.png", "want 0.5", "+- 0.0", "version 1 stays active"}},
		{"3", codes.InvalidArgument, []string{"inputs[0].height", "version 1 stays active"}},
		{"4", codes.InvalidArgument, []string{"recipe strict", "pinhole", "version 1 stays active"}},
		{"9", codes.NotFound, []string{`no version "9"`, "version 1 stays active"}},
	} {
		_, err := h.activate(c.version)
		if status.Code(err) != c.code || !holds(err.Error(), c.says...) {
			t.Errorf("version %s: got %v, want %v with %q", c.version, err, c.code, c.says)
		}
		if got := h.judging(s); got != "1" {
			t.Errorf("after that version %s judges, want 1", got)
		}
	}
	if r := h.Readiness(); !r.Ready || len(h.history()) != before {
		t.Errorf("ready %v for %q, %d new lines in the record; want ready and none", r.Ready, r.Reasons, len(h.history())-before)
	}
	resp, err := h.models().GetModel(h.ctx(), &assayv1.GetModelRequest{Name: "pcb-pair", Version: "2"})
	if m := resp.GetModel(); err != nil || m.GetState() != assayv1.ModelState_MODEL_STATE_FAILED || !strings.Contains(m.GetMessage(), "golden/board-1.png") {
		t.Errorf("version 2 is %v and says %q (%v), want failed, and by how much", m.GetState(), m.GetMessage(), err)
	}
}

// recipeOrNil is a recipe that may not be known yet.
func (h *house) recipeOrNil(name string) *assayv1.Recipe {
	resp, err := assayv1.NewRecipeServiceClient(h.Conn()).GetRecipe(h.ctx(), &assayv1.GetRecipeRequest{Name: name})
	if err != nil {
		return nil
	}
	return resp.GetRecipe()
}

// A graph that is damaged on the node's disk after it was pushed does not come into force.
func TestAGraphDamagedOnDiskIsNotActivated(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	h.mustPush("2", "two")
	at := filepath.Join(h.Config.Node.DataDir, "models", "pcb-pair", "2", "model.onnx")
	graph := readFile(t, at)
	graph[len(graph)/2] ^= 0xff
	if err := os.WriteFile(at, graph, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.activate("2"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "changed on disk") {
		t.Errorf("got %v, want INVALID_ARGUMENT that says so", err)
	}
	if got := h.judging(s); got != "1" {
		t.Errorf("version %s judges, want 1", got)
	}
}

func TestRemoveRefusesWhatIsNeeded(t *testing.T) {
	h := open(t, nil)
	for _, v := range []string{"2", "3", "4"} {
		h.mustPush(v, v)
	}
	h.WriteRecipe("third.yaml", strings.Replace(nodetest.BoardRecipe("third"), "pcb-pair", "pcb-pair@3", 1))
	nodetest.Until(t, "the recipe judges", func() error {
		if r := h.recipeOrNil("third"); !r.GetReady() {
			return errors.New(r.GetMessage())
		}
		return nil
	})
	h.mustActivate("2")
	h.mustActivate("4") // 2 lingers
	remove := func(version string) error {
		_, err := h.models().RemoveModel(h.ctx(), &assayv1.RemoveModelRequest{Name: "pcb-pair", Version: version})
		return err
	}
	for version, says := range map[string]string{"4": "is the active version", "3": `recipe "third" names`, "2": "frames may be under way"} {
		if err := remove(version); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), says) {
			t.Errorf("remove version %s: got %v, want FAILED_PRECONDITION that says %q", version, err, says)
		}
	}
	if err := remove("9"); status.Code(err) != codes.NotFound {
		t.Errorf("remove a version that there is not: got %v, want NOT_FOUND", err)
	}
	h.Restart(nil)
	h.WaitReady()
	if err := remove("2"); err != nil {
		t.Errorf("remove version 2, which nobody needs after a restart: %v", err)
	}
	if _, err := h.models().GetModel(h.ctx(), &assayv1.GetModelRequest{Name: "pcb-pair", Version: "2"}); status.Code(err) != codes.NotFound {
		t.Errorf("after its removal: got %v, want NOT_FOUND", err)
	}
}

// Activations that meet are done one after another: the record has no gap, and what it says last judges.
func TestActivationsThatMeetAreDoneOneAfterAnother(t *testing.T) {
	h := open(t, nil)
	for _, v := range []string{"2", "3"} {
		h.mustPush(v, v)
	}
	client, ctx := h.models(), h.ctx()
	var work sync.WaitGroup
	for i := range 5 {
		work.Go(func() {
			_, err := client.ActivateModel(ctx, &assayv1.ActivateModelRequest{Name: "pcb-pair", Version: fmt.Sprint(1 + i%3), By: fmt.Sprint(i)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	all := h.history()
	for i := range all[:len(all)-1] {
		if all[i].GetFrom() != all[i+1].GetTo() {
			t.Errorf("line %d comes from %s, and %s was active", i, all[i].GetFrom(), all[i+1].GetTo())
		}
	}
	if got := h.judging(h.camera("cam-1", nil)); got != all[0].GetTo() {
		t.Errorf("version %s judges, the record says %s", got, all[0].GetTo())
	}
}

// switched streams boards from two cameras while act, unless nil, is called again and again, and returns the outcomes.
func (h *house) switched(frames int, budget time.Duration, act func(i int)) map[inspection.ResultID]camera.Outcome {

	const cameras = 2
	var (
		work sync.WaitGroup
		mu   sync.Mutex
	)
	picture := h.board(h.bad(), inspection.FormatJPEG)
	outcomes := map[inspection.ResultID]camera.Outcome{}
	for c := range cameras {
		s := h.camera(fmt.Sprintf("cam-%d", c), func(cfg *camera.StreamConfig) { cfg.Budget = budget })
		work.Go(func() {
			for i := range frames {
				f := picture
				f.Serial, f.Image.Data = fmt.Sprintf("%d-%d", c, i), inspection.NewBuffer(nil, bytesOf(picture))
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				ticket, err := s.Send(ctx, f)
				var o camera.Outcome
				if err == nil {
					o, err = ticket.Settled(ctx)
				}
				cancel()
				if err != nil || o.Answer == nil || !o.Recorded {
					h.t.Errorf("frame %s: %+v, %v; want a recorded answer", f.Serial, o, err)
					return
				}
				mu.Lock()
				outcomes[o.Answer.ID] = o
				mu.Unlock()
			}
		})
	}
	streamed := make(chan struct{})
	go func() { work.Wait(); close(streamed) }()
	for i := 0; act != nil; i++ {
		select {
		case <-streamed:
			return outcomes
		default:
			act(i)
		}
	}
	<-streamed
	return outcomes
}

// Versions are switched back and forth under load: every frame gets one effective result, by a version that was active.
func TestASwitchLosesNoFrame(t *testing.T) {
	const frames = 40 // of each camera
	h := open(t, nil)
	two := h.mustPush("2", "two")
	outcomes := h.switched(frames, 5*time.Second, func(i int) {
		if _, err := h.activate(fmt.Sprint(2 - i%2)); err != nil {
			t.Error(err)
		}
	})
	if len(outcomes) != 2*frames {
		t.Errorf("%d frames got a result of their own, want %d", len(outcomes), 2*frames)
	}
	digests := map[string]int{}
	for _, r := range h.list(inspection.Query{Limit: 100}) {
		told, ok := outcomes[r.ID]
		if !ok {
			t.Errorf("a result %s that no camera was told", r.ID)
			continue
		}
		if r.Effective.Reason == inspection.ReasonModelNotReady {
			t.Errorf("result %s is %v for %q", r.ID, r.Effective.Verdict, r.Effective.Reason)
		}
		if told.Verdict != r.Effective.Verdict {
			t.Errorf("result %s is %v, the camera was told %v", r.ID, r.Effective.Verdict, told.Verdict)
		}
		for _, j := range r.Judgements {
			if j.Source == inspection.SourceModel {
				digests[j.Model.Digest]++
			}
		}
		delete(outcomes, r.ID)
	}
	if len(outcomes) > 0 {
		t.Errorf("%d frames have no result", len(outcomes))
	}
	if digests[two.GetDigest()] == 0 || len(digests) != 2 {
		t.Errorf("judged by %v, want both versions", digests)
	}
}

// BenchmarkSwitch compares the answers that left after their deadline, or by the fallback for want of time, with and without
// switches. By hand, on a quiet machine: go test ./node -run '^$' -bench Switch -benchtime 1x
func BenchmarkSwitch(b *testing.B) {
	const frames, budget = 500, 150 * time.Millisecond
	for _, switching := range []bool{false, true} {
		b.Run(fmt.Sprintf("switching=%v", switching), func(b *testing.B) {
			h := open(b, nil)
			h.mustPush("2", "two")
			for b.Loop() {
				activations, late := 0, 0
				act := func(i int) {
					h.mustActivate(fmt.Sprint(2 - i%2))
					activations++
				}
				if !switching {
					act = nil
				}
				outcomes := h.switched(frames, budget, act)
				for _, o := range outcomes {
					if o.Source != inspection.SourceModel {
						late++
					}
				}
				b.ReportMetric(float64(activations), "activations")
				b.ReportMetric(float64(late), "fallbacks")
				b.ReportMetric(float64(h.status().GetDeadlineMisses()), "misses")
				b.ReportMetric(float64(len(outcomes)), "frames")
			}
		})
	}
}
