package custody

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

// answer is what these tests compare of an Answer.
type answer struct {
	Verdict            inspection.Verdict
	Source             inspection.Source
	Reason             inspection.Reason
	Recorded, Repeated bool
}

func short(a inspection.Answer) answer {
	return answer{a.Verdict, a.Effect.Source, a.Effect.Reason, a.Recorded, a.Repeated}
}

func check(t *testing.T, what string, got inspection.Answer, want answer) {
	t.Helper()
	if diff := cmp.Diff(want, short(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	if got.ID != got.Key.ID() {
		t.Errorf("%s: id %s is not that of key %s", what, got.ID, got.Key)
	}
}

func slowCommit(d time.Duration) func(*Config, *memStore) {
	return func(_ *Config, s *memStore) {
		s.commit = func([]inspection.Entry) (time.Duration, error) { return d, nil }
	}
}

func TestModelAnswerIsRecordedThenSent(t *testing.T) {
	onBench(t, after(10*time.Millisecond, inspection.Pass), slowCommit(5*time.Millisecond), func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		a := b.inspect(t, job)
		check(t, "answer", a, answer{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true})
		if got, want := time.Since(job.Received), 15*time.Millisecond; got != want {
			t.Errorf("answered after %v, want %v: the engine's time and the commit's", got, want)
		}
		if a.Judgement.Timings.Commit != 5*time.Millisecond {
			t.Errorf("Timings.Commit %v, want 5ms", a.Judgement.Timings.Commit)
		}
		r := b.store.result(t, job.Frame.Key)
		if r.Frame.Image.Data != nil || r.Image.XXH128 != xxh128Of(job.Frame.Image.Data) || r.Image.Size != 1 {
			t.Errorf("recorded image %+v with data %v, want checksum and size of the bytes and no data", r.Image, r.Frame.Image.Data)
		}
		if r.Image.SHA256 != "" {
			t.Errorf("recorded SHA-256 %q, want none: only an image that is kept gets it", r.Image.SHA256)
		}
		if r.Image.State != inspection.ImageShed || len(b.album.pictures()) != 0 {
			t.Errorf("PASS image is %s and %d were kept, want shed and none: the recipe keeps none", r.Image.State, len(b.album.pictures()))
		}
		if !r.Received.Equal(job.Received) {
			t.Errorf("Received %v, want %v", r.Received, job.Received)
		}
	})
}

func TestEngineErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want answer
	}{
		"image":        {inspection.ErrImage, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonImage, true, false}},
		"bomb":         {inspection.ErrImageTooLarge, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonImageTooLarge, true, false}},
		"model output": {inspection.ErrModelOutput, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonModelOutput, true, false}},
		"overloaded":   {inspection.ErrOverloaded, answer{inspection.Review, inspection.SourceFallback, inspection.ReasonOverloaded, true, false}},
		"deadline":     {inspection.ErrDeadline, answer{inspection.Review, inspection.SourceFallback, inspection.ReasonDeadline, true, false}},
		"not ready":    {inspection.ErrNotReady, answer{inspection.Review, inspection.SourceFallback, inspection.ReasonModelNotReady, true, false}},
		"anything":     {errors.New("boom"), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonInternal, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, failing(time.Millisecond, c.err), nil, func(t *testing.T, b *bench) {
				check(t, "answer", b.inspect(t, newJob(1, "a")), c.want)
			})
		})
	}
}

func TestNoPassButFromAModel(t *testing.T) {
	for name, j := range map[string]inspection.Judgement{
		"fallback source": {Verdict: inspection.Pass, Source: inspection.SourceFallback},
		"rule source":     {Verdict: inspection.Pass, Source: inspection.SourceRule},
		"no digest":       {Verdict: inspection.Pass, Source: inspection.SourceModel, Model: inspection.ModelRef{Name: "m"}},
		"no verdict":      {Verdict: 77, Source: inspection.SourceModel},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &scripted{judge: func(inspection.Job) (time.Duration, inspection.Judgement, error) { return 0, j, nil }}
			onBench(t, engine, nil, func(t *testing.T, b *bench) {
				check(t, "answer", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonInternal, true, false})
			})
		})
	}
}

