package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	dto "github.com/prometheus/client_model/go"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/server"
)

// Status implements server.Status.
func (n *Node) Status(ctx context.Context) server.NodeStatus {
	s := server.NodeStatus{
		Version:   n.version,
		Reasons:   n.catalog.unready(),
		Warnings:  n.catalog.warnings(),
		Libraries: map[string]string{"onnxruntime": n.runtime.Version()},
	}
	maps.Copy(s.Libraries, imaging.Versions())
	for _, m := range n.engine.Models() {
		if m.Drift != "" {
			s.Warnings = append(s.Warnings, fmt.Sprintf("model %s@%s: %s", m.Model.Name, m.Model.Version, m.Drift))
		}
		for _, f := range m.Fallbacks {
			s.Warnings = append(s.Warnings, fmt.Sprintf("model %s@%s runs on %s: %s", m.Model.Name, m.Model.Version, m.Device, f))
		}
	}
	var err error
	var notKept string
	if s.Storage, notKept, err = n.storage(ctx); err != nil {
		s.Reasons = append(s.Reasons, err.Error())
	}
	if s.Storage.Full {
		s.Reasons = append(s.Reasons, "the data disk is full: nothing can be recorded, and frames are answered by their fallback; free some space")
	}
	if notKept != "" {
		s.Warnings = append(s.Warnings, fmt.Sprintf("no images are kept: %s free, images.min_free is %v: %s", humanize.IBytes(s.Storage.Free), n.cfg.Images.MinFree, notKept))
	}
	s.Frames, s.DeadlineMisses = n.frames()
	s.Ready = len(s.Reasons) == 0
	return s
}

// diskReserve is what a commit needs to be sure of: the write-ahead log grows by pages.
const diskReserve = 1 << 20

// storage also says what to do so that images are kept again, where none are.
func (n *Node) storage(ctx context.Context) (_ server.Storage, notKept string, _ error) {
	st, err := n.images.Stats(ctx)
	if err != nil {
		return server.Storage{Directory: n.cfg.Node.DataDir}, "", fmt.Errorf("read the data directory: %w", err)
	}
	kept := st.Images[inspection.ImageKept]
	s := server.Storage{
		Directory: n.cfg.Node.DataDir, Free: uint64(max(st.FreeBytes, 0)), Used: uint64(max(kept.Bytes+st.DatabaseBytes, 0)),
		ImageBudget: uint64(n.cfg.Images.Budget), ImageBytes: uint64(max(kept.Bytes, 0)),
		Images: map[string]uint64{}, DaysLeft: st.DaysLeft, Full: st.FreeBytes < diskReserve,
	}
	for state, amount := range st.Images {
		s.Images[state.String()] = uint64(amount.Count)
	}
	for _, count := range st.Results {
		s.Results += uint64(count)
	}
	return s, st.NotKept, nil
}

// frames reads what the desk counted of the line's frames, so that status and /metrics never disagree.
func (n *Node) frames() (byVerdict map[string]uint64, misses uint64) {
	byVerdict = map[string]uint64{}
	families, err := n.reg.Gather()
	if err != nil {
		n.log.Warn("cannot read the metrics", "error", err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "assay_custody_frames_total":
			for _, m := range f.GetMetric() {
				if label(m, "simulated") == "true" {
					continue
				}
				byVerdict[strings.ToLower(label(m, "verdict"))] += uint64(m.GetCounter().GetValue())
			}
		case "assay_custody_deadline_misses_total":
			for _, m := range f.GetMetric() {
				misses += uint64(m.GetCounter().GetValue())
			}
		}
	}
	return byVerdict, misses
}

func label(m *dto.Metric, name string) string {
	i := slices.IndexFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == name })
	if i < 0 {
		return ""
	}
	return m.GetLabel()[i].GetValue()
}
