package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// stateNone is how the store writes the image state of a frame that never had bytes here. Outside it reads as shed.
const stateNone = "none"

// imageState returns how an image's state is kept.
func imageState(im inspection.ImageInfo) string {
	if im.Size == 0 {
		return stateNone
	}
	return im.State.String()
}

// judgementBits are the low bits of a judgement's n: its place among those of its result, whose n is in the others.
const judgementBits = 20

// judgementsOf is the range of n of a result's judgements.
func judgementsOf(result string) string {
	return fmt.Sprintf("BETWEEN (%s << %d) AND (%s << %d) + %d", result, judgementBits, result, judgementBits, 1<<judgementBits-1)
}

// resultColumns are read by scanResult, in this order.
const resultColumns = `r.n, r.id, r.line, r.station, r.camera, r.session, r.seq, r.stub, r.attempt, r.view, r.reference,
	r.serial, r.run_id, r.lot, r.work_order, r.product, r.recipe, r.captured_at, r.encoder, r.budget_ns, r.simulated,
	r.image_format, r.pixel_format, r.width, r.height, r.stride, r.image_size, r.image_sha256, r.image_ref, r.image_state,
	r.effective_verdict, r.effective_source, r.effective_reason, r.received, r.recorded, r.revision, r.image_xxh128`

// row is a row of results with what belongs to it.
type row struct {
	n          int64
	stub       bool
	imageState string
	inspection.Result
}

// textColumn scans a word of package inspection.
type textColumn struct {
	into interface{ UnmarshalText([]byte) error }
}

func (c textColumn) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return c.into.UnmarshalText([]byte(v))
	case []byte:
		return c.into.UnmarshalText(v)
	}
	return fmt.Errorf("a word is kept as %T", v)
}

// jsonColumn scans JSON; NULL leaves the value as it is.
type jsonColumn struct{ into any }

func (c jsonColumn) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), c.into)
	case []byte:
		return json.Unmarshal(v, c.into)
	}
	return fmt.Errorf("JSON is kept as %T", v)
}

// timeColumn scans microseconds; NULL is the zero time.
type timeColumn struct{ into *time.Time }

func (c timeColumn) Scan(v any) error {
	var n sql.NullInt64
	if err := n.Scan(v); err != nil {
		return err
	}
	*c.into = fromMicros(n)
	return nil
}

func scanResult(rows *sql.Rows) (*row, error) {
	var r row
	var seq, budget int64
	var encoder sql.NullInt64
	f, im, e := &r.Frame, &r.Image, &r.Effective
	err := rows.Scan(&r.n, &r.ID, &f.Key.Line, &f.Key.Station, &f.Key.Camera, &f.Key.Session, &seq, &r.stub, &f.Attempt,
		&f.View, &f.Reference, &f.Serial, &f.RunID, &f.Lot, &f.WorkOrder, &f.Product, &f.Recipe, timeColumn{&f.CapturedAt},
		&encoder, &budget, &f.Simulated, textColumn{&im.Format}, &im.PixelFormat, &im.Width, &im.Height, &im.Stride, &im.Size,
		&im.SHA256, &im.Ref, &r.imageState, textColumn{&e.Verdict}, textColumn{&e.Source}, &e.Reason,
		timeColumn{&r.Received}, timeColumn{&r.Recorded}, &r.Revision, &im.XXH128)
	if err != nil {
		return nil, fmt.Errorf("read a result: %w", err)
	}
	f.Key.Seq, f.Budget = uint64(seq), time.Duration(budget)
	if encoder.Valid {
		f.Encoder = &encoder.Int64
	}
	if r.imageState == stateNone {
		im.State = inspection.ImageShed
	} else if err := im.State.UnmarshalText([]byte(r.imageState)); err != nil {
		return nil, fmt.Errorf("read result %s: %w", r.ID, err)
	}
	if im.State == inspection.ImagePending {
		im.Ref = "" // where the file will be is the store's own affair: nothing is there yet
	}
	f.Image = inspection.Image{Format: im.Format, PixelFormat: im.PixelFormat, Width: im.Width, Height: im.Height, Stride: im.Stride}
	return &r, nil
}

