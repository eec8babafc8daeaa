//go:build gocv_specific_modules

package main_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// row is a result as its tables have it, read past all code of the store.
type row struct {
	id         string
	key        inspection.FrameKey
	stub       bool
	effective  inspection.Verdict
	imageState string
	imageRef   string
	imageSize  int64
	imageSHA   string
	judgements []inspection.Judgement // role, verdict, source, reason, model digest
	announced  []inspection.Announcement
}

// judged says whether the frame's first judgement is the model's.
func (r row) judged() bool {
	return len(r.judgements) > 0 && r.judgements[0].Source == inspection.SourceModel
}

// readRecord reads every row of a data directory, which may be in use.
func readRecord(data string) (rows []*row, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "assay.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tx, err := db.Begin() // one moment of the database
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	byNumber := map[int64]*row{}
	err = each(tx, `SELECT n, id, line, station, camera, session, seq, stub, effective_verdict, image_state, image_ref, image_size, image_sha256
		FROM results ORDER BY n`, func(scan func(...any) error) error {
		r, n, verdict := &row{}, int64(0), ""
		k := &r.key
		if err := scan(&n, &r.id, &k.Line, &k.Station, &k.Camera, &k.Session, &k.Seq, &r.stub, &verdict, &r.imageState, &r.imageRef, &r.imageSize, &r.imageSHA); err != nil {
			return err
		}
		byNumber[n], rows = r, append(rows, r)
		return r.effective.UnmarshalText([]byte(verdict))
	})
	if err != nil {
		return nil, err
	}
	err = each(tx, `SELECT result, role, verdict, source, reason, model_digest FROM judgements ORDER BY n`, func(scan func(...any) error) error {
		var j inspection.Judgement
		var n int64
		var role, verdict, source string
		if err := scan(&n, &role, &verdict, &source, &j.Reason, &j.Model.Digest); err != nil {
			return err
		}
		if byNumber[n] == nil {
			return fmt.Errorf("a judgement belongs to result %d, which is not there", n)
		}
		err := unmarshal(&j.Role, role, &j.Verdict, verdict, &j.Source, source)
		byNumber[n].judgements = append(byNumber[n].judgements, j)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(tx, `SELECT result, verdict, source, reason FROM announced ORDER BY n`, func(scan func(...any) error) error {
		var a inspection.Announcement
		var n int64
		var verdict, source string
		if err := scan(&n, &verdict, &source, &a.Reason); err != nil {
			return err
		}
		if byNumber[n] == nil {
			return fmt.Errorf("an announcement belongs to result %d, which is not there", n)
		}
		err := unmarshal(&a.Verdict, verdict, &a.Source, source)
		byNumber[n].announced = append(byNumber[n].announced, a)
		return err
	})
	return rows, err
}

func each(tx *sql.Tx, query string, read func(scan func(...any) error) error) error {
	rows, err := tx.Query(query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

// unmarshal reads pairs of a word and its text.
func unmarshal(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := pairs[i].(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte(pairs[i+1].(string))); err != nil {
			return err
		}
	}
	return nil
}

// expected is what the camera knows of a stream that ended.
type expected struct {
	session  string
	outcomes map[uint64]camera.Outcome // by seq, 1 to their number
	picture  func(i int) []byte        // of seq i+1
}

// tally counts what the promise leaves open.
type tally struct {
	rows, judged, kept, lost, shed int
	unjudged                       map[inspection.Reason]int // why the first judgement is not the model's
}

// check holds a record against what the camera knows and names everything that breaks the promise: every frame once, none
// twice, no PASS that no model spoke, no verdict milder than what the line acted on, no image called kept without its bytes.
func check(data string, rows []*row, want expected) (sum tally, problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	seen := map[uint64]bool{}
	sum.unjudged = map[inspection.Reason]int{}
	for _, r := range rows {
		if r.key.Session != want.session {
			wrong("%s: a result that nobody sent", r.key)
			continue
		}
		outcome, sent := want.outcomes[r.key.Seq]
		switch {
		case !sent:
			wrong("%s: a result that nobody sent", r.key)
			continue
		case seen[r.key.Seq]:
			wrong("%s: recorded twice", r.key)
			continue
		case r.stub:
			wrong("%s: only its key is recorded", r.key)
		case r.id != string(r.key.ID()):
			wrong("%s: has id %s, want %s", r.key, r.id, r.key.ID())
		}
		seen[r.key.Seq] = true
		sum.rows++
		if r.judged() {
			sum.judged++
		} else if len(r.judgements) > 0 {
			sum.unjudged[r.judgements[0].Reason]++
		}
		for _, p := range checkVerdict(r, outcome) {
			wrong("%s: %s", r.key, p)
		}
		switch r.imageState {
		case "kept":
			sum.kept++
			if p := checkKept(data, r, want.picture(int(r.key.Seq)-1)); p != "" {
				wrong("%s: called kept, but %s", r.key, p)
			}
		case "lost":
			sum.lost++
		case "shed":
			sum.shed++
		default:
			wrong("%s: its image is %s and no node is at it", r.key, r.imageState)
		}
	}
	for seq := range uint64(len(want.outcomes)) {
		if !seen[seq+1] {
			wrong("seq %d: lost, there is no result", seq+1)
		}
	}
	return sum, problems
}

// checkVerdict looks at one result's verdict and where it comes from.
func checkVerdict(r *row, o camera.Outcome) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	primary, spoken := 0, false
	for i, j := range r.judgements {
		if j.Role == inspection.RolePrimary {
			primary++
		}
		if j.Verdict == inspection.Pass {
			if j.Source != inspection.SourceModel || j.Model.Digest == "" {
				wrong("judgement %d is PASS from source %s with model digest %q: nothing was inferred", i, j.Source, j.Model.Digest)
			} else if j.Role != inspection.RoleShadow {
				spoken = true
			}
		}
	}
	if primary != 1 {
		wrong("%d primary judgements, want 1", primary)
	}
	if r.effective == inspection.Pass && !spoken {
		wrong("PASS without inference: no model said so")
	}
	if want := inspection.Effective(r.judgements, r.announced, nil).Verdict; r.effective != want {
		wrong("effective verdict is %s, its evidence says %s", r.effective, want)
	}
	if !o.Recorded || o.Dropped {
		wrong("recorded, and the camera was not told so (recorded=%t, dropped=%t, %v)", o.Recorded, o.Dropped, o.Err)
	}
	if o.Verdict.MoreCareful(r.effective) {
		wrong("effective verdict %s is milder than the %s that the line acted on", r.effective, o.Verdict)
	}
	return problems
}

// checkKept says what is wrong with an image that is called kept.
func checkKept(data string, r *row, sent []byte) string {
	b, err := os.ReadFile(filepath.Join(data, "images", filepath.FromSlash(r.imageRef)))
	if err != nil {
		return err.Error()
	}
	was, is := sha256.Sum256(sent), sha256.Sum256(b)
	switch {
	case int64(len(b)) != r.imageSize:
		return fmt.Sprintf("the file has %d bytes and the row says %d", len(b), r.imageSize)
	case hex.EncodeToString(is[:]) != r.imageSHA:
		return fmt.Sprintf("the file's SHA-256 is %x and the row says %s", is, r.imageSHA)
	case is != was:
		return "the file is not what the camera sent"
	}
	return ""
}

// prove reads the record and fails the test for everything that check finds.
func (s *site) prove(want expected) tally {
	s.t.Helper()
	rows, err := readRecord(s.data)
	if err != nil {
		s.t.Fatal(err)
	}
	sum, problems := check(s.data, rows, want)
	report(s.t, problems)
	return sum
}

// report prints the first problems.
func report(t *testing.T, problems []string) {
	t.Helper()
	for i, p := range problems {
		if i == 20 {
			t.Errorf("and %d more", len(problems)-i)
			return
		}
		t.Error(p)
	}
}

// bySeq orders what became of a stream's frames.
func bySeq(list []camera.Outcome) map[uint64]camera.Outcome {
	m := make(map[uint64]camera.Outcome, len(list))
	for _, o := range list {
		m[o.Frame.Key.Seq] = o
	}
	return m
}

// generous is a budget that no frame of these tests overruns unless its node is away for that long.
const generous = 30 * time.Second
