package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// resultFlags are the flags that select results.
type resultFlags struct {
	filter    *assayv1.ResultFilter
	verdicts  []string
	since     time.Duration
	from, to  string
	simulated string
}

func (f *resultFlags) register(cmd *cobra.Command) {
	f.filter = &assayv1.ResultFilter{}
	flags := cmd.Flags()
	for _, s := range []struct {
		field      *string
		name, help string
	}{
		{&f.filter.Serial, "serial", "part serial"}, {&f.filter.RunId, "run", "run id"}, {&f.filter.Lot, "lot", "production batch"},
		{&f.filter.WorkOrder, "work-order", "work order"}, {&f.filter.Line, "line", "line"}, {&f.filter.Station, "station", "station"},
		{&f.filter.Camera, "camera", "camera"}, {&f.filter.Session, "session", "session of a camera client"}, {&f.filter.Product, "product", "product"},
		{&f.filter.Recipe, "recipe", "recipe"}, {&f.filter.Model, "model", "model"}, {&f.filter.ModelVersion, "model-version", "model version"},
		{&f.filter.DefectClass, "defect", "class of a called defect"},
	} {
		flags.StringVar(s.field, s.name, "", "only this "+s.help)
	}
	flags.StringSliceVar(&f.verdicts, "verdict", nil, "only these effective verdicts: PASS, FAIL, REVIEW, UNDETERMINED")
	flags.DurationVar(&f.since, "since", 0, "only what was received in the last, such as 2h")
	flags.StringVar(&f.from, "from", "", "only what was received at or after, RFC 3339 such as 2026-11-22T08:00:00Z")
	flags.StringVar(&f.to, "to", "", "only what was received before, RFC 3339")
	flags.StringVar(&f.simulated, "simulated", "exclude", "simulated frames (eval, replay, benchmarks): exclude, only or include")
}

func (f *resultFlags) build() (*assayv1.ResultFilter, error) {
	for _, name := range f.verdicts {
		v, err := inspection.ParseVerdict(strings.ToUpper(name))
		if err != nil {
			return nil, fmt.Errorf("%w: --verdict: %w", errUsage, err)
		}
		f.filter.Verdicts = append(f.filter.Verdicts, assayv1.Verdict(v))
	}
	side, ok := map[string]assayv1.Simulated{"exclude": 0, "only": assayv1.Simulated_SIMULATED_ONLY, "include": assayv1.Simulated_SIMULATED_INCLUDE}[f.simulated]
	if !ok {
		return nil, fmt.Errorf("%w: --simulated %q: give exclude, only or include", errUsage, f.simulated)
	}
	f.filter.Simulated = side
	if f.since > 0 {
		f.filter.From = timestamppb.New(time.Now().Add(-f.since))
	}
	for _, t := range []struct {
		name, text string
		field      **timestamppb.Timestamp
	}{{"from", f.from, &f.filter.From}, {"to", f.to, &f.filter.To}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			return nil, fmt.Errorf("%w: --%s %q: write RFC 3339, such as 2026-11-22T08:00:00Z", errUsage, t.name, t.text)
		}
		*t.field = timestamppb.New(at)
	}
	return f.filter, nil
}

func (a *app) resultsCommand() *cobra.Command {
	var flags resultFlags
	var limit int
	var all, watch, ascending bool
	var cursor, heatmap string
	cmd := &cobra.Command{
		Use:   "results [id]",
		Short: "Show recorded results: the newest, one by its id, or new ones as they come (--watch)",
		Long: "Show recorded results: the newest, one by its id, or new ones as they come (--watch). Simulated frames are left out\n" +
			"unless --simulated says otherwise.\n\n" +
			"With --json each result is a line; where --limit left some out, the last line is {\"next_cursor\": \"...\"}: give it to\n" +
			"--cursor, with the same filter, for the page after. Lines of --watch are {\"result\": ..., \"cursor\": \"...\"}: keep the\n" +
			"last cursor, and a watch that gives it to --cursor goes on there; --cursor 0 begins with the first result.\n\n" +
			asksOnly,
		Example: "  assay results --verdict FAIL,REVIEW --since 2h\n  assay results 208f21b5ff2d93c47320dc96cf64a647\n  assay results 208f21b5ff2d93c47320dc96cf64a647 --heatmap seen.png\n  assay results --lot LOT-7 --all --json\n  assay results --watch --json --cursor 0",
		Args:    args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return fmt.Errorf("%w: --limit %d: give at least 1, or --all", errUsage, limit)
			}
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			client := assayv1.NewResultServiceClient(conn)
			if len(args) == 1 {
				return a.showResult(cmd.Context(), client, args[0], heatmap)
			}
			if heatmap != "" {
				return fmt.Errorf("%w: --heatmap needs the id of one result", errUsage)
			}
			filter, err := flags.build()
			if err != nil {
				return err
			}
			if watch {
				return a.watchResults(cmd.Context(), client, &assayv1.WatchResultsRequest{Filter: filter, Cursor: cursor})
			}
			return a.listResults(cmd.Context(), client, &assayv1.ListResultsRequest{Filter: filter, Cursor: cursor, Ascending: ascending}, limit, all)
		},
	}
	flags.register(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "show at most this many")
	cmd.Flags().BoolVar(&all, "all", false, "show all that match")
	cmd.Flags().BoolVar(&ascending, "ascending", false, "oldest first")
	cmd.Flags().BoolVar(&watch, "watch", false, "go on with each change until interrupted")
	cmd.Flags().StringVar(&cursor, "cursor", "", "go on after this cursor")
	cmd.Flags().StringVar(&heatmap, "heatmap", "", "write the heatmap of the result with this id to a file, as PNG")
	return cmd
}

