package camera

import (
	"context"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// Labels are what a line knows of all frames of a source. Empty ones say nothing.
type Labels struct {
	View, Reference, RunID, Lot, WorkOrder, Product, Recipe string
}

// Validate names the first label that cannot stand in a frame.
func (l Labels) Validate() error {
	var f inspection.Frame
	for _, x := range l.fields(&f) {
		if err := inspection.ValidName(x.name, x.label); err != nil {
			return err
		}
	}
	return nil
}

type labelField struct {
	name, label string
	field       *string
}

func (l Labels) fields(f *inspection.Frame) []labelField {
	return []labelField{
		{"view", l.View, &f.View}, {"reference", l.Reference, &f.Reference}, {"run_id", l.RunID, &f.RunID}, {"lot", l.Lot, &f.Lot},
		{"work_order", l.WorkOrder, &f.WorkOrder}, {"product", l.Product, &f.Product}, {"recipe", l.Recipe, &f.Recipe},
	}
}

// Labelled is a Source that fills in what the source inside leaves empty.
type Labelled struct {
	wrapped
	labels Labels
}

// NewLabelled wraps source, which it closes with itself.
func NewLabelled(source Source, labels Labels) (*Labelled, error) {
	if err := labels.Validate(); err != nil {
		return nil, fmt.Errorf("labels of a source: %w", err)
	}
	return &Labelled{wrapped{source}, labels}, nil
}

// Next is the next shot of the source inside, labelled; so is one that comes with an ErrShot.
func (l *Labelled) Next(ctx context.Context) (Shot, error) {
	shot, err := l.source.Next(ctx)
	for _, x := range l.labels.fields(&shot.Frame) {
		if *x.field == "" {
			*x.field = x.label
		}
	}
	return shot, err
}

var (
	_ Source  = (*Labelled)(nil)
	_ Settler = (*Labelled)(nil)
	_ Sized   = (*Labelled)(nil)
)
