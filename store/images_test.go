package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zeebo/xxh3"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

func openImages(t *testing.T, s *store.Store, cfg store.ImagesConfig) *store.Images {
	t.Helper()
	im, err := store.NewImages(t.Context(), cfg, s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("open images: %v", err)
	}
	t.Cleanup(func() {
		if err := im.Close(); err != nil {
			t.Errorf("close images: %v", err)
		}
	})
	return im
}

// picture returns size random bytes, the same for the same seq.
func picture(seq uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seq, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// withImage commits a frame with a pending image and returns the picture to keep. The buffer's bytes come in two pieces.
func withImage(t *testing.T, s *store.Store, seq uint64, v inspection.Verdict, size int, change func(e *inspection.Entry)) store.Picture {
	t.Helper()
	data := picture(seq, size)
	e := storetest.Entry(seq, v)
	e.Image.Size, e.Image.XXH128 = int64(size), xxh128(data)
	if change != nil {
		change(&e)
	}
	if err := s.Commit(t.Context(), []inspection.Entry{e}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return store.Picture{
		ID: e.Key.ID(), Key: e.Key, Received: e.Received, Verdict: v, Simulated: e.Frame.Simulated, Info: e.Image,
		Data: inspection.NewBuffer(nil, data),
	}
}

func xxh128(data []byte) string {
	sum := xxh3.Hash128(data).Bytes()
	return hex.EncodeToString(sum[:])
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func state(t *testing.T, s *store.Store, seq uint64) inspection.ImageState {
	t.Helper()
	r, err := s.Get(t.Context(), storetest.Key(seq).ID())
	if err != nil {
		t.Fatalf("get frame %d: %v", seq, err)
	}
	return r.Image.State
}

// until polls until ok, and fails the test after half a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited too long for: %s", what)
		case <-tick.C:
		}
	}
}

// files lists the image files of a data directory, by name below images.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	root := filepath.Join(dir, "images")
	if err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, p)
			out = append(out, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImagesKeepsBytesAsTheyCame(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	freed := make(chan struct{})
	p := withImage(t, s, 1, inspection.Fail, 600_001, nil) // more than are written at a time
	data := p.Data.Bytes()
	p.Data = inspection.NewBuffer(func() { close(freed) }, data)
	if r, err := s.Get(t.Context(), p.ID); err != nil || r.Image.SHA256 != "" {
		t.Errorf("a pending image has SHA-256 %q, %v; want none yet", r.Image.SHA256, err)
	}
	im.Keep(p)
	im.Keep(p) // the same again does no harm
	p.Data.Release()
	until(t, "image to be kept", func() bool { return state(t, s, 1) == inspection.ImageKept })
	<-freed
	f, info, err := im.Open(t.Context(), p.ID)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	got, err := io.ReadAll(f)
	if err != nil || f.Close() != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v: want the %d that were sent", len(got), err, len(data))
	}
	if want := "2026/11/22/" + string(p.ID) + ".jpeg"; info.Ref != want || info.Size != 600_001 {
		t.Errorf("got %+v, want ref %s and 600_001 bytes", info, want)
	}
	if info.SHA256 != sha256Of(got) || info.XXH128 != xxh128(got) {
		t.Errorf("the row says %+v, want the file's checksums %s and %s", info, sha256Of(got), xxh128(got))
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files are %v, want the one image", got)
	}
}

func TestImagesWrongBytesAreLost(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	for seq, data := range map[uint64][]byte{1: picture(99, 500), 2: picture(2, 499)} {
		p := withImage(t, s, seq, inspection.Fail, 500, nil)
		p.Data = inspection.NewBuffer(nil, data)
		im.Keep(p)
	}
	for seq := uint64(1); seq <= 2; seq++ {
		until(t, "image to be lost", func() bool { return state(t, s, seq) == inspection.ImageLost })
		if _, info, err := im.Open(t.Context(), storetest.Key(seq).ID()); !errors.Is(err, inspection.ErrNotFound) || info.State != inspection.ImageLost {
			t.Errorf("open a lost image: got %v, state %s; want ErrNotFound, lost", err, info.State)
		}
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files are %v, want none", got)
	}
}

