package recipe

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// file is what the scans remember of one recipe file.
type file struct {
	seen    stamp  // at the scan before
	settled bool   // what it said then was read after it had been quiet
	name    string // the recipe that it states, as last taken
	folder  string // its reference folder, as last read
	fault   string
	rival   string // the file that states the recipe claim, which this one would state too
	claim   string
}

// stamp changes when a recipe's file or its templates do, as far as names, sizes and times can tell.
type stamp [sha256.Size]byte

// stampOf takes the stamp of a recipe file and of the pictures of its reference folder (none when empty). What cannot be
// looked at is a state like any other: reading it will say why.
func stampOf(path, folder string) stamp {
	h := sha256.New()
	add := func(info os.FileInfo, err error) {
		if err != nil {
			write(h, err.Error())
			return
		}
		write(h, fmt.Sprint(info.Name(), info.Size(), info.ModTime().UnixNano(), info.Mode()))
	}
	add(os.Stat(path))
	if folder != "" {
		root, pictures, err := openFolder(filepath.Dir(path), folder)
		if err != nil {
			write(h, err.Error())
		} else {
			for _, p := range pictures {
				write(h, p)
				add(root.Stat(p))
			}
			if err := root.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
				write(h, err.Error())
			}
		}
	}
	return stamp(h.Sum(nil))
}
