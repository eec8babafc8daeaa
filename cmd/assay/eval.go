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

	"github.com/assay-vision/assay/cmd/assay/eval"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// evalOptions are eval's flags.
type evalOptions struct {
	camera          cameraFlags
	task, normal    string
	view, reference string // of pictures that state none
	ious            []float64
	reportAt        float64
	wait            time.Duration // in which a picture must be judged
	report, plot    string        // files; empty: none
}

func (a *app) evalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval set.json|folder",
		Short: "Measure a recipe on a set with known truth through the running node",
		Long: "Measure a recipe on a set with known truth through the running node: its pictures are sent as simulated frames, and what\n" +
			"the model said of them is read back from the record. What is measured follows from the set's form:\n\n" +
			"  detect    a COCO-format JSON file: average precision for each class at each --iou, and precision, recall and F at\n" +
			"            the recipe's own thresholds (reject_at). File names are relative to the set's folder; an image may name its\n" +
			"            template in \"reference\". The recipe must keep candidates down to --report-at (its report_at).\n" +
			"  classify  a folder with a folder of pictures for each class, named as the model's labels: accuracy, macro F1, precision,\n" +
			"            recall and F1 for each class, and the confusion matrix. The candidate with the highest score is the prediction;\n" +
			"            where there is none, it counts as (none).\n" +
			"  anomaly   a folder with a folder of pictures for each kind, one of them normal (--normal): AUROC of the pictures'\n" +
			"            scores, for each kind and for all, and with masks and heatmaps AUROC and AUPRO of the pixels. Masks are\n" +
			"            grey PNG files, a defect above 127: MVTec AD's form (test/KIND/x.png, ground_truth/KIND/x_mask.png), or\n" +
			"            x_mask.png beside x.png, or x.png beside x.jpg. A picture's score is that of its strongest candidate, else 0.\n\n" +
			"Exit status: 0 every picture was judged by the model, 3 not so, 1 an error, 2 wrong usage.",
		Example: "  assay eval --recipe my-product --iou 0.33,0.5 --plot curves.png my-set/annotations.json\n" +
			"  assay eval --recipe steel --report steel.json --plot confusion.png my-classes/\n" +
			"  assay eval --recipe tiles --normal MT_Free my-tiles/\n" +
			"  assay eval --recipe my-product --report-at 0.05 --json my-set/annotations.json",
		Args: args(1, 1, "the set: a JSON file or a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.eval(cmd.Context(), o, args[0])
		},
	}
	f := cmd.Flags()
	o.camera.register(f, "eval")
	f.StringVar(&o.task, "task", "", "detect, classify or anomaly (default: by the set's form, and a folder by the model's task)")
	f.StringVar(&o.normal, "normal", "", "anomaly: the folder of normal pictures (default: "+strings.Join(eval.DefaultNormal(), " or ")+")")
	f.StringVar(&o.view, "view", "", "view of pictures that state none")
	f.StringVar(&o.reference, "reference", "", "reference key of pictures that state none")
	f.Float64SliceVar(&o.ious, "iou", []float64{0.5}, "detect: overlaps above which a detection is right, such as 0.33,0.5; what is called is counted at the first")
	f.Float64Var(&o.reportAt, "report-at", 0.01, "detect, anomaly: lowest score that counts")
	f.DurationVar(&o.wait, "wait", time.Minute, "time in which a picture must be judged; stands for the recipe's budget")
	f.StringVar(&o.report, "report", "", "file for the report as JSON, beside the table")
	f.StringVar(&o.plot, "plot", "", "file for a PNG: precision-recall curves, the confusion matrix, or ROC curves")
	_ = f.MarkHidden("budget")
	return cmd
}

func (o evalOptions) check() error {
	if o.camera.recipe == "" {
		return fmt.Errorf("%w: --recipe is required", errUsage)
	}
	for _, iou := range o.ious {
		if !(iou > 0 && iou < 1) {
			return fmt.Errorf("%w: --iou %g: give an overlap above 0 and below 1", errUsage, iou)
		}
	}
	switch {
	case len(o.ious) == 0:
		return fmt.Errorf("%w: --iou: give at least one overlap", errUsage)
	case !slices.Contains([]eval.Task{"", eval.Detect, eval.Classify, eval.Anomaly}, eval.Task(o.task)):
		return fmt.Errorf("%w: --task %q: give detect, classify or anomaly", errUsage, o.task)
	case !(o.reportAt >= 0 && o.reportAt <= 1):
		return fmt.Errorf("%w: --report-at %g: give a score from 0 to 1", errUsage, o.reportAt)
	case o.plot != "" && strings.ToLower(filepath.Ext(o.plot)) != ".png":
		return fmt.Errorf("%w: --plot %s: name a .png file", errUsage, o.plot)
	case o.wait <= 0:
		return fmt.Errorf("%w: --wait %v: give a time above 0", errUsage, o.wait)
	}
	return nil
}

