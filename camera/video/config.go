package video

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// Config says which film to read.
type Config struct {
	// Path is the film's file: any container and codec that the machine's OpenCV reads.
	Path string
	// NoSerial leaves the serial empty; false means the film's name without ending, "-" and the frame's number in six digits, from 1.
	NoSerial bool
	// MaxBytes is the largest frame, in bytes of raw pixels (3 x width x height); a film with larger ones is refused. 0 means
	// 64 MiB, what a node takes by default.
	MaxBytes int64
}

// check fills in what zero means, and says what is wrong with the path before OpenCV, whose word for everything is "cannot open".
func (c Config) check() (Config, error) {
	if c.MaxBytes < 0 {
		return c, fmt.Errorf("%w: MaxBytes is %d: use a number of bytes above 0, or 0 for %d", inspection.ErrInvalid, c.MaxBytes, int64(camera.DefaultMaxBytes))
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = camera.DefaultMaxBytes
	}
	if c.Path == "" {
		return c, fmt.Errorf("%w: Path is empty: name the film", inspection.ErrInvalid)
	}
	switch info, err := os.Stat(c.Path); {
	case errors.Is(err, fs.ErrNotExist):
		return c, fmt.Errorf("%w: there is no film %s: check the path (a relative one starts where the program was started)", err, c.Path)
	case err != nil:
		return c, fmt.Errorf("look at film %s: %w", c.Path, err)
	case !info.Mode().IsRegular():
		return c, fmt.Errorf("%w: %s is not a regular file: name a film, or stream a folder of pictures as a folder", inspection.ErrInvalid, c.Path)
	}
	if !c.NoSerial {
		if err := inspection.ValidName("serial", c.name(999_999)); err != nil {
			return c, fmt.Errorf("%w from the film's name: rename the film or set NoSerial", err)
		}
	}
	return c, nil
}

// name is the n-th frame's, counted from 1.
func (c Config) name(n int) string {
	base := filepath.Base(c.Path)
	return fmt.Sprintf("%s-%06d", strings.TrimSuffix(base, filepath.Ext(base)), n)
}