func TestImagesBackPressureShedsPassFirst(t *testing.T) {
	s := open(t, t.TempDir())
	var pictures []store.Picture
	for seq := uint64(1); seq <= 4; seq++ {
		pictures = append(pictures, withImage(t, s, seq, inspection.Pass, 1000, nil))
	}
	for seq := uint64(5); seq <= 8; seq++ {
		pictures = append(pictures, withImage(t, s, seq, inspection.Fail, 1000, nil))
	}
	q := store.NewQueueForTest(5000)
	for _, p := range pictures {
		q.Add(p)
	}
	// Five fit. The four that failed stay, of PASS the newest, and the three before it were shed for them.
	if got, want := q.Waiting(), []uint64{5, 6, 7, 8, 4}; !equal(got, want) {
		t.Errorf("waiting: got %v, want %v", got, want)
	}
	if got, want := q.Shed(), []uint64{1, 2, 3}; !equal(got, want) {
		t.Errorf("shed: got %v, want %v", got, want)
	}
	big := withImage(t, s, 9, inspection.Review, 9000, nil)
	q.Add(big) // PASS goes, and still there is no room
	if got, want := q.Shed(), []uint64{4, 9}; !equal(got, want) {
		t.Errorf("shed: got %v, want %v", got, want)
	}
	if got := q.Bytes(); got != 4000 {
		t.Errorf("got %d bytes on the account, want 4000", got)
	}
	full := store.NewQueueForTest(2000)
	for _, p := range pictures[:3] {
		full.Add(p) // PASS does not push PASS out
	}
	if got := full.Shed(); !equal(got, []uint64{3}) {
		t.Errorf("a third PASS where two fit: shed %v, want itself", got)
	}
	empty := store.NewQueueForTest(5000)
	empty.Add(big) // larger than the queue: alone it may pass
	if got := empty.Waiting(); !equal(got, []uint64{9}) {
		t.Errorf("an empty queue takes one picture of any size: got %v", got)
	}
}

func equal(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestImagesShedOnesAreMarked(t *testing.T) {
	s := open(t, t.TempDir())
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, MinFree: 1 << 60}) // there is never that much
	p := withImage(t, s, 1, inspection.Fail, 1000, nil)
	im.Keep(p)
	until(t, "image to be shed", func() bool { return state(t, s, 1) == inspection.ImageShed })
}

// A kept image whose file somebody removed is lost from the first look on, and the row says so; one given up is no loss.
func TestImagesOpenSaysWhyThereIsNone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	kept := withImage(t, s, 1, inspection.Fail, 1000, nil)
	im.Keep(kept)
	until(t, "image to be kept", func() bool { return state(t, s, 1) == inspection.ImageKept })
	shed := withImage(t, s, 2, inspection.Pass, 1000, func(e *inspection.Entry) { e.Image.State = inspection.ImageShed })
	pending := withImage(t, s, 3, inspection.Fail, 1000, nil) // never handed over
	for _, name := range files(t, dir) {
		if err := os.Remove(filepath.Join(dir, "images", name)); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[inspection.ResultID]inspection.ImageState{
		kept.ID: inspection.ImageLost, shed.ID: inspection.ImageShed, pending.ID: inspection.ImagePending,
	} {
		for range 2 {
			_, info, err := im.Open(t.Context(), id)
			if !errors.Is(err, inspection.ErrNotFound) || info.State != want {
				t.Errorf("open: got %s, %v; want ErrNotFound and %s", info.State, err, want)
			}
			if was := id == kept.ID; was != (info.SHA256 != "") {
				t.Errorf("the %s image has SHA-256 %q: want what it was where it was kept, else none", info.State, info.SHA256)
			}
		}
	}
	if got := state(t, s, 1); got != inspection.ImageLost {
		t.Errorf("the row says %s, want lost: it must not call kept what is gone", got)
	}
	if _, _, err := im.Open(t.Context(), storetest.Key(9).ID()); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("open the image of no result: %v, want ErrNotFound", err)
	}
}
