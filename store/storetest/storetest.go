package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/store"
)

// Store is what the suite asks of an implementation.
type Store interface {
	inspection.Evidence
	Commit(ctx context.Context, entries []inspection.Entry) error
	Dispose(ctx context.Context, id inspection.ResultID, d inspection.Disposition) error
	Lookup(ctx context.Context, key inspection.FrameKey) (inspection.Result, error)
	Get(ctx context.Context, id inspection.ResultID) (inspection.Result, error)
	List(ctx context.Context, q inspection.Query) (inspection.Page, error)
	Watch(ctx context.Context, cursor string, q inspection.Query, send func(r inspection.Result, cursor string) error) error
	ImportRecipe(ctx context.Context, name, digest string, yaml []byte, templates []inspection.Template) (revision int, err error)
	RecipeRevision(ctx context.Context, name string, revision int) (store.RecipeRevision, error)
	RecipeRevisions(ctx context.Context, name string) ([]store.RecipeRevision, error)
}

// Run runs the suite. open returns an empty store that is closed by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"round trip":                   roundTrip,
		"masks and heatmaps":           picturedEvidence,
		"all or none":                  allOrNone,
		"refusals":                     refusals,
		"repeats make no second row":   repeats,
		"conflicting image":            conflictingImage,
		"append":                       appendEvidence,
		"announcement before frame":    announcementFirst,
		"drop":                         drop,
		"disposition":                  disposition,
		"filters":                      filters,
		"paging":                       paging,
		"paging while recording":       pagingWhileRecording,
		"cursors":                      cursors,
		"watch":                        watch,
		"watch resumes":                watchResumes,
		"watch filter":                 watchFilter,
		"recipe revisions":             recipeRevisions,
		"any order gives one result":   anyOrder,
		"effective verdict is a fold":  foldedAlways,
		"lists agree with the record":  listsAgree,
		"concurrent commits all count": concurrentCommits,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { test(t, open(t)) })
	}
}

// Epoch is the time of receipt of frame 0.
var epoch = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// Key returns the key of a frame of the suite's camera.
func Key(seq uint64) inspection.FrameKey {
	return inspection.FrameKey{Line: "L1", Station: "S1", Camera: "C1", Session: "01JD0000000000000000000000", Seq: seq}
}

// Judgement returns what a model may have said, complete in every field; called is the verdict that its defects ask for.
func Judgement(v inspection.Verdict) inspection.Judgement {
	j := inspection.Judgement{
		Verdict: v, Source: inspection.SourceModel,
		Facts:   &inspection.ImageFacts{Width: 640, Height: 480, Mean: 101.5, Contrast: 40, Sharpness: 12.25},
		Model:   inspection.ModelRef{Name: "pcb-pair", Version: "1", Digest: strings.Repeat("ab", 32)},
		Recipe:  inspection.RecipeRef{Name: "board", Revision: 3, Digest: strings.Repeat("cd", 32)},
		Node:    "node-a",
		Timings: inspection.Timings{Queue: 1500 * time.Nanosecond, ComputeInfer: 7 * time.Millisecond},
		At:      epoch.Add(time.Second),
	}
	switch v {
	case inspection.Fail, inspection.Review:
		j.Reason = inspection.ReasonDefect
		j.Defects = []inspection.Defect{
			{ID: 1, Class: "short", Code: "D7", Severity: 4, Score: 0.875, Box: inspection.Box{X1: 1, Y1: 2, X2: 30, Y2: 40}, Called: true, Verdict: v},
			{ID: 2, Class: "spur", Score: 0.125, Box: inspection.Box{X1: 5, Y1: 5, X2: 9, Y2: 9}, Verdict: inspection.Pass},
		}
	case inspection.Undetermined:
		j.Source, j.Reason, j.Detail = inspection.SourceFallback, inspection.ReasonDeadline, "no answer in time"
		j.Model = inspection.ModelRef{}
	case inspection.Pass:
	}
	return j
}

// Entry returns a frame with its judgement, received seq seconds after the suite's epoch.
func Entry(seq uint64, v inspection.Verdict) inspection.Entry {
	encoder := int64(-5)
	j := Judgement(v)
	key := Key(seq)
	return inspection.Entry{
		Key: key,
		Frame: &inspection.Frame{
			Key: key, Attempt: 1, View: "top", Reference: "golden", Serial: fmt.Sprintf("SN%04d", seq), RunID: "run-1", Lot: "lot-1",
			WorkOrder: "wo-1", Product: "board", Recipe: "board", CapturedAt: epoch.Add(time.Duration(seq) * time.Second),
			Encoder: &encoder, Budget: 80 * time.Millisecond,
		},
		Received: epoch.Add(time.Duration(seq) * time.Second),
		Image: inspection.ImageInfo{
			Format: inspection.FormatJPEG, Width: 640, Height: 480, Size: 1000, XXH128: strings.Repeat("0f", 16), State: inspection.ImagePending,
		},
		Judgement: &j,
	}
}

func commit(t *testing.T, s Store, entries ...inspection.Entry) {
	t.Helper()
	if err := s.Commit(t.Context(), entries); err != nil {
		t.Fatalf("commit %d entries: %v", len(entries), err)
	}
}

func get(t *testing.T, s Store, key inspection.FrameKey) inspection.Result {
	t.Helper()
	r, err := s.Get(t.Context(), key.ID())
	if err != nil {
		t.Fatalf("get frame %s: %v", key, err)
	}
	return r
}

// all reads every result of a query, page by page.
func all(t *testing.T, s Store, q inspection.Query) []inspection.Result {
	t.Helper()
	var out []inspection.Result
	for range 10_000 {
		p, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatalf("list %+v: %v", q, err)
		}
		out = append(out, p.Results...)
		if p.Next == "" {
			return out
		}
		q.Cursor = p.Next
	}
	t.Fatal("list does not end")
	return nil
}

func seqs(rs []inspection.Result) []uint64 {
	out := make([]uint64, len(rs))
	for i, r := range rs {
		out[i] = r.Frame.Key.Seq
	}
	return out
}
