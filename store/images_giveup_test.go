package store

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/assay-vision/assay/inspection"
)

// twoKept is a store with two kept images, and their rows.
func twoKept(t *testing.T, log *bytes.Buffer) (*Images, []imageRow) {
	t.Helper()
	s := openReaders(t, Config{})
	im, err := NewImages(t.Context(), ImagesConfig{SyncEvery: time.Millisecond, RetainEvery: time.Hour}, s, slog.New(slog.NewTextHandler(log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	data := []byte("an image")
	sums := newChecksums()
	_, _ = sums.Write(data)
	for seq := range uint64(2) {
		e := seenEntry(seenKey(1, seq+1))
		e.Received = time.Now()
		e.Image = inspection.ImageInfo{State: inspection.ImagePending, Size: int64(len(data)), XXH128: sums.xxh128(), Format: inspection.FormatPNG}
		if err := s.Commit(t.Context(), []inspection.Entry{e}); err != nil {
			t.Fatal(err)
		}
		im.Keep(Picture{ID: e.Key.ID(), Key: e.Key, Received: e.Received, Info: e.Image, Data: inspection.NewBuffer(nil, data)})
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		rows, err := s.readImages(t.Context(), "image_state = 'kept' ORDER BY n")
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 2 {
			return im, rows
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d images are kept, want 2", len(rows))
		}
	}
}

// An image that is given up between the look at its row and the opening of its file was not removed by anybody.
func TestImagesOpenWhileGivenUp(t *testing.T) {
	var log bytes.Buffer
	im, rows := twoKept(t, &log)
	info, err := im.kept(t.Context(), rows[0].id)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.giveUp(t.Context(), rows, "budget"); err != nil {
		t.Fatal(err)
	}
	_, got, err := im.openKept(t.Context(), rows[0].id, info)
	if !errors.Is(err, inspection.ErrNotFound) || got.State != inspection.ImageShed {
		t.Errorf("got %v, state %s; want ErrNotFound, shed", err, got.State)
	}
	if err := im.Close(); err != nil { // nobody writes to the log any more
		t.Fatal(err)
	}
	if bytes.Contains(log.Bytes(), []byte("somebody removed it")) {
		t.Errorf("the log blames somebody:\n%s", log.String())
	}
}

// A file that cannot be removed leaves the others' to be removed and counted.
func TestImagesGiveUpGoesOn(t *testing.T) {
	var log bytes.Buffer
	im, rows := twoKept(t, &log)
	stuck := filepath.Join(im.dir, rows[0].ref)
	if err := errors.Join(os.Remove(stuck), os.MkdirAll(filepath.Join(stuck, "in the way"), 0o750)); err != nil {
		t.Fatal(err)
	}
	if err := im.giveUp(t.Context(), rows, "budget"); err == nil {
		t.Error("a file that is left is no error")
	}
	if _, err := os.Stat(filepath.Join(im.dir, rows[1].ref)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the other file: got %v, want it removed", err)
	}
	var m dto.Metric
	if err := im.m.given.WithLabelValues("shed", "budget").Write(&m); err != nil || m.GetCounter().GetValue() != 2 {
		t.Errorf("%v images are counted as given up, %v; want 2", m.GetCounter().GetValue(), err)
	}
}