// evalRun is what a set's pictures met on the node.
type evalRun struct {
	path   string // of the set
	set    eval.Set
	labels []string // the model's
	floor  float64  // the recipe's report_at
	model  *assayv1.ModelRef
	recipe *assayv1.RecipeRef
	raw    *assayv1.ProfileModelResponse // nil: it could not be had
	sum    *tally
}

// figures are what one task measures.
type figures interface {
	print(a *app) error
	json() map[string]any
	plot(w io.Writer, title string) error
}

// eval sends the set, reads back what was recorded and reports.
func (a *app) eval(ctx context.Context, o evalOptions, path string) error {
	set, err := eval.Read(path, eval.Task(o.task), o.normal)
	if err != nil {
		return err
	}
	conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	run := &evalRun{path: path, set: set}
	if err := a.prepareEval(ctx, conn, o, run); err != nil {
		return err
	}
	s, err := a.open(ctx, o.camera, nil)
	if err != nil {
		return err
	}
	sent, sum, err := a.sendSet(ctx, s, run.set, o)
	if err := errors.Join(err, closeStream(ctx, s, 30*time.Second)); err != nil {
		return err
	}
	run.sum = sum
	results := &recorded{client: assayv1.NewResultServiceClient(conn), session: s.Session(), sent: sent}
	var f figures
	switch run.set.Task {
	case eval.Classify:
		f, err = a.evalClasses(ctx, results, run)
	case eval.Anomaly:
		f, err = a.evalAnomaly(ctx, results, run, o.reportAt)
	case eval.Detect:
		f, err = a.evalBoxes(ctx, results, run, o)
	}
	if err != nil {
		return err
	}
	a.rawRate(ctx, conn, run)
	return errors.Join(a.reportEval(o, run, f), sum.verdict())
}

// prepareEval holds the set against the recipe and its model, before a picture is sent.
func (a *app) prepareEval(ctx context.Context, conn *grpc.ClientConn, o evalOptions, run *evalRun) error {
	if err := a.checkRecipe(ctx, conn, o, run); err != nil {
		return err
	}
	m, err := a.modelOf(ctx, conn, run)
	if err != nil {
		return err
	}
	if task := eval.Task(m.GetTask()); o.task == "" && task != run.set.Task && (task == eval.Classify || task == eval.Anomaly) {
		// What a folder is for, its form can only suggest: a classifier may have a class "good".
		if run.set, err = eval.Read(run.path, task, o.normal); err != nil {
			return fmt.Errorf("model %s@%s is for the task %s: %w", run.model.GetName(), run.model.GetVersion(), task, err)
		}
	}
	if err := run.checkFloor(o.reportAt); err != nil {
		return err
	}
	if err := run.checkClasses(m.GetLabels()); err != nil {
		return err
	}
	return run.set.CheckFiles()
}

// checkRecipe refuses a recipe that is not ready. The run gets the recipe's model and floor.
func (a *app) checkRecipe(ctx context.Context, conn *grpc.ClientConn, o evalOptions, run *evalRun) error {
	ctx, cancel := call(ctx)
	defer cancel()
	recipe := o.camera.recipe
	resp, err := assayv1.NewRecipeServiceClient(conn).GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: recipe})
	if err != nil {
		return a.explain("get recipe "+recipe, err)
	}
	r := resp.GetRecipe()
	if !r.GetReady() {
		return fmt.Errorf("recipe %s is not ready: %s", recipe, r.GetMessage())
	}
	run.model, run.recipe, run.floor = r.GetModel(), r.GetRef(), r.GetReportAt()
	return nil
}

// checkFloor refuses a recipe that keeps fewer candidates than the figures need: they would be cut short.
func (r *evalRun) checkFloor(reportAt float64) error {
	if r.set.Task != eval.Classify && r.floor > reportAt+1e-9 {
		return fmt.Errorf("recipe %s keeps candidates from %g on, and the figures are to count them from %g: lower the recipe's report_at, or raise --report-at", r.recipe.GetName(), r.floor, reportAt)
	}
	return nil
}

