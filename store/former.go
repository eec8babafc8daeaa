package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/assay-vision/assay/inspection"
)

// Results from before schema version 4 have ids that were made of their keys in another way, and keep them: others know
// them by these. Their keys' ids of today lead to them too. former are the sessions that have such results, by what the
// ids of their keys begin with: only an id of one of them needs a second look. It is read at the start and never changes.
type former map[string]inspection.FrameKey

// idPrefix is the length of what the ids of one session have in common; the rest is the seq.
const idPrefix = 16

// has reports whether a key's session has results from before.
func (f former) has(key inspection.FrameKey) bool {
	if len(f) == 0 {
		return false
	}
	_, ok := f[string(key.ID()[:idPrefix])]
	return ok
}

func readFormer(ctx context.Context, q querier) (former, error) {
	rows, err := q.QueryContext(ctx, "SELECT line, station, camera, session FROM former_sessions")
	if err != nil {
		return nil, fmt.Errorf("read the sessions of former ids: %w", err)
	}
	f := former{}
	err = each(rows, func() error {
		var k inspection.FrameKey
		err := rows.Scan(&k.Line, &k.Station, &k.Camera, &k.Session)
		f[string(k.ID()[:idPrefix])] = k
		return err
	})
	return f, err
}

// recorded returns the id under which the result is recorded that this id of its key means; id itself where there is none.
func (f former) recorded(ctx context.Context, q querier, id inspection.ResultID) (inspection.ResultID, error) {
	if len(f) == 0 || len(id) <= idPrefix {
		return id, nil
	}
	k, ok := f[string(id[:idPrefix])]
	if !ok {
		return id, nil
	}
	seq, err := strconv.ParseUint(string(id[idPrefix:]), 16, 64)
	if err != nil {
		return id, nil //nolint:nilerr // no id of a key
	}
	//nolint:sqlclosecheck // each closes it
	rows, err := q.QueryContext(ctx, `SELECT id FROM results INDEXED BY results_former
		WHERE former = 1 AND line = ?1 AND station = ?2 AND camera = ?3 AND session = ?4 AND seq = ?5`,
		k.Line, k.Station, k.Camera, k.Session, int64(seq))
	if err != nil {
		return "", fmt.Errorf("look for the former id of result %s: %w", id, err)
	}
	err = each(rows, func() error { return rows.Scan(&id) })
	return id, err
}
