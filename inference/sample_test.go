//go:build gocv_specific_modules

package inference

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
)

// A recipe that aligns needs the frame in the template's size, whatever the model allows.
func TestARecipeThatAlignsDecodesInFull(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 640, 480)), nil); err != nil {
		t.Fatal(err)
	}
	w, err := imaging.NewWorker(imaging.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	th := &thread{imaging: w, picture: imaging.NewPicture()}
	defer th.picture.Close()
	spec := imaging.Spec{Width: 64, Height: 64, Colour: imaging.Gray, Sources: []imaging.Source{imaging.FromFrame}, Scaled: true, Scale: 1, Mean: []float64{0}, Std: []float64{1}}
	for align, want := range map[inspection.Align]int{inspection.AlignNone: 80, inspection.AlignTranslation: 640} {
		s := &sample{
			in: &instance{
				recipe: &inspection.Recipe{Reference: inspection.ReferenceSpec{Align: align}},
				model:  &loaded{specs: []imaging.Spec{spec}},
			},
			image: inspection.Image{Format: inspection.FormatJPEG, Data: inspection.NewBuffer(nil, b.Bytes())},
		}
		if err := s.decode(th); err != nil {
			t.Fatal(err)
		}
		if th.picture.Width() != want || s.facts.Width != 640 || s.facts.Height != 480 {
			t.Errorf("align %v: decoded %d px wide, facts %+v; want %d px, and the frame's 640 x 480", align, th.picture.Width(), s.facts, want)
		}
	}
}