func TestPanickingEngine(t *testing.T) {
	engine := &scripted{judge: func(inspection.Job) (time.Duration, inspection.Judgement, error) { panic("boom") }}
	onBench(t, engine, nil, func(t *testing.T, b *bench) {
		check(t, "answer", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonInternal, true, false})
	})
}

func TestRefusedWithoutJudging(t *testing.T) {
	passFallback := board
	passFallback.Fallback = inspection.Pass
	for name, c := range map[string]struct {
		change func(*inspection.Job)
		want   answer
		kept   bool
	}{
		"unknown recipe": {func(j *inspection.Job) { j.Recipe = nil }, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonUnknownRecipe, true, false}, true},
		"poison":         {func(j *inspection.Job) { j.Frame.Attempt = 3 }, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonPoison, true, false}, true},
		"simulated poison": {func(j *inspection.Job) { j.Frame.Attempt = 4; j.Frame.Simulated = true },
			answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonPoison, true, false}, true},
		"empty image":    {func(j *inspection.Job) { j.Frame.Image.Data = nil }, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonImage, true, false}, false},
		"unknown format": {func(j *inspection.Job) { j.Frame.Image.Format = inspection.FormatUnknown }, answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonImage, true, false}, true},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
				job := newJob(1, "a")
				c.change(&job)
				check(t, "answer", b.inspect(t, job), c.want)
				if n := b.engine.count(job.Frame.Key); n != 0 {
					t.Errorf("engine was asked %d times, want never", n)
				}
				if got := len(b.album.pictures()) == 1; got != c.kept {
					t.Errorf("image kept %v, want %v", got, c.kept)
				}
			})
		})
	}
	t.Run("second delivery is judged", func(t *testing.T) {
		onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
			job := newJob(1, "a")
			job.Frame.Attempt = 2
			check(t, "answer", b.inspect(t, job), answer{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true})
		})
	})
	t.Run("a recipe that falls back to PASS", func(t *testing.T) {
		onBench(t, failing(0, inspection.ErrOverloaded), nil, func(t *testing.T, b *bench) {
			job := newJob(1, "a")
			job.Recipe = &passFallback
			check(t, "answer", b.inspect(t, job), answer{inspection.Undetermined, inspection.SourceFallback, inspection.ReasonOverloaded, true, false})
		})
	})
}

func TestInvalidIdentityIsAnError(t *testing.T) {
	onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
		job := newJob(0, "a")
		if a, err := b.Inspect(t.Context(), job); !errors.Is(err, inspection.ErrInvalid) || a.Verdict != inspection.Undetermined {
			t.Errorf("got %s, %v; want UNDETERMINED and ErrInvalid", a.Verdict, err)
		}
	})
}

func TestLateEngine(t *testing.T) {
	onBench(t, after(3*budget, inspection.Fail), slowCommit(time.Millisecond), func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		check(t, "answer", b.inspect(t, job), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonDeadline, true, false})
		// decide_by is the deadline less the reply margin and the configured reserve; the commit takes 1 ms.
		cfg := Default()
		if got, want := time.Since(job.Received), budget-cfg.ReplyMargin-cfg.CommitReserve+time.Millisecond; got != want {
			t.Errorf("answered after %v, want %v", got, want)
		}
		time.Sleep(3 * budget)
		synctest.Wait()
		r := b.store.result(t, job.Frame.Key)
		if len(r.Judgements) != 2 || r.Judgements[1].Role != inspection.RoleLate || r.Judgements[1].Verdict != inspection.Fail {
			t.Fatalf("judgements %+v, want the fallback and a late FAIL", r.Judgements)
		}
		again := newJob(1, "a")
		check(t, "repeat", b.inspect(t, again), answer{inspection.Fail, inspection.SourceModel, inspection.ReasonDefect, true, true})
		if n := b.engine.count(job.Frame.Key); n != 1 {
			t.Errorf("engine was asked %d times, want once", n)
		}
	})
}

