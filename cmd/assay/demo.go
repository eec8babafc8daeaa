package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/cmd/assay/eval"
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// demoBudget is the time from a board's sending to its verdict: generous, for a machine that does other things too.
const demoBudget = 2 * time.Second

// demoFound is the share of planted defects that must be found for the demo to end well. A model that never finds
// anything finds none of them.
const demoFound = 0.8

// demoIoU is the overlap above which a defect counts as found, as for the real data that the model was trained on.
const demoIoU = 0.33

func (a *app) demoCommand() *cobra.Command {
	var boards int
	var stay float64
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a node, send it rendered boards, and show their verdicts beside the truth",
		Long: "Start a node (assayd beside this program) with its defaults and the shipped model, send it rendered boards with known\n" +
			"defects, and show each verdict and how much of the truth was found. Then say where to look next, and keep the node\n" +
			"up until Ctrl-C, or for --stay seconds (DEMO_SECONDS); where there is no terminal it ends at once.\n\n" +
			"Exit status: 0 all frames judged and at least 80 % of the defects found, 3 not so, 1 an error.",
		Example: "  assay demo --stay 600\n  assay demo --dir my-demo --boards 20",
		Args:    args(0, 0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if text := os.Getenv("DEMO_SECONDS"); text != "" && !cmd.Flags().Changed("stay") {
				seconds, err := strconv.ParseFloat(text, 64)
				if err != nil || seconds < 0 {
					return fmt.Errorf("%w: DEMO_SECONDS=%q: give a number of seconds", errUsage, text)
				}
				stay = seconds
			}
			if a.json {
				return fmt.Errorf("%w: demo has no --json: use 'assay stream --json' and 'assay results --json' against a node", errUsage)
			}
			if stay < 0 && !term.IsTerminal(int(os.Stdout.Fd())) {
				stay = 0
			}
			return a.demo(cmd.Context(), dir, boards, stay)
		},
	}
	cmd.Flags().IntVar(&boards, "boards", 60, "boards to send")
	cmd.Flags().Float64Var(&stay, "stay", -1, "seconds to keep the node up afterwards (default: until Ctrl-C on a terminal, else 0)")
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the node's recipe and data, kept (default: a temporary one, removed)")
	return cmd
}

func (a *app) demo(ctx context.Context, dir string, boards int, stay float64) error {
	kept := dir != ""
	if !kept {
		temp, err := os.MkdirTemp("", "assay-demo-")
		if err != nil {
			return fmt.Errorf("make the demo's folder: %w", err)
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	source, err := synthetic.NewSource(synthetic.DefaultSource(synthetic.SetDemo, boards))
	if err != nil {
		return fmt.Errorf("--boards: %w", err)
	}
	defer source.Close()
	if err := writeDemoRecipe(filepath.Join(dir, "recipes"), source.Series()); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find assayd: %w", err)
	}
	node, err := startNode(ctx, filepath.Join(filepath.Dir(self), "assayd"), dir)
	if err != nil {
		return err
	}
	defer node.stop()
	a.addr = node.grpc
	fmt.Fprintf(a.out, "A node is up at %s: model pcb-pair, recipe demo-board, %d boards of %d products come past its camera.\n\n", node.grpc, boards, source.Series().Products())
	verdict, err := a.demoStream(ctx, source)
	if err != nil {
		return err
	}
	if stay == 0 {
		a.afterwards(dir, kept)
		return verdict
	}
	a.whereNext(node, dir)
	wait(ctx, stay)
	return verdict
}

func writeDemoRecipe(dir string, series *synthetic.Series) error {
	return series.WriteRecipe(dir, "demo-board", demoBudget)
}

// childNode is an assayd that the demo started.
type childNode struct {
	cmd        *exec.Cmd
	log        *bytes.Buffer // of the child's standard error; read after it ended
	done       chan struct{}
	grpc, http string
}

// startNode starts an assayd on free ports and waits until it can judge.
func startNode(ctx context.Context, program, dir string) (*childNode, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("there is no assayd: run 'make build' first: %w", err)
	}
	ports, err := freeAddrs(2)
	if err != nil {
		return nil, err
	}
	n := &childNode{log: &bytes.Buffer{}, done: make(chan struct{}), grpc: ports[0], http: ports[1]}
	n.cmd = exec.Command(program, "--set", "node.name=demo", "--set", "node.data_dir="+filepath.Join(dir, "data"),
		"--set", "recipes.dir="+filepath.Join(dir, "recipes"), "--set", "listen.grpc="+n.grpc, "--set", "listen.http="+n.http)
	n.cmd.Stderr = n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which then stops the node
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() { _ = n.cmd.Wait(); close(n.done) }()
	if err := n.ready(ctx); err != nil {
		n.stop()
		return nil, fmt.Errorf("%w\n%s", err, n.log)
	}
	return n, nil
}

