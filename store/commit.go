package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Commit writes all entries in their order, or none, in one transaction that is on disk when it returns nil.
//
// A frame whose key is recorded already makes no second result: its judgement is appended with RoleDuplicate, and where
// the image is another one the result also gets the rule's UNDETERMINED with FRAME_CONFLICT. A judgement that is there
// already in every word is not appended again, so a group may be committed again. A judgement alone needs its result
// (ErrNotFound). An announcement that comes before its frame, and every frame of a Drop that has no result, make a result
// of which only the key is known; the frame fills it in when it comes, with the role that it has, and the evidence that
// was there stays: a SOURCE_GAP can harden and never softens. A Drop does not touch frames that did arrive.
//
// ErrInvalid names the entry and what is wrong with it. ErrDiskFull means that the disk refused, now or at its fsync; the
// store goes on by itself when there is space.
func (s *Store) Commit(ctx context.Context, entries []inspection.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	began := time.Now()
	items, err := prepare(entries)
	if err == nil {
		written := s.seen.writing(items)
		defer written()
		now := s.cfg.Now()
		err = s.w.transact(ctx, func(t *tx) error {
			for i := range items {
				if err := t.apply(&items[i], now); err != nil {
					return fmt.Errorf("record frame %s: %w", items[i].Key, err)
				}
			}
			return nil
		})
	}
	if err != nil {
		s.m.commitErrors.WithLabelValues(cause(err)).Inc()
		return fmt.Errorf("store: %w", err)
	}
	s.changes.announce()
	s.m.commitSeconds.Observe(time.Since(began).Seconds())
	s.m.commitEntries.Observe(float64(len(entries)))
	return nil
}

// Append adds a judgement to a recorded result, durable on return. ErrNotFound when the key has none.
func (s *Store) Append(ctx context.Context, key inspection.FrameKey, j inspection.Judgement) error {
	return s.Commit(ctx, []inspection.Entry{{Key: key, Judgement: &j}})
}

// Dispose adds a person's word to a result, durable on return. ErrNotFound when there is no such result, ErrInvalid for a
// word that is none or that names a defect which is not there.
func (s *Store) Dispose(ctx context.Context, id inspection.ResultID, d inspection.Disposition) error {
	err := s.w.transact(ctx, func(t *tx) error {
		r, err := t.find(id)
		if err != nil {
			return err
		}
		if err := checkDisposition(r.Result, d); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO dispositions (result, kind, judgement, defect_id, operator, comment, at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`, r.n, d.Kind, d.Judgement, d.DefectID, d.Operator, d.Comment, micros(d.At)); err != nil {
			return err
		}
		r.Dispositions = append(r.Dispositions, d)
		return t.refold(r)
	})
	if err != nil {
		return fmt.Errorf("store: disposition of result %s: %w", id, err)
	}
	s.changes.announce()
	return nil
}

func checkDisposition(r inspection.Result, d inspection.Disposition) error {
	switch d.Kind {
	case inspection.Escape, inspection.Inconclusive, inspection.JudgedGood, inspection.JudgedBad:
	case inspection.RealDefect, inspection.FalseCall:
		if d.Judgement < 0 || d.Judgement >= len(r.Judgements) {
			return fmt.Errorf("%w: judgement %d: the result has %d, counted from 0", inspection.ErrInvalid, d.Judgement, len(r.Judgements))
		}
		found := false
		for _, c := range r.Judgements[d.Judgement].Defects {
			found = found || c.ID == d.DefectID
		}
		if !found {
			return fmt.Errorf("%w: judgement %d has no defect %d", inspection.ErrInvalid, d.Judgement, d.DefectID)
		}
	default:
		return fmt.Errorf("%w: disposition %q: use real, false_call, escape, inconclusive, judged_good or judged_bad", inspection.ErrInvalid, d.Kind)
	}
	if d.Operator == "" {
		return fmt.Errorf("%w: operator is empty: a disposition names the person", inspection.ErrInvalid)
	}
	return nil
}

func cause(err error) string {
	switch {
	case errors.Is(err, inspection.ErrDiskFull):
		return "disk"
	case errors.Is(err, inspection.ErrInvalid), errors.Is(err, inspection.ErrNotFound):
		return "refused"
	}
	return "other"
}