// The engine is told decide_by: what it would finish between that and the deadline is no use to the line.
func TestEngineIsToldWhenTheDeskDecides(t *testing.T) {
	var told time.Time
	engine := &scripted{judge: func(job inspection.Job) (time.Duration, inspection.Judgement, error) {
		told = job.Deadline
		return time.Millisecond, modelSays(job, inspection.Pass), nil
	}}
	onBench(t, engine, nil, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		b.inspect(t, job)
		cfg := Default()
		if got, want := told.Sub(job.Received), budget-cfg.ReplyMargin-cfg.CommitReserve; got != want {
			t.Errorf("the engine was given %v, want %v of a budget of %v", got, want, budget)
		}
	})
}

// A frame that came before its recipe's model was there says so when it had to be answered without it.
func TestLateModel(t *testing.T) {
	onBench(t, after(3*budget, inspection.Fail), nil, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		job.Model = inspection.ModelRef{}
		check(t, "answer", b.inspect(t, job), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonModelNotReady, true, false})
		time.Sleep(3 * budget)
		synctest.Wait()
	})
}

func TestStuckCommit(t *testing.T) {
	for name, c := range map[string]struct {
		model inspection.Verdict
		told  inspection.Verdict // the fallback is REVIEW; what is known hardens it
	}{
		"pass": {inspection.Pass, inspection.Review}, "fail": {inspection.Fail, inspection.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, after(time.Millisecond, c.model), slowCommit(2*budget), func(t *testing.T, b *bench) {
				job := newJob(1, "a")
				check(t, "answer", b.inspect(t, job), answer{c.told, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
				if got, want := time.Since(job.Received), budget-Default().ReplyMargin; got != want {
					t.Errorf("answered after %v, want %v", got, want)
				}
				time.Sleep(10 * budget)
				synctest.Wait()
				r := b.store.result(t, job.Frame.Key)
				if len(r.Judgements) != 1 || r.Judgements[0].Verdict != c.model {
					t.Errorf("judgements %+v, want the model's %s", r.Judgements, c.model)
				}
				if len(r.Announced) != 1 || r.Announced[0].Verdict != c.told || r.Announced[0].Source != inspection.SourceFallback {
					t.Errorf("announced %+v, want the fallback's %s", r.Announced, c.told)
				}
				if v := b.inspect(t, newJob(1, "a")).Verdict; v != c.told {
					t.Errorf("repeat says %s, want what was announced, %s", v, c.told)
				}
			})
		})
	}
}

// What the line was told must be on disk too before an answer says recorded=true.
func TestAnnouncementThatCannotBeRecorded(t *testing.T) {
	var mu sync.Mutex
	full := true
	change := func(_ *Config, s *memStore) {
		s.commit = func(es []inspection.Entry) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			if full && es[0].Announcement != nil {
				return 0, inspection.ErrDiskFull
			}
			return 30 * time.Millisecond, nil
		}
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		wg.Go(func() {
			check(t, "patient", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
		})
		synctest.Wait()
		hasty := newJob(1, "a")
		hasty.Deadline = hasty.Received.Add(20 * time.Millisecond)
		check(t, "hasty", b.inspect(t, hasty), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
		wg.Wait()
		mu.Lock()
		full = false
		mu.Unlock()
		check(t, "again", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, true, true})
	})
}

func TestStuckLookup(t *testing.T) {
	change := func(_ *Config, s *memStore) {
		s.lookup = func(inspection.FrameKey) (time.Duration, error) { return 2 * budget, nil }
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		check(t, "answer", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonDeadline, false, false})
	})
}

// A frame whose record cannot be read may be recorded as a FAIL: it is not judged anew.
func TestUnreadableRecord(t *testing.T) {
	change := func(_ *Config, s *memStore) {
		s.lookup = func(inspection.FrameKey) (time.Duration, error) { return 0, errors.New("disk I/O error") }
	}
	onBench(t, after(0, inspection.Pass), change, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		check(t, "answer", b.inspect(t, job), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
		if n := b.engine.count(job.Frame.Key); n != 0 {
			t.Errorf("engine was asked %d times, want never", n)
		}
	})
}

