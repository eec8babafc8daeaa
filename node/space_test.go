//go:build gocv_specific_modules

package node_test

import (
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
	"github.com/assay-vision/assay/node/nodetest"
)

// A disk that is down to images.min_free is said, by status and log: images are given up, frames are judged all the same.
func TestADiskDownToMinFreeIsSaid(t *testing.T) {
	h := open(t, func(c *node.Config) { c.Images.MinFree = 1 << 60 })
	if r := h.Readiness(); !r.Ready || !mentions(r.Warnings, "no images are kept", "images.min_free is 1048576TiB") {
		t.Errorf("/readyz says %+v, want ready with a warning", r)
	}
	s := h.camera("cam-1", nil)
	for range 2 {
		if o := h.judge(s, h.board(h.bad(), inspection.FormatPNG)); o.Verdict != inspection.Fail {
			t.Errorf("a frame is %v, want FAIL", o.Verdict)
		}
	}
	nodetest.Until(t, "the log says so", func() error {
		if !holds(h.Log(), "level=WARN", "no images are kept") {
			return inspection.ErrNotFound
		}
		return nil
	})
}