// receivedFormat is how tables show a time.
const receivedFormat = "01-02 15:04:05.000"

// resultColumns are what resultRow fills.
func resultColumns() []column {
	return []column{{name: "ID", width: 32}, {name: "SERIAL", width: 20}, {name: "VERDICT", width: 12}, {name: "RECEIVED", width: len(receivedFormat), drop: 1},
		{name: "INFER MS", width: 8, drop: 3}, {name: "LINE/STATION/CAMERA", width: 24, drop: 4}, {name: "IMAGE", width: 7, drop: 2}, {name: whyColumn, width: lastColumn}}
}

func (a *app) listResults(ctx context.Context, client assayv1.ResultServiceClient, req *assayv1.ListResultsRequest, limit int, all bool) error {
	var rows []*assayv1.Result
	for all || len(rows) < limit {
		req.PageSize = 1000
		if !all {
			req.PageSize = int32(min(limit-len(rows), 1000))
		}
		page, cancel := call(ctx)
		resp, err := client.ListResults(page, req)
		cancel()
		if err != nil {
			return a.explain("list results", err)
		}
		rows = append(rows, resp.GetResults()...)
		if req.Cursor = resp.GetNextCursor(); req.Cursor == "" {
			break
		}
	}
	if a.json {
		for _, r := range rows {
			if err := a.printProto(r); err != nil {
				return err
			}
		}
		if req.Cursor == "" {
			return nil
		}
		return a.printJSON(map[string]string{"next_cursor": req.Cursor})
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "No result matches. Simulated ones are shown with --simulated include.")
		return nil
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = resultRow(r)
	}
	if err := a.printGrid(resultColumns(), cells); err != nil {
		return err
	}
	if req.Cursor != "" {
		fmt.Fprintf(a.out, "More match: go on with --cursor %s, or see --all.\n", req.Cursor)
	}
	return nil
}

func (a *app) watchResults(ctx context.Context, client assayv1.ResultServiceClient, req *assayv1.WatchResultsRequest) error {
	stream, err := client.WatchResults(ctx, req)
	if err != nil {
		return a.explain("watch results", err)
	}
	rows := a.newGrid(resultColumns()...)
	if !a.json {
		if err := rows.header(); err != nil {
			return err
		}
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return a.explain("watch results", err)
		}
		if a.json {
			err = a.printProto(resp)
		} else {
			err = rows.row(resultRow(resp.GetResult())...)
		}
		if err != nil {
			return err
		}
	}
}

func resultRow(r *assayv1.Result) []string {
	j := deciding(r)
	key := r.GetKey()
	infer := "-"
	if t := j.GetTimings().GetComputeInfer(); t != nil {
		infer = milliseconds(t.AsDuration())
	}
	return []string{
		r.GetId(), dash(r.GetFrame().GetSerial()), verdictName(r.GetEffective().GetVerdict()), r.GetReceived().AsTime().Local().Format(receivedFormat), infer,
		key.GetLine() + "/" + key.GetStation() + "/" + key.GetCamera(), imageWord(r.GetImage()), told(j.GetSource() == assayv1.Source_SOURCE_MODEL, calledClasses(j.GetDefects()), r.GetEffective().GetReason(), j.GetDetail()),
	}
}

// imageWord is the state of a result's image, "-" where there never was one, as for a gap.
func imageWord(im *assayv1.ImageInfo) string {
	if im.GetSize() == 0 {
		return "-"
	}
	return imageState(im.GetState())
}

