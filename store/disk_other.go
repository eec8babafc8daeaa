//go:build !linux

package store

import (
	"fmt"
	"os"

	"github.com/assay-vision/assay/inspection"
)

// A data directory needs flock and statfs as Linux has them; elsewhere the programs build and the store refuses to open.
func lockExclusive(*os.File) error {
	return fmt.Errorf("%w: the store runs on Linux only", inspection.ErrUnavailable)
}

func diskFree(string) (int64, error) {
	return 0, fmt.Errorf("%w: free disk space is read on Linux only", inspection.ErrUnavailable)
}

func networkFS(string) string { return "" }
