package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/cmd/assay/eval"
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// setSource yields a set's pictures as simulated frames, in its order.
type setSource struct {
	set             eval.Set
	view, reference string // of pictures that state none
	wait            time.Duration
	next            int
}

func (s *setSource) Len() int     { return len(s.set.Images) }
func (s *setSource) Close() error { return nil }

func (s *setSource) Next(ctx context.Context) (camera.Shot, error) {
	if s.next == len(s.set.Images) {
		return camera.Shot{}, io.EOF
	}
	im := s.set.Images[s.next]
	s.next++
	data, err := os.ReadFile(s.set.Path(im.File))
	if err != nil {
		return camera.Shot{}, fmt.Errorf("picture of the set: %w", err)
	}
	frame := inspection.Frame{
		Serial: fmt.Sprintf("eval-%d", s.next-1), View: cmp.Or(im.View, s.view), Reference: cmp.Or(im.Reference, s.reference), Budget: s.wait, Simulated: true,
		Image: inspection.Image{Format: camera.FormatOf(data), Width: im.Width, Height: im.Height, Data: inspection.NewBuffer(nil, data)},
	}
	return camera.Shot{Name: im.File, Frame: frame}, ctx.Err()
}

// sendSet streams the set and returns the image index of each sent seq.
func (a *app) sendSet(ctx context.Context, s *camera.Stream, set eval.Set, o evalOptions) (map[uint64]int, *tally, error) {
	sent := map[uint64]int{}
	sum := newTally()
	bar := progress(len(set.Images), "eval")
	err := s.Run(ctx, &setSource{set: set, view: o.view, reference: o.reference, wait: o.wait}, func(shot camera.Shot, o camera.Outcome) error {
		_ = bar.Add(1)
		sum.add(o)
		var image int
		if _, err := fmt.Sscanf(o.Frame.Serial, "eval-%d", &image); err != nil {
			return fmt.Errorf("picture %s came back with serial %q", shot.Name, o.Frame.Serial)
		}
		sent[o.Frame.Key.Seq] = image
		if o.Answer == nil || o.Answer.Judgement.Source != inspection.SourceModel {
			_ = bar.Clear()
			fmt.Fprintf(os.Stderr, "assay: %s was not judged by the model: %s %s\n", plain(shot.Name), o.Verdict, told(false, nil, string(o.Reason), outcomeWhy(o)))
		}
		return nil
	})
	_ = bar.Finish()
	sum.finish()
	return sent, sum, err
}

// recorded is what the node has on record of a set.
type recorded struct {
	client  assayv1.ResultServiceClient
	session string
	sent    map[uint64]int // image index by seq
}

// eachResult reads the results page by page and hands over the first model judgement of each, nil where there is none. The
// run gets the model and recipe that judged; where they changed on the way, the figures would be of neither.
func (a *app) eachResult(ctx context.Context, rec *recorded, run *evalRun, each func(image int, r *assayv1.Result, j *assayv1.Judgement) error) error {
	// Small pages: a result may bring masks.
	req := &assayv1.ListResultsRequest{PageSize: 200, Ascending: true, Filter: &assayv1.ResultFilter{Session: rec.session, Simulated: assayv1.Simulated_SIMULATED_ONLY}}
	seen, first := 0, true
	for {
		page, cancel := call(ctx)
		resp, err := rec.client.ListResults(page, req)
		cancel()
		if err != nil {
			return a.explain("read results", err)
		}
		for _, r := range resp.GetResults() {
			image, ok := rec.sent[r.GetKey().GetSeq()]
			if !ok {
				return fmt.Errorf("result %s has seq %d, which was not sent", r.GetId(), r.GetKey().GetSeq())
			}
			seen++
			j := modelJudgement(r)
			if j != nil && first {
				run.model, run.recipe, first = j.GetModel(), j.GetRecipe(), false
			}
			if j != nil && (j.GetModel().GetDigest() != run.model.GetDigest() || j.GetRecipe().GetDigest() != run.recipe.GetDigest()) {
				return fmt.Errorf("the model or the recipe changed on the way, from %s@%s and revision %d to %s@%s and revision %d: run eval again", run.model.GetName(), run.model.GetVersion(),
					run.recipe.GetRevision(), j.GetModel().GetName(), j.GetModel().GetVersion(), j.GetRecipe().GetRevision())
			}
			if err := each(image, r, j); err != nil {
				return err
			}
		}
		if req.Cursor = resp.GetNextCursor(); req.Cursor == "" {
			break
		}
	}
	if seen != len(rec.sent) {
		return fmt.Errorf("%d frames were sent and %d results are recorded", len(rec.sent), seen)
	}
	return nil
}

// modelJudgement is the first judgement that a model made, nil where there is none.
func modelJudgement(r *assayv1.Result) *assayv1.Judgement {
	for _, j := range r.GetJudgements() {
		if j.GetSource() == assayv1.Source_SOURCE_MODEL {
			return j
		}
	}
	return nil
}

// strongest is the candidate with the highest score, the first of several, nil where there is none.
func strongest(j *assayv1.Judgement) *assayv1.Defect {
	var best *assayv1.Defect
	for _, d := range j.GetDefects() {
		if best == nil || d.GetScore() > best.GetScore() {
			best = d
		}
	}
	return best
}
