// Command bench measures a node against ONNX Runtime alone, prints the table and writes the results. `make bench` builds
// the nodes and runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/assay-vision/assay/benchmarks"
	"github.com/assay-vision/assay/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg := benchmarks.Config{Progress: os.Stderr}
	var only, out, commit, receive string
	flag.StringVar(&cfg.Program, "assayd", "bin/assayd", "the node to measure")
	flag.StringVar(&cfg.Unrecorded, "unrecorded", "", "the node built with -tags assay_failpoint, for what is measured without the record")
	flag.StringVar(&cfg.Models, "models", "benchmarks/models", "the benchmarks' networks")
	flag.StringVar(&only, "only", "", "benchmarks to run, such as P1,P3 (default: all)")
	flag.StringVar(&out, "out", "build/bench", "folder of the results")
	flag.StringVar(&commit, "commit", "unknown", "what is measured, for the results")
	flag.IntVar(&cfg.Pairs, "pairs", 7, "A B pairs of a figure")
	flag.DurationVar(&cfg.Unit, "unit", 5*time.Second, "length of one run")
	flag.StringVar(&cfg.Profiles, "profiles", "", "folder for CPU profiles of the node, for go tool pprof (default: none)")
	flag.StringVar(&receive, "receive", "", "take frames on this Unix socket and drop them: what the benchmark starts itself for, to see what gRPC costs alone")
	flag.Parse()
	if receive != "" {
		return benchmarks.Receive(ctx, receive)
	}
	if cfg.Profiles != "" {
		if err := os.MkdirAll(cfg.Profiles, 0o755); err != nil {
			return err
		}
	}
	if only != "" {
		cfg.Only = strings.Split(only, ",")
	}
	for _, path := range []*string{&cfg.Program, &cfg.Unrecorded, &cfg.Models} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	dir, err := os.MkdirTemp("", "assay-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg.Dir = dir
	if cfg.Receiver, err = os.Executable(); err != nil {
		return err
	}
	// As a node does: a goroutine that wakes up finds a free slot of Go's scheduler although others are calling C, and Go's
	// monitor takes nothing from the raw loop.
	node.Settle(0, slog.New(slog.DiscardHandler))
	results, err := benchmarks.Run(ctx, cfg)
	if err != nil {
		return err
	}
	results.Commit = commit
	if err := results.Table(os.Stdout); err != nil {
		return err
	}
	path, err := results.Write(out)
	if err == nil {
		fmt.Printf("bench: kept in %s and beside it as JSON\n", path)
	}
	return err
}
