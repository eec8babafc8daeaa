package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// apply writes one entry.
func (t *tx) apply(it *item, now time.Time) error {
	switch {
	case it.Frame != nil:
		return t.frame(it, now)
	case it.Judgement != nil:
		r, err := t.find(it.id)
		if err != nil {
			return err
		}
		return t.appendJudgement(r, it.judgement)
	case it.Announcement != nil:
		return t.announcement(it, now)
	default:
		return t.drop(it, now)
	}
}

// find reads a whole result for a change. ErrNotFound when there is none.
func (t *tx) find(id inspection.ResultID) (*row, error) {
	rs, err := readResults(t.ctx, t, "SELECT "+resultColumns+" FROM results r WHERE r.id = ?1", id)
	if err != nil {
		return nil, err
	}
	if len(rs) == 0 {
		return nil, fmt.Errorf("result %s: %w", id, inspection.ErrNotFound)
	}
	return rs[0], complete(t.ctx, t, rs, withoutPictures)
}

// frame records a new result, fills in a stub, or appends to what is there.
func (t *tx) frame(it *item, now time.Time) error {
	effect := inspection.Effective([]inspection.Judgement{*it.Judgement}, nil, nil)
	n, err := t.insert(it, it.Frame, it.Image, effect, false, now)
	if err != nil {
		return err
	}
	if n != 0 {
		return t.insertJudgement(n, 0, receivedAt(it.Received, now), it.judgement)
	}
	r, err := t.find(it.id)
	switch {
	case err != nil:
		return err
	case r.Frame.Key != it.Key:
		return fmt.Errorf("%w: its id %s is taken by frame %s", inspection.ErrFrameConflict, it.id, r.Frame.Key)
	case r.stub:
		return t.fill(r, it, now)
	}
	dup := *it.judgement
	dup.Role = inspection.RoleDuplicate
	if err := t.appendJudgement(r, &dup); err != nil {
		return err
	}
	came, known := it.Image.XXH128, r.Image.XXH128
	if came == "" || known == "" || came == known {
		return nil
	}
	conflict, err := encodeJudgement(inspection.Judgement{
		Role: inspection.RoleDuplicate, Verdict: inspection.Undetermined, Source: inspection.SourceRule, Reason: inspection.ReasonConflict,
		Detail: fmt.Sprintf("the same key came with another image: XXH128 %s, recorded is %s", came, known),
		Recipe: it.Judgement.Recipe, Node: it.Judgement.Node, At: it.Judgement.At,
	})
	if err != nil {
		return err
	}
	return t.appendJudgement(r, conflict)
}

// receivedAt is the time under which a result is listed, in microseconds: what the entry says, else now.
func receivedAt(received, now time.Time) int64 {
	if received.IsZero() {
		received = now
	}
	return received.UnixMicro()
}

// The statements that every frame takes.
var (
	insertResult = insertInto("results", "n, id, line, station, camera, session, seq, stub, attempt, view, reference, serial",
		"run_id, lot, work_order, product, recipe, captured_at, encoder, budget_ns, simulated, image_format, pixel_format",
		"width, height, stride, image_size, image_sha256, image_state, effective_verdict, effective_source, effective_reason",
		"received, recorded, revision, image_ref, image_xxh128") + " ON CONFLICT DO NOTHING"
	insertJudgement = insertInto("judgements", "n, result, role, verdict, source, reason, detail, defects, facts, timings",
		"model_name, model_version, model_digest, recipe_name, recipe_revision, recipe_digest, node, at, heatmap, heatmap_png")
)

// insertInto writes a statement for the columns in the order of its arguments. Their marks have no numbers, which the
// driver would look up by name for every argument of every row.
func insertInto(table string, columns ...string) string {
	all := strings.Join(columns, ", ")
	return "INSERT INTO " + table + " (" + all + ") VALUES (" + strings.Repeat("?, ", strings.Count(all, ",")) + "?)"
}

// insert makes a row of results and returns its n, which is its first revision, or 0 when the key has one.
func (t *tx) insert(it *item, f *inspection.Frame, im inspection.ImageInfo, e inspection.Effect, stub bool, now time.Time) (int64, error) {
	revision, err := t.next()
	if err != nil {
		return 0, err
	}
	k := it.Key
	state := imageState(im)
	changed, err := t.changed(insertResult,
		int64(revision), it.id, k.Line, k.Station, k.Camera, k.Session, int64(k.Seq), stub, f.Attempt, f.View, f.Reference, f.Serial,
		f.RunID, f.Lot, f.WorkOrder, f.Product, f.Recipe, micros(f.CapturedAt), f.Encoder, int64(f.Budget), f.Simulated,
		im.Format.String(), int64(im.PixelFormat), im.Width, im.Height, im.Stride, im.Size, im.SHA256, state,
		e.Verdict.String(), e.Source.String(), e.Reason, receivedAt(it.Received, now), now.UnixMicro(), int64(revision), imageRef(it, now), im.XXH128)
	if err != nil || changed == 0 {
		t.revision-- // not used
		return 0, err
	}
	t.count(f.Simulated, e.Verdict, state, +1, im.Size)
	return int64(revision), nil
}

