//go:build !assay_failpoint

package node

import "github.com/assay-vision/assay/custody"

// withFailpoint is the place where a test build may end the process; this build cannot. See docs/adr/0006.
func withFailpoint(s custody.Store) custody.Store { return s }
