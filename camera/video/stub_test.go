//go:build !gocv_specific_modules || !gocv_videoio

package video

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestWithoutOpenCVOpenSaysSo(t *testing.T) {
	film := filepath.Join(t.TempDir(), "film.avi")
	if err := os.WriteFile(film, []byte("film"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: film}); !errors.Is(err, inspection.ErrUnavailable) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("Open: %v, want ErrUnavailable with the remedy", err)
	}
}
