package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/assay-vision/assay/inspection"
)

type cocoFile struct {
	Images []struct {
		ID        int64  `json:"id"`
		File      string `json:"file_name"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		Reference string `json:"reference"`
		View      string `json:"view"`
	} `json:"images"`
	Categories []struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"categories"`
	Annotations []struct {
		ID       int64     `json:"id"`
		Image    int64     `json:"image_id"`
		Category int64     `json:"category_id"`
		Box      []float64 `json:"bbox"` // x, y, width, height
		Crowd    int       `json:"iscrowd"`
	} `json:"annotations"`
}

// ReadCOCO reads a set from its JSON file. Beside COCO's own fields an image may carry "reference" (the key of its
// template) and "view". What does not fit together is an error that names the entry.
func ReadCOCO(path string) (Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return Set{}, fmt.Errorf("open the set: %w", err)
	}
	defer f.Close()
	set, err := parseCOCO(f)
	if err != nil {
		return Set{}, fmt.Errorf("read the set %s: %w", path, err)
	}
	set.Dir = filepath.Dir(path)
	return set, nil
}

func parseCOCO(r io.Reader) (Set, error) {
	var file cocoFile
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return Set{}, fmt.Errorf("not a COCO file: %w", err)
	}
	set := Set{Task: Detect}
	categories, err := file.categories(&set)
	if err != nil {
		return Set{}, err
	}
	images, err := file.images(&set)
	if err != nil {
		return Set{}, err
	}
	return set, file.truths(&set, categories, images)
}

// categories adds the classes and returns their names by id.
func (file cocoFile) categories(set *Set) (map[int64]string, error) {
	if len(file.Categories) == 0 {
		return nil, errors.New("categories is empty: a COCO file lists its classes there")
	}
	byID := map[int64]string{}
	names := map[string]bool{}
	for i, c := range file.Categories {
		if _, twice := byID[c.ID]; twice || c.Name == "" || names[c.Name] {
			return nil, fmt.Errorf("categories[%d]: id %d, name %q: ids and names must be there once each", i, c.ID, c.Name)
		}
		byID[c.ID], names[c.Name] = c.Name, true
		set.Classes = append(set.Classes, c.Name)
	}
	return byID, nil
}

// images adds the pictures and returns their places by id.
func (file cocoFile) images(set *Set) (map[int64]int, error) {
	if len(file.Images) == 0 {
		return nil, errors.New("images is empty: a COCO file lists its pictures there")
	}
	byID := map[int64]int{}
	for i, im := range file.Images {
		if _, twice := byID[im.ID]; twice {
			return nil, fmt.Errorf("images[%d]: id %d stands twice", i, im.ID)
		}
		if !filepath.IsLocal(im.File) {
			return nil, fmt.Errorf("images[%d]: file_name %q: name a file below the set's own folder", i, im.File)
		}
		byID[im.ID] = i
		set.Images = append(set.Images, Image{File: im.File, Width: im.Width, Height: im.Height, Reference: im.Reference, View: im.View})
	}
	return byID, nil
}

// truths adds the annotated boxes.
func (file cocoFile) truths(set *Set, categories map[int64]string, images map[int64]int) error {
	for i, a := range file.Annotations {
		image, ok := images[a.Image]
		if !ok {
			return fmt.Errorf("annotations[%d]: image_id %d is none of the images", i, a.Image)
		}
		class, ok := categories[a.Category]
		if !ok {
			return fmt.Errorf("annotations[%d]: category_id %d is none of the categories", i, a.Category)
		}
		if len(a.Box) != 4 || !(a.Box[2] > 0) || !(a.Box[3] > 0) {
			return fmt.Errorf("annotations[%d]: bbox %v: give [x, y, width, height] with a size above 0", i, a.Box)
		}
		box := inspection.Box{X1: a.Box[0], Y1: a.Box[1], X2: a.Box[0] + a.Box[2], Y2: a.Box[1] + a.Box[3]}
		set.Truths = append(set.Truths, Truth{Image: image, Class: class, Box: box, Crowd: a.Crowd != 0})
	}
	return nil
}
