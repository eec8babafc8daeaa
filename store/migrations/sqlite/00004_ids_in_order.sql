-- +goose Up
-- From here on the ids of a session's frames stand beside each other, so that a commit touches one page of results_id and
-- not one for each frame. Rows from before keep their ids, by which others know them, and are found by their key.
ALTER TABLE results ADD COLUMN former INTEGER NOT NULL DEFAULT 1; -- says 1 of every row that is there, without writing it
CREATE UNIQUE INDEX results_former ON results (line, station, camera, session, seq) WHERE former = 1;

CREATE TABLE former_sessions (
    line    TEXT NOT NULL,
    station TEXT NOT NULL,
    camera  TEXT NOT NULL,
    session TEXT NOT NULL,
    PRIMARY KEY (line, station, camera, session)
) WITHOUT ROWID;
INSERT INTO former_sessions SELECT DISTINCT line, station, camera, session FROM results;

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
