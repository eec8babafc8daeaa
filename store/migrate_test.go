package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
	"github.com/assay-vision/assay/store/storetest"
)

// A data directory of the first schema, whose rows have the SHA-256 of every image and no XXH128: kept and shed images stay
// as they are, and pending ones are held against the SHA-256.
func TestSchemaBeforeXXH128(t *testing.T) {
	dir := t.TempDir()
	day := filepath.Join(dir, "images/2026/11/22")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("assay-data 1\n"), 0o600), os.MkdirAll(day, 0o750)); err != nil {
		t.Fatal(err)
	}
	states := []string{"kept", "shed", "pending", "pending"}
	withDB(t, dir, func(db *sql.DB) {
		p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations/sqlite"), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpTo(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for i, state := range states {
			e := storetest.Entry(uint64(i+1), inspection.Fail)
			name := string(e.Key.ID()) + ".jpeg"
			ref, data := "2026/11/22/"+name, picture(e.Key.Seq, 1000)
			file := data
			if i == 3 {
				file = picture(99, 1000) // what the disk made of it
			}
			if state == "shed" {
				ref = ""
			} else if err := os.WriteFile(filepath.Join(day, name), file, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(`INSERT INTO results (id, line, station, camera, session, seq, image_format, image_size, image_sha256, image_ref,
					image_state, effective_verdict, effective_source, received, recorded, revision)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'jpeg', 1000, ?7, ?8, ?9, 'FAIL', 'model', ?10, ?10, ?6)`,
				e.Key.ID(), e.Key.Line, e.Key.Station, e.Key.Camera, e.Key.Session, e.Key.Seq, sha256Of(data), ref, state, e.Received.UnixMicro()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Exec(fmt.Sprintf("UPDATE changes SET revision = %d", len(states))); err != nil {
			t.Fatal(err)
		}
	})

	s := open(t, dir)
	im := openImages(t, s, store.ImagesConfig{})
	for i, want := range []inspection.ImageState{inspection.ImageKept, inspection.ImageShed, inspection.ImageKept, inspection.ImageLost} {
		seq := uint64(i + 1)
		r, err := s.Lookup(t.Context(), storetest.Key(seq))
		if err != nil {
			t.Fatalf("look frame %d up: %v", seq, err)
		}
		if r.Image.State != want || r.Image.SHA256 != sha256Of(picture(seq, 1000)) || r.Image.XXH128 != "" {
			t.Errorf("frame %d, %s before: got %+v, want it %s with its SHA-256 as it was", seq, states[i], r.Image, want)
		}
	}
	noKeptWithoutBytes(t, s, im)
	withDB(t, dir, func(db *sql.DB) {
		for _, rule := range []string{
			"UPDATE results SET image_state = 'kept', image_ref = 'x', image_sha256 = ''", "UPDATE results SET image_state = 'kept', image_ref = ''",
		} {
			if _, err := db.Exec(rule); err == nil || !strings.Contains(err.Error(), "constraint") {
				t.Errorf("%s: got %v, want a constraint's refusal after the migration too", rule, err)
			}
		}
	})
}
