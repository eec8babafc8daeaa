//go:build assay_failpoint

package node

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/assay-vision/assay/custody"
	"github.com/assay-vision/assay/inspection"
)

// withFailpoint ends the process by SIGKILL between a commit and its replies: ASSAY_FAILPOINT=after-commit:N means the
// commit that records the N-th new result of this start, counted from 1. See docs/adr/0006. ASSAY_FAILPOINT=no-record leaves out the
// record altogether, which the benchmarks compare with.
func withFailpoint(s custody.Store) custody.Store {
	spec := os.Getenv("ASSAY_FAILPOINT")
	if spec == "" {
		return s
	}
	if spec == "no-record" {
		return unrecorded{}
	}
	count, ok := strings.CutPrefix(spec, "after-commit:")
	n, err := strconv.ParseInt(count, 10, 64)
	if !ok || err != nil || n < 1 {
		panic(fmt.Sprintf("ASSAY_FAILPOINT=%q: write after-commit:N or no-record", spec))
	}
	f := &failpoint{Store: s}
	f.left.Store(n)
	return f
}

// unrecorded forgets every result and says that it is on disk.
type unrecorded struct{}

func (unrecorded) Commit(context.Context, []inspection.Entry) error { return nil }

func (unrecorded) Lookup(_ context.Context, key inspection.FrameKey) (inspection.Result, error) {
	return inspection.Result{}, fmt.Errorf("look up %s: %w", key, inspection.ErrNotFound)
}

type failpoint struct {
	custody.Store
	left atomic.Int64
}

func (f *failpoint) Commit(ctx context.Context, entries []inspection.Entry) error {
	err := f.Store.Commit(ctx, entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Frame != nil && f.left.Add(-1) == 0 {
			fmt.Fprintf(os.Stderr, "failpoint: %s is committed and not answered\n", e.Key)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing may run between the signal and its effect
		}
	}
	return nil
}
