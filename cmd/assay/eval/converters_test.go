package eval

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// convert runs one of models/training's converters on made-up data in the form of its set.
func convert(t *testing.T, program, data string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3 to run the converter with")
	}
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("python3", append([]string{filepath.Join("../../../models/training", program), "--data", data, "--out", out}, args...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, said)
	}
	return out
}

func TestXSDDIsSplitByClassAndReadByEval(t *testing.T) {
	var files []string
	for i := range 10 {
		files = append(files, fmt.Sprintf("X-SDD/datas/red iron/%d.png", i), fmt.Sprintf("X-SDD/datas/slag/1%d.png", i))
	}
	data := folder(t, files...)
	if err := os.WriteFile(filepath.Join(data, "train.txt"), []byte(strings.Join(files, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pictures := func(split string) []string {
		out := convert(t, "x_sdd.py", data, "--split", split)
		set, err := Read(filepath.Join(out, "images"), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if set.Task != Classify || !slices.Equal(set.Classes, []string{"red iron", "slag"}) {
			t.Errorf("%s: task %s, classes %q", split, set.Task, set.Classes)
		}
		if recipe, err := os.ReadFile(filepath.Join(out, "recipes/x-sdd.yaml")); err != nil || !strings.Contains(string(recipe), "model: steel") {
			t.Errorf("%s: recipe %v %s", split, err, recipe)
		}
		var names []string
		for _, im := range set.Images {
			names = append(names, im.File)
		}
		return names
	}
	train, val, all := pictures("train"), pictures("val"), pictures("all")
	if len(val) != 4 || len(train) != 16 {
		t.Errorf("%d for validation and %d for training, want 2 of each 10", len(val), len(train))
	}
	both := append(slices.Clone(train), val...)
	slices.Sort(both)
	if slices.Sort(all); !slices.Equal(both, all) {
		t.Errorf("train and val are %q, want %q", both, all)
	}
	if again := pictures("val"); !slices.Equal(again, val) {
		t.Errorf("val is drawn as %q, then as %q", val, again)
	}
}

func TestMagneticTilesAreReadByEval(t *testing.T) {
	files := []string{"MT_Break/Imgs/a.jpg", "MT_Free/Imgs/b.jpg"}
	data := folder(t, append(files, "MT_Break/Imgs/a.png", "MT_Break/Imgs/other.jpg")...)
	if err := os.WriteFile(filepath.Join(data, "test.txt"), []byte(strings.Join(files, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := Read(filepath.Join(convert(t, "magnetic_tile.py", data), "images"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Image{{File: "test/MT_Break/a.jpg", Class: "MT_Break", Mask: "ground_truth/MT_Break/a_mask.png"}, {File: "test/good/b.jpg", Class: "good"}}
	if set.Task != Anomaly || set.Normal != "good" || !slices.Equal(set.Images, want) {
		t.Errorf("got %s, normal %q, %+v; want %+v", set.Task, set.Normal, set.Images, want)
	}
}
