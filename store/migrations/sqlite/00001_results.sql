-- +goose Up
-- Times are INTEGER microseconds UTC, durations INTEGER nanoseconds, words are the ones that package inspection writes.
-- A commit writes every page that it touches, so what counts is how many trees a frame is entered in: there is no index
-- that another one can serve, and each ends in the row's number n, which SQLite puts there by itself. A CHECK of a word is
-- written as alternatives: IN with a list of words builds a table for the list at each row that is written.

-- One row per frame key, of which the id is made. n is the first revision of the row, so that the table itself is in the
-- order of the changes and only rows that changed later need an index to be found by their revision. stub = 1: only the key
-- is known so far (a gap, or an announcement that came before its frame); the frame fills the row in when it comes.
CREATE TABLE results (
    n                 INTEGER PRIMARY KEY,
    id                TEXT    NOT NULL,
    line              TEXT    NOT NULL,
    station           TEXT    NOT NULL,
    camera            TEXT    NOT NULL,
    session           TEXT    NOT NULL,
    seq               INTEGER NOT NULL,
    stub              INTEGER NOT NULL DEFAULT 0,
    attempt           INTEGER NOT NULL DEFAULT 0,
    view              TEXT    NOT NULL DEFAULT '',
    reference         TEXT    NOT NULL DEFAULT '',
    serial            TEXT    NOT NULL DEFAULT '',
    run_id            TEXT    NOT NULL DEFAULT '',
    lot               TEXT    NOT NULL DEFAULT '',
    work_order        TEXT    NOT NULL DEFAULT '',
    product           TEXT    NOT NULL DEFAULT '',
    recipe            TEXT    NOT NULL DEFAULT '',
    captured_at       INTEGER,
    encoder           INTEGER,
    budget_ns         INTEGER NOT NULL DEFAULT 0,
    simulated         INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    image_format      TEXT    NOT NULL DEFAULT 'unknown',
    pixel_format      INTEGER NOT NULL DEFAULT 0,
    width             INTEGER NOT NULL DEFAULT 0,
    height            INTEGER NOT NULL DEFAULT 0,
    stride            INTEGER NOT NULL DEFAULT 0,
    image_size        INTEGER NOT NULL DEFAULT 0,
    -- Proves the file; written when the image is kept.
    image_sha256      TEXT    NOT NULL DEFAULT '',
    image_ref         TEXT    NOT NULL DEFAULT '',
    -- none: the frame never had bytes here (a gap, an announcement, an empty image).
    image_state       TEXT    NOT NULL DEFAULT 'none' CHECK (
        image_state = 'pending' OR image_state = 'shed' OR image_state = 'kept' OR image_state = 'none' OR image_state = 'lost'),
    effective_verdict TEXT    NOT NULL CHECK (
        effective_verdict = 'PASS' OR effective_verdict = 'FAIL' OR effective_verdict = 'REVIEW' OR effective_verdict = 'UNDETERMINED'),
    effective_source  TEXT    NOT NULL,
    effective_reason  TEXT    NOT NULL DEFAULT '',
    reviewed          INTEGER NOT NULL DEFAULT 0 CHECK (reviewed IN (0, 1)),
    received          INTEGER NOT NULL,
    recorded          INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    -- What is shed first: 0 PASS and simulated, 1 reviewed, 2 what nobody has looked at.
    shed_rank         INTEGER GENERATED ALWAYS AS (
        CASE WHEN simulated = 1 OR effective_verdict = 'PASS' THEN 0 WHEN reviewed = 1 THEN 1 ELSE 2 END) VIRTUAL,
    -- Of every frame with an image: tells a repeat from another image.
    image_xxh128      TEXT    NOT NULL DEFAULT '',
    changed           INTEGER GENERATED ALWAYS AS (revision <> n) VIRTUAL CHECK (revision >= n),
    -- Kept is said only of bytes that have an address and a digest.
    CHECK (image_state <> 'kept' OR (image_ref <> '' AND image_sha256 <> ''))
);
CREATE UNIQUE INDEX results_id ON results (id);
CREATE UNIQUE INDEX results_changed ON results (revision) WHERE revision <> n;
-- The walks of the four verdicts, merged, are the walk of all results.
CREATE INDEX results_verdict ON results (simulated, effective_verdict, received);
CREATE INDEX results_camera ON results (line, station, camera, received);
CREATE INDEX results_session ON results (session, received);
CREATE INDEX results_serial ON results (serial, received) WHERE serial <> '';
CREATE INDEX results_run ON results (run_id, received) WHERE run_id <> '';
CREATE INDEX results_lot ON results (lot, received) WHERE lot <> '';
CREATE INDEX results_work_order ON results (work_order, received) WHERE work_order <> '';
CREATE INDEX results_pending ON results (n) WHERE image_state = 'pending';
CREATE INDEX results_kept ON results (shed_rank, received) WHERE image_state = 'kept';