// imageRef is where the file of a pending image will be. It is written with the row, so that the next start finds the file:
// the row's own time may be older, where its key was announced before the frame came.
func imageRef(it *item, now time.Time) string {
	if imageState(it.Image) != inspection.ImagePending.String() {
		return ""
	}
	return imagePath(it.id, time.UnixMicro(receivedAt(it.Received, now)), it.Image.Format)
}

// fill gives a result of which only the key was known its frame and judgement.
func (t *tx) fill(r *row, it *item, now time.Time) error {
	f, im, state := it.Frame, it.Image, imageState(it.Image)
	if _, err := t.exec(`UPDATE results SET stub = 0, attempt = ?2, view = ?3, reference = ?4, serial = ?5, run_id = ?6, lot = ?7,
			work_order = ?8, product = ?9, recipe = ?10, captured_at = ?11, encoder = ?12, budget_ns = ?13, simulated = ?14,
			image_format = ?15, pixel_format = ?16, width = ?17, height = ?18, stride = ?19, image_size = ?20,
			image_sha256 = ?21, image_state = ?22, image_ref = ?23, image_xxh128 = ?24 WHERE n = ?1`,
		r.n, f.Attempt, f.View, f.Reference, f.Serial, f.RunID, f.Lot, f.WorkOrder, f.Product, f.Recipe, micros(f.CapturedAt),
		f.Encoder, int64(f.Budget), f.Simulated, im.Format.String(), int64(im.PixelFormat), im.Width, im.Height, im.Stride,
		im.Size, im.SHA256, state, imageRef(it, now), im.XXH128); err != nil {
		return err
	}
	t.count(r.Frame.Simulated, r.Effective.Verdict, r.imageState, -1, -r.Image.Size)
	t.count(f.Simulated, r.Effective.Verdict, state, +1, im.Size)
	r.stub, r.Frame.Simulated, r.imageState, r.Image.Size = false, f.Simulated, state, im.Size
	return t.appendJudgement(r, it.judgement)
}

// appendJudgement adds evidence to a whole result and folds it again.
func (t *tx) appendJudgement(r *row, j *judgementRow) error {
	for _, known := range r.Judgements {
		if j.same(known) {
			return nil
		}
	}
	if err := t.insertJudgement(r.n, len(r.Judgements), r.Received.UnixMicro(), j); err != nil {
		return err
	}
	r.Judgements = append(r.Judgements, j.Judgement)
	return t.refold(r)
}

// insertJudgement writes the judgement that has a place among those of its result, counted from 0.
func (t *tx) insertJudgement(result int64, place int, received int64, j *judgementRow) error {
	if _, err := t.exec(insertJudgement,
		result<<judgementBits+int64(place), result, j.Role.String(), j.Verdict.String(), j.Source.String(), j.Reason, j.Detail, j.defects, j.facts, j.timings,
		j.Model.Name, j.Model.Version, j.Model.Digest, j.Recipe.Name, j.Recipe.Revision, j.Recipe.Digest, j.Node, micros(j.At), j.heatmap, j.picture()); err != nil {
		return fmt.Errorf("write judgement: %w", err)
	}
	for _, d := range j.Defects {
		if !d.Called {
			continue
		}
		if _, err := t.exec("INSERT INTO called_defects (class, received, result) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
			d.Class, received, result); err != nil {
			return fmt.Errorf("write called defect: %w", err)
		}
	}
	return nil
}

