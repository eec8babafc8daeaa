//go:build !gocv_specific_modules || !gocv_videoio

package video

import (
	"context"
	"fmt"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// This file stands in where the program was built without OpenCV: Open fails, so that nothing else here is ever reached.

var errMissing = fmt.Errorf("%w: built without OpenCV's video input: run `make setup && make build`, or build with -tags gocv_specific_modules,gocv_videoio; or stream a folder of pictures", inspection.ErrUnavailable)

// Source would yield a film's frames.
type Source struct{}

// Open says what is wrong with the configuration, else how to build a program that can read films: then the error is an
// inspection.ErrUnavailable.
func Open(config Config) (*Source, error) {
	if _, err := config.check(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("film %s: %w", config.Path, errMissing)
}

// Len is unknown.
func (s *Source) Len() int { return -1 }

// Next fails.
func (s *Source) Next(context.Context) (camera.Shot, error) { return camera.Shot{}, errMissing }

// Close does nothing.
func (s *Source) Close() error { return nil }

var _ camera.Source = (*Source)(nil)
