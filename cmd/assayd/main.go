// Command assayd is an Assay node: it takes frames over gRPC, judges them, records the results and answers queries.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/node"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "assayd:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// errUsage marks arguments and flags that there are not; the exit status is then 2.
var errUsage = errors.New("usage (see 'assayd --help')")

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: unknown argument %q", errUsage, args[0])
	}
	return nil
}

func command() *cobra.Command {
	var path string
	var set []string
	load := func() (node.Config, error) { return node.Load(path, os.Environ(), set) }
	root := &cobra.Command{
		Use:   "assayd",
		Short: "Run an Assay node until SIGTERM or SIGINT, which drain it",
		Long: "Run an Assay node until SIGTERM or SIGINT, which drain it: frames that are in are judged, recorded and answered,\n" +
			"then cameras are sent elsewhere. Without --config it runs on defaults with the models that ship inside it.",
		Version:       version,
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return node.Run(cmd.Context(), cfg, version, cfg.Log.Logger(os.Stderr))
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.PersistentFlags().StringVarP(&path, "config", "c", "", "configuration file (YAML)")
	root.PersistentFlags().StringArrayVar(&set, "set", nil, "override one key, such as --set listen.grpc=127.0.0.1:7070; may be given again")
	root.AddCommand(&cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, each field with its unit, its effect and what zero means",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return cfg.Print(cmd.OutOrStdout())
		},
	})
	root.AddCommand(goldenCommand(load))
	insecure := root.Flags().Bool("insecure", false, "allow addresses other than loopback (sets listen.insecure)")
	root.PreRun = func(*cobra.Command, []string) {
		if *insecure {
			set = append(set, "listen.insecure=true")
		}
	}
	return root
}
