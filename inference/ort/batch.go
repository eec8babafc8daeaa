package ort

import (
	"context"
	"fmt"
	"strings"

	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/models"
)

// tryBatch finds out whether the graph takes batches, where the manifest asks for any: what a graph declares of its outputs need
// not be so. One that does not is prepared for single samples, which then run side by side, and Fallbacks says why. The error
// is that of a warm-up that did not get its turn.
func (s *Session) tryBatch(ctx context.Context, info models.GraphInfo, o inference.Opening) error {
	if s.sizes[len(s.sizes)-1] == 1 {
		return nil
	}
	name, n := fixedBatch(s.manifest, info)
	if n > 1 { // as Manifest.Check saw, the manifest asks for just that
		return nil
	}
	reason := fmt.Sprintf("the graph's input %q has a fixed batch of 1", name)
	if n != 1 {
		var err error
		if reason, err = s.runTwo(ctx, o); reason == "" || err != nil {
			return err
		}
	}
	asked := strings.Trim(fmt.Sprint(s.manifest.BatchSizes), "[]")
	s.sizes = []int{1}
	s.fallbacks = append(s.fallbacks, fmt.Sprintf("batch_sizes %s: %s: samples run one by one, as many side by side as there are threads; export the graph with an open batch, or write batch_sizes: [1]", asked, reason))
	return nil
}

// fixedBatch returns the batch that the graph declares for an input, and the input; 0 where all leave it open. An input of a
// picture without a batch axis takes one.
func fixedBatch(m models.Manifest, info models.GraphInfo) (input string, n int64) {
	for _, t := range info.Inputs {
		constant := isConstant(m, t.Name)
		switch {
		case !constant && len(t.Shape) == 3:
			return t.Name, 1
		case constant && len(t.Shape) == 1:
		case len(t.Shape) > 0 && t.Shape[0] > 0:
			return t.Name, t.Shape[0]
		}
	}
	return "", 0
}

func isConstant(m models.Manifest, input string) bool {
	for _, k := range m.Constants {
		if k.Name == input {
			return true
		}
	}
	return false
}

// runTwo runs a batch of 2 and returns why the graph takes none, or "". Both samples are the same picture, which is then run alone.
func (s *Session) runTwo(ctx context.Context, o inference.Opening) (reason string, err error) {
	two, err := newTensors(s, 2, nil)
	if err != nil {
		return "", err
	}
	defer two.destroy()
	outs, failed, err := two.try(ctx, o)
	switch {
	case err != nil:
		return "", err
	case failed != nil:
		return fmt.Sprintf("a batch of 2 does not run (%v)", failed), nil
	}
	if reason := s.fault(outs, 2); reason != "" {
		return reason, nil
	}
	one, err := newTensors(s, 1, nil)
	if err != nil {
		return "", err
	}
	defer one.destroy()
	alone, _, err := one.try(ctx, o) // nil where that does not run: then there is no way but in batches
	if err != nil {
		return "", err
	}
	return s.unlike(outs, alone), nil
}

// try runs a batch of the made-up picture when it is its turn. failed is what the run said, err why there was none.
func (t *tensors) try(ctx context.Context, o inference.Opening) (outs []decode.Output, failed, err error) {
	t.fillNoise()
	ran := false
	err = turns(o)(ctx, 1, func() error {
		ran = true
		outs, failed = t.Run()
		return failed
	})
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if ran {
		err = nil
	}
	return outs, failed, err
}

// fault says which output of a batch is not that of so many samples, or "".
func (s *Session) fault(outs []decode.Output, size int) string {
	axes := s.manifest.OutputAxes()
	for role, name := range s.manifest.Output.Tensors {
		for _, o := range outs {
			if o.Name != name {
				continue
			}
			if !models.Batched(axes[role], len(o.Shape)) || len(o.Shape) == 0 || o.Shape[0] != int64(size) {
				return fmt.Sprintf("output %q of a batch of %d has shape %v", name, size, o.Shape)
			}
		}
	}
	return ""
}

// turns returns what makes a warm-up run when it is its turn.
func turns(o inference.Opening) func(ctx context.Context, threads int, run func() error) error {
	if o.Warm != nil {
		return o.Warm
	}
	return func(_ context.Context, _ int, run func() error) error { return run() }
}

// runInTurn runs a warm-up by one thread.
func (t *tensors) runInTurn(ctx context.Context, inTurn func(context.Context, int, func() error) error) (outs []decode.Output, err error) {
	err = inTurn(ctx, 1, func() error {
		outs, err = t.Run()
		return err
	})
	return outs, err
}