func TestDiskFullAndBack(t *testing.T) {
	var mu sync.Mutex
	full := true
	change := func(_ *Config, s *memStore) {
		s.commit = func([]inspection.Entry) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			if full {
				return time.Millisecond, inspection.ErrDiskFull
			}
			return time.Millisecond, nil
		}
	}
	onBench(t, after(time.Millisecond, inspection.Pass), change, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		check(t, "full", b.inspect(t, job), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, false, false})
		if got, want := time.Since(job.Received), 2*time.Millisecond; got != want {
			t.Errorf("answered after %v, want %v: a failed commit is no reason to wait", got, want)
		}
		if err := b.Announce(t.Context(), job.Frame.Key, inspection.Announcement{Verdict: inspection.Fail}, false); !errors.Is(err, inspection.ErrDiskFull) {
			t.Errorf("Announce: %v, want ErrDiskFull", err)
		}
		mu.Lock()
		full = false
		mu.Unlock()
		// The line was told REVIEW. The model says PASS now, and PASS must not be the effective verdict any more.
		check(t, "again", b.inspect(t, newJob(1, "a")), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonNotRecorded, true, false})
		r := b.store.result(t, job.Frame.Key)
		if len(r.Announced) != 1 || r.Announced[0].Verdict != inspection.Review || r.Judgements[0].Verdict != inspection.Pass {
			t.Errorf("recorded %+v announced %+v, want the model's PASS and the announced REVIEW", r.Judgements, r.Announced)
		}
		if n := len(b.album.pictures()); n != 1 {
			t.Errorf("%d images kept, want 1: what was announced is not PASS", n)
		}
		check(t, "next frame", b.inspect(t, newJob(2, "b")), answer{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true})
	})
}

func TestRepeatInFlightJoins(t *testing.T) {
	onBench(t, after(20*time.Millisecond, inspection.Pass), nil, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		answers := make([]inspection.Answer, 3)
		for i := range answers {
			wg.Go(func() { answers[i] = b.inspect(t, newJob(1, "a")) })
			synctest.Wait()
		}
		wg.Wait()
		repeated := 0
		for _, a := range answers {
			if a.Verdict != inspection.Pass || !a.Recorded {
				t.Errorf("answer %+v, want a recorded PASS", short(a))
			}
			if a.Repeated {
				repeated++
			}
		}
		if n := b.engine.count(answers[0].Key); n != 1 || repeated != 2 {
			t.Errorf("judged %d times with %d repeated answers, want once and 2", n, repeated)
		}
		if got := b.metric(t, "assay_custody_repeats_total"); got != 2 {
			t.Errorf("repeats counter is %v, want 2", got)
		}
	})
}

// A joined delivery keeps its own deadline, which may be nearer than that of the first one.
func TestJoinedRepeatKeepsItsDeadline(t *testing.T) {
	onBench(t, after(50*time.Millisecond, inspection.Pass), nil, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		first := newJob(1, "a")
		wg.Go(func() {
			// By then the line has been told REVIEW under this key: the first delivery is answered no milder.
			check(t, "first", b.inspect(t, first), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonDeadline, true, false})
		})
		synctest.Wait()
		second := newJob(1, "a")
		second.Deadline = second.Received.Add(10 * time.Millisecond)
		check(t, "second", b.inspect(t, second), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonDeadline, false, false})
		wg.Wait()
	})
}

func TestConflictWithTheRecord(t *testing.T) {
	for _, v := range []inspection.Verdict{inspection.Pass, inspection.Fail} {
		t.Run(v.String(), func(t *testing.T) {
			onBench(t, after(0, v), nil, func(t *testing.T, b *bench) {
				b.inspect(t, newJob(1, "a"))
				want := answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonConflict, true, false}
				if v == inspection.Fail { // never milder than what is effective
					want = answer{inspection.Fail, inspection.SourceModel, inspection.ReasonDefect, true, false}
				}
				check(t, "conflict", b.inspect(t, newJob(1, "other")), want)
				check(t, "conflict again", b.inspect(t, newJob(1, "other")), want)
				r := b.store.result(t, newJob(1, "").Frame.Key)
				if len(r.Judgements) != 2 || r.Judgements[1].Role != inspection.RoleDuplicate {
					t.Errorf("judgements %+v, want the first and one duplicate", r.Judgements)
				}
				if r.Image.XXH128 != xxh128Of(newJob(1, "a").Frame.Image.Data) {
					t.Errorf("the record's checksum was overwritten")
				}
			})
		})
	}
}

