package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/assay-vision/assay/inspection"
)

//go:embed migrations/sqlite/*.sql
var embedded embed.FS

// migrations are this program's: one file for each version of the schema.
func migrations() (fs.FS, error) { return fs.Sub(embedded, "migrations/sqlite") }

// damagedRemedy ends the error of a database that cannot be read or written.
const damagedRemedy = "where the file is damaged, put the last backup of node.data_dir in its place, or name an empty directory"

// journalLimit is the size in bytes to which the write-ahead log shrinks after a checkpoint.
const journalLimit = 64 << 20

// dsn writes the connection string. Pragmas stand here and nowhere else: one that is set by Exec reaches a single pooled
// connection. auto_vacuum must come before the first table, synchronous=FULL makes every commit wait for the disk.
func dsn(path string, cfg Config, readOnly bool) string {
	q := url.Values{}
	q.Set("_busy_timeout", fmt.Sprint(cfg.BusyTimeout.Milliseconds()))
	q.Set("_auto_vacuum", "INCREMENTAL")
	q.Set("_journal_mode", "WAL")
	q.Set("_synchronous", "FULL")
	q.Set("_foreign_keys", "on")
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1")
	q.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", journalLimit))
	q.Add("_pragma", "temp_store(MEMORY)") // a sort must not need the disk that may be full
	if readOnly {
		q.Set("_query_only", "on")
	} else {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "cache_size(-32768)") // 32 MiB: a commit touches one page of every index
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// openPool opens a pool of connections. The driver connects when it is first used.
func openPool(path string, cfg Config, conns int, readOnly bool) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, cfg, readOnly))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate brings the schema to the last version that dir has a file for. One that is beyond it is refused and stays as it
// is.
func migrate(ctx context.Context, db *sql.DB, dir fs.FS, log *slog.Logger) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w: %s", classify(err), damagedRemedy)
	}
	if have > newest {
		return fmt.Errorf("another version of assayd wrote the database: its schema has version %d and this program knows up to %d: start the assayd that wrote it, or restore the backup made before the upgrade, or move the data directory away and begin with an empty one", have, newest)
	}
	applied, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w: %s", have, newest, classify(err), damagedRemedy)
	}
	if len(applied) > 0 {
		log.Info("schema migrated", "from", have, "to", newest)
	}
	return nil
}

// SQLite's primary result codes that mean that the disk does not take what is written.
const (
	codeReadOnly = 8
	codeIOErr    = 10
	codeFull     = 13
)

// classify wraps an error by which the disk refused in inspection.ErrDiskFull and leaves every other one as it is.
func classify(err error) error {
	if err == nil || errors.Is(err, inspection.ErrDiskFull) {
		return err
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		switch se.Code() & 0xff {
		case codeReadOnly, codeIOErr, codeFull:
			return fmt.Errorf("%w: %w", inspection.ErrDiskFull, err)
		}
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", inspection.ErrDiskFull, err)
	}
	return err
}

// writer is the one connection that writes, with its prepared statements. Whoever holds the seat may use it.
type writer struct {
	seat chan struct{} // one token: the right to write
	db   *sql.DB

	// Guarded by the seat.
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt   // that answer rows
	execs    map[string]driver.Stmt // that do not
	args     []driver.NamedValue    // scratch of one execution
	done     bool
	revision uint64 // last one recorded, 0 when it has to be read
}

func newWriter(db *sql.DB) *writer {
	w := &writer{seat: make(chan struct{}, 1), db: db, stmts: map[string]*sql.Stmt{}, execs: map[string]driver.Stmt{}}
	w.seat <- struct{}{}
	return w
}

// transact runs fn in one transaction, durable when it returns nil. ctx aborts only the wait for the seat: a transaction
// that has begun runs to its end, so that ctx's error always means that nothing was recorded. After an error of the disk at
// the very end only the next start can tell.
func (w *writer) transact(ctx context.Context, fn func(t *tx) error) (err error) {
	select {
	case <-w.seat:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { w.seat <- struct{}{} }()
	if w.done {
		return fmt.Errorf("store: %w", inspection.ErrClosed)
	}
	t := &tx{w: w, ctx: context.WithoutCancel(ctx), revision: w.revision, tallies: map[tallyKey]tallySum{}}
	if err := w.connect(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("connect to the database: %w", classify(err))
	}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		w.disconnect()
		return fmt.Errorf("begin: %w", classify(err))
	}
	committed := false
	defer func() {
		if w.revision = t.revision; !committed {
			w.revision = 0 // nobody else writes, but what a failed commit left behind is for the database to say
			w.rollback(t.ctx)
		}
	}()
	if err := fn(t); err != nil {
		return classify(err)
	}
	if err := t.settle(); err != nil {
		return classify(err)
	}
	if _, err := t.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", classify(err))
	}
	committed = true
	return nil
}