-- Append-only, in the order of recording. There is no PASS without a model that ran and is named by its digest. n is the
-- result's, times 2^20, plus the place among that result's judgements: the table is its own index by result.
CREATE TABLE judgements (
    n               INTEGER PRIMARY KEY,
    result          INTEGER NOT NULL REFERENCES results (n),
    role            TEXT    NOT NULL,
    verdict         TEXT    NOT NULL CHECK (verdict = 'PASS' OR verdict = 'FAIL' OR verdict = 'REVIEW' OR verdict = 'UNDETERMINED'),
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
    -- Where a heatmap lies and what its range is, as JSON, and its picture beside it: lists read the one and not the other.
    -- At the end of a row they cost those rows nothing that have none.
    heatmap         TEXT,
    heatmap_png     BLOB,
    CHECK (n >> 20 = result),
    CHECK (verdict <> 'PASS' OR (source = 'model' AND model_digest <> ''))
);

-- +goose StatementBegin
CREATE TRIGGER judgements_no_update BEFORE UPDATE ON judgements
BEGIN
    SELECT RAISE(ABORT, 'judgements are append-only');
END;
-- +goose StatementEnd

-- The classes called in any judgement of a result, for the filter; received is the result's, so that a page is one walk.
CREATE TABLE called_defects (
    class    TEXT    NOT NULL,
    received INTEGER NOT NULL,
    result   INTEGER NOT NULL,
    PRIMARY KEY (class, received, result)
) WITHOUT ROWID;

-- What left for the line. The same announcement sent again is one row.
CREATE TABLE announced (
    n       INTEGER PRIMARY KEY,
    result  INTEGER NOT NULL REFERENCES results (n),
    verdict TEXT    NOT NULL CHECK (verdict = 'PASS' OR verdict = 'FAIL' OR verdict = 'REVIEW' OR verdict = 'UNDETERMINED'),
    source  TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (result, verdict, source, reason, at)
);

CREATE TABLE dispositions (
    n         INTEGER PRIMARY KEY,
    result    INTEGER NOT NULL REFERENCES results (n),
    kind      TEXT    NOT NULL CHECK (kind IN ('real', 'false_call', 'escape', 'inconclusive', 'judged_good', 'judged_bad')),
    judgement INTEGER NOT NULL,
    defect_id INTEGER NOT NULL,
    operator  TEXT    NOT NULL,
    comment   TEXT    NOT NULL,
    at        INTEGER
);
CREATE INDEX dispositions_result ON dispositions (result, n);

-- What the camera said of frames that it gave up, in its own words; every seq of it is also a row of results.
CREATE TABLE gaps (
    line      TEXT    NOT NULL,
    station   TEXT    NOT NULL,
    camera    TEXT    NOT NULL,
    session   TEXT    NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    simulated INTEGER NOT NULL,
    at        INTEGER,
    recorded  INTEGER NOT NULL,
    PRIMARY KEY (line, station, camera, session, first, last)
) WITHOUT ROWID;

CREATE TABLE recipe_revisions (
    name        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    digest      TEXT    NOT NULL,
    yaml        BLOB    NOT NULL,
    imported_at INTEGER NOT NULL,
    PRIMARY KEY (name, revision)
);

-- A template picture is kept once, however many revisions use it.
CREATE TABLE template_pictures (
    digest TEXT PRIMARY KEY,
    data   BLOB NOT NULL
);

CREATE TABLE recipe_templates (
    name     TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    key      TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    format   TEXT    NOT NULL,
    digest   TEXT    NOT NULL REFERENCES template_pictures (digest),
    PRIMARY KEY (name, revision, key),
    FOREIGN KEY (name, revision) REFERENCES recipe_revisions (name, revision)
);

-- Sums over results, moved in the same transaction as the rows, so that statistics cost nothing.
CREATE TABLE tallies (
    simulated   INTEGER NOT NULL,
    verdict     TEXT    NOT NULL,
    image_state TEXT    NOT NULL,
    results     INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    PRIMARY KEY (simulated, verdict, image_state)
) WITHOUT ROWID;

-- The last revision given out. A row of its own: the highest revision in results may one day be deleted.
CREATE TABLE changes (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
);
INSERT INTO changes (one, revision) VALUES (1, 0);

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
