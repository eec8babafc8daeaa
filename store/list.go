package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/assay-vision/assay/inspection"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// List returns one page of results in the order of (received, n): by time of receipt, and of
// one time as they were recorded. The order is stable: results that are recorded while
// somebody turns pages never make another one appear twice or be left out. Next, when not empty, is the cursor of the
// page that follows under the same filter; with another one it is ErrInvalid.
func (s *Store) List(ctx context.Context, q inspection.Query) (inspection.Page, error) {
	limit := q.Limit
	switch {
	case limit == 0:
		limit = defaultLimit
	case limit < 0 || limit > maxLimit:
		return inspection.Page{}, fmt.Errorf("%w: limit %d: ask for 1 to %d results, or 0 for %d", inspection.ErrInvalid, limit, maxLimit, defaultLimit)
	}
	sel, err := newSelection(q)
	if err != nil {
		return inspection.Page{}, err
	}
	var after *position
	if q.Cursor != "" {
		if after, err = parsePosition(q); err != nil {
			return inspection.Page{}, err
		}
	}
	query, args := sel.page(after, q.Ascending, limit+1)
	var rs []*row
	if err := s.answer(ctx, func(ctx context.Context) error {
		return s.snapshot(ctx, s.asks, func(qr querier) (err error) {
			if rs, err = readResults(ctx, qr, atOnce(query), args...); err != nil {
				return err
			}
			return complete(ctx, qr, rs[:min(len(rs), limit)], withoutPictures)
		})
	}); err != nil {
		return inspection.Page{}, fmt.Errorf("store: list results: %w", err)
	}
	var page inspection.Page
	for _, r := range rs[:min(len(rs), limit)] {
		page.Results = append(page.Results, r.Result)
	}
	if len(rs) > limit {
		last := rs[limit-1]
		page.Next = position{Filter: filterDigest(q), Received: last.Received.UnixMicro(), N: last.n}.String()
	}
	return page, nil
}

// position is where a page ended, and under which filter.
type position struct {
	Filter   string `json:"f"`
	Received int64  `json:"r"`
	N        int64  `json:"n"`
}

// String writes the opaque cursor.
func (p position) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("store: a position of strings and numbers is not JSON: %v", err)) // cannot be
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePosition(q inspection.Query) (*position, error) {
	var p position
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.N == 0 {
		return nil, fmt.Errorf("%w: cursor %.40q is none of ours: take it from the page before as it is", inspection.ErrInvalid, q.Cursor)
	}
	if p.Filter != filterDigest(q) {
		return nil, fmt.Errorf("%w: the cursor belongs to another filter: keep the filter while turning pages, or begin without a cursor", inspection.ErrInvalid)
	}
	return &p, nil
}