// connect makes sure that the connection is there; it is made anew after a fault of the disk.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	return nil
}

// rollback ends a failed transaction. SQLite has ended it already where the disk was at fault; a connection that cannot
// say so is given up.
func (w *writer) rollback(ctx context.Context) {
	if _, err := w.conn.ExecContext(ctx, "ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		w.disconnect()
	}
}

func (w *writer) disconnect() {
	for q, s := range w.stmts {
		_ = s.Close()
		delete(w.stmts, q)
	}
	if w.conn != nil {
		_ = w.conn.Raw(func(any) error {
			for _, s := range w.execs {
				_ = s.Close()
			}
			return nil
		})
		clear(w.execs)
		_ = w.conn.Close()
		w.conn = nil
	}
}

func (w *writer) close() error {
	<-w.seat
	w.disconnect()
	w.done = true
	w.seat <- struct{}{}
	return w.db.Close()
}

// tx is a transaction that is being written.
type tx struct {
	w        *writer
	ctx      context.Context // never cancelled
	revision uint64          // last one given out, 0 when it has to be read
	changes  bool            // some were given out
	tallies  map[tallyKey]tallySum
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[query]; ok {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40q: %w", query, err)
	}
	t.w.stmts[query] = s
	return s, nil
}

// exec runs a statement that answers no rows. It goes to the driver itself: database/sql makes a list of the arguments for
// each execution, which was a sixth of all that a frame cost on the heap.
func (t *tx) exec(query string, args ...any) (res sql.Result, err error) {
	err = t.w.conn.Raw(func(conn any) error {
		s, err := t.w.prepare(t.ctx, conn, query)
		if err != nil {
			return err
		}
		named := t.w.args[:0]
		for i, a := range args {
			v, err := driver.DefaultParameterConverter.ConvertValue(a)
			if err != nil {
				return fmt.Errorf("argument %d of %.40q: %w", i+1, query, err)
			}
			named = append(named, driver.NamedValue{Ordinal: i + 1, Value: v})
		}
		t.w.args = named
		defer clear(named) // it must not hold what a frame brought
		res, err = s.ExecContext(t.ctx, named)
		return err
	})
	return res, err
}

// prepare returns a statement of the writer's connection, kept for the next time.
func (w *writer) prepare(ctx context.Context, conn any, query string) (driver.StmtExecContext, error) {
	s := w.execs[query]
	if s == nil {
		c, ok := conn.(driver.ConnPrepareContext)
		if !ok {
			return nil, fmt.Errorf("%w: SQLite's driver %T prepares no statements", inspection.ErrUnavailable, conn)
		}
		var err error
		if s, err = c.PrepareContext(ctx, query); err != nil {
			return nil, fmt.Errorf("prepare %.40q: %w", query, err)
		}
		w.execs[query] = s
	}
	e, ok := s.(driver.StmtExecContext)
	if !ok {
		return nil, fmt.Errorf("%w: SQLite's driver runs no %T", inspection.ErrUnavailable, s)
	}
	return e, nil
}

// changed runs a statement and returns how many rows it touched.
func (t *tx) changed(query string, args ...any) (int64, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// QueryContext lets the readers of this package read what the transaction sees.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(query) //nolint:sqlclosecheck // kept for the next time, the writer closes it
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// next gives out the next revision.
func (t *tx) next() (uint64, error) {
	if t.revision == 0 {
		rows, err := t.QueryContext(t.ctx, "SELECT revision FROM changes WHERE one = 1")
		if err != nil {
			return 0, err
		}
		if err := one(rows, &t.revision); err != nil {
			return 0, fmt.Errorf("read the last revision: %w", err)
		}
	}
	t.revision++
	t.changes = true
	return t.revision, nil
}

// settle writes what was summed up over the transaction.
func (t *tx) settle() error {
	if t.changes {
		if _, err := t.exec("UPDATE changes SET revision = ?1 WHERE one = 1", t.revision); err != nil {
			return fmt.Errorf("write the last revision: %w", err)
		}
	}
	for k, d := range t.tallies {
		if d == (tallySum{}) {
			continue
		}
		if _, err := t.exec(`INSERT INTO tallies (simulated, verdict, image_state, results, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (simulated, verdict, image_state) DO UPDATE SET results = results + excluded.results, bytes = bytes + excluded.bytes`,
			k.simulated, k.verdict, k.state, d.results, d.bytes); err != nil {
			return fmt.Errorf("write tallies: %w", err)
		}
	}
	return nil
}

// one scans a single row and closes rows; sql.ErrNoRows when there is none.
func one(rows *sql.Rows, dest ...any) (err error) {
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return rows.Scan(dest...)
}

// micros is how a time is kept: microseconds since 1970 UTC, NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return time.UnixMicro(v.Int64).UTC()
}
