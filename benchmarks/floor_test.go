package benchmarks

import (
	"os"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera/load"
)

// The floor is measured at the timetable's times, and leaves nothing behind.
func TestFloor(t *testing.T) {
	table := load.Schedule{{At: 0}, {At: 5 * time.Millisecond}, {At: 10 * time.Millisecond}}
	begin, dir := time.Now(), t.TempDir()
	f, err := floorOf(t.Context(), dir, 150_000, table)
	if err != nil || f.exchange <= 0 || f.sync <= 0 {
		t.Fatalf("got %+v, %v", f, err)
	}
	if took := time.Since(begin); took < 10*time.Millisecond || f.exchange > took || f.sync > took {
		t.Errorf("%+v in %v, and the last frame was due after 10 ms", f, took)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