// modelOf reads the model that the run's recipe names.
func (a *app) modelOf(ctx context.Context, conn *grpc.ClientConn, run *evalRun) (*assayv1.Model, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	resp, err := assayv1.NewModelServiceClient(conn).GetModel(ctx, &assayv1.GetModelRequest{Name: run.model.GetName(), Version: run.model.GetVersion()})
	if err != nil {
		return nil, a.explain("get model "+run.model.GetName(), err)
	}
	return resp.GetModel(), nil
}

// checkClasses refuses a set that was annotated with other classes than the model calls, before a picture is sent.
func (r *evalRun) checkClasses(labels []string) error {
	r.labels = labels
	remedy := map[eval.Task]string{eval.Detect: "name the set's categories as the model's labels", eval.Classify: "name the set's folders as the model's labels"}[r.set.Task]
	for _, class := range r.set.Classes {
		if remedy != "" && len(r.labels) > 0 && !slices.Contains(r.labels, class) {
			return fmt.Errorf("the set has class %q, which model %s@%s does not call (it calls: %s): %s",
				class, r.model.GetName(), r.model.GetVersion(), strings.Join(r.labels, ", "), remedy)
		}
	}
	return nil
}

// rawRate asks what the model's graph alone was measured at on the node's device.
func (a *app) rawRate(ctx context.Context, conn *grpc.ClientConn, run *evalRun) {
	ctx, cancel := call(ctx)
	defer cancel()
	p, err := assayv1.NewModelServiceClient(conn).ProfileModel(ctx, &assayv1.ProfileModelRequest{Name: run.model.GetName(), Version: run.model.GetVersion()})
	if err != nil {
		fmt.Fprintln(os.Stderr, "assay: the rate of ONNX Runtime alone is not known:", a.explain("profile model "+run.model.GetName(), err))
		return
	}
	run.raw = p
}

// reportEval prints the figures and writes the files that are wanted.
func (a *app) reportEval(o evalOptions, run *evalRun, f figures) error {
	var errs []error
	if a.json {
		errs = append(errs, a.printJSON(run.json(f)))
	} else {
		errs = append(errs, f.print(a))
		fmt.Fprintln(a.out, run)
		fmt.Fprintln(a.out, run.sum)
	}
	if o.report != "" {
		errs = append(errs, writeFile(o.report, func(w io.Writer) error { return (&app{out: w}).printJSON(run.json(f)) }))
	}
	if o.plot != "" {
		title := fmt.Sprintf("%s@%s, recipe %s revision %d: ", run.model.GetName(), run.model.GetVersion(), run.recipe.GetName(), run.recipe.GetRevision())
		errs = append(errs, writeFile(o.plot, func(w io.Writer) error { return f.plot(w, title) }))
	}
	return errors.Join(errs...)
}

// writeFile writes a file of this name, and removes it again where that fails.
func writeFile(name string, write func(w io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		_ = os.Remove(name)
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// rate is the frames a second that were served, from the first one's sending to the last one's record.
func (r *evalRun) rate() float64 {
	if r.sum.Seconds == 0 {
		return math.NaN()
	}
	return float64(r.sum.Frames) / r.sum.Seconds
}

// String says what was measured, and how fast it was beside the graph alone.
func (r *evalRun) String() string {
	s := fmt.Sprintf("Model %s@%s (digest %.12s), recipe %s revision %d (digest %.12s).\nServed %.1f frames/s", r.model.GetName(), r.model.GetVersion(), r.model.GetDigest(),
		r.recipe.GetName(), r.recipe.GetRevision(), r.recipe.GetDigest(), r.rate())
	if t := r.raw.GetThroughput(); t != nil {
		s += fmt.Sprintf("; ONNX Runtime alone was measured at %.1f samples/s (%s, graph %s, callers %d, threads of each %d, batch %d)",
			t.GetSamplesPerSecond(), r.raw.GetDevice(), t.GetVariant(), t.GetCallers(), t.GetThreads(), t.GetBatch())
	}
	return s + "."
}

func (r *evalRun) json(f figures) map[string]any {
	out := f.json()
	out["task"], out["summary"], out["frames_per_second"] = r.set.Task, r.sum, number(r.rate())
	out["model"] = map[string]any{"name": r.model.GetName(), "version": r.model.GetVersion(), "digest": r.model.GetDigest()}
	out["recipe"] = map[string]any{"name": r.recipe.GetName(), "revision": r.recipe.GetRevision(), "digest": r.recipe.GetDigest()}
	if t := r.raw.GetThroughput(); t != nil {
		out["raw"] = map[string]any{"samples_per_second": t.GetSamplesPerSecond(), "device": r.raw.GetDevice(), "variant": t.GetVariant(),
			"threads": t.GetThreads(), "callers": t.GetCallers(), "batch": t.GetBatch()}
	}
	return out
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
