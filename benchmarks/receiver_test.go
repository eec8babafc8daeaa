package benchmarks

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A process receives frames by gRPC and drops them, and what that takes grows with them; nothing is left behind.
func TestReceivedIsMeasuredInAProcessOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the benchmark")
	}
	program, dir := filepath.Join(t.TempDir(), "bench"), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/bench").CombinedOutput(); err != nil {
		t.Fatalf("build bench: %v\n%s", err, out)
	}
	costs, err := received(t.Context(), program, dir, [][2]int{{32, 32}, {4096, 4096}}, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(costs) != 2 || costs[0] <= 0 || costs[1] < 2*costs[0] {
		t.Errorf("got %v for 1 kB and 17 MB, want two costs, the second much larger", costs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A program that does not take frames is an error, and no wait without end.
func TestAReceiverThatDoesNotReceive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if costs, err := received(ctx, "/bin/true", t.TempDir(), rawSizes, time.Millisecond); err == nil {
		t.Errorf("got %v", costs)
	}
	if costs, err := received(t.Context(), "/nonexistent/receiver", t.TempDir(), rawSizes, time.Millisecond); err == nil {
		t.Errorf("got %v", costs)
	}
}

// What a megabyte costs is the worst size's, beyond what the smallest frame costs.
func TestWorstOf(t *testing.T) {
	if got := worstOf([]float64{1, 2, 11}, []float64{5, 8, 15}); got != 3 {
		t.Errorf("got %v, want 3: the second size's", got)
	}
}
