//go:build !gocv_specific_modules

package imaging

import (
	"errors"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestWithoutOpenCVTheErrorSaysWhatToDo(t *testing.T) {
	_, err := NewWorker(Limits{})
	if !errors.Is(err, inspection.ErrUnavailable) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("got %v, want ErrUnavailable with the remedy", err)
	}
}
