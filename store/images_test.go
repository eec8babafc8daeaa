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
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	sum := sha256.Sum256(data)
	e := storetest.Entry(seq, v)
	e.Image.Size, e.Image.SHA256 = int64(size), hex.EncodeToString(sum[:])
	if change != nil {
		change(&e)
	}
	if err := s.Commit(t.Context(), []inspection.Entry{e}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return store.Picture{
		ID: e.Key.ID(), Key: e.Key, Received: e.Received, Verdict: v, Simulated: e.Frame.Simulated, Info: e.Image,
		Data: inspection.NewBuffer(nil, data[:size/3], data[size/3:]),
	}
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
	p := withImage(t, s, 1, inspection.Fail, 10_001, nil)
	data := p.Data.AppendTo(nil)
	p.Data = inspection.NewBuffer(func() { close(freed) }, data[:10], data[10:])
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
	if want := "2026/11/22/" + string(p.ID) + ".jpeg"; info.Ref != want || info.Size != 10_001 {
		t.Errorf("got %+v, want ref %s and 10001 bytes", info, want)
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

func TestImagesRetentionByAge(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Now: func() time.Time { return now }}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, PassDays: 7, Days: 90, RetainEvery: time.Hour})
	want := map[uint64]inspection.ImageState{}
	for i, c := range []struct {
		verdict   inspection.Verdict
		simulated bool
		days      int
		want      inspection.ImageState
	}{
		{inspection.Pass, false, 6, inspection.ImageKept}, {inspection.Pass, false, 8, inspection.ImageShed},
		{inspection.Fail, false, 8, inspection.ImageKept}, {inspection.Fail, false, 91, inspection.ImageShed},
		{inspection.Fail, true, 8, inspection.ImageShed}, {inspection.Undetermined, false, 89, inspection.ImageKept},
	} {
		seq := uint64(i + 1)
		want[seq] = c.want
		im.Keep(withImage(t, s, seq, c.verdict, 100, func(e *inspection.Entry) {
			e.Received, e.Frame.Simulated = now.AddDate(0, 0, -c.days), c.simulated
		}))
		until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
	}
	if err := im.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for seq, want := range want {
		if got := state(t, s, seq); got != want {
			t.Errorf("image %d: got %s, want %s", seq, got, want)
		}
	}
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("files are %v, want 3", got)
	}
	noKeptWithoutBytes(t, s, im)
}

func TestImagesBudgetShedsWhatMattersLeastFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	// 1, 2: failed, not reviewed. 3, 4: failed, reviewed. 5, 6: PASS. 7: simulated FAIL. Each newer than the one before
	// it, so that age alone would give them up from 1 to 7.
	for seq := uint64(1); seq <= 7; seq++ {
		v := inspection.Fail
		if seq == 5 || seq == 6 {
			v = inspection.Pass
		}
		im.Keep(withImage(t, s, seq, v, 1000, func(e *inspection.Entry) {
			e.Received, e.Frame.Simulated = e.Received.Add(time.Duration(seq)*time.Hour), seq == 7
		}))
		until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
	}
	for seq := uint64(3); seq <= 4; seq++ {
		if err := s.Dispose(t.Context(), storetest.Key(seq).ID(), inspection.Disposition{Kind: inspection.RealDefect, DefectID: 1, Operator: "op"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	for step, order := range []uint64{5, 6, 7, 3, 4, 1, 2} {
		reg := prometheus.NewRegistry()
		im, err := store.NewImages(t.Context(), store.ImagesConfig{Budget: int64(6500 - 1000*step), RetainEvery: time.Hour}, s, slog.New(slog.DiscardHandler), reg)
		if err != nil {
			t.Fatal(err)
		}
		if err := im.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := state(t, s, order); got != inspection.ImageShed {
			t.Errorf("budget for %d: image %d is %s, want it shed now", 6-step, order, got)
		}
		st, err := im.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Images[inspection.ImageKept]; got.Count != int64(6-step) || got.Bytes != int64(6000-1000*step) {
			t.Errorf("budget for %d: %+v are kept", 6-step, got)
		}
		if got := sample(t, reg, "assay_images", "kept"); got != float64(6-step) {
			t.Errorf("budget for %d: the metric says that %v are kept", 6-step, got)
		}
		if err := im.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files are %v, want none", got)
	}
}

// sample returns a gauge's value, by its only label if it has one.
func sample(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %q", name, label)
	return 0
}

func TestStats(t *testing.T) {
	s := open(t, t.TempDir())
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond})
	for seq := uint64(1); seq <= 3; seq++ {
		im.Keep(withImage(t, s, seq, inspection.Fail, 100, func(e *inspection.Entry) { e.Frame.Simulated = seq == 3 }))
		until(t, "image to be kept", func() bool { return state(t, s, seq) == inspection.ImageKept })
	}
	withImage(t, s, 4, inspection.Pass, 50, nil) // never handed over
	if err := s.Commit(t.Context(), []inspection.Entry{{Drop: &inspection.Drop{Key: storetest.Key(0), First: 10, Last: 14}}}); err != nil {
		t.Fatal(err)
	}
	st, err := im.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for v, want := range map[inspection.Verdict]int64{inspection.Fail: 2, inspection.Pass: 1, inspection.Undetermined: 5, inspection.Review: 0} {
		if st.Results[v] != want {
			t.Errorf("%s: got %d results, want %d", v, st.Results[v], want)
		}
	}
	for is, want := range map[inspection.ImageState]store.Amount{
		inspection.ImageKept: {Count: 3, Bytes: 300}, inspection.ImagePending: {Count: 1, Bytes: 50}, inspection.ImageShed: {}, inspection.ImageLost: {},
	} {
		if st.Images[is] != want {
			t.Errorf("%s: got %+v, want %+v", is, st.Images[is], want)
		}
	}
	if st.Simulated != 1 || st.FreeBytes <= 0 || st.DatabaseBytes <= 0 || st.QueueBytes != 0 {
		t.Errorf("got %+v, want 1 simulated, free and database bytes, an empty queue", st)
	}
	if st.GrowthPerDay != nil || st.DaysLeft != nil {
		t.Errorf("growth is known at once: %v, %v", st.GrowthPerDay, st.DaysLeft)
	}
}
