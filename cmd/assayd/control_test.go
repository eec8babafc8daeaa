//go:build gocv_specific_modules

package main_test

import (
	"database/sql"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// TestTheCheckSeesEveryFault is the control of the tests that prove by check: a record that a healthy node wrote passes,
// and each way to spoil a copy of it is found and named.
func TestTheCheckSeesEveryFault(t *testing.T) {
	const frames = 16
	s := newSite(t, "", generous)
	node := s.start().ready()
	stream, src := s.connect(), newParts(t, frames)
	outcomes := bySeq(s.settled(s.send(stream, src, frames)))
	s.closeStream(stream)
	node.terminate(patience) // writes what images wait
	sound := expected{session: stream.Session(), outcomes: outcomes, picture: src.picture}
	if sum := s.prove(sound); sum.kept != frames || sum.judged != frames {
		t.Fatalf("a healthy node kept %d images and judged %d of %d frames: want all", sum.kept, sum.judged, frames)
	}

	for _, fault := range []struct {
		name, want string
		spoil      func(t *testing.T, data string, want *expected)
	}{
		{"a frame is lost", "lost, there is no result", statements(
			`DELETE FROM judgements WHERE result = 3`, `DELETE FROM results WHERE n = 3`)},
		{"a frame is recorded twice", "recorded twice", statements(
			`DROP INDEX results_id`, copyRow)},
		{"a frame is judged twice", "2 primary judgements", statements(
			`INSERT INTO judgements SELECT n + 1, result, role, verdict, source, reason, detail, defects, facts, timings, model_name,
				model_version, model_digest, recipe_name, recipe_revision, recipe_digest, node, at, heatmap, heatmap_png FROM judgements WHERE result = 3`)},
		{"a frame is not judged", "0 primary judgements", statements(`DELETE FROM judgements WHERE result = 3`)},
		{"a fallback says PASS", "nothing was inferred", statements(`PRAGMA ignore_check_constraints = ON`,
			`DROP TRIGGER judgements_no_update`, `UPDATE judgements SET verdict = 'PASS', source = 'fallback' WHERE result = 3`)},
		{"a PASS names no model", "nothing was inferred", statements(`PRAGMA ignore_check_constraints = ON`,
			`DROP TRIGGER judgements_no_update`, `UPDATE judgements SET verdict = 'PASS', model_digest = '' WHERE result = 3`)},
		{"PASS is written over FAIL", "PASS without inference", statements(
			`UPDATE results SET effective_verdict = 'PASS' WHERE effective_verdict = 'FAIL'`)},
		{"an announcement is not heard", "its evidence says FAIL", statements(
			`INSERT INTO announced SELECT 1000, n, 'FAIL', 'camera', 'DEADLINE', 1 FROM results WHERE effective_verdict = 'PASS' LIMIT 1`)},
		{"a result has another frame's id", "has id", statements(`UPDATE results SET id = 'ffffffffffffffffffffffffffffffff' WHERE n = 3`)},
		{"an image has no file", "called kept, but", func(t *testing.T, data string, _ *expected) {
			if err := os.Remove(images(t, data)[2]); err != nil {
				t.Fatal(err)
			}
		}},
		{"an image is cut off", "the row says", func(t *testing.T, data string, _ *expected) {
			if err := os.Truncate(images(t, data)[2], 100); err != nil {
				t.Fatal(err)
			}
		}},
		{"an image has a flipped bit", "the file's SHA-256 is", func(t *testing.T, data string, _ *expected) {
			path := images(t, data)[2]
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"an image is another frame's", "not what the camera sent", func(_ *testing.T, _ string, want *expected) {
			picture := want.picture
			want.picture = func(i int) []byte { return picture(i + 1) }
		}},
		{"an image hangs in the air", "no node is at it", statements(`UPDATE results SET image_state = 'pending' WHERE n = 3`)},
		{"the record is milder than what the line did", "is milder than", withOutcome(func(o *camera.Outcome) { o.Verdict = inspection.Fail })},
		{"the camera was not told", "the camera was not told so", withOutcome(func(o *camera.Outcome) { o.Recorded = false })},
		{"there is a result of a frame that nobody sent", "nobody sent", func(_ *testing.T, _ string, want *expected) {
			delete(want.outcomes, frames)
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(data, os.DirFS(s.data)); err != nil {
				t.Fatal(err)
			}
			want := sound
			want.outcomes = maps.Clone(sound.outcomes)
			fault.spoil(t, data, &want)
			rows, err := readRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := check(data, rows, want)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, fault.want) }) {
				t.Errorf("got %d problems %q, want one with %q", len(problems), problems, fault.want)
			}
		})
	}
}

// copyRow makes a second result of a frame.
const copyRow = `INSERT INTO results (n, id, line, station, camera, session, seq, effective_verdict, effective_source, received, recorded, revision)
	SELECT 1000, id, line, station, camera, session, seq, effective_verdict, effective_source, received, recorded, 1000 FROM results WHERE n = 3`

// statements spoils a database, in one connection.
func statements(list ...string) func(*testing.T, string, *expected) {
	return func(t *testing.T, data string, _ *expected) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "assay.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		changed := int64(0)
		for _, s := range list {
			done, err := db.Exec(s)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			n, err := done.RowsAffected()
			if err != nil {
				t.Fatal(err)
			}
			changed += n
		}
		if changed == 0 {
			t.Fatal("nothing was spoiled")
		}
	}
}

// withOutcome changes what the camera knows of a frame that passed.
func withOutcome(change func(*camera.Outcome)) func(*testing.T, string, *expected) {
	return func(t *testing.T, _ string, want *expected) {
		for seq, o := range want.outcomes {
			if o.Verdict == inspection.Pass {
				change(&o)
				want.outcomes[seq] = o
				return
			}
		}
		t.Fatal("no frame passed")
	}
}

// images lists the image files of a data directory.
func images(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "images", "2*", "*", "*", "*.jpeg"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d image files, %v: want at least 3", len(files), err)
	}
	return files
}
