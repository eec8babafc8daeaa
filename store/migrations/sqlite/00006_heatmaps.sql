-- +goose Up
-- Where a heatmap lies and what its range is, as JSON, and its picture beside it: lists read the one and not the other.
-- Columns at the end of a row cost those rows nothing that have none, and the rows that are there stay as they are.
-- A connection that has just changed the text of the rules (00005) would add them in the middle of it: it reads it again.
PRAGMA writable_schema = RESET;
ALTER TABLE judgements ADD COLUMN heatmap TEXT;
ALTER TABLE judgements ADD COLUMN heatmap_png BLOB;

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