func TestConflictInFlight(t *testing.T) {
	onBench(t, after(20*time.Millisecond, inspection.Pass), nil, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		wg.Go(func() {
			check(t, "first", b.inspect(t, newJob(1, "a")), answer{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true})
		})
		synctest.Wait()
		check(t, "other image", b.inspect(t, newJob(1, "other")), answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonConflict, true, false})
		wg.Wait()
		hasty := newJob(2, "a")
		wg.Go(func() { b.inspect(t, hasty) })
		synctest.Wait()
		other := newJob(2, "other")
		other.Deadline = other.Received.Add(8 * time.Millisecond)
		check(t, "other image in a hurry", b.inspect(t, other), answer{inspection.Undetermined, inspection.SourceRule, inspection.ReasonConflict, false, false})
		wg.Wait()
	})
}

func TestCallerGoesAway(t *testing.T) {
	onBench(t, after(20*time.Millisecond, inspection.Pass), nil, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		job := newJob(1, "a")
		if _, err := b.Inspect(ctx, job); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Inspect: %v, want the ctx's error", err)
		}
		job.Frame.Image.Data.Release() // the caller's bytes are gone with it; the desk has its own reference
		time.Sleep(budget)
		synctest.Wait()
		if r := b.store.result(t, job.Frame.Key); r.Judgements[0].Verdict != inspection.Pass || len(r.Announced) != 0 {
			t.Errorf("recorded %+v announced %+v, want PASS and nothing told", r.Judgements, r.Announced)
		}
	})
}

func TestOverload(t *testing.T) {
	change := func(c *Config, s *memStore) {
		c.InFlight, c.CommitQueue = 1, 1
		s.lookup = func(inspection.FrameKey) (time.Duration, error) { return 2 * time.Millisecond, nil }
	}
	onBench(t, after(50*time.Millisecond, inspection.Pass), change, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		want := []answer{
			{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true},
			{inspection.Review, inspection.SourceFallback, inspection.ReasonOverloaded, true, false},  // no place: not judged
			{inspection.Review, inspection.SourceFallback, inspection.ReasonOverloaded, false, false}, // not even recorded
		}
		for i := range want {
			wg.Go(func() { check(t, "frame", b.inspect(t, newJob(uint64(i+1), "a")), want[i]) })
			synctest.Wait()
		}
		wg.Wait()
		r := b.store.result(t, newJob(2, "").Frame.Key)
		if r.Image.State != inspection.ImageShed || len(b.album.pictures()) != 0 {
			t.Errorf("image of the overloaded frame is %s, want shed: its bytes are not held", r.Image.State)
		}
		check(t, "a place is free again", b.inspect(t, newJob(4, "a")), want[0])
	})
}

func TestImagesByPolicy(t *testing.T) {
	third := board
	third.Keep.PassEvery = 3
	onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
		for seq := uint64(1); seq <= 7; seq++ {
			job := newJob(seq, "image")
			job.Recipe = &third
			b.inspect(t, job)
			job.Frame.Key.Camera = "other" // counted apart
			if seq == 1 {
				b.inspect(t, job)
			}
			job.Frame.Key.Camera = "sim"
			job.Frame.Simulated = true
			b.inspect(t, job)
		}
		var got []string
		for i, p := range b.album.pictures() {
			got = append(got, p.Key.Camera+"/"+string(rune('0'+p.Key.Seq)))
			if string(b.album.data[i]) != "image" || p.Info.State != inspection.ImagePending {
				t.Errorf("picture %d: %q, %s", i, b.album.data[i], p.Info.State)
			}
		}
		if want := "c/1 other/1 c/4 c/7"; strings.Join(got, " ") != want {
			t.Errorf("kept %v, want %s", got, want)
		}
	})
}

