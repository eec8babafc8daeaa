package eval

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder makes empty files: the form of a set shows in the names alone.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadTellsTheSetByItsForm(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   []string
		task    Task
		normal  string
		want    Task
		classes []string
		images  []string // file, class, mask
	}{
		{
			name:  "a folder for each class",
			files: []string{"b/1.png", "a/1.JPG", "a/2.png", "a/notes.txt", ".hidden/1.png", "empty/readme.md", "1.png"},
			want:  Classify, classes: []string{"a", "b"}, images: []string{"a/1.JPG a ", "a/2.png a ", "b/1.png b "},
		},
		{
			name:  "MVTec AD",
			files: []string{"train/good/0.png", "test/good/0.png", "test/cut/0.png", "ground_truth/cut/0_mask.png"},
			want:  Anomaly, classes: []string{"cut"}, images: []string{"test/cut/0.png cut ground_truth/cut/0_mask.png", "test/good/0.png good "},
		},
		{
			name:  "masks beside pictures",
			files: []string{"MT_Break/1.jpg", "MT_Break/1.png", "MT_Free/1.jpg", "MT_Free/1.png"},
			want:  Anomaly, classes: []string{"MT_Break"}, images: []string{"MT_Break/1.jpg MT_Break MT_Break/1.png", "MT_Free/1.jpg MT_Free "},
		},
		{
			name:  "named masks, named normal kind",
			files: []string{"dent/1.png", "dent/1_mask.png", "fine/1.png"}, normal: "fine",
			want: Anomaly, classes: []string{"dent"}, images: []string{"dent/1.png dent dent/1_mask.png", "fine/1.png fine "},
		},
		{
			name:  "no masks",
			files: []string{"dent/1.png", "good/1.png"},
			want:  Anomaly, classes: []string{"dent"}, images: []string{"dent/1.png dent ", "good/1.png good "},
		},
		{
			name:  "good is a class where the task says so",
			files: []string{"dent/1.png", "good/1.png"}, task: Classify,
			want: Classify, classes: []string{"dent", "good"}, images: []string{"dent/1.png dent ", "good/1.png good "},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := Read(folder(t, c.files...), c.task, c.normal)
			if err != nil {
				t.Fatal(err)
			}
			var images []string
			for _, im := range set.Images {
				images = append(images, im.File+" "+im.Class+" "+im.Mask)
			}
			if set.Task != c.want || !slices.Equal(set.Classes, c.classes) || !slices.Equal(images, c.images) {
				t.Errorf("got %s %q %q, want %s %q %q", set.Task, set.Classes, images, c.want, c.classes, c.images)
			}
		})
	}
}

func TestReadRefusesWhatCannotBeMeasured(t *testing.T) {
	for _, c := range []struct {
		files  []string
		task   Task
		normal string
		want   string
	}{
		{[]string{"readme.md"}, "", "", "no folder with pictures"},
		{[]string{"a/1.png"}, "", "", "one class"},
		{[]string{"good/1.png"}, "", "", "normal kind good alone"},
		{[]string{"a/1.png", "b/1.png"}, Anomaly, "", "normal kind: name it"},
		{[]string{"a/1.png", "b/1.png"}, Anomaly, "c", "no folder c"},
		{[]string{"good/1.png", "MT_Free/1.png", "a/1.png"}, Anomaly, "", "say which"},
		{[]string{"good/1.png", "a/1.jpg", "a/1.png", "a/2.jpg"}, "", "", "a/2.jpg has no mask"},
		{[]string{"a/1.png"}, Detect, "", "COCO file"},
	} {
		if _, err := Read(folder(t, c.files...), c.task, c.normal); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one that says %q", c.files, err, c.want)
		}
	}
	dir := folder(t, "a.json")
	if _, err := Read(filepath.Join(dir, "a.json"), Classify, ""); err == nil || !strings.Contains(err.Error(), "name a folder") {
		t.Errorf("a file for classes: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none"), "", ""); err == nil {
		t.Error("a set that is not there: no error")
	}
}
