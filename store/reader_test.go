package store

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

func openReaders(t *testing.T, cfg Config) *Store {
	t.Helper()
	cfg.Dir = t.TempDir()
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What a frame, retention and the status wait for goes on while slow queries hold every connection that answers them, and
// those who ask are told why they wait in vain.
func TestQueriesHoldUpNoFrame(t *testing.T) {
	s := openReaders(t, Config{Readers: 2, QueryTime: 50 * time.Millisecond})
	im, err := NewImages(t.Context(), ImagesConfig{}, s, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	if err := s.Commit(t.Context(), []inspection.Entry{seenEntry(seenKey(1, 1))}); err != nil {
		t.Fatal(err)
	}
	s.seen = newSeen(seenSessions) // as after a start: the next look-up reads the session's last seq
	for range 2 {
		conn, err := s.asks.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Lookup(ctx, seenKey(1, 1)); err != nil {
		t.Errorf("look a frame up: %v", err)
	}
	if _, err := s.Lookup(ctx, seenKey(2, 1)); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("look a new frame up: got %v, want ErrNotFound", err)
	}
	if _, err := im.Stats(ctx); err != nil {
		t.Errorf("stats: %v", err)
	}
	if err := im.Retain(ctx); err != nil {
		t.Errorf("retention: %v", err)
	}
	if _, err := s.List(ctx, inspection.Query{}); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("list: got %v, want ErrDeadline", err)
	}
	if _, err := s.Get(ctx, seenKey(1, 1).ID()); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("get: got %v, want ErrDeadline", err)
	}
}

// A query that goes on after its first row ends with its time, and its connection serves the next one.
func TestSlowQueryEndsInTime(t *testing.T) {
	s := openReaders(t, Config{Readers: 1, QueryTime: 50 * time.Millisecond})
	const slow = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT i FROM n WHERE i = 1 OR i = 100000000`
	began := time.Now()
	err := s.answer(t.Context(), func(ctx context.Context) error {
		return s.snapshot(ctx, s.asks, func(q querier) error {
			rows, err := q.QueryContext(ctx, atOnce(slow))
			if err != nil {
				return err
			}
			return each(rows, func() error { return nil })
		})
	})
	if took := time.Since(began); !errors.Is(err, inspection.ErrDeadline) || took > 5*time.Second {
		t.Errorf("got %v after %v, want ErrDeadline in time", err, took)
	}
	s.cfg.QueryTime = 10 * time.Second
	if _, err := s.List(t.Context(), inspection.Query{}); err != nil {
		t.Errorf("list afterwards: %v", err)
	}
}
