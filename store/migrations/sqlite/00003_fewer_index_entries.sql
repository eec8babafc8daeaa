-- +goose Up
-- A commit writes every page that it touches, so what counts is how many trees a frame is entered in. Each that another
-- one can serve goes, and what stays ends in the row's number n, which SQLite puts there by itself, in place of the id.

-- From here on a row is inserted under n = its first revision, so that the table itself is in the order of the changes and
-- only rows that changed later need an index to be found by their revision. Rows from before have n below their revision.
UPDATE changes SET revision = max(revision, (SELECT coalesce(max(n), 0) FROM results));
ALTER TABLE results ADD COLUMN changed INTEGER GENERATED ALWAYS AS (revision <> n) VIRTUAL CHECK (revision >= n);
DROP INDEX results_revision;
CREATE UNIQUE INDEX results_changed ON results (revision) WHERE revision <> n;

DROP INDEX results_key; -- the id is made of the key, and it is unique
DROP INDEX results_received; -- the four verdicts' walks of results_verdict, merged, give the same order

DROP INDEX results_verdict;
CREATE INDEX results_verdict ON results (simulated, effective_verdict, received);
DROP INDEX results_camera;
CREATE INDEX results_camera ON results (line, station, camera, received);
DROP INDEX results_session;
CREATE INDEX results_session ON results (session, received);
DROP INDEX results_serial;
CREATE INDEX results_serial ON results (serial, received) WHERE serial <> '';
DROP INDEX results_run;
CREATE INDEX results_run ON results (run_id, received) WHERE run_id <> '';
DROP INDEX results_lot;
CREATE INDEX results_lot ON results (lot, received) WHERE lot <> '';
DROP INDEX results_work_order;
CREATE INDEX results_work_order ON results (work_order, received) WHERE work_order <> '';
DROP INDEX results_kept;
CREATE INDEX results_kept ON results (shed_rank, received) WHERE image_state = 'kept';

-- A judgement's number is its result's, times 2^20, plus its place among that result's judgements: the table is its own
-- index by result.
CREATE TABLE judgements_by_result (
    n               INTEGER PRIMARY KEY,
    result          INTEGER NOT NULL REFERENCES results (n),
    role            TEXT    NOT NULL,
    verdict         TEXT    NOT NULL CHECK (verdict IN ('UNDETERMINED', 'PASS', 'REVIEW', 'FAIL')),
    source          TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    detail          TEXT    NOT NULL,
    defects         TEXT, -- JSON, the called ones and the kept candidates
    facts           TEXT, -- JSON
    timings         TEXT, -- JSON
    model_name      TEXT    NOT NULL,
    model_version   TEXT    NOT NULL,
    model_digest    TEXT    NOT NULL,
    recipe_name     TEXT    NOT NULL,
    recipe_revision INTEGER NOT NULL,
    recipe_digest   TEXT    NOT NULL,
    node            TEXT    NOT NULL,
    at              INTEGER,
    CHECK (n >> 20 = result),
    CHECK (verdict <> 'PASS' OR (source = 'model' AND model_digest <> ''))
);
INSERT INTO judgements_by_result
SELECT (result << 20) + row_number() OVER (PARTITION BY result ORDER BY n) - 1, result, role, verdict, source, reason, detail,
    defects, facts, timings, model_name, model_version, model_digest, recipe_name, recipe_revision, recipe_digest, node, at
FROM judgements ORDER BY result, n;
DROP TABLE judgements;
ALTER TABLE judgements_by_result RENAME TO judgements;

-- +goose StatementBegin
CREATE TRIGGER judgements_no_update BEFORE UPDATE ON judgements
BEGIN
    SELECT RAISE(ABORT, 'judgements are append-only');
END;
-- +goose StatementEnd

CREATE TABLE called_by_result (
    class    TEXT    NOT NULL,
    received INTEGER NOT NULL,
    result   INTEGER NOT NULL,
    PRIMARY KEY (class, received, result)
) WITHOUT ROWID;
INSERT INTO called_by_result SELECT c.class, c.received, r.n FROM called_defects c JOIN results r ON r.id = c.result_id;
DROP TABLE called_defects;
ALTER TABLE called_by_result RENAME TO called_defects;

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
