package node

import (
	"cmp"
	"log/slog"
	"runtime"
	"testing"
)

// Not parallel: it changes the process.
func TestSlotsAreForThreadsThatInferAndHalfTheCores(t *testing.T) {
	before, had := runtime.GOMAXPROCS(0), cores
	defer func() { runtime.GOMAXPROCS(before); cores = had }()
	log := slog.New(slog.DiscardHandler)
	t.Setenv("GOMAXPROCS", "")
	for _, c := range []struct{ procs, threads, want int }{{1, 1, 2}, {2, 2, 3}, {3, 1, 3}, {16, 16, 24}, {4, 0, 6}} {
		cores = c.procs
		threads := Settle(c.threads, log)
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("%d cores, %d threads: got %d slots, want %d", c.procs, c.threads, got, c.want)
		}
		if want := cmp.Or(c.threads, c.procs); threads != want {
			t.Errorf("%d cores, %d threads asked for: got %d, want %d", c.procs, c.threads, threads, want)
		}
	}
	t.Setenv("GOMAXPROCS", "2")
	runtime.GOMAXPROCS(2)
	if Settle(2, log); runtime.GOMAXPROCS(0) != 2 {
		t.Errorf("got %d slots, want the environment's 2", runtime.GOMAXPROCS(0))
	}
}
