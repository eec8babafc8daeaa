package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// Get returns a result with all its evidence, or an error that wraps inspection.ErrNotFound.
func (s *Store) Get(ctx context.Context, id inspection.ResultID) (inspection.Result, error) {
	var r *row
	if err := s.answer(ctx, func(ctx context.Context) (err error) {
		r, err = s.get(ctx, s.asks, id)
		return err
	}); err != nil {
		return inspection.Result{}, fmt.Errorf("store: result %s: %w", id, err)
	}
	return r.Result, nil
}

// Lookup returns the recorded result of a frame, or an error that wraps inspection.ErrNotFound. Where only the key is
// known (a gap, an announcement that came first) the frame has still to be judged: that is ErrNotFound too, and the
// result beside it holds what was announced and said so far.
func (s *Store) Lookup(ctx context.Context, key inspection.FrameKey) (inspection.Result, error) {
	if s.isNew(ctx, key) {
		return inspection.Result{}, fmt.Errorf("store: frame %s: %w", key, s.closed(inspection.ErrNotFound))
	}
	r, err := s.get(ctx, s.own, key.ID())
	switch {
	case err != nil:
		return inspection.Result{}, fmt.Errorf("store: frame %s: %w", key, err)
	case r.stub:
		return r.Result, fmt.Errorf("store: frame %s has not come yet: %w", key, inspection.ErrNotFound)
	}
	return r.Result, nil
}

func (s *Store) get(ctx context.Context, from *reader, id inspection.ResultID) (*row, error) {
	// Many a question is about something that is not there: it ends here, on one prepared look-up.
	var there int
	if err := from.exists.QueryRowContext(ctx, id).Scan(&there); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, inspection.ErrNotFound
		}
		return nil, s.closed(err)
	}
	var found *row
	err := s.snapshot(ctx, from, func(q querier) error {
		rs, err := readResults(ctx, q, "SELECT "+resultColumns+" FROM results r WHERE r.id = ?1", id)
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			return inspection.ErrNotFound
		}
		found = rs[0]
		return complete(ctx, q, rs, withPictures)
	})
	return found, err
}