// deciding returns the judgement that stands for the result in a table: the last one that says its effective verdict.
func deciding(r *assayv1.Result) *assayv1.Judgement {
	js := r.GetJudgements()
	for i := len(js) - 1; i >= 0; i-- {
		if js[i].GetVerdict() == r.GetEffective().GetVerdict() {
			return js[i]
		}
	}
	if len(js) > 0 {
		return js[0]
	}
	return nil
}

// showResult prints one result, and writes its first heatmap to a file where one is named.
func (a *app) showResult(ctx context.Context, client assayv1.ResultServiceClient, id, heatmap string) error {
	ctx, cancel := call(ctx)
	defer cancel()
	resp, err := client.GetResult(ctx, &assayv1.GetResultRequest{Id: id})
	if err != nil {
		return a.explain("get result "+id, err)
	}
	if heatmap != "" {
		if err := writeHeatmap(resp.GetResult(), heatmap); err != nil {
			return err
		}
	}
	if a.json {
		return a.printProto(resp.GetResult())
	}
	return a.describeResult(resp.GetResult())
}

// writeHeatmap writes the picture of a result's first heatmap to a file.
func writeHeatmap(r *assayv1.Result, file string) error {
	for _, j := range r.GetJudgements() {
		if picture := j.GetHeatmap().GetPng(); len(picture) > 0 {
			return os.WriteFile(file, picture, 0o644) //nolint:gosec // a picture for whoever may read the folder
		}
	}
	return fmt.Errorf("result %s has no heatmap: only anomaly models give one", r.GetId())
}

func (a *app) describeResult(r *assayv1.Result) error {
	k, f, im := r.GetKey(), r.GetFrame(), r.GetImage()
	err := a.table("RESULT\t"+r.GetId(), func(w io.Writer) {
		for _, row := range [][2]string{
			{"frame", fmt.Sprintf("%s/%s/%s, session %s, seq %d", k.GetLine(), k.GetStation(), k.GetCamera(), k.GetSession(), k.GetSeq())},
			{"effective", strings.TrimSpace(verdictName(r.GetEffective().GetVerdict()) + " " + r.GetEffective().GetReason())},
			{"serial", f.GetSerial()}, {"view", f.GetView()}, {"run", f.GetRunId()}, {"lot", f.GetLot()}, {"work order", f.GetWorkOrder()},
			{"product", f.GetProduct()}, {"recipe", f.GetRecipe()},
			{"captured", timeOf(f.GetCapturedAt())}, {"encoder", encoderOf(f)},
			{"received", timeOf(r.GetReceived())}, {"recorded", timeOf(r.GetRecorded())},
			{"image", imageOf(im)},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], plain(row[1]))
			}
		}
		if r.GetIsSimulated() {
			fmt.Fprintln(w, "simulated\tyes")
		}
	})
	if err != nil {
		return err
	}
	for i, j := range r.GetJudgements() {
		fmt.Fprintf(a.out, "\nJudgement %d: %s by %s (%s) %s\n", i, verdictName(j.GetVerdict()), strings.ToLower(trimEnum(j.GetSource().String(), "SOURCE_")), strings.ToLower(trimEnum(j.GetRole().String(), "ROLE_")), j.GetReason())
		if j.GetDetail() != "" {
			for line := range strings.Lines(j.GetDetail()) {
				fmt.Fprintf(a.out, "  %s\n", plain(strings.TrimSpace(line)))
			}
		}
		fmt.Fprintf(a.out, "  model %s@%s %.12s, recipe %s revision %d %.12s, node %s\n", j.GetModel().GetName(), j.GetModel().GetVersion(), j.GetModel().GetDigest(),
			j.GetRecipe().GetName(), j.GetRecipe().GetRevision(), j.GetRecipe().GetDigest(), j.GetNode())
		if steps := timingsOf(j.GetTimings()); steps != "" {
			fmt.Fprintf(a.out, "  ms: %s\n", steps)
		}
		if f := j.GetFacts(); f != nil {
			fmt.Fprintf(a.out, "  picture: %dx%d px, mean %.1f, contrast %.1f, sharpness %.1f", f.GetWidth(), f.GetHeight(), f.GetMean(), f.GetContrast(), f.GetSharpness())
			if f.GetAligned() {
				fmt.Fprintf(a.out, ", shifted by %.2f, %.2f px", f.GetShiftX(), f.GetShiftY())
			}
			fmt.Fprintln(a.out)
		}
		if h := j.GetHeatmap(); h != nil {
			fmt.Fprintf(a.out, "  heatmap: over %s px, scores %.4g to %.4g; --heatmap FILE writes its picture\n", boxOf(h.GetArea(), 1), h.GetLow(), h.GetHigh())
		}
		if err := a.defectTable(j.GetDefects()); err != nil {
			return err
		}
	}
	for _, n := range r.GetAnnounced() {
		fmt.Fprintf(a.out, "\nAnnounced: %s by %s %s at %s\n", verdictName(n.GetVerdict()), strings.ToLower(trimEnum(n.GetSource().String(), "SOURCE_")), n.GetReason(), n.GetAt().AsTime().Local().Format(time.RFC3339Nano))
	}
	for _, d := range r.GetDispositions() {
		fmt.Fprintf(a.out, "\nDisposition: %s by %s %s\n", d.GetKind(), d.GetOperator(), d.GetComment())
	}
	return nil
}

