package recipe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// Limits on a reference folder.
const (
	MaxTemplates      = 4096      // pictures
	MaxTemplateBytes  = 64 << 20  // of one picture
	MaxTemplatesBytes = 512 << 20 // of all, since they stay in memory
)

// Load reads a recipe file and the pictures of its reference folder, and returns the YAML beside the recipe so that both
// can be kept. The folder is relative to the file and may not lead out of the file's directory, neither by ".." nor by a
// symbolic link; links inside it are followed. Each .png, .jpg and .jpeg in it is a template under its name without the
// ending; hidden files, other files and folders are left alone.
func Load(path string) (*inspection.Recipe, []byte, error) {
	r, data, _, err := load(path)
	return r, data, err
}

// load is Load that also returns the reference folder that the file names, even where it is at fault.
func load(path string) (r *inspection.Recipe, data []byte, folder string, err error) {
	data, err = readYAML(path)
	if err != nil {
		return nil, nil, "", fmt.Errorf("read recipe: %w", err)
	}
	d := read(path, data)
	if d.folder != "" {
		templates, err := readTemplates(filepath.Dir(path), d.folder)
		if err != nil {
			d.fail(d.ref.at("folder"), "reference.folder", "name a folder inside the recipe's own directory, relative to this file", "%v", err)
		} else {
			d.takeTemplates(templates)
		}
	}
	r, err = d.finish(data)
	return r, data, d.folder, err
}

// readYAML reads one byte more than is allowed, so that a file that is too long is seen to be.
func readYAML(path string) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, MaxYAML+1))
}

// openFolder lists the pictures of a reference folder by name, and returns them with the root to open them under: the
// recipe's directory, out of which no name and no link can lead.
func openFolder(dir, folder string) (*os.Root, []string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	pictures, err := listPictures(root, filepath.FromSlash(folder))
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return root, pictures, nil
}

func listPictures(root *os.Root, folder string) ([]string, error) {
	f, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	var pictures []string
	for _, e := range entries {
		if !e.IsDir() && pictureFormat(e.Name()) != inspection.FormatUnknown {
			pictures = append(pictures, filepath.Join(folder, e.Name()))
		}
	}
	slices.Sort(pictures)
	return pictures, nil
}

// pictureFormat tells a template's format by its ending; hidden files are none.
func pictureFormat(name string) inspection.ImageFormat {
	if strings.HasPrefix(name, ".") {
		return inspection.FormatUnknown
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png":
		return inspection.FormatPNG
	case ".jpg", ".jpeg":
		return inspection.FormatJPEG
	}
	return inspection.FormatUnknown
}

func readTemplates(dir, folder string) (out []inspection.Template, err error) {
	root, pictures, err := openFolder(dir, folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if len(pictures) > MaxTemplates {
		return nil, fmt.Errorf("it holds %d pictures, at most %d are taken", len(pictures), MaxTemplates)
	}
	total := 0
	for _, path := range pictures {
		data, err := readPicture(root, path)
		if err != nil {
			return nil, err
		}
		if total += len(data); total > MaxTemplatesBytes {
			return nil, fmt.Errorf("its pictures have more than %d bytes together", MaxTemplatesBytes)
		}
		name := filepath.Base(path)
		out = append(out, inspection.Template{
			Key:    strings.TrimSuffix(name, filepath.Ext(name)),
			Path:   filepath.Join(dir, path),
			Format: pictureFormat(name),
			Data:   data,
		})
	}
	return out, nil
}

func readPicture(root *os.Root, name string) (data []byte, err error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, MaxTemplateBytes+1))
	if err == nil && len(data) > MaxTemplateBytes {
		err = fmt.Errorf("%s has more than %d bytes", name, MaxTemplateBytes)
	}
	return data, err
}
