package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// FramesCSV is the name under which a folder of pictures may keep what is known of each.
const FramesCSV = "frames.csv"

// FolderConfig says which pictures a Folder yields.
type FolderConfig struct {
	// Dir is the folder of the pictures.
	Dir string
	// CSV is the path of a table of frames; empty means frames.csv in Dir where there is one. Its rows choose the pictures and
	// their order. See ReadFramesCSV.
	CSV string
	// Recursive takes the pictures of sub-folders too, but for hidden ones. Rows of a CSV may always name them.
	Recursive bool
	// NoSerial leaves the serial empty where no CSV gives one; false means that a file's name without folder and ending is the
	// serial, unless the CSV has a column serial.
	NoSerial bool
	// MaxBytes is the largest file that is read; a larger one is an ErrShot. 0 means 64 MiB.
	MaxBytes int64
}

// Folder is a Source of the picture files of a folder (.jpg, .jpeg, .png in any case, hidden ones left out): each file's
// bytes as they are, in natural order (board2 before board10) or that of a frames.csv. Which format a file has is told
// by its first bytes; one that is neither JPEG nor PNG, too large or gone is an ErrShot.
type Folder struct {
	dir      string
	maxBytes int64
	items    []folderItem
	next     int
	closed   bool
}

type folderItem struct {
	file       string // from dir, with slashes or as the CSV writes it
	frame      inspection.Frame
	nameSerial bool // take the serial from the file's name
}

// NewFolder lists the pictures. It fails where there are none, and where the CSV has a fault: then the error lists all of them
// with their lines, rows that name a file that is not there or not in the folder among them.
func NewFolder(cfg FolderConfig) (*Folder, error) {
	maxBytes, err := checkMaxBytes(cfg.MaxBytes)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(cfg.Dir); err != nil {
		return nil, err
	}
	f := &Folder{dir: cfg.Dir, maxBytes: maxBytes}
	table := cfg.CSV
	if table == "" {
		table = filepath.Join(cfg.Dir, FramesCSV)
		if _, err := os.Stat(table); errors.Is(err, fs.ErrNotExist) {
			table = ""
		}
	}
	if table != "" {
		err = f.readTable(table, cfg.NoSerial)
	} else {
		err = f.list(cfg.Recursive, cfg.NoSerial)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Folder) list(recursive, noSerial bool) error {
	err := fs.WalkDir(os.DirFS(f.dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name != "." && (!recursive || strings.HasPrefix(entry.Name(), ".")) {
				return fs.SkipDir
			}
		case isPicture(entry.Name()):
			f.items = append(f.items, folderItem{file: name, nameSerial: !noSerial})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the pictures of %s: %w", f.dir, err)
	}
	if len(f.items) == 0 {
		return fmt.Errorf("%w: no pictures (.jpg, .jpeg, .png) in %s: check the path, or set Recursive if they are in sub-folders", inspection.ErrNotFound, f.dir)
	}
	slices.SortFunc(f.items, func(a, b folderItem) int { return naturalCompare(a.file, b.file) })
	return nil
}

func (f *Folder) readTable(table string, noSerial bool) error {
	file, err := os.Open(table)
	if err != nil {
		return fmt.Errorf("open the table of frames: %w", err)
	}
	defer file.Close()
	rows, columns, err := ReadFramesCSV(file)
	if err != nil {
		return fmt.Errorf("table of frames %s: %w", table, err)
	}
	if len(rows) == 0 {
		return fmt.Errorf("%w: table of frames %s has a header and no rows: add a row for each picture, or remove the table to take the whole folder", inspection.ErrNotFound, table)
	}
	fromName := !noSerial && !slices.Contains(columns, "serial")
	var found faults
	for _, row := range rows {
		if err := f.checkRow(row); err != nil {
			found.add(fmt.Errorf("line %d: %w", row.Line, err))
		}
		f.items = append(f.items, folderItem{file: row.File, frame: row.Frame, nameSerial: fromName})
	}
	if err := found.err(); err != nil {
		return fmt.Errorf("table of frames %s: %w", table, err)
	}
	return nil
}

// checkRow holds a row to the folder: its path may not lead out. Links that the folder's owner put there are followed.
func (f *Folder) checkRow(row FrameRow) error {
	if !filepath.IsLocal(row.File) {
		return fmt.Errorf("%w: file %q leads out of %s: write paths that start in that folder and stay there", inspection.ErrInvalid, row.File, f.dir)
	}
	info, err := os.Stat(f.path(row.File))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: file %q is not in %s: correct the name (large and small letters count) or delete the row", inspection.ErrNotFound, row.File, f.dir)
	case err != nil:
		return fmt.Errorf("file %q: %w", row.File, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: file %q is not a regular file: name a picture", inspection.ErrInvalid, row.File)
	}
	return nil
}

func (f *Folder) path(file string) string { return filepath.Join(f.dir, filepath.FromSlash(file)) }

// Len is the number of pictures, bad ones included.
func (f *Folder) Len() int { return len(f.items) }

// Next reads the next picture.
func (f *Folder) Next(ctx context.Context) (Shot, error) {
	if f.closed {
		return Shot{}, fmt.Errorf("folder %s: %w", f.dir, inspection.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return Shot{}, err
	}
	if f.next == len(f.items) {
		return Shot{}, io.EOF
	}
	item := f.items[f.next]
	f.next++
	shot := Shot{Name: item.file, Frame: item.frame}
	if item.nameSerial {
		serial, err := serialFromName(item.file)
		if err != nil {
			return shot, f.bad(item, err)
		}
		shot.Frame.Serial = serial
	}
	data, _, err := readPicture(f.path(item.file), f.maxBytes)
	if err != nil {
		return shot, f.bad(item, err)
	}
	if FormatOf(data) == inspection.FormatUnknown {
		return shot, f.bad(item, fmt.Errorf("%w: %s: convert the file or take it out of the folder", inspection.ErrImage, notAPicture(data)))
	}
	shot.Frame.Image = encoded(data)
	return shot, nil
}

func (f *Folder) bad(item folderItem, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrShot, f.path(item.file), err)
}

// Close ends the source.
func (f *Folder) Close() error {
	f.closed = true
	return nil
}

var (
	_ Source = (*Folder)(nil)
	_ Sized  = (*Folder)(nil)
)
