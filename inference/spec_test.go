package inference

import (
	"errors"
	"reflect"
	"testing"

	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

func TestSpecsOf(t *testing.T) {
	parse := func(input string) models.Manifest {
		t.Helper()
		m, err := models.ParseManifest("model.yaml", []byte("task: detect\ninputs:\n"+input+`output: {decoder: ssd, tensors: {scores: s, boxes: b}}
labels: [a]
`))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := "  - {name: x, layout: NHWC, width: 32, height: 16, color: rgb, sources: [reference, frame], resize: letterbox, interpolation: area, anchor: top-left, pad: 114, scale: 0.5, mean: [1, 2, 3], std: [4]}\n"
	got, err := specsOf(parse(first))
	want := []imaging.Spec{{
		Width: 32, Height: 16, Colour: imaging.RGB, Sources: []imaging.Source{imaging.FromReference, imaging.FromFrame}, ChannelsLast: true,
		Resize: imaging.Letterbox, Area: true, Pad: 114, Scale: 0.5, Mean: []float64{1, 2, 3}, Std: []float64{4, 4, 4},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = specsOf(parse("  - {name: x, layout: NCHW, type: uint8, width: 32, height: 16, color: gray, sources: [frame], resize: none}\n"))
	if err != nil || !got[0].Uint8 || got[0].Colour != imaging.Gray || got[0].Resize != imaging.ResizeNone || !got[0].Center || got[0].ChannelsLast {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = specsOf(parse("  - {name: x, layout: NCHW, width: 32, height: 16, color: gray, decode: scaled, resize: stretch}\n"))
	if err != nil || !got[0].Scaled {
		t.Errorf("decode: scaled: got %+v, %v", got, err)
	}
	mixed := parse(first)
	mixed.Inputs = append(mixed.Inputs, mixed.Inputs[0])
	mixed.Inputs[1].Color, mixed.Inputs[1].Mean, mixed.Inputs[1].Std = models.Gray, []float64{0}, []float64{1}
	if _, err := specsOf(mixed); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a grey input beside a colour one: got %v, want ErrInvalid", err)
	}
	if _, err := specsOf(models.Manifest{}); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("no inputs: got %v, want ErrInvalid", err)
	}
}
