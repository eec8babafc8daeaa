package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func (a *app) profileCommand() *cobra.Command {
	measure := false
	cmd := &cobra.Command{
		Use:   "profile name[@version]",
		Short: "Show how a model was measured on the node's machine, and how it runs there",
		Args:  args(1, 1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := call(cmd.Context())
			defer cancel()
			name, ver, _ := strings.Cut(args[0], "@")
			p, err := assayv1.NewModelServiceClient(conn).ProfileModel(ctx, &assayv1.ProfileModelRequest{Name: name, Version: ver, Measure: measure})
			if err != nil {
				return a.explain("profile model "+args[0], err)
			}
			if a.json {
				return a.printProto(p)
			}
			return a.describeProfile(p)
		},
	}
	cmd.Flags().BoolVar(&measure, "measure", false, "measure it now, although it was measured before")
	return cmd
}

func (a *app) describeProfile(p *assayv1.ProfileModelResponse) error {
	err := a.table("GRAPH\tTHREADS\tCALLERS\tBATCH\tMEDIAN\tP99\tIMAGES/S\tRUNS\tCHOSEN", func(w io.Writer) {
		for _, q := range p.GetSurface() {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%.1f\t%d\t%s\n", q.GetVariant(), q.GetThreads(), q.GetCallers(), q.GetBatch(),
				millis(q.GetMedian()), millis(q.GetP99()), q.GetSamplesPerSecond(), q.GetRuns(), chosen(p, q))
		}
	})
	if err != nil {
		return err
	}
	how := "measured now"
	if p.GetCached() {
		how = "kept from an earlier start"
	}
	fmt.Fprintf(a.out, "\n%s@%s on %s, measured %s in %s, %s\n", p.GetModel().GetName(), p.GetModel().GetVersion(), p.GetDevice(),
		p.GetMeasured().AsTime().Local().Format(time.DateTime), p.GetTook().AsDuration().Round(time.Millisecond), how)
	switch {
	case p.GetIdle() == nil && !p.GetComplete():
		fmt.Fprintln(a.out, "idle: a frame that comes alone runs by one thread too; whether all threads on it are faster was not measured")
	case p.GetIdle() == nil:
		fmt.Fprintln(a.out, "idle: a frame that comes alone runs by one thread too; all threads on it are not a tenth faster")
	}
	if !p.GetComplete() {
		fmt.Fprintln(a.out, "incomplete: the time or the threads did not suffice, so this is not kept; measure again when the node has less to do")
	}
	switch {
	case !p.GetLoaded():
		fmt.Fprintln(a.out, "now: not loaded by this plan")
		return nil
	case p.GetWaits():
		fmt.Fprintln(a.out, "now: it runs in another way until it is loaded next")
	}
	a.describeRuns("one thread", p.GetNarrow())
	a.describeRuns("all threads", p.GetWide())
	if p.GetDrifted() {
		fmt.Fprintf(a.out, "DRIFT: its runs take %.2f times what was measured\n", p.GetDriftRatio())
	}
	return nil
}

func (a *app) describeRuns(by string, e *assayv1.RunEstimate) {
	if e.GetRuns() > 0 {
		fmt.Fprintf(a.out, "now by %s: %d runs, mean %s, p99 %s\n", by, e.GetRuns(), millis(e.GetMean()), millis(e.GetP99()))
	}
}

// chosen says what a point of the surface was chosen for.
func chosen(p *assayv1.ProfileModelResponse, q *assayv1.ProfilePoint) string {
	same := func(o *assayv1.ProfilePoint) bool {
		return o != nil && o.GetVariant() == q.GetVariant() && o.GetThreads() == q.GetThreads() && o.GetCallers() == q.GetCallers() && o.GetBatch() == q.GetBatch()
	}
	var as []string
	if same(p.GetThroughput()) {
		as = append(as, "throughput")
	}
	if same(p.GetIdle()) {
		as = append(as, "idle")
	}
	return dash(strings.Join(as, ", "))
}

func millis(d *durationpb.Duration) string {
	return fmt.Sprintf("%.2f ms", d.AsDuration().Seconds()*1e3)
}
