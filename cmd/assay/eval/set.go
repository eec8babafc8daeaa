package eval

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Task is what a set asks of a model.
type Task string

// The tasks, each with the form of its sets.
const (
	Detect   Task = "detect"   // a COCO file: boxes
	Classify Task = "classify" // a folder for each class
	Anomaly  Task = "anomaly"  // a folder for each kind, one of them normal; masks of the others
)

// Set is pictures with their truth.
type Set struct {
	Task    Task
	Dir     string // the folder to which files are relative
	Images  []Image
	Classes []string // Detect: in the order of the file; Classify: folder names; Anomaly: the kinds that are not normal. By name
	Truths  []Truth  // Detect alone. Truth.Image indexes Images
	Normal  string   // Anomaly alone: the kind that is normal
}

// Image is one picture of a set.
type Image struct {
	File      string // as written, relative to Set.Dir
	Width     int    // px; 0 when the set does not say
	Height    int
	Reference string // key of its template in the recipe; empty: none stated
	View      string
	Class     string // Classify: what it shows; Anomaly: its kind
	Mask      string // Anomaly: file of its mask, relative to Set.Dir; empty: there is none
}

// DefaultNormal lists the folder names that are taken for the normal kind where nobody names it: MVTec AD's, and that of the
// magnetic tiles.
func DefaultNormal() []string { return []string{"good", "MT_Free"} }

// Masked reports whether the set has masks, without which nothing is known of places.
func (s Set) Masked() bool {
	return slices.ContainsFunc(s.Images, func(im Image) bool { return im.Mask != "" })
}

// Read reads the set at a path: a COCO file, or a folder. A folder is for anomalies where it has MVTec AD's form (test/), a
// folder of the normal kind or masks, else one for each class; a task other than "" says so. normal names the folder of the
// normal kind; empty: one of DefaultNormal. What does not fit together is an error that names the file.
func Read(name string, task Task, normal string) (Set, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Set{}, fmt.Errorf("open the set: %w", err)
	}
	if !info.IsDir() {
		if task != "" && task != Detect {
			return Set{}, fmt.Errorf("the set %s is a file, which is read as COCO: for the task %s name a folder", name, task)
		}
		return ReadCOCO(name)
	}
	if task == Detect {
		return Set{}, fmt.Errorf("the set %s is a folder: for the task %s name a COCO file", name, task)
	}
	set, err := readFolders(os.DirFS(name), task, normal)
	if err != nil {
		return Set{}, fmt.Errorf("read the set %s: %w", name, err)
	}
	set.Dir = name
	return set, nil
}

// kind is one folder of a set with its picture files and masks, as paths in the set.
type kind struct {
	name     string
	pictures []string
	masks    map[string]string // by picture
}

func readFolders(dir fs.FS, task Task, normal string) (Set, error) {
	root, truth := ".", ""
	if isDir(dir, "test") && task != Classify {
		root, truth, task = "test", "ground_truth", Anomaly
	}
	kinds, err := readKinds(dir, root, truth)
	if err != nil {
		return Set{}, err
	}
	isNormal := func(k kind) bool { return k.name == normal || normal == "" && slices.Contains(DefaultNormal(), k.name) }
	if task == "" {
		task = Classify
		if slices.ContainsFunc(kinds, func(k kind) bool { return isNormal(k) || len(k.masks) > 0 }) {
			task = Anomaly
		}
	}
	set := Set{Task: task}
	for _, k := range kinds {
		if task == Anomaly && isNormal(k) {
			if set.Normal != "" {
				return Set{}, fmt.Errorf("the folders %s and %s may both be the normal kind: say which", set.Normal, k.name)
			}
			set.Normal, k.masks = k.name, nil
		} else {
			set.Classes = append(set.Classes, k.name)
		}
		for _, p := range k.pictures {
			set.Images = append(set.Images, Image{File: p, Class: k.name, Mask: k.masks[p]})
		}
	}
	return set, set.checkKinds(kinds, normal)
}

