package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// ownReaders is how many connections the node's own questions have: short ones by an index.
const ownReaders = 3

// reader is a pool of connections that read.
type reader struct {
	db     *sql.DB
	exists *sql.Stmt // is there a result with this id
}

func openReader(ctx context.Context, path string, cfg Config, conns int) (*reader, error) {
	db, err := openPool(path, cfg, conns, true)
	if err != nil {
		return nil, err
	}
	exists, err := db.PrepareContext(ctx, "SELECT 1 FROM results WHERE id = ?1")
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store: database %s: %w", path, err)
	}
	return &reader{db: db, exists: exists}, nil
}

// querier is what reads: a read transaction, or the writer's own.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// snapshot runs fn with a read transaction: everything that fn reads is of one moment.
func (s *Store) snapshot(ctx context.Context, from *reader, fn func(q querier) error) (err error) {
	tx, err := from.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.closed(fmt.Errorf("begin to read: %w", err))
	}
	defer func() {
		if rerr := tx.Rollback(); err == nil && !errors.Is(rerr, sql.ErrTxDone) {
			err = rerr
		}
	}()
	return s.closed(fn(tx))
}

// answer runs fn for somebody who asks, and ends it with ErrDeadline after QueryTime.
func (s *Store) answer(ctx context.Context, fn func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, s.cfg.QueryTime)
	defer cancel()
	err := fn(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil && !errors.Is(err, inspection.ErrNotFound) {
		return fmt.Errorf("%w: the query took longer than %v: narrow it by serial, lot, camera or time, or ask for fewer results at a time", inspection.ErrDeadline, s.cfg.QueryTime)
	}
	return err
}

// atOnce makes a query find all its rows before it hands out the first, in their order. The driver heeds a context's end
// only until then: a walk that goes on for minutes to find the second row would hold its connection for as long.
func atOnce(query string) string {
	return "WITH found AS MATERIALIZED (" + query + ") SELECT * FROM found"
}
