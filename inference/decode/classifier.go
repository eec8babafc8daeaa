package decode

import (
	"cmp"
	"slices"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// classifier reads one score for each class of the whole picture.
type classifier struct{ base }

var _ Decoder = (*classifier)(nil)

// Decode implements Decoder.
func (d *classifier) Decode(outs []Output, sample int, p inspection.Placement) (Answer, error) {
	out, err := d.tensor(outs, models.RoleScores, sample)
	if err != nil {
		return Answer{}, err
	}
	if err := checkPlacement(p); err != nil {
		return Answer{}, err
	}
	scores := make([]float64, len(d.labels))
	if err := d.activate(out, 0, scores); err != nil {
		return Answer{}, err
	}
	var candidates []inspection.Candidate
	for class, s := range scores {
		if s >= d.floor {
			candidates = append(candidates, inspection.Candidate{Class: d.labels[class], Score: decimal(s), Box: wholeFrame(p)})
		}
	}
	slices.SortStableFunc(candidates, func(a, b inspection.Candidate) int { return cmp.Compare(b.Score, a.Score) })
	return Answer{Candidates: candidates}, nil
}