// filterDigest names a filter with its direction; the page size may change on the way.
func filterDigest(q inspection.Query) string {
	q.Limit, q.Cursor = 0, ""
	q.From, q.To = q.From.UTC().Round(0), q.To.UTC().Round(0)
	b, err := json.Marshal(q)
	if err != nil {
		b = fmt.Appendf(nil, "%#v", q) // a year beyond 9999 is no JSON
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// selection is a filter as SQL. Which index is walked is decided here and not by SQLite, which would have to guess how
// rare a value is: every walk gives its rows in the order of (received, n), so a page is read without sorting, and what
// the walk does not cover is checked row by row.
type selection struct {
	from  string // table, its index, and a join where another table leads
	order string // the two columns of (received, n), with what they come from
	terms []string
	arms  []string // alternatives of which each is one walk; a union of them is merged in order
	since time.Time
	until time.Time
	args  []any
}

// arg adds an argument and returns its placeholder.
func (s *selection) arg(v any) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("?%d", len(s.args))
}

func (s *selection) term(format string, v any) {
	s.terms = append(s.terms, fmt.Sprintf(format, s.arg(v)))
}

// walks are the indexes that can lead a page, the most selective first. A partial index is used only where the query
// says again that the column is not empty.
var walks = [...]struct {
	index string
	use   func(inspection.Query) bool
	extra string
}{
	{"results_serial", func(q inspection.Query) bool { return q.Serial != "" }, "r.serial <> ''"},
	{"results_run", func(q inspection.Query) bool { return q.RunID != "" }, "r.run_id <> ''"},
	{"results_session", func(q inspection.Query) bool { return q.Session != "" }, ""},
	{"results_lot", func(q inspection.Query) bool { return q.Lot != "" }, "r.lot <> ''"},
	{"results_work_order", func(q inspection.Query) bool { return q.WorkOrder != "" }, "r.work_order <> ''"},
}

func newSelection(q inspection.Query) (*selection, error) {
	for _, v := range q.Verdicts {
		if !v.Valid() {
			return nil, fmt.Errorf("%w: verdict %s: ask for PASS, REVIEW, FAIL or UNDETERMINED", inspection.ErrInvalid, v)
		}
	}
	if q.Simulated > inspection.SimulatedInclude {
		return nil, fmt.Errorf("%w: simulated %d", inspection.ErrInvalid, q.Simulated)
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return nil, fmt.Errorf("%w: the time range ends at %s, before it begins at %s", inspection.ErrInvalid, q.To.Format(time.RFC3339), q.From.Format(time.RFC3339))
	}
	s := &selection{order: "r.received, r.n", since: q.From, until: q.To}
	s.lead(q)
	s.plain(q)
	return s, nil
}

// lead chooses the walk.
func (s *selection) lead(q inspection.Query) {
	sims := [][]string{inspection.SimulatedExclude: {"0"}, inspection.SimulatedOnly: {"1"}, inspection.SimulatedInclude: {"0", "1"}}[q.Simulated]
	verdicts := make([]string, 0, len(q.Verdicts))
	for _, v := range q.Verdicts {
		if quoted := "'" + v.String() + "'"; !strings.Contains(strings.Join(verdicts, ","), quoted) {
			verdicts = append(verdicts, quoted)
		}
	}
	residual := func() {
		if len(sims) == 1 {
			s.terms = append(s.terms, "r.simulated = "+sims[0])
		}
		if len(verdicts) > 0 {
			s.terms = append(s.terms, "r.effective_verdict IN ("+strings.Join(verdicts, ", ")+")")
		}
	}
	for _, w := range walks {
		if w.use(q) {
			s.from = "results r INDEXED BY " + w.index
			if w.extra != "" {
				s.terms = append(s.terms, w.extra)
			}
			residual()
			s.called(q, false)
			return
		}
	}
	switch {
	case q.Line != "" && q.Station != "" && q.Camera != "":
		s.from = "results r INDEXED BY results_camera"
		residual()
		s.called(q, false)
	case q.DefectClass != "":
		s.called(q, true)
		residual()
	default:
		s.from = "results r INDEXED BY results_verdict"
		if len(verdicts) == 0 { // the walks of all verdicts, merged, are the walk of all results
			verdicts = []string{"'UNDETERMINED'", "'PASS'", "'REVIEW'", "'FAIL'"}
		}
		for _, sim := range sims {
			for _, v := range verdicts {
				s.arms = append(s.arms, "r.simulated = "+sim+" AND r.effective_verdict = "+v)
			}
		}
	}
}

// called adds the filter by defect class, as the leading walk or as a look-up for each row.
func (s *selection) called(q inspection.Query, lead bool) {
	switch {
	case lead:
		s.from = "called_defects c CROSS JOIN results r ON r.n = c.result" // CROSS: c stays outside
		s.order = "c.received, c.result"
		s.term("c.class = %s", q.DefectClass)
	case q.DefectClass != "":
		s.term("EXISTS (SELECT 1 FROM called_defects c WHERE c.class = %s AND c.received = r.received AND c.result = r.n)", q.DefectClass)
	}
}

// plain adds what is checked on the row itself.
func (s *selection) plain(q inspection.Query) {
	for _, f := range [...]struct{ term, value string }{
		{"r.serial = %s", q.Serial}, {"r.run_id = %s", q.RunID}, {"r.lot = %s", q.Lot}, {"r.work_order = %s", q.WorkOrder},
		{"r.line = %s", q.Line}, {"r.station = %s", q.Station}, {"r.camera = %s", q.Camera}, {"r.session = %s", q.Session},
		{"r.product = %s", q.Product}, {"r.recipe = %s", q.Recipe},
	} {
		if f.value != "" {
			s.term(f.term, f.value)
		}
	}
	if q.Model != "" || q.ModelVersion != "" {
		var of []string
		if q.Model != "" {
			of = append(of, "j.model_name = "+s.arg(q.Model))
		}
		if q.ModelVersion != "" {
			of = append(of, "j.model_version = "+s.arg(q.ModelVersion))
		}
		s.terms = append(s.terms, "EXISTS (SELECT 1 FROM judgements j WHERE j.n "+judgementsOf("r.n")+" AND "+strings.Join(of, " AND ")+")")
	}
}

// within returns the terms that hold the walk inside the time range. A position inside it is the narrower bound on its
// side; the wider one must not stand beside it, or SQLite may begin every page where the range begins.
func (s *selection) within(after *position, ascending bool) []string {
	received := strings.Split(s.order, ", ")[0]
	var terms []string
	if after != nil {
		beyond := "<"
		if ascending {
			beyond = ">"
		}
		terms = append(terms, fmt.Sprintf("(%s) %s (%s, %s)", s.order, beyond, s.arg(after.Received), s.arg(after.N)))
	}
	if !s.since.IsZero() && (after == nil || !ascending) {
		terms = append(terms, received+" >= "+s.arg(ceilMicro(s.since)))
	}
	if !s.until.IsZero() && (after == nil || ascending) {
		terms = append(terms, received+" < "+s.arg(ceilMicro(s.until)))
	}
	return terms
}

// ceilMicro rounds a bound up to the microseconds that are kept, so that both kinds of bound cut where they say.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

// page writes the query for limit rows after a position.
func (s *selection) page(after *position, ascending bool, limit int) (string, []any) {
	direction := " DESC"
	if ascending {
		direction = " ASC"
	}
	terms := append(s.terms[:len(s.terms):len(s.terms)], s.within(after, ascending)...)
	arms := s.arms
	if len(arms) == 0 {
		arms = []string{""}
	}
	selects := make([]string, len(arms))
	for i, arm := range arms {
		all := terms
		if arm != "" {
			all = append([]string{arm}, terms...)
		}
		selects[i] = "SELECT " + resultColumns + " FROM " + s.from + " WHERE " + strings.Join(all, " AND ")
	}
	order := s.order
	if len(selects) > 1 {
		order = "received, n"
	}
	return strings.Join(selects, " UNION ALL ") + " ORDER BY " + strings.ReplaceAll(order, ", ", direction+", ") + direction +
		" LIMIT " + s.arg(limit), s.args
}
