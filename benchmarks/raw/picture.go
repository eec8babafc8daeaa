package raw

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// spec says how the model's manifest wants its pixels.
func (m *Model) spec() imaging.Spec {
	in := m.manifest.Inputs[0]
	s := imaging.Spec{
		Width: in.Width, Height: in.Height, ChannelsLast: in.Layout == models.NHWC, Uint8: in.Type == models.Uint8,
		Scaled: in.Decode == models.DecodeScaled, Area: in.Interpolation == models.Area, Center: in.Anchor != models.TopLeft, Pad: in.Pad, Scale: in.Scale, Mean: in.Mean, Std: in.Std,
		Colour: map[models.Color]imaging.Colour{models.Gray: imaging.Gray, models.RGB: imaging.RGB, models.BGR: imaging.BGR}[in.Color],
		Resize: map[models.Resize]imaging.Resize{models.Letterbox: imaging.Letterbox, models.Stretch: imaging.Stretch, models.Crop: imaging.Crop, models.ResizeNone: imaging.ResizeNone}[in.Resize],
	}
	for _, source := range in.Sources {
		s.Sources = append(s.Sources, map[models.Source]imaging.Source{
			models.SourceFrame: imaging.FromFrame, models.SourceReference: imaging.FromReference, models.SourceDifference: imaging.FromDifference,
		}[source])
	}
	return s
}

// hand does the pixels' part of one caller.
type hand struct {
	worker    *imaging.Worker
	picture   *imaging.Picture
	spec      imaging.Spec
	templates map[string]*imaging.Template
}

func (m *Model) hand(templates []inspection.Template) (*hand, error) {
	w, err := imaging.NewWorker(imaging.DefaultLimits())
	if err != nil {
		return nil, err
	}
	h := &hand{worker: w, picture: imaging.NewPicture(), spec: m.spec(), templates: map[string]*imaging.Template{}}
	for _, t := range templates {
		if h.templates[t.Key], err = w.NewTemplate(t, h.spec, false); err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

func (h *hand) close() {
	for _, t := range h.templates {
		if t != nil {
			t.Close()
		}
	}
	h.picture.Close()
	h.worker.Close()
}

// fill decodes a frame and writes its sample, without aligning it.
func (h *hand) fill(dst []byte, f inspection.Frame) (inspection.Placement, error) {
	defer h.picture.Forget()
	if err := h.worker.DecodeFor(f.Image, []imaging.Spec{h.spec}, false, h.picture); err != nil {
		return inspection.Placement{}, err
	}
	return h.worker.Fill(dst, h.spec, h.picture, h.templates[f.ReferenceKey()], imaging.Shift{})
}

// Expected returns the samples of frames, for Loop, and what the model finds in each.
func (m *Model) Expected(frames []inspection.Frame, templates []inspection.Template) (samples [][]byte, found [][]inspection.Candidate, err error) {
	h, err := m.hand(templates)
	if err != nil {
		return nil, nil, err
	}
	defer h.close()
	session, err := m.session(1, false)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, session.Destroy()) }()
	l, err := m.lane(session, 1)
	if err != nil {
		return nil, nil, err
	}
	defer l.close()
	for i, f := range frames {
		place, err := h.fill(l.slab, f)
		if err == nil {
			err = l.run()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("picture %d: %w", i, err)
		}
		outs, err := m.read(l)
		if err != nil {
			return nil, nil, err
		}
		answer, err := m.decoder.Decode(outs, 0, place)
		if err != nil {
			return nil, nil, fmt.Errorf("picture %d: %w", i, err)
		}
		samples, found = append(samples, append([]byte(nil), l.slab...)), append(found, answer.Candidates)
	}
	return samples, found, nil
}

// Whole runs a frame's whole way (decode, resize, fill, infer) for length on so many callers with a thread each, and
// returns frames a second: what two cores can do when nothing is served.
func (m *Model) Whole(ctx context.Context, frames []inspection.Frame, callers int, length time.Duration) (rate float64, err error) {
	session, err := m.session(1, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, session.Destroy()) }()
	counts, errs := make([]int, callers), make([]error, callers)
	var ready, work sync.WaitGroup
	begin := make(chan struct{})
	for c := range callers {
		ready.Add(1)
		work.Go(func() { counts[c], errs[c] = m.whole(ctx, session, frames[c%len(frames):], &ready, begin, length) })
	}
	ready.Wait()
	start := time.Now()
	close(begin)
	work.Wait()
	took, n := time.Since(start), 0
	for _, c := range counts {
		n += c
	}
	return float64(n) / took.Seconds(), errors.Join(append(errs, ctx.Err())...)
}
