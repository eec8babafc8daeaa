package store_test

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

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

// A clock that jumps forward makes no image older; one that is right again, or was so at the start, does.
func TestImagesDoNotAgeByAJumpOfTheClock(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var ahead atomic.Int64 // days
	now := func() time.Time { return start.AddDate(0, 0, int(ahead.Load())) }
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Now: now}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var log lines
	cfg := store.ImagesConfig{SyncEvery: time.Millisecond, PassDays: 7, Days: 90, RetainEvery: time.Hour}
	images := func() *store.Images {
		im, err := store.NewImages(t.Context(), cfg, s, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		return im
	}
	im := images()
	for seq, v := range map[uint64]inspection.Verdict{1: inspection.Fail, 2: inspection.Pass, 3: inspection.Pass} {
		im.Keep(withImage(t, s, seq, v, 100, func(e *inspection.Entry) {
			if e.Received = start; seq == 3 {
				e.Received = start.AddDate(0, 0, -8)
			}
		}))
		until(t, "image to be settled", func() bool { return state(t, s, seq) != inspection.ImagePending })
	}
	look := func(days int64, want ...inspection.ImageState) {
		t.Helper()
		ahead.Store(days)
		if err := im.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			if got := state(t, s, uint64(i+1)); got != want {
				t.Errorf("clock %d days ahead: image %d is %s, want %s", days, i+1, got, want)
			}
		}
	}
	kept, shed := inspection.ImageKept, inspection.ImageShed
	look(200, kept, kept, shed) // the third is too old by any clock
	look(200, kept, kept, shed)
	if got := strings.Count(log.String(), "the clock went forward"); got != 1 {
		t.Errorf("the log says %d times that the clock went forward, want once:\n%s", got, log.String())
	}
	look(0, kept, kept, shed)
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	ahead.Store(20) // the plant stood still for so long
	im = images()
	look(20, kept, shed, shed)
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
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

// The budget holds between two looks of retention too: what passes it has retention look at once.
func TestImagesBudgetHoldsBetweenLooks(t *testing.T) {
	s := open(t, t.TempDir())
	const size, budget = 100_000, 500_000
	im := openImages(t, s, store.ImagesConfig{SyncEvery: time.Millisecond, Budget: budget, RetainEvery: time.Hour})
	if err := im.Retain(t.Context()); err != nil { // that of the start is over
		t.Fatal(err)
	}
	kept := func() int64 {
		st, err := im.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Images[inspection.ImageKept].Bytes
	}
	for round := range uint64(2) {
		for seq := 20*round + 1; seq <= 20*round+20; seq++ {
			im.Keep(withImage(t, s, seq, inspection.Fail, size, nil))
			until(t, "image to be settled", func() bool { return state(t, s, seq) != inspection.ImagePending })
		}
		until(t, "images to be within their budget", func() bool { return kept() <= budget })
	}
	if got := kept(); got < budget-size {
		t.Errorf("%d bytes are kept of a budget of %d: more was given up than that takes", got, budget)
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
	// A simulated frame's image that nobody meant to keep is not among the line's.
	withImage(t, s, 5, inspection.Pass, 70, func(e *inspection.Entry) { e.Frame.Simulated, e.Image.State = true, inspection.ImageShed })
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
	if st.Simulated != 2 || st.FreeBytes <= 0 || st.DatabaseBytes <= 0 || st.QueueBytes != 0 {
		t.Errorf("got %+v, want 2 simulated, free and database bytes, an empty queue", st)
	}
	if st.GrowthPerDay != nil || st.DaysLeft != nil {
		t.Errorf("growth is known at once: %v, %v", st.GrowthPerDay, st.DaysLeft)
	}
}
