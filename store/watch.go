package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// watchPage is how many changes a watcher reads at a time. It bounds the memory of one that lags: what it has not read
// stays in the database.
const watchPage = 200

// Watch calls send for every result that changed after cursor and passes q's filter, in the order of revisions, then
// waits for more. Each comes as it is now and with the cursor that resumes after it; one that changes again comes again,
// so nothing is missed and a state in between may be. An empty cursor begins with what changes from now on, "0" with the
// first change ever. Changes of an image's state alone are not sent.
//
// Watch ends with ctx's error, with ErrClosed when the store closes, or with the error of send. Limit, Cursor and
// Ascending of q must not be set. A cursor that this store has not given out yet is ErrInvalid.
func (s *Store) Watch(ctx context.Context, cursor string, q inspection.Query, send func(r inspection.Result, cursor string) error) error {
	if q.Limit != 0 || q.Cursor != "" || q.Ascending {
		return fmt.Errorf("%w: limit, cursor and ascending of the query are for lists: a watch has a cursor of its own", inspection.ErrInvalid)
	}
	sel, err := newSelection(q)
	if err != nil {
		return err
	}
	after, err := s.watchStart(ctx, cursor)
	if err != nil {
		return err
	}
	for {
		more := s.changes.wait() // before reading, so that no commit falls in between
		rs, upTo, err := s.changedAfter(ctx, sel, after)
		if err != nil {
			return fmt.Errorf("store: watch: %w", err)
		}
		for _, r := range rs {
			if err := send(r.Result, strconv.FormatUint(r.Revision, 10)); err != nil {
				return err
			}
		}
		after = upTo
		if len(rs) == watchPage {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.closing:
			return fmt.Errorf("store: watch: %w", inspection.ErrClosed)
		}
	}
}

func (s *Store) watchStart(ctx context.Context, cursor string) (uint64, error) {
	last, err := s.lastRevision(ctx)
	if err != nil || cursor == "" {
		return last, err
	}
	after, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: watch cursor %.40q is none of ours: begin with an empty one for now, or \"0\" for the beginning", inspection.ErrInvalid, cursor)
	}
	if after > last {
		return 0, fmt.Errorf("%w: watch cursor %d is ahead of this store, whose last change is %d: its data directory is another one or was restored; begin with \"0\"", inspection.ErrInvalid, after, last)
	}
	return after, nil
}

// lastRevision returns the last revision that was given out.
func (s *Store) lastRevision(ctx context.Context) (last uint64, err error) {
	err = s.snapshot(ctx, s.asks, func(q querier) error {
		last, err = readRevision(ctx, q)
		return err
	})
	return last, err
}

func readRevision(ctx context.Context, q querier) (last uint64, err error) {
	rows, err := q.QueryContext(ctx, "SELECT revision FROM changes WHERE one = 1")
	if err != nil {
		return 0, err
	}
	return last, one(rows, &last)
}

// changedAfter returns the next changes after a revision, at most watchPage, and the revision up to which they are all.
func (s *Store) changedAfter(ctx context.Context, sel *selection, after uint64) (rs []*row, upTo uint64, err error) {
	query, args := sel.changes(after)
	err = s.snapshot(ctx, s.asks, func(q querier) error {
		if upTo, err = readRevision(ctx, q); err != nil {
			return err
		}
		if rs, err = readResults(ctx, q, query, args...); err != nil {
			return err
		}
		return complete(ctx, q, rs, withoutPictures)
	})
	if len(rs) == watchPage {
		upTo = rs[len(rs)-1].Revision
	}
	return rs, upTo, err
}

// changes writes the query for what changed after a revision. Results that are as they were recorded stand in the table
// itself in the order of their revisions, the others in an index: two walks, merged.
func (s *selection) changes(after uint64) (string, []any) {
	own := *s // its arguments grow here, for this one query
	own.args = s.args[:len(s.args):len(s.args)]
	since := own.arg(after)
	terms := append(own.terms[:len(own.terms):len(own.terms)], own.within(nil, true)...)
	if len(own.arms) > 0 {
		terms = append(terms, "("+strings.Join(own.arms, " OR ")+")")
	}
	join := ""
	if strings.Contains(own.from, "called_defects") {
		join = " CROSS JOIN called_defects c ON c.result = r.n AND c.received = r.received"
	}
	walk := func(revision, index, which string) string {
		return "SELECT " + strings.Replace(resultColumns, "r.revision", revision+" AS revision", 1) + " FROM results r " + index + join +
			" WHERE " + strings.Join(append([]string{revision + " > " + since, which}, terms...), " AND ")
	}
	return fmt.Sprintf("%s UNION ALL %s ORDER BY revision LIMIT %d", walk("r.n", "NOT INDEXED", "r.revision = r.n"),
		walk("r.revision", "INDEXED BY results_changed", "r.revision <> r.n"), watchPage), own.args
}