func (n *childNode) ready(ctx context.Context) error {
	a := &app{addr: n.grpc}
	conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline := time.After(2 * time.Minute)
	var last error
	for {
		ask, cancel := context.WithTimeout(ctx, time.Second)
		s, err := assayv1.NewNodeServiceClient(conn).GetStatus(ask, &assayv1.GetStatusRequest{})
		cancel()
		switch {
		case err == nil && s.GetReady():
			return nil
		case err == nil:
			last = errors.New("it is not ready")
		default:
			last = err
		}
		select {
		case <-n.done:
			return errors.New("the node ended")
		case <-deadline:
			return fmt.Errorf("the node is not ready after two minutes: %w", last)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (n *childNode) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.done:
	case <-time.After(35 * time.Second):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
}

// freeAddrs returns loopback addresses whose ports were free a moment ago.
func freeAddrs(n int) ([]string, error) {
	var open []net.Listener // until all are known, so that they differ
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		open = append(open, l)
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// demoStream streams the boards and returns, beside what went wrong, what is not well with the outcome.
func (a *app) demoStream(ctx context.Context, source *synthetic.Source) (notWellOrNil, err error) {
	s, err := a.open(ctx, cameraFlags{line: "demo", station: "aoi", camera: "cam-1", recipe: "demo-board"}, nil)
	if err != nil {
		return nil, err
	}
	sum := newTally()
	var truths []eval.Truth
	var found []eval.Detection
	rows := make([][]string, source.Len())
	bar := progress(source.Len(), "boards")
	err = s.Run(ctx, source, func(_ camera.Shot, o camera.Outcome) error {
		_ = bar.Add(1)
		sum.add(o)
		image := int(o.Frame.Key.Seq) - 1
		truth, _ := source.Truth(o.Frame.Serial)
		names := make([]string, len(truth))
		for i, d := range truth {
			names[i] = d.Class
			truths = append(truths, eval.Truth{Image: image, Class: d.Class, Box: inspection.Box{
				X1: float64(d.Box.Min.X), Y1: float64(d.Box.Min.Y), X2: float64(d.Box.Max.X), Y2: float64(d.Box.Max.Y)}})
		}
		called := "-"
		if o.Answer != nil {
			called = calledList(o.Answer.Judgement.Called())
			for _, d := range o.Answer.Judgement.Called() {
				found = append(found, eval.Detection{Image: image, Class: d.Class, Score: d.Score, Box: d.Box, Called: true})
			}
		}
		rows[image] = []string{o.Frame.Serial, o.Verdict.String(), milliseconds(o.Latency), called, countNames(names)}
		return nil
	})
	_ = bar.Finish()
	if err := errors.Join(err, closeStream(ctx, s, 10*time.Second)); err != nil {
		return nil, err
	}
	sum.finish()
	cols := []column{{name: "SERIAL"}, {name: "VERDICT"}, {name: "MS"}, {name: "DEFECTS CALLED", width: 40}, {name: "TRUTH"}}
	if err := a.printGrid(cols, rows); err != nil {
		return nil, err
	}
	report, err := eval.Evaluate(synthetic.Classes(), truths, found, demoIoU)
	if err != nil {
		return nil, fmt.Errorf("compare with the truth: %w", err)
	}
	c := report.Total
	fmt.Fprintf(a.out, "\n%s\nAgreement with the truth: %d of %d defects found (%s %%), %d called that are none.\n", sum, c.Right, c.Right+c.Missed, percent(c.Recall()), c.Wrong)
	if !(c.Recall() >= demoFound) {
		return &notWell{fmt.Sprintf("only %s %% of the planted defects were found, want at least %.0f %%", percent(c.Recall()), 100*demoFound)}, nil
	}
	return sum.verdict(), nil
}

// self is how the user may call this program.
func self() string {
	program, err := os.Executable()
	if err != nil {
		return "assay"
	}
	if cwd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(cwd, program); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return program
}

// whereNext says what can be looked at while the node is up.
func (a *app) whereNext(n *childNode, dir string) {
	node := self() + " --addr " + n.grpc
	a.next("Where to look next, while the node is up:", messages{
		{node + " results --verdict FAIL", "what was recorded; 'results ID' shows one with its evidence"},
		{node + " status", "how the node is"},
		{"curl http://" + n.http + "/metrics", "its counters and timings"},
		{filepath.Join(dir, "recipes", "demo-board.yaml"), "the recipe: edit it, and a new revision comes into force"},
	})
}

// afterwards says what can be done once the node has ended.
func (a *app) afterwards(dir string, kept bool) {
	next := messages{{self() + " demo --stay 600", "the same, and the node stays up for ten minutes to be looked at"}}
	if kept {
		node := filepath.Join(filepath.Dir(self()), "assayd")
		if !strings.Contains(node, string(filepath.Separator)) {
			node = "." + string(filepath.Separator) + node
		}
		next = append(next, [2]string{fmt.Sprintf("%s --set node.data_dir=%s --set recipes.dir=%s", node, filepath.Join(dir, "data"), filepath.Join(dir, "recipes")),
			"a node with the demo's recipe and what was recorded"})
	} else {
		next = append(next, [2]string{self() + " demo --dir my-demo", "keeps the node's recipe and data in my-demo"})
	}
	a.next("The node has done its work and ends now. Where to look next:", next)
}

// next prints commands, each with what it gives on a line of its own.
func (a *app) next(title string, commands messages) {
	fmt.Fprintf(a.out, "\n%s\n", title)
	for _, c := range commands {
		fmt.Fprintf(a.out, "  %s\n      %s\n", c[0], c[1])
	}
	fmt.Fprintln(a.out, "Your own camera and your own model: README.md.")
}

// wait keeps the node up: for so many seconds, or, when that is negative, until Ctrl-C.
func wait(ctx context.Context, seconds float64) {
	if seconds < 0 {
		fmt.Println("Ctrl-C ends the demo.")
		<-ctx.Done()
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
}
