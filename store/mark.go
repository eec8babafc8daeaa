package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// mark moves images from one state to another, all in one transaction. A row that is not in the state from, or is not
// there, stays as it is.
func (s *Store) mark(ctx context.Context, marks []mark) error {
	err := s.w.transact(ctx, func(t *tx) error {
		for _, m := range marks {
			if err := t.mark(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark %d images: %w", len(marks), err)
	}
	return nil
}

func (t *tx) mark(m mark) error {
	rows, err := t.QueryContext(t.ctx, "SELECT n, simulated, effective_verdict, image_size FROM results WHERE id = ?1 AND image_state = ?2", m.id, m.from.String())
	if err != nil {
		return err
	}
	var n, size int64
	var simulated bool
	var v inspection.Verdict
	if err := one(rows, &n, &simulated, textColumn{&v}, &size); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	if _, err := t.exec(`UPDATE results SET image_state = ?2, image_ref = ?3,
			image_sha256 = CASE ?4 WHEN '' THEN image_sha256 ELSE ?4 END WHERE n = ?1`, n, m.to.String(), m.ref, m.sha256); err != nil {
		return err
	}
	t.count(simulated, v, m.from.String(), -1, -size)
	t.count(simulated, v, m.to.String(), +1, size)
	return nil
}

// imageRow is what the store knows of an image file.
type imageRow struct {
	n        int64
	id       inspection.ResultID
	ref      string // where its file is, or will be while it is pending
	size     int64
	xxh128   string
	received int64 // microseconds
}

// readImages runs a query for images; the terms follow WHERE.
func (s *Store) readImages(ctx context.Context, terms string, args ...any) ([]imageRow, error) {
	var out []imageRow
	err := s.snapshot(ctx, s.own, func(q querier) error {
		rows, err := q.QueryContext(ctx, "SELECT n, id, image_ref, image_size, image_xxh128, received FROM results WHERE "+terms, args...)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var r imageRow
			if err := rows.Scan(&r.n, &r.id, &r.ref, &r.size, &r.xxh128, &r.received); err != nil {
				return err
			}
			out = append(out, r)
			return nil
		})
	})
	return out, err
}
