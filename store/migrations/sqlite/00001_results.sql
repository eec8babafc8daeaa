-- +goose Up
-- Times are INTEGER microseconds UTC, durations INTEGER nanoseconds, words are the ones that package inspection writes.

-- One row per frame key. stub = 1: only the key is known so far (a gap, or an announcement that came before its frame);
-- the frame fills the row in when it comes.
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
    image_sha256      TEXT    NOT NULL DEFAULT '',
    image_ref         TEXT    NOT NULL DEFAULT '',
    -- none: the frame never had bytes here (a gap, an announcement, an empty image).
    image_state       TEXT    NOT NULL DEFAULT 'none' CHECK (image_state IN ('none', 'pending', 'kept', 'shed', 'lost')),
    effective_verdict TEXT    NOT NULL CHECK (effective_verdict IN ('UNDETERMINED', 'PASS', 'REVIEW', 'FAIL')),
    effective_source  TEXT    NOT NULL,
    effective_reason  TEXT    NOT NULL DEFAULT '',
    reviewed          INTEGER NOT NULL DEFAULT 0 CHECK (reviewed IN (0, 1)),
    received          INTEGER NOT NULL,
    recorded          INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    -- What is shed first: 0 PASS and simulated, 1 reviewed, 2 what nobody has looked at.
    shed_rank         INTEGER GENERATED ALWAYS AS (
        CASE WHEN simulated = 1 OR effective_verdict = 'PASS' THEN 0 WHEN reviewed = 1 THEN 1 ELSE 2 END) VIRTUAL,
    -- Kept is said only of bytes that have an address and a digest.
    CHECK (image_state <> 'kept' OR (image_ref <> '' AND image_sha256 <> ''))
);
CREATE UNIQUE INDEX results_id ON results (id);
CREATE UNIQUE INDEX results_key ON results (line, station, camera, session, seq);
CREATE UNIQUE INDEX results_revision ON results (revision);
CREATE INDEX results_received ON results (simulated, received, id);
CREATE INDEX results_verdict ON results (simulated, effective_verdict, received, id);
CREATE INDEX results_camera ON results (line, station, camera, received, id);
CREATE INDEX results_session ON results (session, received, id);
CREATE INDEX results_serial ON results (serial, received, id) WHERE serial <> '';
CREATE INDEX results_run ON results (run_id, received, id) WHERE run_id <> '';
CREATE INDEX results_lot ON results (lot, received, id) WHERE lot <> '';
CREATE INDEX results_work_order ON results (work_order, received, id) WHERE work_order <> '';
CREATE INDEX results_pending ON results (n) WHERE image_state = 'pending';
CREATE INDEX results_kept ON results (shed_rank, received, id) WHERE image_state = 'kept';

-- Append-only, in the order of recording. There is no PASS without a model that ran and is named by its digest.
CREATE TABLE judgements (
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
    CHECK (verdict <> 'PASS' OR (source = 'model' AND model_digest <> ''))
);
CREATE INDEX judgements_result ON judgements (result, n);

-- +goose StatementBegin
CREATE TRIGGER judgements_no_update BEFORE UPDATE ON judgements
BEGIN
    SELECT RAISE(ABORT, 'judgements are append-only');
END;
-- +goose StatementEnd

-- The classes called in any judgement of a result, for the filter; received is the result's, so that a page is one walk.
CREATE TABLE called_defects (
    class     TEXT    NOT NULL,
    received  INTEGER NOT NULL,
    result_id TEXT    NOT NULL,
    PRIMARY KEY (class, received, result_id)
) WITHOUT ROWID;

-- What left for the line. The same announcement sent again is one row.
CREATE TABLE announced (
    n       INTEGER PRIMARY KEY,
    result  INTEGER NOT NULL REFERENCES results (n),
    verdict TEXT    NOT NULL CHECK (verdict IN ('UNDETERMINED', 'PASS', 'REVIEW', 'FAIL')),
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
