//go:build gocv_specific_modules

package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
	"github.com/assay-vision/assay/node/nodetest"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// edited is the boards' recipe with a threshold of its own: another revision that judges alike.
func edited(rejectAt string) string {
	return strings.Replace(nodetest.BoardRecipe(boards), "reject_at: 0.49", "reject_at: "+rejectAt, 1)
}

// broken is the boards' recipe with a fault in line 4.
var broken = strings.Replace(nodetest.BoardRecipe(boards), "report_at: 0.05", "report_at: 5", 1)

// inForce waits until a revision is in force.
func (h *house) inForce(revision int32) *assayv1.Recipe {
	h.t.Helper()
	var r *assayv1.Recipe
	nodetest.Until(h.t, fmt.Sprintf("revision %d is in force", revision), func() error {
		if r = h.recipe(boards); r.GetRef().GetRevision() != revision || !r.GetReady() {
			return fmt.Errorf("revision %d, ready %v, %q", r.GetRef().GetRevision(), r.GetReady(), r.GetMessage())
		}
		return nil
	})
	return r
}

// A recipe is edited five times while frames come without a pause. Every frame is judged by the model under one of the
// revisions: at no moment is there none.
func TestARecipeIsSwitchedUnderARunningStream(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	ctx, stop := context.WithCancel(h.ctx())
	defer stop()
	f := h.board(h.bad(), inspection.FormatJPEG)
	var tickets []*camera.Ticket
	sent := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			ticket, err := s.Send(h.ctx(), f)
			if err == nil {
				tickets = append(tickets, ticket)
				_, err = ticket.Verdict(ctx)
			}
			if err != nil && ctx.Err() == nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	digests := map[int]string{1: h.recipe(boards).GetRef().GetDigest()}
	for i := range 5 {
		h.WriteRecipe("boards.yaml", edited(fmt.Sprintf("0.4%d", i)))
		digests[i+2] = h.inForce(int32(i + 2)).GetRef().GetDigest()
	}
	last := h.judge(h.camera("cam-2", nil), f)
	stop()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	for _, ticket := range tickets {
		o := h.settled(ticket)
		j := h.get(o.Answer.ID).Judgements[0]
		count[j.Recipe.Revision]++
		if o.Source != inspection.SourceModel || o.Verdict != inspection.Fail {
			t.Errorf("frame %d: %v by %v, %q; want FAIL by the model", o.Frame.Key.Seq, o.Verdict, o.Source, o.Reason)
		}
		if j.Recipe.Digest == "" || j.Recipe.Digest != digests[j.Recipe.Revision] {
			t.Errorf("frame %d: revision %d with digest %s, want %s", o.Frame.Key.Seq, j.Recipe.Revision, j.Recipe.Digest, digests[j.Recipe.Revision])
		}
	}
	if r := last.Answer.Judgement.Recipe; r.Revision != 6 || r.Digest != digests[6] {
		t.Errorf("a frame after the last edit was judged under revision %d, want 6", r.Revision)
	}
	if len(count) < 3 {
		t.Errorf("%d frames were judged under the revisions %v: the stream did not see the switches", len(tickets), count)
	}
	if got := len(h.list(inspection.Query{Camera: "cam-1", Limit: 1000})); got != len(tickets) {
		t.Errorf("%d results of %d frames", got, len(tickets))
	}
}

