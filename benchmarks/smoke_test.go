package benchmarks

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	}{
		{"conv9", 224, 3}, {"conv9-large", 224, 3}, {"conv9-xlarge", 224, 3}, {"conv9-xxlarge", 224, 3},
		{"conv1", 128, 3}, {"conv1-large", 128, 3}, {"conv1-xlarge", 128, 3}, {"tiny", 64, 1},
	} {
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

// TestLargePicturesShowTheSameCells holds pictures of another size, and JPEGs, to what was painted.
func TestLargePicturesShowTheSameCells(t *testing.T) {
	models, err := filepath.Abs("models")
	if err != nil {
		t.Fatal(err)
	}
	jpegs, err := jpegFrames(896, 672, 3, jpegQuality)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name                    string
		frames                  []inspection.Frame
		size, components, first int
		w, h                    float64
	}{{"tiny", largeFrames(512, 384, 3), 64, 1, 0, 512, 384}, {"conv9", jpegs, 224, 3, 1, 896, 672}} {
		m, err := raw.Open(models, tc.name)
		if err != nil {
			t.Fatal(err)
		}
		_, found, err := m.Expected(tc.frames, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tc.frames {
			p := paint(tc.size, tc.components, tc.first+i)
			if len(found[i]) != len(p.hot)+len(p.warm) {
				t.Errorf("%s picture %d: %d cells were painted, the network found %+v", tc.name, i, len(p.hot)+len(p.warm), found[i])
			}
			wide, high := tc.w*cell/float64(tc.size), tc.h*cell/float64(tc.size)
			for _, at := range append(p.hot, p.warm...) {
				x, y := (float64(at.X)+0.5)*wide, (float64(at.Y)+0.5)*high
				if !slices.ContainsFunc(found[i], func(c inspection.Candidate) bool { return c.Box.X1 < x && x < c.Box.X2 && c.Box.Y1 < y && y < c.Box.Y2 }) {
					t.Errorf("%s picture %d: nothing was found at %v, %v: %+v", tc.name, i, x, y, found[i])
				}
			}
		}
	}
}
