package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/cmd/assay/eval"
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// evalOptions are eval's flags.
type evalOptions struct {
	camera        cameraFlags
	iou, reportAt float64
	wait          time.Duration // in which a picture must be judged
}

func (a *app) evalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval set.json",
		Short: "Measure a recipe on a COCO-format set through the running node",
		Long: "Measure a recipe on a COCO-format set through the running node: its pictures are sent as simulated frames, the\n" +
			"candidates are read back from the record, and average precision is computed per class, with precision, recall and F\n" +
			"at the recipe's own thresholds. File names are relative to the set's folder; an image may name its template in\n" +
			"\"reference\". The recipe must keep candidates down to --report-at (its report_at).\n\n" +
			"Exit status: 0 every picture was judged by the model, 3 not so, 1 an error, 2 wrong usage.",
		Example: "  assay eval --recipe my-product --iou 0.5 my-set/annotations.json\n  assay eval --recipe my-product --report-at 0.05 --json my-set/annotations.json",
		Args:    args(1, 1, "the set's JSON file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.eval(cmd.Context(), o, args[0])
		},
	}
	f := cmd.Flags()
	o.camera.register(f, "eval")
	f.Float64Var(&o.iou, "iou", 0.5, "overlap above which a detection is right")
	f.Float64Var(&o.reportAt, "report-at", 0.01, "lowest score that counts for average precision")
	f.DurationVar(&o.wait, "wait", time.Minute, "time in which a picture must be judged; stands for the recipe's budget")
	_ = f.MarkHidden("budget")
	return cmd
}

func (o evalOptions) check() error {
	switch {
	case o.camera.recipe == "":
		return fmt.Errorf("%w: --recipe is required", errUsage)
	case !(o.iou > 0 && o.iou < 1):
		return fmt.Errorf("%w: --iou %g: give an overlap above 0 and below 1", errUsage, o.iou)
	case !(o.reportAt >= 0 && o.reportAt <= 1):
		return fmt.Errorf("%w: --report-at %g: give a score from 0 to 1", errUsage, o.reportAt)
	case o.wait <= 0:
		return fmt.Errorf("%w: --wait %v: give a time above 0", errUsage, o.wait)
	}
	return nil
}

// eval sends the set, reads back what was recorded and reports.
func (a *app) eval(ctx context.Context, o evalOptions, path string) error {
	set, err := eval.ReadCOCO(path)
	if err != nil {
		return err
	}
	conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	model, err := a.checkFloor(ctx, conn, o.camera.recipe, o.reportAt)
	if err != nil {
		return err
	}
	if err := a.checkClasses(ctx, conn, model, set); err != nil {
		return err
	}
	s, err := a.open(ctx, o.camera, nil)
	if err != nil {
		return err
	}
	sent, sum, err := a.sendSet(ctx, s, set, filepath.Dir(path), o.wait)
	if err := errors.Join(err, closeStream(ctx, s, 30*time.Second)); err != nil {
		return err
	}
	detections, err := a.readDetections(ctx, assayv1.NewResultServiceClient(conn), s.Session(), sent, o.reportAt)
	if err != nil {
		return err
	}
	return a.report(set, detections, sum, o.iou)
}

// checkFloor refuses a recipe that keeps fewer candidates than the figure needs: its AP would be cut short. It returns the
// recipe's model.
func (a *app) checkFloor(ctx context.Context, conn *grpc.ClientConn, recipe string, reportAt float64) (*assayv1.ModelRef, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	resp, err := assayv1.NewRecipeServiceClient(conn).GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: recipe})
	if err != nil {
		return nil, a.explain("get recipe "+recipe, err)
	}
	r := resp.GetRecipe()
	if !r.GetReady() {
		return nil, fmt.Errorf("recipe %s is not ready: %s", recipe, r.GetMessage())
	}
	if r.GetReportAt() > reportAt+1e-9 {
		return nil, fmt.Errorf("recipe %s keeps candidates from %g on, and average precision is to count them from %g: lower the recipe's report_at, or raise --report-at", recipe, r.GetReportAt(), reportAt)
	}
	return r.GetModel(), nil
}

// checkClasses refuses a set that was annotated with other classes than the model calls, before a picture is sent.
func (a *app) checkClasses(ctx context.Context, conn *grpc.ClientConn, model *assayv1.ModelRef, set eval.Set) error {
	ctx, cancel := call(ctx)
	defer cancel()
	resp, err := assayv1.NewModelServiceClient(conn).GetModel(ctx, &assayv1.GetModelRequest{Name: model.GetName(), Version: model.GetVersion()})
	if err != nil {
		return a.explain("get model "+model.GetName(), err)
	}
	labels := resp.GetModel().GetLabels()
	for _, class := range set.Classes {
		if len(labels) > 0 && !slices.Contains(labels, class) {
			return fmt.Errorf("the set has class %q, which model %s@%s does not call (it calls: %s): name the set's categories as the model's labels",
				class, model.GetName(), model.GetVersion(), strings.Join(labels, ", "))
		}
	}
	return nil
}

// setSource yields a set's pictures as simulated frames, in its order.
type setSource struct {
	set  eval.Set
	dir  string
	wait time.Duration
	next int
}

func (s *setSource) Len() int     { return len(s.set.Images) }
func (s *setSource) Close() error { return nil }

