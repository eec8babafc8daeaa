package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// nextSchemas are the migrations of a program that is ahead of this one by those that are given.
func nextSchemas(t *testing.T, more ...string) (dir fs.FS, newest int) {
	t.Helper()
	ours, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(ours, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{}
	for _, name := range files {
		data, err := fs.ReadFile(ours, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	for _, statements := range more {
		name := fmt.Sprintf("%05d_made_up.sql", len(all)+1)
		all[name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + statements + "\n-- +goose Down\nSELECT 'no way back';\n")}
	}
	return all, len(all)
}

// addColumns are n migrations that each add a column.
func addColumns(n int) (more []string) {
	for i := range n {
		more = append(more, fmt.Sprintf("ALTER TABLE results ADD COLUMN later%d TEXT NOT NULL DEFAULT 'later';", i+1))
	}
	return more
}

func openHere(t *testing.T, dir string) (*Store, error) {
	t.Helper()
	return Open(t.Context(), Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

// recordedHere makes a data directory with one result in it.
func recordedHere(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := openHere(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), []inspection.Entry{seenEntry(seenKey(1, 1))}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// withWriter runs fn with the database of a data directory that no store has open.
func withWriter(t *testing.T, dir string, fn func(db *sql.DB)) {
	t.Helper()
	db, err := openPool(filepath.Join(dir, databaseFile), Config{}.withDefaults(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	fn(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMigrateBringsTheSchemaForward: the next program's migration runs once, on the results that are there, and is logged.
func TestMigrateBringsTheSchemaForward(t *testing.T) {
	dir := recordedHere(t)
	next, newest := nextSchemas(t, addColumns(1)...)
	withWriter(t, dir, func(db *sql.DB) {
		var log bytes.Buffer
		for _, want := range []string{fmt.Sprintf("from=%d to=%d\n", newest-1, newest), ""} {
			log.Reset()
			if err := migrate(t.Context(), db, next, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if got := log.String(); !strings.HasSuffix(got, want) || want == "" && got != "" {
				t.Errorf("the log says %q, want %q at its end and nothing where nothing was done", got, want)
			}
		}
		var id, later string
		if err := db.QueryRow("SELECT id, later1 FROM results").Scan(&id, &later); err != nil || id != string(seenKey(1, 1).ID()) || later != "later" {
			t.Errorf("got result %q with %q, %v; want the one that was recorded, with the new column", id, later, err)
		}
	})
}

// TestMigrateFailsWhole: of a migration that does not end nothing is left, and this program goes on with its schema.
func TestMigrateFailsWhole(t *testing.T) {
	dir := recordedHere(t)
	next, newest := nextSchemas(t, addColumns(1)[0]+"\nINSERT INTO nowhere VALUES (1);")
	withWriter(t, dir, func(db *sql.DB) {
		err := migrate(t.Context(), db, next, slog.New(slog.DiscardHandler))
		for _, want := range []string{fmt.Sprintf("from version %d to %d", newest-1, newest), "nowhere", damagedRemedy} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to say %q", err, want)
			}
		}
		var columns int
		if err := db.QueryRow("SELECT count(*) FROM pragma_table_info('results') WHERE name = 'later1'").Scan(&columns); err != nil || columns != 0 {
			t.Errorf("%d columns of the failed migration are there, %v; want none", columns, err)
		}
	})
	s, err := openHere(t, dir)
	if err != nil {
		t.Fatalf("open after the failed migration: %v", err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Lookup(t.Context(), seenKey(1, 1)); err != nil {
		t.Errorf("look the result up after the failed migration: %v", err)
	}
}

// database is the database file of a data directory that nobody has open, less the two places of its header where SQLite
// counts the times that it was written: the pragmas of a connection are counted there too.
func database(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	clear(data[24:28])
	clear(data[92:96])
	return data
}

// TestOpenRefusesLaterSchemas: a database of another program, which has come to versions that this one does not know, is
// refused with the ways out, and stays as it is. The schemas from before the first release, which had
// versions up to 6, are refused in the same way.
func TestOpenRefusesLaterSchemas(t *testing.T) {
	for ahead := 1; ahead <= 5; ahead++ {
		dir := recordedHere(t)
		later, newest := nextSchemas(t, addColumns(ahead)...)
		withWriter(t, dir, func(db *sql.DB) {
			if err := migrate(t.Context(), db, later, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		})
		before := database(t, dir)
		s, err := openHere(t, dir)
		if err == nil {
			_ = s.Close()
			t.Errorf("version %d: opened, want it refused", newest)
			continue
		}
		for _, want := range []string{
			"another version of assayd", fmt.Sprintf("version %d and this program knows up to %d:", newest, newest-ahead),
			"start the assayd that wrote it", "backup", "move the data directory away",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("version %d: got %q, want it to say %q", newest, err, want)
			}
		}
		if strings.Contains(err.Error(), "damaged") {
			t.Errorf("version %d: got %q, which blames the file", newest, err)
		}
		if !bytes.Equal(before, database(t, dir)) {
			t.Errorf("version %d: the refused database was changed", newest)
		}
	}
}