// checkKinds refuses what cannot be measured.
func (s Set) checkKinds(kinds []kind, normal string) error {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	switch {
	case len(kinds) == 0:
		return errors.New("it has no folder with pictures (.jpg, .jpeg, .png): give one for each class or kind")
	case s.Task == Classify && len(kinds) < 2:
		return fmt.Errorf("it has one class, %s: give a folder for each class", names[0])
	case s.Task != Anomaly:
		return nil
	case s.Normal == "" && normal != "":
		return fmt.Errorf("it has no folder %s for the normal kind; it has %s", normal, strings.Join(names, ", "))
	case s.Normal == "":
		return fmt.Errorf("none of its folders %s is known as the normal kind: name it", strings.Join(names, ", "))
	case len(s.Classes) == 0:
		return fmt.Errorf("it has the normal kind %s alone: add a folder of defective pictures", s.Normal)
	}
	for _, im := range s.Images {
		if s.Masked() && im.Class != s.Normal && im.Mask == "" {
			return fmt.Errorf("%s has no mask, and others have: add it, or take all masks away to measure pictures alone", im.File)
		}
	}
	return nil
}

// readKinds lists the folders below root with their pictures. truth is the folder that has the masks, empty: they lie beside
// the pictures. Hidden folders and those without a picture are left out.
func readKinds(dir fs.FS, root, truth string) ([]kind, error) {
	entries, err := fs.ReadDir(dir, root)
	if err != nil {
		return nil, fmt.Errorf("list its folders: %w", err)
	}
	var kinds []kind
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !isDir(dir, path.Join(root, e.Name())) {
			continue
		}
		k, err := readKind(dir, path.Join(root, e.Name()))
		if err != nil {
			return nil, err
		}
		if truth != "" {
			k.masks = map[string]string{}
			for _, p := range k.pictures {
				mask := path.Join(truth, k.name, stem(p)+"_mask.png")
				if _, err := fs.Stat(dir, mask); err == nil {
					k.masks[p] = mask
				}
			}
		}
		if len(k.pictures) > 0 {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

// readKind lists one folder. A mask is x_mask.png beside the picture x.png or x.jpg, or x.png beside x.jpg.
func readKind(dir fs.FS, folder string) (kind, error) {
	k := kind{name: path.Base(folder), masks: map[string]string{}}
	entries, err := fs.ReadDir(dir, folder)
	if err != nil {
		return k, fmt.Errorf("list the folder %s: %w", folder, err)
	}
	jpegs, all := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if isPicture(e.Name()) {
			all[stem(e.Name())] = true
			jpegs[stem(e.Name())] = jpegs[stem(e.Name())] || strings.ToLower(path.Ext(e.Name())) != ".png"
		}
	}
	masks := map[string]string{} // by the picture's stem
	for _, e := range entries {
		if e.IsDir() || !isPicture(e.Name()) {
			continue
		}
		name, file := stem(e.Name()), path.Join(folder, e.Name())
		of, named := strings.CutSuffix(name, "_mask")
		switch png := strings.ToLower(path.Ext(e.Name())) == ".png"; {
		case png && named && all[of]:
			masks[of] = file
		case png && jpegs[name]:
			masks[name] = file
		default:
			k.pictures = append(k.pictures, file)
		}
	}
	for _, p := range k.pictures {
		if m, ok := masks[stem(p)]; ok {
			k.masks[p] = m
		}
	}
	return k, nil
}

func stem(name string) string { return strings.TrimSuffix(path.Base(name), path.Ext(name)) }

func isPicture(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

func isDir(dir fs.FS, name string) bool {
	info, err := fs.Stat(dir, name) // follows links, as the folder's owner meant them
	return err == nil && info.IsDir()
}

// Path is where a file of the set lies.
func (s Set) Path(file string) string { return filepath.Join(s.Dir, filepath.FromSlash(file)) }
