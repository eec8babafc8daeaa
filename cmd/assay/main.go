// Command assay is the command line of Assay: it streams frames into a node and shows what became of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run returns the exit status: 0 all well, 1 an error, 2 wrong usage, 3 ran to the end but not all is well (a frame
// without a recorded model verdict, an agreement that is too low).
func run(ctx context.Context, args []string) int {
	root := newRoot() //nolint:contextcheck // cobra hands each command its context
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var bad *notWell
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "assay:", bad)
		return 3
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "assay: %v\nSee 'assay --help'.\n", err)
		return 2
	}
	fmt.Fprintln(os.Stderr, "assay:", err)
	return 1
}
