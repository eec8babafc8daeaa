package decode

import (
	"math"

	"github.com/assay-vision/assay/models"
)

// activate makes the scores of one row of an output, the values from at on, as many as into holds. Without activation each must
// be a score already.
func (b *base) activate(t tensor, at int, into []float64) error {
	row := t.data[at : at+len(into)]
	switch b.activation {
	case models.ActivationSigmoid:
		for i, v := range row {
			into[i] = 1 / (1 + math.Exp(-float64(v)))
		}
	case models.ActivationSoftmax:
		softmax(row, into)
	default:
		for i, v := range row {
			s, ok := score(v)
			if !ok {
				return t.badScore(at + i)
			}
			into[i] = s
		}
	}
	return nil
}

// softmax takes the greatest value off first: no exponential is then too large to be a number.
func softmax(row []float32, into []float64) {
	top := float64(row[0])
	for _, v := range row {
		top = max(top, float64(v))
	}
	sum := 0.0
	for i, v := range row {
		into[i] = math.Exp(float64(v) - top)
		sum += into[i]
	}
	for i := range into {
		into[i] /= sum
	}
}
