package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The data directory: FORMAT names its layout, LOCK is held while a node uses it, assay.db is SQLite's, images/ holds the
// frames' bytes as images/YYYY/MM/DD/<result id>.<format>, BALLAST is given up on a full disk.
const (
	databaseFile = "assay.db"
	formatFile   = "FORMAT"
	lockFile     = "LOCK"
	imagesDir    = "images"
	ballastFile  = "BALLAST"

	formatWanted = "assay-data 1"
)

// layout makes or checks the data directory and returns the lock that it holds. Closing the lock gives the directory up.
func layout(dir string) (lock *os.File, err error) {
	if err := os.MkdirAll(filepath.Join(dir, imagesDir), 0o750); err != nil {
		return nil, fmt.Errorf("make data directory %s: %w: name a directory on a local disk that this user may write to in node.data_dir", dir, err)
	}
	lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory %s: %w", dir, err)
	}
	if err := lockExclusive(lock); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another node (%w): stop that node, or give this one its own node.data_dir", dir, err)
	}
	if err := checkFormat(dir); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// checkFormat reads FORMAT and writes it into a directory that has no data yet.
func checkFormat(dir string) error {
	path := filepath.Join(dir, formatFile)
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if got := strings.TrimSpace(string(b)); got != formatWanted {
			return fmt.Errorf("data directory %s has format %q and this program reads %q: start the version of assayd that wrote it, or name an empty directory in node.data_dir", dir, got, formatWanted)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", path, err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil {
		return fmt.Errorf("data directory %s has a database and no %s file: restore the file from the backup that the directory came from, or name an empty directory in node.data_dir", dir, formatFile)
	}
	if err := writeSynced(path, []byte(formatWanted+"\n")); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// writeSynced puts a small file in place so that a crash leaves either nothing or all of it.
func writeSynced(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