func TestAnnounceAndDrop(t *testing.T) {
	onBench(t, after(0, inspection.Pass), nil, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		b.inspect(t, job)
		a := inspection.Announcement{Verdict: inspection.Fail, Source: inspection.SourceCamera, At: time.Now()}
		if err := b.Announce(t.Context(), job.Frame.Key, a, false); err != nil {
			t.Fatal(err)
		}
		check(t, "repeat", b.inspect(t, newJob(1, "a")), answer{inspection.Fail, inspection.SourceCamera, "", true, true})
		early := newJob(6, "a") // announced before its frame came
		if err := b.Announce(t.Context(), early.Frame.Key, a, false); err != nil {
			t.Fatal(err)
		}
		check(t, "after its announcement", b.inspect(t, early), answer{inspection.Fail, inspection.SourceCamera, "", true, false})
		if n := len(b.album.pictures()); n != 1 {
			t.Errorf("%d images kept, want 1: what was announced is not PASS", n)
		}
		a.Verdict = inspection.Pass
		if err := b.Announce(t.Context(), job.Frame.Key, a, false); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("Announce PASS: %v, want ErrInvalid", err)
		}
		drop := inspection.Drop{Key: job.Frame.Key, First: 2, Last: 5, Reason: "DROP_OLDEST"}
		if err := b.Drop(t.Context(), drop); err != nil || len(b.store.drops) != 1 {
			t.Errorf("Drop: %v with %d recorded, want 1", err, len(b.store.drops))
		}
		drop.Last = 1
		if err := b.Drop(t.Context(), drop); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("Drop 2 to 1: %v, want ErrInvalid", err)
		}
	})
}

func TestDispositionDoesNotLetAPartThrough(t *testing.T) {
	onBench(t, after(0, inspection.Fail), nil, func(t *testing.T, b *bench) {
		job := newJob(1, "a")
		b.inspect(t, job)
		b.store.mu.Lock()
		b.store.results[job.Frame.Key].Dispositions = []inspection.Disposition{{Kind: inspection.JudgedGood, Operator: "o"}}
		b.store.mu.Unlock()
		check(t, "repeat", b.inspect(t, newJob(1, "a")), answer{inspection.Fail, inspection.SourceModel, inspection.ReasonDefect, true, true})
	})
}

func TestClose(t *testing.T) {
	t.Run("drains", func(t *testing.T) {
		onBench(t, after(20*time.Millisecond, inspection.Pass), slowCommit(time.Millisecond), func(t *testing.T, b *bench) {
			var wg sync.WaitGroup
			wg.Go(func() {
				check(t, "answer", b.inspect(t, newJob(1, "a")), answer{Verdict: inspection.Pass, Source: inspection.SourceModel, Recorded: true})
			})
			synctest.Wait()
			if err := b.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
			wg.Wait()
			if _, err := b.Inspect(t.Context(), newJob(2, "a")); !errors.Is(err, inspection.ErrClosed) {
				t.Errorf("Inspect after Close: %v, want ErrClosed", err)
			}
			if err := b.Drop(t.Context(), inspection.Drop{Key: newJob(1, "").Frame.Key, First: 1, Last: 1}); !errors.Is(err, inspection.ErrClosed) {
				t.Errorf("Drop after Close: %v, want ErrClosed", err)
			}
		})
	})
	t.Run("records what it aborts", func(t *testing.T) {
		onBench(t, after(time.Hour, inspection.Pass), slowCommit(time.Millisecond), func(t *testing.T, b *bench) {
			job := newJob(1, "a")
			job.Deadline = time.Time{} // never: only the shutdown ends it
			var wg sync.WaitGroup
			wg.Go(func() {
				check(t, "answer", b.inspect(t, job), answer{inspection.Review, inspection.SourceFallback, inspection.ReasonShutdown, true, false})
			})
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close: %v, want the ctx's error", err)
			}
			wg.Wait()
		})
	})
}

func TestNewRefuses(t *testing.T) {
	cfg := Default()
	cfg.PoisonAttempts = 1
	if _, err := New(cfg, after(0, inspection.Pass), newMemStore(), &album{}, nil, nil); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "PoisonAttempts") {
		t.Errorf("got %v, want ErrInvalid that names PoisonAttempts", err)
	}
	if _, err := New(Default(), nil, newMemStore(), &album{}, nil, nil); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("no engine: got %v, want ErrInvalid", err)
	}
}
