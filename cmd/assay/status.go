package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the node is: ready or why not, storage and days left, frames so far",
		Long: "Show how the node is: ready or why not, storage and days left, frames so far.\n\n" +
			"Exit status: 0 it is ready, 3 it is not, 1 an error, 2 wrong usage.",
		Example: "  assay status\n  assay --addr 10.0.0.5:7070 status --json",
		Args:    args(0, 0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := call(cmd.Context())
			defer cancel()
			s, err := assayv1.NewNodeServiceClient(conn).GetStatus(ctx, &assayv1.GetStatusRequest{})
			if err != nil {
				return a.explain("get status", err)
			}
			if a.json {
				err = a.printProto(s)
			} else {
				err = a.describeStatus(s)
			}
			if err != nil {
				return err
			}
			if !s.GetReady() {
				return &notWell{"the node is not ready"}
			}
			return nil
		},
	}
}

func (a *app) describeStatus(s *assayv1.GetStatusResponse) error {
	ready := "yes"
	if !s.GetReady() {
		ready = "NO"
	}
	err := a.table("NODE\t"+s.GetNode(), func(w io.Writer) {
		fmt.Fprintf(w, "version\t%s, up %v\n", s.GetVersion(), s.GetUptime().AsDuration().Round(1e9))
		fmt.Fprintf(w, "ready\t%s\n", ready)
		fmt.Fprintf(w, "streams\t%d, %d frames in flight\n", s.GetStreams(), s.GetInFlight())
		fmt.Fprintf(w, "frames\t%s; %d answered after their deadline\n", counts(s.GetFrames()), s.GetDeadlineMisses())
		st := s.GetStorage()
		fmt.Fprintf(w, "data\t%s: %s used, %s free\n", st.GetDirectory(), humanize.IBytes(st.GetUsedBytes()), humanize.IBytes(st.GetFreeBytes()))
		fmt.Fprintf(w, "results\t%d\n", st.GetResults())
		fmt.Fprintf(w, "images\t%s of %s; %s\n", humanize.IBytes(st.GetImageBytes()), humanize.IBytes(st.GetImageBudgetBytes()), counts(st.GetImages()))
		days := "not known yet: too little was recorded to tell the rate"
		if st.DaysLeft != nil {
			days = fmt.Sprintf("%.1f at the last day's rate", st.GetDaysLeft())
		}
		fmt.Fprintf(w, "days left\t%s\n", days)
		fmt.Fprintf(w, "libraries\t%s\n", counts(s.GetLibraries()))
	})
	for _, reason := range s.GetReasons() {
		fmt.Fprintln(a.out, "NOT READY:", reason)
	}
	for _, warning := range s.GetWarnings() {
		fmt.Fprintln(a.out, "WARNING:", warning)
	}
	return err
}

func counts[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %v", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
