package inference

import (
	"fmt"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// specsOf translates a manifest's picture inputs for package imaging, which does not know manifests.
func specsOf(m models.Manifest) ([]imaging.Spec, error) {
	var specs []imaging.Spec
	for i, in := range m.Inputs {
		s := imaging.Spec{
			Width: in.Width, Height: in.Height,
			ChannelsLast: in.Layout == models.NHWC,
			Uint8:        in.Type == models.Uint8,
			Scaled:       in.Decode == models.DecodeScaled,
			Area:         in.Interpolation == models.Area,
			Center:       in.Anchor != models.TopLeft,
			Pad:          in.Pad,
			Scale:        in.Scale,
			Mean:         in.Mean,
			Std:          in.Std,
		}
		s.Colour = map[models.Color]imaging.Colour{models.Gray: imaging.Gray, models.RGB: imaging.RGB, models.BGR: imaging.BGR}[in.Color]
		s.Resize = map[models.Resize]imaging.Resize{models.Letterbox: imaging.Letterbox, models.Stretch: imaging.Stretch, models.Crop: imaging.Crop, models.ResizeNone: imaging.ResizeNone}[in.Resize]
		for _, source := range in.Sources {
			s.Sources = append(s.Sources, map[models.Source]imaging.Source{models.SourceFrame: imaging.FromFrame, models.SourceReference: imaging.FromReference, models.SourceDifference: imaging.FromDifference}[source])
		}
		if err := s.Validate(); err != nil {
			return nil, fmt.Errorf("inputs[%d]: %w", i, err)
		}
		if i > 0 && s.Colour.Components() != specs[0].Colour.Components() {
			return nil, fmt.Errorf("%w: inputs[%d].color: %s beside %s: a frame is decoded once, so all inputs must be grey or all colour", inspection.ErrInvalid, i, in.Color, m.Inputs[0].Color)
		}
		specs = append(specs, s)
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("%w: inputs: the manifest has none", inspection.ErrInvalid)
	}
	return specs, nil
}

// needsReference reports whether any input is filled from a template.
func needsReference(specs []imaging.Spec) bool {
	for _, s := range specs {
		if s.NeedsReference() {
			return true
		}
	}
	return false
}
