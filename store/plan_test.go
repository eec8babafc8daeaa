package store

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// TestListsWalkAnIndex: every filter that people page through is one walk of an index in the order of the page, with no
// sort and no scan of the table.
func TestListsWalkAnIndex(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	from := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		q     inspection.Query
		index string
	}{
		"all":            {inspection.Query{}, "results_verdict (simulated=? AND effective_verdict=? AND received"},
		"time":           {inspection.Query{From: from, To: from.Add(time.Hour)}, "results_verdict (simulated=? AND effective_verdict=? AND "},
		"both sides":     {inspection.Query{Simulated: inspection.SimulatedInclude}, "results_verdict (simulated=? AND effective_verdict=? AND received"},
		"serial":         {inspection.Query{Serial: "x"}, "results_serial (serial=? AND received"},
		"serial, class":  {inspection.Query{Serial: "x", DefectClass: "c"}, "results_serial (serial=? AND received"},
		"run":            {inspection.Query{RunID: "x"}, "results_run (run_id=? AND received"},
		"lot":            {inspection.Query{Lot: "x", Verdicts: []inspection.Verdict{inspection.Fail}}, "results_lot (lot=? AND received"},
		"work order":     {inspection.Query{WorkOrder: "x"}, "results_work_order (work_order=? AND received"},
		"session":        {inspection.Query{Line: "l", Station: "s", Camera: "c", Session: "x"}, "results_session (session=? AND received"},
		"camera":         {inspection.Query{Line: "l", Station: "s", Camera: "c"}, "results_camera (line=? AND station=? AND camera=? AND received"},
		"verdict":        {inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail}, To: from}, "results_verdict (simulated=? AND effective_verdict=? AND "},
		"verdicts, both": {inspection.Query{Verdicts: []inspection.Verdict{inspection.Fail, inspection.Review}, Simulated: inspection.SimulatedInclude}, "results_verdict (simulated=? AND effective_verdict=? AND received"},
		"class":          {inspection.Query{DefectClass: "c", From: from}, "PRIMARY KEY (class=? AND "},
	} {
		for _, ascending := range []bool{false, true} {
			sel, err := newSelection(c.q)
			if err != nil {
				t.Fatal(err)
			}
			query, args := sel.page(&position{Received: 5, N: 7}, ascending, 100)
			plan := explain(t, s, query, args)
			// With a cursor the walk begins at its time, not where the time range begins. Rows of that very microsecond are
			// told apart in the index: SQLite's plan does not seek by a pair that ends in the row's number.
			begin := map[bool][]string{true: {"received>?", "(received,result)>(?,?)"}, false: {"received<?", "(received,result)<(?,?)"}}[ascending]
			if !strings.Contains(plan, begin[0]) && !strings.Contains(plan, begin[1]) {
				t.Errorf("%s, ascending %v: got plan\n%swant it to begin at the cursor", name, ascending, plan)
			}
			if !strings.Contains(plan, c.index) {
				t.Errorf("%s: got plan\n%swant it to search %q", name, plan, c.index)
			}
			for _, bad := range []string{"TEMP B-TREE", "SCAN r"} {
				if strings.Contains(plan, bad) {
					t.Errorf("%s: got plan\n%swhich has a %s", name, plan, bad)
				}
			}
		}
	}
	for name, q := range map[string]inspection.Query{
		"all": {}, "lot": {Lot: "x"}, "class": {DefectClass: "c"}, "verdict": {Verdicts: []inspection.Verdict{inspection.Fail}, From: from},
	} {
		sel, err := newSelection(q)
		if err != nil {
			t.Fatal(err)
		}
		query, args := sel.changes(5)
		plan := explain(t, s, query, args)
		if !strings.Contains(plan, "r USING INTEGER PRIMARY KEY (rowid>?)") || !strings.Contains(plan, "r USING INDEX results_changed (revision>?)") ||
			strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN r") {
			t.Errorf("watch %s: got plan\n%swant the table and results_changed walked and merged", name, plan)
		}
	}
	for name, terms := range map[string]string{
		"pending": "image_state = 'pending' ORDER BY n LIMIT 5", "room": "image_state = 'kept' ORDER BY shed_rank, received, n LIMIT 5",
		"age": "image_state = 'kept' AND shed_rank = 1 AND received < 5 ORDER BY received, n LIMIT 5",
	} {
		plan := explain(t, s, "SELECT id, image_size FROM results WHERE "+terms, nil)
		if !strings.Contains(plan, "INDEX results_") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("images, %s: got plan\n%swant a walk of an index", name, plan)
		}
	}
}