func TestABrokenEditKeepsTheRevisionBeforeAndSaysSo(t *testing.T) {
	for _, c := range []struct {
		name, text string
		says       []string
		taken      bool // it was imported, but its model cannot judge for it
	}{
		{"a number out of range", broken, []string{"boards.yaml:4:", "report_at", "out of range"}, false},
		{"no YAML", "name: [", []string{"boards.yaml:"}, false},
		{"a template that is none", strings.Replace(nodetest.BoardRecipe(boards), "folder: templates", "folder: nowhere", 1), []string{"boards.yaml", "reference.folder"}, false},
		{"a label that the model has not", strings.Replace(nodetest.BoardRecipe(boards), `"*":`, `scratch: {reject_at: 0.5}`+"\n"+`  "*":`, 1), []string{"revision 2 cannot judge", "classes.scratch", "revision 1 stays in force"}, true},
		{"a model that is not there", strings.Replace(nodetest.BoardRecipe(boards), "pcb-pair", "pcb-triple", 1), []string{"revision 2 cannot judge", "pcb-triple", "pcb-pair"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, nil)
			h.WriteRecipe("boards.yaml", c.text)
			nodetest.Until(t, "the recipe says what is wrong", func() error {
				if r := h.recipe(boards); !holds(r.GetMessage(), c.says...) {
					return errors.New(r.GetMessage())
				}
				return nil
			})
			r := h.recipe(boards)
			if r.GetRef().GetRevision() != 1 || !r.GetReady() {
				t.Errorf("revision %d is in force, ready %v; want 1, ready", r.GetRef().GetRevision(), r.GetReady())
			}
			if ready := h.Readiness(); !ready.Ready || !mentions(ready.Warnings, c.says...) {
				t.Errorf("/readyz says %+v, want ready with a warning", ready)
			}
			if s := h.status(); !s.GetReady() || !mentions(s.GetWarnings(), c.says...) {
				t.Errorf("status warns of %q, want the fault", s.GetWarnings())
			}
			o := h.judge(h.camera("cam-1", nil), h.board(h.bad(), inspection.FormatPNG))
			if o.Verdict != inspection.Fail || o.Answer.Judgement.Recipe.Revision != 1 {
				t.Errorf("a frame is %v under revision %d, want FAIL under 1", o.Verdict, o.Answer.Judgement.Recipe.Revision)
			}
			h.WriteRecipe("boards.yaml", edited("0.48"))
			next := int32(2)
			if c.taken {
				next = 3
			}
			if r := h.inForce(next); r.GetMessage() != "" {
				t.Errorf("corrected, it still says %q", r.GetMessage())
			}
			if w := h.Readiness().Warnings; len(w) != 0 {
				t.Errorf("corrected, /readyz still warns of %q", w)
			}
		})
	}
}

// A node that starts beside a broken file judges by the store's revision, with the templates that it had.
func TestABrokenFileKeepsTheRevisionBeforeAcrossARestart(t *testing.T) {
	h := open(t, nil)
	h.WriteRecipe("boards.yaml", edited("0.48"))
	before := h.inForce(2)
	h.Restart(func(c *node.Config) {
		h.WriteRecipe("boards.yaml", broken)
		if err := os.RemoveAll(filepath.Join(c.Recipes.Dir, "templates")); err != nil {
			t.Fatal(err)
		}
	})
	h.WaitReady()
	r := h.recipe(boards)
	if r.GetRef().GetRevision() != 2 || r.GetRef().GetDigest() != before.GetRef().GetDigest() || !r.GetImported().AsTime().Equal(before.GetImported().AsTime()) {
		t.Errorf("in force is %v of %v, want %v of %v", r.GetRef(), r.GetImported().AsTime(), before.GetRef(), before.GetImported().AsTime())
	}
	says := []string{"restored from the store", "boards.yaml", "report_at", "out of range"}
	if !holds(r.GetMessage(), says...) {
		t.Errorf("the recipe says %q, want %q", r.GetMessage(), says)
	}
	if w := h.Readiness().Warnings; !mentions(w, append(says, boards)...) {
		t.Errorf("/readyz warns of %q, want %q", w, says)
	}
	o := h.judge(h.camera("cam-1", nil), h.board(h.bad(), inspection.FormatPNG))
	if got := h.get(o.Answer.ID).Judgements[0].Recipe; o.Verdict != inspection.Fail || got.Revision != 2 || got.Digest != before.GetRef().GetDigest() {
		t.Errorf("a frame is %v under %+v, want FAIL under %v", o.Verdict, got, before.GetRef())
	}
	h.WriteTemplates(h.series)
	h.WriteRecipe("boards.yaml", edited("0.47"))
	if r := h.inForce(3); r.GetMessage() != "" || len(h.Readiness().Warnings) != 0 {
		t.Errorf("corrected, it still says %q and warns of %q", r.GetMessage(), h.Readiness().Warnings)
	}
	o = h.judge(h.camera("cam-2", nil), h.board(h.bad(), inspection.FormatPNG))
	if got := o.Answer.Judgement.Recipe; o.Verdict != inspection.Fail || got.Revision != 3 {
		t.Errorf("a frame is %v under revision %d, want FAIL under 3", o.Verdict, got.Revision)
	}
}

