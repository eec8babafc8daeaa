package decode

import (
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// Output is one output of a graph for a whole batch. Data is row-major; axis 0 of Shape is the batch.
type Output struct {
	Name  string
	Shape []int64
	Data  []float32
}

// Decoder turns the outputs of one sample into candidates. A Decoder may be shared by goroutines.
type Decoder interface {
	// Decode reads the sample at index sample of the batch and returns its candidates in pixels of the frame that p
	// describes, by falling score. An output that is missing, misshapen or holds a value that cannot be right (not finite,
	// a score outside 0..1, a box without area) is an error that wraps inspection.ErrModelOutput: never a candidate, and
	// never silently left out. It keeps none of outs.
	Decode(outs []Output, sample int, p inspection.Placement) ([]inspection.Candidate, error)
}

// New returns the decoder that m.Output names. m must have passed models.ParseManifest. The error wraps
// inspection.ErrInvalid.
func New(m models.Manifest) (Decoder, error) { return nil, inspection.ErrInvalid }