func explain(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	rows, err := s.asks.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...) //nolint:sqlclosecheck // each closes it
	if err != nil {
		t.Fatalf("explain %s: %v", query, err)
	}
	var plan strings.Builder
	if err := each(rows, func() error {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return err
		}
		fmt.Fprintf(&plan, "  %s\n", detail)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// recount says where the sums differ from the rows, and nothing where they agree.
func recount(ctx context.Context, s *Store) (wrong string, err error) {
	err = s.snapshot(ctx, s.asks, func(q querier) error {
		//nolint:sqlclosecheck // each closes it
		rows, err := q.QueryContext(ctx, `
			WITH counted AS (SELECT simulated, effective_verdict AS verdict, image_state, count(*) AS results, sum(image_size) AS bytes FROM results GROUP BY 1, 2, 3),
			kept AS (SELECT simulated, verdict, image_state, results, bytes FROM tallies WHERE results <> 0 OR bytes <> 0)
			SELECT 'counted and not in tallies', * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
			UNION ALL SELECT 'in tallies and not counted', * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)`)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var what, v, state string
			var sim, n, bytes int64
			if err := rows.Scan(&what, &sim, &v, &state, &n, &bytes); err != nil {
				return err
			}
			wrong += fmt.Sprintf("%s: simulated %d, %s, %s: %d results, %d bytes\n", what, sim, v, state, n, bytes)
			return nil
		})
	})
	return wrong, err
}

func TestGrowth(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var g growth
	if _, ok := g.perDay(); ok {
		t.Error("nothing is known, and growth says so much")
	}
	for m := range 10 {
		g.add(at.Add(time.Duration(m)*time.Minute), int64(m)*1000)
	}
	if v, ok := g.perDay(); ok {
		t.Errorf("nine minutes are known: got %d, want nothing yet", v)
	}
	g.add(at.Add(10*time.Minute), 4000) // the log was cut: only what comes counts
	g.add(at.Add(10*time.Minute+time.Second), 1<<40)
	if v, ok := g.perDay(); !ok || v != 9000*6*24 {
		t.Errorf("9000 bytes in ten minutes: got %d, %v; want %d a day", v, ok, 9000*6*24)
	}
	for m := range 3000 {
		g.add(at.Add(time.Duration(11+m)*time.Minute), 4000)
	}
	if v, ok := g.perDay(); !ok || v != 0 || len(g.samples) > 1441 {
		t.Errorf("a day without growth: got %d, %v of %d samples; want 0 of a day's", v, ok, len(g.samples))
	}
}

// TestDSNReachesEveryConnection: the pragmas hold on each pooled connection, not only on the first.
func TestDSNReachesEveryConnection(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}.withDefaults()
	for _, readOnly := range []bool{false, true} {
		db, err := openPool(filepath.Join(cfg.Dir, "x.db"), cfg, 3, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }() //nolint:revive // three of them, all open at once on purpose
			for pragma, want := range map[string]int64{
				"synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1, "journal_size_limit": journalLimit, "auto_vacuum": 2,
			} {
				var got int64
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("read only %v: %s is %d, %v; want %d", readOnly, pragma, got, err, want)
				}
			}
		}
		defer func() { _ = db.Close() }() //nolint:revive // both pools
	}
}

// TestInsertsAreCheap: the two statements that every frame takes build no table of their own, as a CHECK of a word against
// a list would make them, and enter a row in no more trees than these.
func TestInsertsAreCheap(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for query, trees := range map[string]int{insertResult: 12, insertJudgement: 1} {
		rows, err := s.asks.db.QueryContext(t.Context(), "EXPLAIN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		if err := each(rows, func() error {
			var op string
			var rest [7]any
			err := rows.Scan(&rest[0], &op, &rest[1], &rest[2], &rest[3], &rest[4], &rest[5], &rest[6])
			switch op {
			case "OpenWrite":
				opened++
			case "OpenEphemeral":
				t.Errorf("%.40s: builds a table at each row", query)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if opened > trees {
			t.Errorf("%.40s: writes %d trees, want at most %d: every one costs a page a commit", query, opened, trees)
		}
	}
}
