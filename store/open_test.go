package store_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// tryOpen opens a store that should be refused and returns what it says.
func tryOpen(t *testing.T, cfg store.Config) string {
	t.Helper()
	s, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil {
		_ = s.Close()
		return ""
	}
	return err.Error()
}

func TestOpenRefusesAndNamesTheRemedy(t *testing.T) {
	busy := t.TempDir()
	open(t, busy)
	other, noFormat, damaged := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "FORMAT"), []byte("assay-data 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(noFormat, "assay.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, damaged).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "assay.db"), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  store.Config
		says []string
	}{
		"used by another node":       {store.Config{Dir: busy}, []string{"in use by another node", "stop that node", "node.data_dir"}},
		"another version's layout":   {store.Config{Dir: other}, []string{`"assay-data 2"`, "start the version of assayd"}},
		"a database without layout":  {store.Config{Dir: noFormat}, []string{"FORMAT", "backup"}},
		"a damaged database":         {store.Config{Dir: damaged}, []string{"assay.db", "damaged", "last backup", "empty directory"}},
		"no directory":               {store.Config{}, []string{"dir is empty"}},
		"too many readers":           {store.Config{Dir: t.TempDir(), Readers: 1000}, []string{"readers is 1000", "1 to 64"}},
		"a negative time to wait":    {store.Config{Dir: t.TempDir(), BusyTimeout: -time.Second}, []string{"busy timeout"}},
		"a directory that is a file": {store.Config{Dir: filepath.Join(other, "FORMAT")}, []string{"make data directory"}},
	} {
		got := tryOpen(t, c.cfg)
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want it to say %q", name, got, want)
			}
		}
	}
}

func TestOpenAgainFindsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a dir?with#odd%20chars")
	s := open(t, dir)
	if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(1, inspection.Fail)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(2, inspection.Fail)}); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("commit after close: got %v, want ErrClosed", err)
	}
	if _, err := s.List(t.Context(), inspection.Query{}); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("list after close: got %v, want ErrClosed", err)
	}
	if _, err := s.Lookup(t.Context(), storetest.Key(1)); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("look up after close: got %v, want ErrClosed", err)
	}
	s = open(t, dir)
	r, err := s.Lookup(t.Context(), storetest.Key(1))
	if err != nil || r.Revision != 1 {
		t.Fatalf("after reopening: got revision %d, %v; want 1", r.Revision, err)
	}
	if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(2, inspection.Fail)}); err != nil {
		t.Fatal(err)
	}
	if r, err = s.Lookup(t.Context(), storetest.Key(2)); err != nil || r.Revision != 2 {
		t.Errorf("revisions go on: got %d, %v; want 2", r.Revision, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "assay.db")); err != nil {
		t.Errorf("the database is somewhere else: %v", err)
	}
}

func TestCloseEndsWatchers(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(1, inspection.Pass)}); err != nil {
		t.Fatal(err)
	}
	done, seen := make(chan error, 1), make(chan struct{})
	go func() {
		done <- s.Watch(context.Background(), "0", inspection.Query{}, func(inspection.Result, string) error { close(seen); return nil })
	}()
	<-seen
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("watch ended with %v, want ErrClosed", err)
	}
}

func TestCommitWithEndedContextRecordsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Commit(ctx, []inspection.Entry{storetest.Entry(1, inspection.Pass)})
	_, lerr := s.Lookup(t.Context(), storetest.Key(1))
	if recorded := lerr == nil; recorded != (err == nil) {
		t.Errorf("commit says %v, look up says %v: an error must mean that nothing is recorded", err, lerr)
	}
}

// withDB opens a data directory's database behind the store's back.
func withDB(t *testing.T, dir string, fn func(db *sql.DB)) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "assay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	fn(db)
}

func TestDatabaseHoldsTheRulesItself(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Commit(t.Context(), []inspection.Entry{storetest.Entry(1, inspection.Fail)}); err != nil {
		t.Fatal(err)
	}
	withDB(t, dir, func(db *sql.DB) {
		insert := `INSERT INTO judgements (n, result, role, verdict, source, reason, detail, model_name, model_version, model_digest,
			recipe_name, recipe_revision, recipe_digest, node) VALUES ((1 << 20) + 1, 1, 'primary', %s, '', '', 'm', '1', %s, 'r', 1, 'd', 'n')`
		for name, q := range map[string]string{
			"PASS without a digest":    strings.Replace(strings.Replace(insert, "%s", "'PASS', 'model'", 1), "%s", "''", 1),
			"PASS by fallback":         strings.Replace(strings.Replace(insert, "%s", "'PASS', 'fallback'", 1), "%s", "'abc'", 1),
			"no verdict":               strings.Replace(strings.Replace(insert, "%s", "'GOOD', 'model'", 1), "%s", "'abc'", 1),
			"a second row of the key":  "INSERT INTO results (id, line, station, camera, session, seq, effective_verdict, effective_source, received, recorded, revision) SELECT id, line, station, camera, session, seq, 'FAIL', 'model', 0, 0, 99 FROM results",
			"a changed judgement":      "UPDATE judgements SET verdict = 'REVIEW'",
			"kept without an address":  "UPDATE results SET image_state = 'kept', image_ref = ''",
			"kept without a SHA-256":   "UPDATE results SET image_state = 'kept', image_ref = 'x', image_sha256 = ''",
			"an unknown image state":   "UPDATE results SET image_state = 'somewhere'",
			"a revision used twice":    "INSERT INTO results (id, line, station, camera, session, seq, effective_verdict, effective_source, received, recorded, revision) VALUES ('y', 'a', 'b', 'c', 'd', 1, 'FAIL', 'model', 0, 0, 1)",
			"a revision of the past":   "INSERT INTO results (n, id, line, station, camera, session, seq, effective_verdict, effective_source, received, recorded, revision) VALUES (9, 'y', 'a', 'b', 'c', 'd', 1, 'FAIL', 'model', 0, 0, 8)",
			"another's judgement":      "INSERT INTO judgements SELECT 2 << 20, result, role, verdict, source, reason, detail, defects, facts, timings, model_name, model_version, model_digest, recipe_name, recipe_revision, recipe_digest, node, at, heatmap, heatmap_png FROM judgements WHERE result = 1",
			"an unknown kind of word":  "INSERT INTO dispositions (result, kind, judgement, defect_id, operator, comment) VALUES (1, 'fine', 0, 0, 'o', '')",
			"an effective non-verdict": "UPDATE results SET effective_verdict = 'OK'",
		} {
			if _, err := db.Exec(q); err == nil || !strings.Contains(err.Error(), "constraint") {
				t.Errorf("%s: got %v, want a constraint's refusal", name, err)
			}
		}
		var mode, vacuum string
		if err := db.QueryRow("SELECT j.journal_mode, v.auto_vacuum FROM pragma_journal_mode j, pragma_auto_vacuum v").Scan(&mode, &vacuum); err != nil || mode != "wal" || vacuum != "2" {
			t.Errorf("got journal mode %q, auto vacuum %q, %v; want wal and 2 (incremental)", mode, vacuum, err)
		}
	})
}