// refold folds a whole result's evidence and writes the effective verdict under a new revision.
func (t *tx) refold(r *row) error {
	e := inspection.Effective(r.Judgements, r.Announced, r.Dispositions)
	revision, err := t.next()
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE results SET effective_verdict = ?2, effective_source = ?3, effective_reason = ?4, reviewed = ?5,
			revision = ?6 WHERE n = ?1`,
		r.n, e.Verdict.String(), e.Source.String(), e.Reason, len(r.Dispositions) > 0, revision); err != nil {
		return fmt.Errorf("write effective verdict: %w", err)
	}
	t.count(r.Frame.Simulated, r.Effective.Verdict, r.imageState, -1, -r.Image.Size)
	t.count(r.Frame.Simulated, e.Verdict, r.imageState, +1, r.Image.Size)
	r.Effective, r.Revision = e, revision
	return nil
}

// announcement records what left for the line. One that is there already changes nothing.
func (t *tx) announcement(it *item, now time.Time) error {
	r, err := t.find(it.id)
	if errors.Is(err, inspection.ErrNotFound) {
		r, err = t.stub(it, it.Simulated, now)
	}
	if err != nil {
		return err
	}
	a := *it.Announcement
	at := int64(0) // not NULL: two NULLs are never the same announcement
	if !a.At.IsZero() {
		at = a.At.UnixMicro()
	}
	n, err := t.changed(`INSERT INTO announced (result, verdict, source, reason, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING`,
		r.n, a.Verdict.String(), a.Source.String(), a.Reason, at)
	if err != nil || n == 0 {
		return err
	}
	r.Announced = append(r.Announced, a)
	return t.refold(r)
}

// stub makes a result of which only the key is known.
func (t *tx) stub(it *item, simulated bool, now time.Time) (*row, error) {
	f := &inspection.Frame{Key: it.Key, Simulated: simulated}
	e := inspection.Effective(nil, nil, nil)
	n, err := t.insert(it, f, inspection.ImageInfo{}, e, true, now)
	if err != nil || n == 0 {
		return nil, err
	}
	return &row{n: n, stub: true, imageState: stateNone, Result: inspection.Result{
		ID: it.id, Frame: *f, Effective: e, Received: time.UnixMicro(receivedAt(it.Received, now)).UTC(),
	}}, nil
}

// drop makes a result with reason SOURCE_GAP of every frame of a range that has none.
func (t *tx) drop(it *item, now time.Time) error {
	d, k := *it.Drop, it.Drop.Key
	if _, err := t.exec(`INSERT INTO gaps (line, station, camera, session, first, last, reason, simulated, at, recorded)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING`,
		k.Line, k.Station, k.Camera, k.Session, int64(d.First), int64(d.Last), d.Reason, d.Simulated, micros(d.At), now.UnixMicro()); err != nil {
		return fmt.Errorf("write gap: %w", err)
	}
	gap, err := encodeJudgement(inspection.Judgement{
		Verdict: inspection.Undetermined, Source: inspection.SourceRule, Reason: inspection.ReasonSourceGap, Detail: gapDetail(&d), At: d.At,
	})
	if err != nil {
		return err
	}
	for i := uint64(0); i <= d.Last-d.First; i++ {
		key := k
		key.Seq = d.First + i
		one := item{Entry: &inspection.Entry{Key: key, Received: it.Received}, id: key.ID()}
		if err := t.dropOne(&one, gap, &d, now); err != nil {
			return err
		}
	}
	return nil
}

// gapDetail is the camera's word and its sentence, as far as there are both.
func gapDetail(d *inspection.Drop) string {
	if d.Detail == "" || d.Reason == "" {
		return d.Reason + d.Detail
	}
	return d.Reason + ": " + d.Detail
}

func (t *tx) dropOne(it *item, gap *judgementRow, d *inspection.Drop, now time.Time) error {
	f := &inspection.Frame{Key: it.Key, Simulated: d.Simulated, Serial: d.Serial, Recipe: d.Recipe}
	e := inspection.Effective([]inspection.Judgement{gap.Judgement}, nil, nil)
	n, err := t.insert(it, f, inspection.ImageInfo{}, e, true, now)
	if err != nil {
		return err
	}
	if n != 0 {
		return t.insertJudgement(n, 0, receivedAt(it.Received, now), gap)
	}
	r, err := t.find(it.id)
	if err != nil || !r.stub {
		return err // the frame did arrive
	}
	if _, err := t.exec("UPDATE results SET serial = ?2, recipe = ?3 WHERE n = ?1 AND serial = '' AND recipe = ''", r.n, d.Serial, d.Recipe); err != nil {
		return fmt.Errorf("write gap: %w", err) // what was announced of it came first
	}
	return t.appendJudgement(r, gap)
}

// tallyKey and tallySum are a row of tallies.
type tallyKey struct {
	simulated      bool
	verdict, state string
}

type tallySum struct{ results, bytes int64 }

// count moves the sums over results along with a row.
func (t *tx) count(simulated bool, v inspection.Verdict, state string, results, bytes int64) {
	k := tallyKey{simulated: simulated, verdict: v.String(), state: state}
	d := t.tallies[k]
	t.tallies[k] = tallySum{d.results + results, d.bytes + bytes}
}