// Only a fault brings a recipe back: one whose file was taken away is gone when the node is started again.
func TestARemovedRecipeIsGoneAfterARestart(t *testing.T) {
	h := open(t, nil)
	h.WriteRecipe("other.yaml", strings.Replace(nodetest.BoardRecipe("other"), "0.49", "0.5", 1))
	nodetest.Until(t, "other is in force", func() error {
		if _, err := assayv1.NewRecipeServiceClient(h.Conn()).GetRecipe(h.ctx(), &assayv1.GetRecipeRequest{Name: "other"}); err != nil {
			return err
		}
		return nil
	})
	h.WaitReady()
	h.remove("boards.yaml")
	nodetest.Until(t, "the removal is seen", func() error {
		if m := h.recipe(boards).GetMessage(); !holds(m, "removed") {
			return errors.New(m)
		}
		return nil
	})
	h.inForce(1)
	h.Restart(nil)
	h.WaitReady()
	_, err := assayv1.NewRecipeServiceClient(h.Conn()).GetRecipe(h.ctx(), &assayv1.GetRecipeRequest{Name: boards})
	if status.Code(err) != codes.NotFound || !holds(err.Error(), `"other"`) {
		t.Errorf("the removed recipe: %v, want NOT_FOUND with what there is", err)
	}
	h.Restart(func(*node.Config) { h.WriteRecipe("third.yaml", "name: third\n") })
	h.WaitReady()
	if r := h.inForce(1); !holds(r.GetMessage(), "restored", "third.yaml") { // it may have been this one's
		t.Errorf("beside a faulty file: %q, want it restored because of third.yaml", r.GetMessage())
	}
	h.remove("third.yaml")
	nodetest.Until(t, "it says what becomes of it", func() error {
		if m := h.recipe(boards).GetMessage(); !holds(m, "no file states it", "until the node is restarted") {
			return errors.New(m)
		}
		return nil
	})
}

func (h *house) remove(file string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.Config.Recipes.Dir, file)); err != nil {
		h.t.Fatal(err)
	}
}

// A node without a recipe is alive and says what it needs; each recipe has a health of its own.
func TestHealthIsPerRecipe(t *testing.T) {
	h := prepare(t, nil)
	h.Start()
	nodetest.Until(t, "the node has looked for recipes", func() error {
		if r := h.Readiness(); r.Ready || !mentions(r.Reasons, "no recipe", "recipes.dir") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if code, _, body := h.Get("/healthz", nil); code != 200 || string(body) != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	h.wantHealth("", "NOT_SERVING")
	h.wantHealth("recipe/boards", "NotFound")
	h.WriteRecipe("boards.yaml", strings.Replace(nodetest.BoardRecipe(boards), "pcb-pair", "pcb-triple", 1))
	h.wantHealth("recipe/boards", "NOT_SERVING")
	nodetest.Until(t, "/readyz says why", func() error {
		if r := h.Readiness(); r.Ready || !mentions(r.Reasons, boards, "unknown model", "pcb-triple") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	f := h.board(h.bad(), inspection.FormatPNG)
	if o := h.judge(h.camera("cam-1", nil), f); o.Verdict != inspection.Review || o.Reason != inspection.ReasonModelNotReady || o.Source != inspection.SourceFallback {
		t.Errorf("a frame of a recipe without its model: %v, %q by %v; want its fallback REVIEW, MODEL_NOT_READY", o.Verdict, o.Reason, o.Source)
	}
	h.WriteRecipe("boards.yaml", nodetest.BoardRecipe(boards))
	h.wantHealth("recipe/boards", "SERVING")
	h.wantHealth("", "SERVING")
	h.WriteRecipe("other.yaml", strings.Replace(nodetest.BoardRecipe("other"), "pcb-pair", "pcb-triple", 1))
	h.wantHealth("recipe/other", "NOT_SERVING")
	h.wantHealth("recipe/boards", "SERVING")
	h.wantHealth("", "NOT_SERVING")
}

func (h *house) wantHealth(service, want string) {
	h.t.Helper()
	nodetest.Until(h.t, fmt.Sprintf("health of %q is %s", service, want), func() error {
		resp, err := healthgrpc.NewHealthClient(h.Conn()).Check(h.ctx(), &healthgrpc.HealthCheckRequest{Service: service})
		got := resp.GetStatus().String()
		if err != nil {
			got = status.Code(err).String()
		}
		if got != want {
			return errors.New(got)
		}
		return nil
	})
}
