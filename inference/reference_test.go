//go:build gocv_specific_modules

package inference_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/models"
)

// reference is one file of testdata/reference; the README there says what the fields are.
type reference struct {
	Model    string
	Graph    pinnedFile
	Floor    float64
	Pictures []struct {
		pinnedFile
		Root       string
		Reference  *pinnedFile
		Candidates []struct {
			Class string
			Score float64
			Box   [4]float64
		}
	}
}

type pinnedFile struct{ Path, SHA256 string }

// read returns the file's bytes. Another digest than the reference was computed from would compare nothing.
func (f pinnedFile) read(t *testing.T, root string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, f.Path))
	if err != nil {
		t.Skipf("no %s: set INSPECTION_DATA (%v)", f.Path, err)
	}
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != f.SHA256 {
		t.Fatalf("%s is another file than the reference was computed from", f.Path)
	}
	return b
}

func dataRoot() string {
	if dir := os.Getenv("INSPECTION_DATA"); dir != "" {
		return dir
	}
	return "../../shared/data"
}

// Our boxes and scores on real pictures are those that ONNX Runtime gives in Python, by a program that shares no code with
// ours. What differs is the picture's way to the tensor: OpenCV's and Pillow's decoders are one library, but a bilinear
// resize is rounded in another fixed point, by one step of 255 here and there (measured: scores 0.010, boxes 1.4 px at most).
// Halving by area is exact, and so are the board layers.
func TestBoxesAndScoresAgreeWithPython(t *testing.T) {
	const here = "testdata/reference"
	for _, c := range []struct {
		file            string
		score, box, gap float64 // what may differ, and how far above the floor a candidate must be to be looked for
	}{
		{"pcb-pair", 1e-4, 0.01, 0.001}, // identical but for the digits that the file holds

		{"yolox-nano", 0.02, 1.5, 0.05},
		{"ultraface", 0.02, 1.5, 0.05},
	} {
		t.Run(c.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(here, c.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var ref reference
			if err := json.Unmarshal(data, &ref); err != nil {
				t.Fatal(err)
			}
			e := newEngine(t, newORT(t), referenceModels(t, ref))
			held := openRecipe(ref.Model, max(ref.Floor, 0.01)) // keeps the model loaded from picture to picture
			if ref.Model == "pcb-pair" {
				held.Reference.Templates = template(t, "top")
			}
			ready(t, e, held)
			worstScore, worstBox, compared := 0.0, 0.0, 0
			for i, p := range ref.Pictures {
				root := here
				if p.Root == "data" {
					root = dataRoot()
				}
				r := openRecipe(ref.Model, max(ref.Floor, 0.01))
				r.Digest += p.Path
				if p.Reference != nil {
					r.Reference.Templates = map[string]inspection.Template{"top": {Key: "top", Format: inspection.FormatPNG, Data: p.Reference.read(t, root)}}
				}
				j := judge(t, e, r, jobOf(uint64(i+1), p.read(t, root)))
				for _, want := range p.Candidates {
					if want.Score < ref.Floor+c.gap {
						continue
					}
					box := inspection.Box{X1: want.Box[0], Y1: want.Box[1], X2: want.Box[2], Y2: want.Box[3]}
					got, far := nearest(j.Defects, want.Class, box)
					worstScore, worstBox, compared = max(worstScore, math.Abs(got.Score-want.Score)), max(worstBox, far), compared+1
					if math.Abs(got.Score-want.Score) > c.score || far > c.box {
						t.Errorf("%s: want %s %.4f at %v, the nearest is %.4f at %v", p.Path, want.Class, want.Score, want.Box, got.Score, got.Box)
					}
				}
				for _, d := range j.Defects {
					if d.Score < ref.Floor+c.gap {
						continue
					}
					best := math.Inf(1)
					for _, want := range p.Candidates {
						if want.Class == d.Class {
							best = min(best, distance(d.Box, inspection.Box{X1: want.Box[0], Y1: want.Box[1], X2: want.Box[2], Y2: want.Box[3]}))
						}
					}
					if best > c.box {
						t.Errorf("%s: got %s %.4f at %v, which the reference does not have", p.Path, d.Class, d.Score, d.Box)
					}
				}
			}
			if compared == 0 {
				t.Fatal("nothing was compared")
			}
			t.Logf("%d candidates on %d pictures: scores differ by at most %.5f, boxes by %.3f px", compared, len(ref.Pictures), worstScore, worstBox)
		})
	}
}

// referenceModels is a repository with the model of a reference file: the one that ships, or a graph of the data with our
// example's manifest.
func referenceModels(t *testing.T, ref reference) *models.Repository {
	t.Helper()
	root := models.Shipped()
	if ref.Model != "pcb-pair" {
		manifest, err := os.ReadFile(filepath.Join("../models/examples", ref.Model, "1/model.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		root = models.Root{Name: "test", FS: fstest.MapFS{
			ref.Model + "/1/model.onnx": {Data: ref.Graph.read(t, dataRoot())},
			ref.Model + "/1/model.yaml": {Data: manifest},
		}}
	}
	repo, err := models.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func nearest(ds []inspection.Defect, class string, b inspection.Box) (best inspection.Defect, far float64) {
	far = math.Inf(1)
	for _, d := range ds {
		if d.Class == class && distance(d.Box, b) < far {
			best, far = d, distance(d.Box, b)
		}
	}
	return best, far
}

// distance is how far the farthest side lies off, in px.
func distance(a, b inspection.Box) float64 {
	return max(math.Abs(a.X1-b.X1), math.Abs(a.Y1-b.Y1), math.Abs(a.X2-b.X2), math.Abs(a.Y2-b.Y2))
}

func judge(t testing.TB, e interface {
	Prepare(context.Context, *inspection.Recipe) (inspection.ModelRef, error)
	Inspect(context.Context, inspection.Job) (inspection.Judgement, error)
	Release(*inspection.Recipe, inspection.ModelRef)
}, r *inspection.Recipe, job inspection.Job) inspection.Judgement {
	t.Helper()
	ref, err := e.Prepare(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Release(r, ref)
	job.Recipe, job.Model = r, ref
	j, err := e.Inspect(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
