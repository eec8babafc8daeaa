package video

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", inspection.MaxName)+".avi")
	if err := os.WriteFile(long, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		kind   error
		words  []string
	}{
		{Config{}, inspection.ErrInvalid, []string{"Path"}},
		{Config{Path: "no/film.avi"}, fs.ErrNotExist, []string{"no/film.avi", "check the path"}},
		{Config{Path: dir}, inspection.ErrInvalid, []string{dir, "not a regular file"}},
		{Config{Path: long}, inspection.ErrInvalid, []string{"serial", "NoSerial"}},
		{Config{Path: long, MaxBytes: -1}, inspection.ErrInvalid, []string{"MaxBytes"}},
	} {
		_, err := Open(c.config)
		if !errors.Is(err, c.kind) {
			t.Errorf("Open(%+v): %v, want %v", c.config, err, c.kind)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q does not name %q", err, word)
			}
		}
	}
}
