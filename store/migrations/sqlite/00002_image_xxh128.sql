-- +goose Up
-- XXH128 of the image's bytes, of every frame with an image: tells a repeat from another image. Empty in rows from before
-- it, which have a SHA-256 instead; from here on image_sha256 is written when the image is kept.
ALTER TABLE results ADD COLUMN image_xxh128 TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
