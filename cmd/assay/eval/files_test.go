package eval

import (
	"os"
	"strings"
	"testing"
)

func TestCheckFilesSaysWhatIsWrongBeforeAnythingIsSent(t *testing.T) {
	dir := folder(t, "scratch/broken.jpg")
	set := Set{Task: Anomaly, Dir: dir, Normal: "good", Classes: []string{"scratch"}}
	for name, size := range map[string][2]int{"scratch/1.png": {8, 4}, "scratch/1_mask.png": {8, 4}, "scratch/2.png": {8, 4}, "scratch/2_mask.png": {4, 8}, "scratch/broken_mask.png": {1, 1}} {
		write(t, set.Path(name), pngOf(size[0], size[1], make([]byte, size[0]*size[1])))
	}
	write(t, set.Path("scratch/3_mask.png"), []byte("no picture"))
	if err := os.Mkdir(set.Path("folder.png"), 0o750); err != nil {
		t.Fatal(err)
	}
	add := func(file, mask string) { set.Images = append(set.Images, Image{File: file, Mask: mask}) }
	add("scratch/1.png", "scratch/1_mask.png")
	add("scratch/broken.jpg", "scratch/broken_mask.png") // the node will say so
	if err := set.CheckFiles(); err != nil {
		t.Errorf("what fits: %v", err)
	}
	add("scratch/2.png", "scratch/2_mask.png")
	add("scratch/1.png", "scratch/3_mask.png")
	add("scratch/4.png", "")
	add("folder.png", "")
	err := set.CheckFiles()
	for _, want := range []string{"2_mask.png is 4 x 8 px and scratch/2.png 8 x 4", "mask of scratch/1.png: scratch/3_mask.png", "4.png: no such file", "folder.png is a folder"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one that says %q", err, want)
		}
	}
}
