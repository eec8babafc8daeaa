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
// N-th commit, counted from 1, that records a new result. See docs/adr/0006.
func withFailpoint(s custody.Store) custody.Store {
	spec := os.Getenv("ASSAY_FAILPOINT")
	if spec == "" {
		return s
	}
	count, ok := strings.CutPrefix(spec, "after-commit:")
	n, err := strconv.ParseInt(count, 10, 64)
	if !ok || err != nil || n < 1 {
		panic(fmt.Sprintf("ASSAY_FAILPOINT=%q: write after-commit:N", spec))
	}
	f := &failpoint{Store: s}
	f.left.Store(n)
	return f
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
