package inference

import (
	"fmt"
	"time"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// sample is one frame on its way through a worker, and what came of it.
type sample struct {
	engine    *Engine
	in        *instance
	templates []*imaging.Template // one for each input; nil where nothing is compared
	key       inspection.FrameKey
	image     inspection.Image     // holds a reference to its bytes
	since     time.Time            // when it was queued
	filled    time.Time            // when its slot was full
	place     inspection.Placement // in the first input, which is the one that boxes refer to
	shared    *imaging.Picture     // where its tiles are filled from; nil: it goes whole, in the worker's own picture

	facts   inspection.ImageFacts
	answer  decode.Answer
	timings inspection.Timings
}

var _ Task = (*sample)(nil)

// newSample makes the sample of a frame, with references to its bytes and to in that Release gives back.
func newSample(e *Engine, in *instance, f *inspection.Frame, templates []*imaging.Template) *sample {
	s := &sample{engine: e, in: in, key: f.Key, image: f.Image, templates: templates, since: time.Now()}
	s.image.Data.Ref()
	return s
}

// Fill implements Task: decode, measure, align, fill.
func (s *sample) Fill(worker int, slots [][]byte) error {
	start := time.Now()
	s.timings.Queue = start.Sub(s.since)
	t := s.engine.threads[worker]
	defer t.picture.Forget() // it may have borrowed the frame's bytes
	if err := s.decode(t); err != nil {
		return err
	}
	decoded := time.Now()
	s.timings.Decode = decoded.Sub(start)
	shift, err := s.align(t)
	if err != nil {
		return err
	}
	for i, spec := range s.in.model.specs {
		var template *imaging.Template
		if s.templates != nil {
			template = s.templates[i]
		}
		place, err := t.imaging.Fill(slots[i], spec, t.picture, template, shift)
		if err != nil {
			return err
		}
		if i == 0 {
			s.place = place
		}
	}
	s.filled = time.Now()
	s.timings.ComputeInput = s.filled.Sub(decoded)
	return nil
}

// picture returns where the frame's pixels are while worker t is at it.
func (s *sample) picture(t *thread) *imaging.Picture {
	if s.shared != nil {
		return s.shared
	}
	return t.picture
}

// decode turns the bytes into pixels and measures them.
func (s *sample) decode(t *thread) error {
	full := s.shared != nil || s.in.recipe.Reference.Align == inspection.AlignTranslation
	p := s.picture(t)
	err := t.imaging.DecodeFor(s.image, s.in.model.specs, full, p)
	if err != nil {
		return err
	}
	if s.facts, err = t.imaging.Measure(p); err != nil {
		return err
	}
	if s.in.recipe.Image.RefuseRepeated {
		s.facts.Repeated = s.engine.repeats.see(s.key, s.engine.prints.Of(p))
	}
	return nil
}

// align measures the shift against the template, where the recipe asks for it. A shift beyond the recipe's limit is undone
// like any other: the recipe refuses the frame all the same, and what the model sees remains worth keeping.
func (s *sample) align(t *thread) (imaging.Shift, error) {
	if s.in.recipe.Reference.Align != inspection.AlignTranslation {
		return imaging.Shift{}, nil
	}
	shift, ok, err := t.imaging.Align(s.templates[0], s.picture(t))
	if err != nil || !ok {
		return imaging.Shift{}, err
	}
	s.facts.Aligned, s.facts.ShiftX, s.facts.ShiftY = true, shift.X, shift.Y
	return shift, nil
}

// Read implements Task. Waiting for the rest of the batch counts as queueing.
func (s *sample) Read(outs []decode.Output, at int, start, end time.Time) (err error) {
	s.timings.Queue += start.Sub(s.filled)
	s.timings.ComputeInfer = end.Sub(start)
	from := time.Now()
	if s.answer, err = s.in.model.decoder.Decode(outs, at, s.place); err != nil {
		return fmt.Errorf("read the model's answer: %w", err)
	}
	s.timings.ComputeOutput = time.Since(from)
	return nil
}

// Release implements Task.
func (s *sample) Release() {
	s.image.Data.Release()
	s.engine.leave(s.in)
}
