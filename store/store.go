package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// Store keeps results in the node's own SQLite file. It is safe for concurrent use.
type Store struct {
	cfg  Config
	log  *slog.Logger
	m    *metrics
	lock *os.File

	w    *writer
	asks *reader // for those who ask: their queries may be slow and many
	own  *reader // for what a frame, retention and the status wait for: no query of anybody else holds it up

	seen *seen

	closing chan struct{}
	once    sync.Once
	err     error // of the first Close
	changes *changes
}

var _ inspection.Evidence = (*Store)(nil)

// Open takes the data directory into use, making or migrating what is in it. It fails with the remedy when another node
// uses it or another version wrote it. Close gives it back.
func Open(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (_ *Store, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("store: data directory: %w", err)
	}
	lock, err := layout(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", classify(err))
	}
	if name := networkFS(cfg.Dir); name != "" {
		log.Warn("the data directory is on a network file system: SQLite's locks do not hold there and results can be lost; move node.data_dir to a local disk", "dir", cfg.Dir, "file_system", name)
	}
	s := &Store{cfg: cfg, log: log, lock: lock, closing: make(chan struct{}), changes: newChanges(), seen: newSeen(seenSessions)}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	path := filepath.Join(cfg.Dir, databaseFile)
	db, err := openPool(path, cfg, 1, false)
	if err != nil {
		return nil, err
	}
	s.w = newWriter(db)
	sources, err := migrations()
	if err != nil {
		return nil, fmt.Errorf("store: read the embedded migrations: %w", err)
	}
	if err := migrate(ctx, db, sources, log); err != nil {
		return nil, fmt.Errorf("store: open database %s: %w", path, err)
	}
	// From here on the writer's own connection is given up whenever it is let go of, so that a fault cannot stick to it.
	db.SetMaxIdleConns(-1)
	if s.asks, err = openReader(ctx, path, cfg, cfg.Readers); err != nil {
		return nil, err
	}
	if s.own, err = openReader(ctx, path, cfg, ownReaders); err != nil {
		return nil, err
	}
	s.m = newMetrics(reg)
	return s, nil
}

// Close waits for the transaction that is being written, ends watchers and gives the data directory up. Every later call
// fails with inspection.ErrClosed. Closing again returns the same error.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		var errs []error
		for _, r := range []*reader{s.asks, s.own} {
			if r != nil {
				errs = append(errs, r.exists.Close(), r.db.Close())
			}
		}
		if s.w != nil {
			errs = append(errs, s.w.close())
		}
		errs = append(errs, s.lock.Close())
		s.err = errors.Join(errs...)
	})
	return s.err
}

// closed turns what database/sql says after Close into ErrClosed.
func (s *Store) closed(err error) error {
	select {
	case <-s.closing:
		if err != nil {
			return fmt.Errorf("store: %w", inspection.ErrClosed)
		}
	default:
	}
	return err
}

// changes tells watchers that something was committed.
type changes struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next announcement
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

// wait returns a channel that is closed after the next commit.
func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// announce wakes all who wait. It is called after a commit, never inside one.
func (c *changes) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}