// each calls fn for every row and closes rows.
func each(rows *sql.Rows, fn func() error) (err error) {
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readResults runs a query over resultColumns and returns its rows without what belongs to them.
func readResults(ctx context.Context, q querier, query string, args ...any) ([]*row, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var out []*row
	err = each(rows, func() error {
		r, err := scanResult(rows)
		out = append(out, r)
		return err
	})
	return out, err
}

// depth says how much of a judgement is read.
type depth bool

// The depths. A list of a thousand results with a picture each would be a hundred megabytes.
const (
	withoutPictures depth = false // heatmaps say where they lie and what their range is, and have no PNG
	withPictures    depth = true
)

// complete reads what belongs to rows: judgements, announcements and dispositions, each in the order of recording.
func complete(ctx context.Context, q querier, rs []*row, d depth) error {
	if len(rs) == 0 {
		return nil
	}
	byN := make(map[int64]*row, len(rs))
	ns := make([]int64, len(rs))
	for i, r := range rs {
		byN[r.n], ns[i] = r, r.n
	}
	list, err := json.Marshal(ns)
	if err != nil {
		return fmt.Errorf("list results: %w", err)
	}
	if err := readJudgements(ctx, q, string(list), byN, d); err != nil {
		return err
	}
	for _, read := range [...]func(context.Context, querier, string, map[int64]*row) error{readAnnounced, readDispositions} {
		if err := read(ctx, q, string(list), byN); err != nil {
			return err
		}
	}
	return nil
}

func readJudgements(ctx context.Context, q querier, list string, byN map[int64]*row, d depth) error {
	picture := "NULL"
	if d == withPictures {
		picture = "j.heatmap_png"
	}
	rows, err := q.QueryContext(ctx, `SELECT j.result, j.role, j.verdict, j.source, j.reason, j.detail, j.defects, j.facts, j.timings, j.model_name,
			j.model_version, j.model_digest, j.recipe_name, j.recipe_revision, j.recipe_digest, j.node, j.at, j.heatmap, `+picture+`
		FROM json_each(?1) l CROSS JOIN judgements j ON j.n `+judgementsOf("l.value")+` ORDER BY j.n`, list)
	if err != nil {
		return fmt.Errorf("read judgements: %w", err)
	}
	return each(rows, func() error {
		var n int64
		var j inspection.Judgement
		var png []byte
		if err := rows.Scan(&n, textColumn{&j.Role}, textColumn{&j.Verdict}, textColumn{&j.Source}, &j.Reason, &j.Detail,
			jsonColumn{&j.Defects}, jsonColumn{&j.Facts}, jsonColumn{&j.Timings}, &j.Model.Name, &j.Model.Version, &j.Model.Digest,
			&j.Recipe.Name, &j.Recipe.Revision, &j.Recipe.Digest, &j.Node, timeColumn{&j.At}, jsonColumn{&j.Heatmap}, &png); err != nil {
			return fmt.Errorf("read a judgement: %w", err)
		}
		if j.Heatmap != nil {
			j.Heatmap.PNG = png
		}
		byN[n].Judgements = append(byN[n].Judgements, j)
		return nil
	})
}

func readAnnounced(ctx context.Context, q querier, list string, byN map[int64]*row) error {
	rows, err := q.QueryContext(ctx, `SELECT result, verdict, source, reason, at FROM announced
		WHERE result IN (SELECT value FROM json_each(?1)) ORDER BY result, n`, list)
	if err != nil {
		return fmt.Errorf("read announcements: %w", err)
	}
	return each(rows, func() error {
		var n, at int64
		var a inspection.Announcement
		if err := rows.Scan(&n, textColumn{&a.Verdict}, textColumn{&a.Source}, &a.Reason, &at); err != nil {
			return fmt.Errorf("read an announcement: %w", err)
		}
		if at != 0 {
			a.At = time.UnixMicro(at).UTC()
		}
		byN[n].Announced = append(byN[n].Announced, a)
		return nil
	})
}

func readDispositions(ctx context.Context, q querier, list string, byN map[int64]*row) error {
	rows, err := q.QueryContext(ctx, `SELECT result, kind, judgement, defect_id, operator, comment, at FROM dispositions
		WHERE result IN (SELECT value FROM json_each(?1)) ORDER BY result, n`, list)
	if err != nil {
		return fmt.Errorf("read dispositions: %w", err)
	}
	return each(rows, func() error {
		var n int64
		var d inspection.Disposition
		if err := rows.Scan(&n, &d.Kind, &d.Judgement, &d.DefectID, &d.Operator, &d.Comment, timeColumn{&d.At}); err != nil {
			return fmt.Errorf("read a disposition: %w", err)
		}
		byN[n].Dispositions = append(byN[n].Dispositions, d)
		return nil
	})
}

// judgementRow is a judgement as it is kept, made before the transaction begins.
type judgementRow struct {
	inspection.Judgement
	defects, facts, timings, heatmap any // JSON or nil; the heatmap's without its picture
}

// picture is the heatmap's PNG, or nil.
func (r *judgementRow) picture() any {
	if r.Heatmap == nil {
		return nil
	}
	return r.Heatmap.PNG
}

// text is memory to write JSON into.
type text struct {
	bytes.Buffer
	json *json.Encoder
}

var texts = sync.Pool{New: func() any {
	t := new(text)
	t.json = json.NewEncoder(&t.Buffer)
	return t
}}

func encodeJudgement(j inspection.Judgement) (*judgementRow, error) {
	r := &judgementRow{Judgement: j}
	t := texts.Get().(*text)
	defer texts.Put(t)
	for _, c := range [...]struct {
		name  string
		empty bool
		value any
		into  *any
	}{
		{"defects", len(j.Defects) == 0, j.Defects, &r.defects},
		{"facts", j.Facts == nil, j.Facts, &r.facts},
		{"timings", j.Timings == inspection.Timings{}, j.Timings, &r.timings},
		{"heatmap", j.Heatmap == nil, j.Heatmap.WithoutPNG(), &r.heatmap},
	} {
		if c.empty {
			continue
		}
		t.Reset()
		if err := t.json.Encode(c.value); err != nil {
			return nil, fmt.Errorf("%w: judgement's %s cannot be kept: %w", inspection.ErrInvalid, c.name, err)
		}
		*c.into = string(bytes.TrimSuffix(t.Bytes(), []byte("\n")))
	}
	return r, nil
}

// same reports whether two judgements are one, sent again: alike in all but the role.
func (r *judgementRow) same(other inspection.Judgement) bool {
	o, err := encodeJudgement(other)
	if err != nil {
		return false
	}
	a, b := r.Judgement, other
	return a.Verdict == b.Verdict && a.Source == b.Source && a.Reason == b.Reason && a.Detail == b.Detail && a.Model == b.Model &&
		a.Recipe == b.Recipe && a.Node == b.Node && micros(a.At) == micros(b.At) &&
		r.defects == o.defects && r.facts == o.facts && r.timings == o.timings && r.heatmap == o.heatmap
}
