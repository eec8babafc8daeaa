package benchmarks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/inspection"
)

// TestThroughputRunsEndToEnd runs P1 for moments against the real program. It asserts no figure: the machine is not the
// test's alone.
func TestThroughputRunsEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts a node")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "assayd")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/assayd").CombinedOutput(); err != nil {
		t.Fatalf("build assayd: %v\n%s", err, out)
	}
	models, err := filepath.Abs("models")
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), Config{
		Program: program, Models: models, Dir: dir, Only: []string{"P1"}, Pairs: 1, Unit: 300 * time.Millisecond, Progress: testWriter{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Row{}
	for _, r := range results.Rows {
		rows[r.ID+" "+r.Case] = r
		if strings.Contains(r.Note, "wrong") || strings.Contains(r.Note, "failed") {
			t.Errorf("%s %s: %s", r.ID, r.Case, r.Note)
		}
	}
	for _, want := range []string{"P1 conv9", "P1 conv1", "P1 pcb-pair", "P1c conv9"} {
		if r, ok := rows[want]; !ok || r.Frames == 0 {
			t.Errorf("%s: %+v, want frames that were answered", want, r)
		}
	}
	if !strings.Contains(results.Config, "keep_simulated") {
		t.Errorf("the results do not hold the node's configuration:\n%s", results.Config)
	}
	path, err := results.Write(filepath.Join(dir, "results"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, strings.TrimSuffix(path, ".txt") + ".json"} {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want results", file, err)
		}
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// TestNetworksFindWhatWasPainted holds the networks, which are made by a script, to the pictures, which are drawn here:
// the right answers that served ones are compared with are right themselves.
func TestNetworksFindWhatWasPainted(t *testing.T) {
	models, err := filepath.Abs("models")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name             string
		size, components int
	}{{"conv9", 224, 3}, {"conv1", 128, 3}, {"tiny", 64, 1}} {
		m, err := raw.Open(models, tc.name)
		if err != nil {
			t.Fatal(err)
		}
		frames := paintedFrames(tc.size, tc.components)
		samples, found, err := m.Expected(frames, nil)
		if err != nil {
			t.Fatal(err)
		}
		boxes := map[inspection.Box]bool{}
		for i := range frames {
			p := paint(tc.size, tc.components, i)
			if string(samples[i]) != string(p.pix) {
				t.Errorf("%s picture %d: the network is not fed the bytes as they are sent", tc.name, i)
			}
			want := map[string]int{"hot": len(p.hot), "warm": len(p.warm)}
			for _, c := range found[i] {
				if c.Score > reportAt {
					want[c.Class]--
					boxes[c.Box] = true
				}
			}
			if want["hot"] != 0 || want["warm"] != 0 {
				t.Errorf("%s picture %d: %d hot and %d warm cells were painted, the network found %+v", tc.name, i, len(p.hot), len(p.warm), found[i])
			}
		}
		if len(boxes) < len(frames) {
			t.Errorf("%s: %d different boxes in %d pictures: the convolutions do not show in the answers", tc.name, len(boxes), len(frames))
		}
	}
}