func (s *setSource) Next(ctx context.Context) (camera.Shot, error) {
	if s.next == len(s.set.Images) {
		return camera.Shot{}, io.EOF
	}
	im := s.set.Images[s.next]
	s.next++
	data, err := os.ReadFile(filepath.Join(s.dir, im.File))
	if err != nil {
		return camera.Shot{}, fmt.Errorf("picture of the set: %w", err)
	}
	frame := inspection.Frame{
		Serial: fmt.Sprintf("eval-%d", s.next-1), View: im.View, Reference: im.Reference, Budget: s.wait, Simulated: true,
		Image: inspection.Image{Format: camera.FormatOf(data), Width: im.Width, Height: im.Height, Data: inspection.NewBuffer(nil, data)},
	}
	return camera.Shot{Name: im.File, Frame: frame}, ctx.Err()
}

// sendSet streams the set and returns the image index of each sent seq.
func (a *app) sendSet(ctx context.Context, s *camera.Stream, set eval.Set, dir string, wait time.Duration) (map[uint64]int, *tally, error) {
	sent := map[uint64]int{}
	sum := newTally()
	bar := progress(len(set.Images), "eval")
	err := s.Run(ctx, &setSource{set: set, dir: dir, wait: wait}, func(shot camera.Shot, o camera.Outcome) error {
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

// readDetections reads the session's results and returns every candidate of the first model judgement of each.
func (a *app) readDetections(ctx context.Context, client assayv1.ResultServiceClient, session string, sent map[uint64]int, floor float64) ([]eval.Detection, error) {
	req := &assayv1.ListResultsRequest{PageSize: 1000, Ascending: true, Filter: &assayv1.ResultFilter{Session: session, Simulated: assayv1.Simulated_SIMULATED_ONLY}}
	var detections []eval.Detection
	seen := 0
	for {
		page, cancel := call(ctx)
		resp, err := client.ListResults(page, req)
		cancel()
		if err != nil {
			return nil, a.explain("read results", err)
		}
		for _, r := range resp.GetResults() {
			image, ok := sent[r.GetKey().GetSeq()]
			if !ok {
				return nil, fmt.Errorf("result %s has seq %d, which was not sent", r.GetId(), r.GetKey().GetSeq())
			}
			seen++
			detections = append(detections, candidates(r, image, floor)...)
		}
		if req.Cursor = resp.GetNextCursor(); req.Cursor == "" {
			break
		}
	}
	if seen != len(sent) {
		return nil, fmt.Errorf("%d frames were sent and %d results are recorded", len(sent), seen)
	}
	return detections, nil
}

func candidates(r *assayv1.Result, image int, floor float64) []eval.Detection {
	var out []eval.Detection
	for _, j := range r.GetJudgements() {
		if j.GetSource() != assayv1.Source_SOURCE_MODEL {
			continue
		}
		for _, d := range j.GetDefects() {
			b := d.GetBox()
			if d.GetScore() >= floor {
				out = append(out, eval.Detection{
					Image: image, Class: d.GetClass(), Score: d.GetScore(), Called: d.GetCalled() && d.GetVerdict() == assayv1.Verdict_VERDICT_FAIL,
					Box: inspection.Box{X1: b.GetX1(), Y1: b.GetY1(), X2: b.GetX2(), Y2: b.GetY2()},
				})
			}
		}
		break
	}
	return out
}

func (a *app) report(set eval.Set, detections []eval.Detection, sum *tally, iou float64) error {
	report, err := eval.Evaluate(set.Classes, set.Truths, detections, iou)
	if err != nil {
		return fmt.Errorf("the model's classes and the set's do not agree: %w", err)
	}
	if a.json {
		err = a.printReportJSON(report, sum)
	} else {
		err = a.printReport(report, sum)
	}
	return errors.Join(err, sum.verdict())
}

func (a *app) printReport(report eval.Report, sum *tally) error {
	err := a.table(fmt.Sprintf("CLASS\tAP@%g\tTRUTHS\tPRECISION\tRECALL\tF\tFOUND\tFALSE\tMISSED", report.IoU), func(w io.Writer) {
		row := func(name string, ap float64, truths int, c eval.Counts) {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%d\t%d\t%d\n", name, percent(ap), truths, percent(c.Precision()), percent(c.Recall()), percent(c.F()), c.Right, c.Wrong, c.Missed)
		}
		truths := 0
		for _, c := range report.Classes {
			row(c.Class, c.AP, c.Truths, c.Counts)
			truths += c.Truths
		}
		row("all (mean AP)", report.MeanAP, truths, report.Total)
	})
	fmt.Fprintln(a.out, "Precision, recall and F are at the recipe's reject_at.")
	fmt.Fprintln(a.out, sum)
	return err
}

func (a *app) printReportJSON(report eval.Report, sum *tally) error {
	type figures struct {
		Class     string   `json:"class"`
		AP        *float64 `json:"ap"`
		Truths    int      `json:"truths"`
		Precision *float64 `json:"precision"`
		Recall    *float64 `json:"recall"`
		F         *float64 `json:"f"`
		Found     int      `json:"found"`
		False     int      `json:"false"`
		Missed    int      `json:"missed"`
	}
	of := func(class string, ap float64, truths int, c eval.Counts) figures {
		return figures{class, number(ap), truths, number(c.Precision()), number(c.Recall()), number(c.F()), c.Right, c.Wrong, c.Missed}
	}
	var classes []figures
	truths := 0
	for _, c := range report.Classes {
		classes = append(classes, of(c.Class, c.AP, c.Truths, c.Counts))
		truths += c.Truths
	}
	return a.printJSON(map[string]any{"iou": report.IoU, "classes": classes, "all": of("", report.MeanAP, truths, report.Total), "summary": sum})
}

// number is nil for what cannot be told, for JSON knows no NaN.
func number(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.2f", 100*x)
}
