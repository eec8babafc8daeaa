package eval

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // a picture's size
	_ "image/png"  // a picture's and a mask's
	"os"
)

// CheckFiles looks whether the set's pictures are there, and whether their masks are pictures of their size, so that a run of
// an hour does not end at the last one. All that is wrong is said at once.
func (s Set) CheckFiles() error {
	var errs []error
	for _, im := range s.Images {
		if info, err := os.Stat(s.Path(im.File)); err != nil {
			errs = append(errs, fmt.Errorf("picture of the set: %w", err))
		} else if info.IsDir() {
			errs = append(errs, fmt.Errorf("picture of the set: %s is a folder", s.Path(im.File)))
		}
		if im.Mask != "" {
			errs = append(errs, s.checkMask(im))
		}
	}
	return errors.Join(errs...)
}

func (s Set) checkMask(im Image) error {
	mask, err := s.size(im.Mask)
	if err != nil {
		return fmt.Errorf("mask of %s: %w", im.File, err)
	}
	picture, err := s.size(im.File)
	if err != nil {
		return nil //nolint:nilerr // whether it is a picture is the node's to say
	}
	if mask != picture {
		return fmt.Errorf("mask %s is %d x %d px and %s %d x %d: give a mask of the picture's size", im.Mask, mask.X, mask.Y, im.File, picture.X, picture.Y)
	}
	return nil
}

// size reads a picture's size from its header.
func (s Set) size(file string) (image.Point, error) {
	f, err := os.Open(s.Path(file))
	if err != nil {
		return image.Point{}, err
	}
	defer f.Close()
	config, _, err := image.DecodeConfig(f)
	if err != nil {
		return image.Point{}, fmt.Errorf("%s: %w", file, err)
	}
	return image.Pt(config.Width, config.Height), nil
}
