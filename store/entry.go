package store

import (
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// item is an entry made ready for its transaction: checked, encoded, with nothing left that can be wrong about it alone.
type item struct {
	*inspection.Entry
	id        inspection.ResultID
	judgement *judgementRow // of a frame or alone
}

// prepare checks entries and encodes what they hold. It fails on the first entry that breaks a rule, naming it.
func prepare(entries []inspection.Entry) ([]item, error) {
	items := make([]item, len(entries))
	for i := range entries {
		it, err := prepareOne(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("entry %d of %d, frame %s: %w", i+1, len(entries), entries[i].Key, err)
		}
		items[i] = it
	}
	return items, nil
}

func prepareOne(e *inspection.Entry) (item, error) {
	it := item{Entry: e, id: e.Key.ID()}
	set := 0
	for _, is := range [...]bool{e.Frame != nil || e.Judgement != nil, e.Announcement != nil, e.Drop != nil} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return it, fmt.Errorf("%w: an entry carries a frame with its judgement, or a judgement, an announcement or a drop alone; this one has %d of them", inspection.ErrInvalid, set)
	case e.Frame != nil && e.Judgement == nil:
		return it, fmt.Errorf("%w: a frame without a judgement: a result begins with one", inspection.ErrInvalid)
	case e.Drop != nil:
		return it, e.Drop.Validate()
	}
	if err := e.Key.Validate(); err != nil {
		return it, err
	}
	if e.Frame != nil {
		if err := checkFrame(e); err != nil {
			return it, err
		}
	}
	if e.Judgement != nil {
		if err := checkJudgement(*e.Judgement); err != nil {
			return it, err
		}
		var err error
		it.judgement, err = encodeJudgement(*e.Judgement)
		return it, err
	}
	if a := e.Announcement; a != nil && !a.Verdict.Valid() {
		return it, fmt.Errorf("%w: announced verdict %s", inspection.ErrInvalid, a.Verdict)
	}
	return it, nil
}

func checkFrame(e *inspection.Entry) error {
	if e.Frame.Key != e.Key {
		return fmt.Errorf("%w: the frame's own key is %s", inspection.ErrInvalid, e.Frame.Key)
	}
	im := e.Image
	switch {
	case im.Size < 0:
		return fmt.Errorf("%w: image size %d is negative", inspection.ErrInvalid, im.Size)
	case im.State == inspection.ImageKept:
		return fmt.Errorf("%w: image state kept: commit it as pending, the store says kept when the bytes are on disk", inspection.ErrInvalid)
	case im.State > inspection.ImageLost:
		return fmt.Errorf("%w: image state %s", inspection.ErrInvalid, im.State)
	case im.Size > 0 && im.State == inspection.ImagePending && len(im.XXH128) != 32:
		return fmt.Errorf("%w: a pending image needs its XXH128 in 32 hexadecimal digits, not %q", inspection.ErrInvalid, im.XXH128)
	}
	return nil
}

// checkJudgement holds the rule that nothing but a model that ran gives PASS; the database holds it again.
func checkJudgement(j inspection.Judgement) error {
	switch {
	case !j.Verdict.Valid():
		return fmt.Errorf("%w: judgement's verdict %s", inspection.ErrInvalid, j.Verdict)
	case j.Verdict == inspection.Pass && j.Source != inspection.SourceModel:
		return fmt.Errorf("%w: a PASS from source %s: only a model's is one", inspection.ErrInvalid, j.Source)
	case j.Verdict == inspection.Pass && j.Model.Digest == "":
		return fmt.Errorf("%w: a PASS without a model digest: name the model that ran", inspection.ErrInvalid)
	}
	return nil
}
