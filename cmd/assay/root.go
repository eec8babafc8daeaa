package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var errUsage = errors.New("usage")

// notWell ends a command that ran to its end with exit status 3.
type notWell struct{ reason string }

func (n *notWell) Error() string { return n.reason }

// app is what every command shares.
type app struct {
	addr string
	json bool
	out  io.Writer
	// width is the terminal's, in characters; 0: no limit.
	width int
}

func newRoot() *cobra.Command {
	a := &app{out: os.Stdout, width: terminalWidth(os.Stdout)}
	root := &cobra.Command{
		Use:   "assay",
		Short: "Stream frames into an Assay node, and see what became of them",
		Long: "Stream frames into an Assay node, and see what became of them.\n\n" +
			"Exit status: 0 all is well, 1 an error, 2 wrong usage, 3 it ran to the end but not all is well (a frame without a\n" +
			"recorded model verdict, a node that is not ready, an agreement that is too low).",
		Example: "  assay demo --dir my-demo --stay 600                       # try it: a node, boards, verdicts, a recipe to copy\n\n" +
			"  assayd --set recipes.dir=my-recipes &                     # 1. start a node\n" +
			"  assay status && assay recipes                             # 2. see that it is ready\n" +
			"  assay stream --recipe my-product my-pictures/             # 3. send pictures to it\n" +
			"  assay results --verdict FAIL,REVIEW,UNDETERMINED          # 4. see what is not good, and why\n" +
			"  assay results 208f21b5ff2d93c47320dc96cf64a647            # 5. one result with its evidence",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: unknown command %q", errUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.addr, "addr", "127.0.0.1:7070", "the node's gRPC address")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, one object a line, for scripts")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(a.streamCommand(), a.evalCommand(), a.renderCommand(), a.benchCommand(), a.demoCommand(),
		a.resultsCommand(), a.modelsCommand(), a.recipesCommand(), a.statusCommand(), versionCommand())
	return root
}

// asksOnly is the exit status of commands that only ask a node.
const asksOnly = "Exit status: 0 the node answered, 1 an error, 2 wrong usage."

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print this program's version",
		Args:  args(0, 0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "assay", version)
			return err
		},
	}
}

// args wants between least and most arguments; what says which.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("%w: %d arguments given, want %s", errUsage, len(args), what)
		}
		return nil
	}
}

// dial connects to the node for the calls of MES and command line.
func (a *app) dial() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(a.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.addr, err)
	}
	return conn, nil
}

// explain turns a node's error into one that names the next step.
func (a *app) explain(doing string, err error) error {
	if status.Code(err) == codes.Unavailable {
		return fmt.Errorf("%s: no node answers at %s: start one with 'assayd', or name another with --addr (%s)", doing, a.addr, status.Convert(err).Message())
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s: %s", doing, s.Message())
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// call bounds one unary call.
func call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 30*time.Second)
}

// printProto writes one message as a line of JSON.
func (a *app) printProto(m proto.Message) error {
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	// protojson varies its blanks on purpose; scripts and diffs want one form.
	var raw json.RawMessage = b
	return json.NewEncoder(a.out).Encode(raw)
}

func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }

// table writes aligned columns.
func (a *app) table(header string, rows func(w io.Writer)) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	return w.Flush()
}

// silent is a bar that is not shown.
func silent() *progressbar.ProgressBar { return progressbar.DefaultSilent(-1) }

// progress shows a bar on a terminal, and nothing elsewhere. total -1: not known.
func progress(total int, what string) *progressbar.ProgressBar {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return progressbar.DefaultSilent(int64(total), what)
	}
	return progressbar.NewOptions(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("frames"), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
}
