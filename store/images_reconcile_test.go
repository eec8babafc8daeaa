package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

func TestImagesReconcileAtStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	var pictures []store.Picture
	for seq := uint64(1); seq <= 3; seq++ { // kept: 1 stays, 2 loses its file, 3 is cut short
		p := withImage(t, s, seq, inspection.Fail, 1000, nil)
		im.Keep(p)
		pictures = append(pictures, p)
		until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
	}
	for seq := uint64(4); seq <= 6; seq++ { // pending: 4 has its file, 5 a damaged one, 6 none
		pictures = append(pictures, withImage(t, s, seq, inspection.Fail, 1000, nil))
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	name := func(seq uint64) string {
		return filepath.Join(dir, "images/2026/11/22", string(pictures[seq-1].ID)+".jpeg")
	}
	damaged := picture(5, 1000)
	damaged[500] ^= 1
	stray, orphan := filepath.Join(dir, "images/tmp/half"), filepath.Join(dir, "images/2026/11/22", strings.Repeat("0", 32)+".jpeg")
	for _, err := range []error{
		os.Remove(name(2)), os.Truncate(name(3), 999), os.WriteFile(name(4), picture(4, 1000), 0o600), os.WriteFile(name(5), damaged, 0o600),
		os.WriteFile(stray, []byte("half"), 0o600), os.WriteFile(orphan, []byte("nobody's"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir)
	im = openImages(t, s, store.ImagesConfig{})
	for seq, want := range map[uint64]inspection.ImageState{4: inspection.ImageKept, 5: inspection.ImageLost, 6: inspection.ImageLost} {
		if got := state(t, s, seq); got != want {
			t.Errorf("pending image %d: got %s, want %s at once", seq, got, want)
		}
	}
	if r, err := s.Get(t.Context(), pictures[3].ID); err != nil || r.Image.SHA256 != sha256Of(picture(4, 1000)) {
		t.Errorf("the pending image that is kept now has SHA-256 %q, %v; want its file's", r.Image.SHA256, err)
	}
	if _, err := os.Stat(stray); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished file is still there: %v", err)
	}
	until(t, "files to be checked", func() bool {
		_, err := os.Stat(orphan)
		return errors.Is(err, fs.ErrNotExist)
	})
	for seq, want := range map[uint64]inspection.ImageState{1: inspection.ImageKept, 2: inspection.ImageLost, 3: inspection.ImageLost} {
		if got := state(t, s, seq); got != want {
			t.Errorf("kept image %d: got %s, want %s", seq, got, want)
		}
	}
	until(t, "files of lost images to go", func() bool { return len(files(t, dir)) == 2 })
	noKeptWithoutBytes(t, s, im)
}

// noKeptWithoutBytes checks that every row that says kept has its bytes under its digest.
func noKeptWithoutBytes(t *testing.T, s *store.Store, im *store.Images) {
	t.Helper()
	p, err := s.List(t.Context(), inspection.Query{Limit: 1000, Simulated: inspection.SimulatedInclude})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Results {
		if r.Image.State != inspection.ImageKept {
			continue
		}
		f, _, err := im.Open(t.Context(), r.ID)
		if err != nil {
			t.Errorf("result %s says kept: %v", r.ID, err)
			continue
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil || hex.EncodeToString(sum.Sum(nil)) != r.Image.SHA256 {
			t.Errorf("result %s: bytes are not those of its digest (%v)", r.ID, err)
		}
		_ = f.Close()
	}
}

// A frame whose key was announced before midnight and that came after it lies in the folder of its own day, and is found
// there after a restart, kept or pending.
func TestImagesOfAFrameAnnouncedTheDayBefore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	announced := func(seq uint64) store.Picture {
		early := inspection.Entry{
			Key: storetest.Key(seq), Received: midnight.Add(-time.Second),
			Announcement: &inspection.Announcement{Verdict: inspection.Review, Source: inspection.SourceCamera, Reason: inspection.ReasonDeadline},
		}
		if err := s.Commit(t.Context(), []inspection.Entry{early}); err != nil {
			t.Fatal(err)
		}
		return withImage(t, s, seq, inspection.Fail, 1000, func(e *inspection.Entry) { e.Received = midnight.Add(time.Second) })
	}
	im.Keep(announced(1))
	until(t, "image to be kept", func() bool { return state(t, s, 1) == inspection.ImageKept })
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	p := announced(2) // written, and the node stopped before it was marked
	name := filepath.Join(dir, "images/2026/11/23", string(p.ID)+".jpeg")
	past, stray := time.Now().Add(-time.Hour), filepath.Join(dir, "images/2026/11/23", strings.Repeat("0", 32)+".jpeg")
	for _, err := range []error{os.WriteFile(name, picture(2, 1000), 0o600), os.WriteFile(stray, nil, 0o600), os.Chtimes(stray, past, past)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	im = openImages(t, s, store.ImagesConfig{})
	until(t, "files to be checked", func() bool {
		_, err := os.Stat(stray)
		return errors.Is(err, fs.ErrNotExist)
	})
	if got := state(t, s, 2); got != inspection.ImageKept {
		t.Errorf("the pending image is %s, want kept: its file is whole", got)
	}
	noKeptWithoutBytes(t, s, im)
}