func (a *app) defectTable(defects []*assayv1.Defect) error {
	if len(defects) == 0 {
		return nil
	}
	inMM := slices.ContainsFunc(defects, func(d *assayv1.Defect) bool { return d.GetBoxMm() != nil })
	header := "  ID\tCLASS\tSCORE\tCALLED\tVERDICT\tCODE\tBOX (px)"
	if inMM {
		header += "\tBOX (mm)"
	}
	return a.table(header, func(w io.Writer) {
		for _, d := range defects {
			called, verdict := "no", "-" // what is not called asks for nothing
			if d.GetCalled() {
				called, verdict = "yes", verdictName(d.GetVerdict())
			}
			fmt.Fprintf(w, "  %d\t%s\t%.3f\t%s\t%s\t%s\t%s", d.GetId(), plain(d.GetClass()), d.GetScore(), called, verdict, plain(dash(d.GetCode())), boxOf(d.GetBox(), 1))
			if inMM {
				fmt.Fprintf(w, "\t%s", boxOf(d.GetBoxMm(), 3))
			}
			fmt.Fprintln(w)
		}
	})
}

func boxOf(b *assayv1.Box, digits int) string {
	if b == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f, %.*f - %.*f, %.*f", digits, b.GetX1(), digits, b.GetY1(), digits, b.GetX2(), digits, b.GetY2())
}

func timeOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.RFC3339Nano)
}

func encoderOf(f *assayv1.FrameInfo) string {
	if f == nil || f.Encoder == nil {
		return ""
	}
	return strconv.FormatInt(f.GetEncoder(), 10)
}

func imageOf(im *assayv1.ImageInfo) string {
	if im.GetSize() == 0 {
		return "none came"
	}
	words := []string{strings.ToLower(trimEnum(im.GetFormat().String(), "IMAGE_FORMAT_")), fmt.Sprintf("%d bytes", im.GetSize())}
	for _, sum := range [][2]string{{"xxh128", im.GetXxh128()}, {"sha256", im.GetSha256()}} {
		if sum[1] != "" {
			words = append(words, sum[0]+" "+sum[1])
		}
	}
	return strings.Join(append(words, imageState(im.GetState())), ", ")
}

// timingsOf lists the steps that were measured. The commit is not among them in the record: it ends after the row is written.
func timingsOf(t *assayv1.Timings) string {
	var steps []string
	for _, s := range []struct {
		name string
		took *durationpb.Duration
	}{
		{"receive", t.GetReceive()}, {"queue", t.GetQueue()}, {"decode", t.GetDecode()}, {"input", t.GetComputeInput()},
		{"infer", t.GetComputeInfer()}, {"output", t.GetComputeOutput()}, {"forward", t.GetForward()}, {"commit", t.GetCommit()},
	} {
		if s.took.AsDuration() > 0 {
			steps = append(steps, s.name+" "+milliseconds(s.took.AsDuration()))
		}
	}
	return strings.Join(steps, ", ")
}

func calledClasses(defects []*assayv1.Defect) []string {
	var names []string
	for _, d := range defects {
		if d.GetCalled() {
			names = append(names, d.GetClass())
		}
	}
	return names
}

// countNames writes names with how often each is there, in the order of their first: "2 open, 1 short".
func countNames(names []string) string {
	var order []string
	count := map[string]int{}
	for _, n := range names {
		if count[n]++; count[n] == 1 {
			order = append(order, n)
		}
	}
	if len(order) == 0 {
		return "-"
	}
	for i, n := range order {
		order[i] = fmt.Sprintf("%d %s", count[n], n)
	}
	return strings.Join(order, ", ")
}

func verdictName(v assayv1.Verdict) string { return inspection.Verdict(v).String() }

func imageState(s assayv1.ImageState) string { return inspection.ImageState(s).String() }

func trimEnum(name, prefix string) string { return strings.TrimPrefix(name, prefix) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
