package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// reconcileBatch is how many rows or files are looked at between two looks at the context.
const reconcileBatch = 500

// reconcilePending ends what the last run left open: unfinished files go, and a pending image is kept, with its SHA-256,
// when all its bytes are there and lost when not. Nothing is recorded while it runs.
func (im *Images) reconcilePending(ctx context.Context) error {
	if err := im.root.RemoveAll(tmpDir); err != nil {
		return fmt.Errorf("remove unfinished files: %w", err)
	}
	if err := im.root.Mkdir(tmpDir, 0o750); err != nil {
		return fmt.Errorf("make folder for unfinished files: %w", err)
	}
	kept, lost := 0, 0
	for {
		rows, err := im.store.readImages(ctx, fmt.Sprintf("image_state = 'pending' ORDER BY n LIMIT %d", reconcileBatch))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		marks := make([]mark, len(rows))
		for i, r := range rows {
			marks[i] = mark{id: r.id, from: inspection.ImagePending, to: inspection.ImageLost}
			switch sha256, err := im.whole(r); {
			case err != nil:
				return fmt.Errorf("read image of result %s: %w", r.id, err)
			case sha256 != "":
				marks[i].to, marks[i].ref, marks[i].sha256 = inspection.ImageKept, r.ref, sha256
				kept++
			default:
				lost++
			}
		}
		if err := im.mark(ctx, marks); err != nil {
			return err
		}
	}
	if kept+lost > 0 {
		im.log.Info("pending images reconciled", "kept", kept, "lost", lost)
	}
	return nil
}

// whole returns the SHA-256 of an image's file that holds its bytes, and syncs it: the last run may not have come to it.
// Empty: there is no such file, or it holds something else.
func (im *Images) whole(r imageRow) (string, error) {
	f, err := im.root.Open(r.ref)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sums := newChecksums()
	n, err := io.Copy(sums, f)
	if err != nil || n != r.size || sums.xxh128() != r.xxh128 {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return sums.sha256(), im.makeDay(path.Dir(r.ref))
}

// checkFiles holds rows and files against each other, once after the start and behind the line's back: an image that is
// called kept and has no file of its size is lost, a file that no row calls kept goes. Kept images are not read and
// digested again here.
func (im *Images) checkFiles(ctx context.Context, started time.Time) {
	lost, err := im.checkKept(ctx)
	removed := 0
	if err == nil {
		removed, err = im.checkOrphans(ctx, started)
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, inspection.ErrClosed):
	case err != nil:
		im.log.Error("image files were not all checked", "error", err)
	case lost+removed > 0:
		im.log.Warn("image files checked", "kept_without_file", lost, "files_without_row", removed)
	}
	im.m.lostAtCheck.Add(float64(lost))
}

func (im *Images) checkKept(ctx context.Context) (lost int, err error) {
	for rank := range 3 {
		received, n := int64(-1<<62), int64(0)
		for {
			rows, err := im.store.readImages(ctx, fmt.Sprintf(`image_state = 'kept' AND shed_rank = ?1 AND (received, n) > (?2, ?3)
				ORDER BY received, n LIMIT %d`, reconcileBatch), rank, received, n)
			if err != nil {
				return lost, err
			}
			if len(rows) == 0 {
				break
			}
			var marks []mark
			for _, r := range rows {
				if info, err := im.root.Lstat(r.ref); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return lost, err
				} else if err != nil || info.Size() != r.size {
					marks = append(marks, mark{id: r.id, from: inspection.ImageKept, to: inspection.ImageLost})
				}
			}
			if len(marks) > 0 {
				if err := im.mark(ctx, marks); err != nil {
					return lost, err
				}
				lost += len(marks)
			}
			last := rows[len(rows)-1]
			received, n = last.received, last.n
		}
	}
	return lost, nil
}

// checkOrphans removes files from before the start of this run that no row calls kept or pending.
func (im *Images) checkOrphans(ctx context.Context, started time.Time) (removed int, err error) {
	var batch []string
	flush := func() error {
		n, err := im.removeOrphans(ctx, batch)
		removed, batch = removed+n, batch[:0]
		return err
	}
	err = fs.WalkDir(im.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && name == tmpDir:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if info, err := d.Info(); err != nil || !info.ModTime().Before(started) {
			return nil // gone, or of this run
		}
		if batch = append(batch, name); len(batch) == reconcileBatch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return removed, err
	}
	return removed, flush()
}

func (im *Images) removeOrphans(ctx context.Context, names []string) (removed int, err error) {
	if len(names) == 0 {
		return 0, nil
	}
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i], _, _ = strings.Cut(path.Base(name), ".")
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	rows, err := im.store.readImages(ctx, "image_state IN ('kept', 'pending') AND id IN (SELECT value FROM json_each(?1))", string(list))
	if err != nil {
		return 0, err
	}
	wanted := map[string]bool{}
	for _, r := range rows {
		wanted[r.ref] = true
	}
	for _, name := range names {
		if wanted[name] {
			continue
		}
		if err := im.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
