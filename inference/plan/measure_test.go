package plan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// law is a made-up model: how long a run of a setting takes.
type law func(Setting) time.Duration

// bench runs a law by sleeping, under synctest's clock.
type bench struct {
	law  law
	err  func(s Setting, run int) error
	ran  []Setting
	runs map[Setting]int
}

func (b *bench) Run(ctx context.Context, s Setting) ([]time.Duration, error) {
	if b.runs == nil {
		b.runs = map[Setting]int{}
	}
	b.runs[s]++
	b.ran = append(b.ran, s)
	if b.err != nil {
		if err := b.err(s, b.runs[s]); err != nil {
			return nil, err
		}
	}
	d := b.law(s)
	if b.runs[s] == 1 {
		d *= 3 // cold
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return slices.Repeat([]time.Duration{d}, s.Callers), nil
}

const ms = time.Millisecond

// perSample is a model on which a batch gains nothing, and two threads need a share more than half the time.
func perSample(narrow, wide time.Duration) law {
	return func(s Setting) time.Duration {
		if s.Threads > 1 {
			return wide * time.Duration(s.Batch)
		}
		return narrow * time.Duration(s.Batch)
	}
}

func twoCores(variants ...string) Space {
	if len(variants) == 0 {
		variants = []string{"default"}
	}
	return Space{Variants: variants, Cores: 2, Batches: []int{1, 2, 4, 8}, CPU: true}
}

func planner(t *testing.T, dir string) *Planner {
	t.Helper()
	p, err := New(Config{Dir: dir}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChoosesByWhatItMeasured(t *testing.T) {
	at := func(variant string, threads, callers, batch int) Setting {
		return Setting{Variant: variant, Threads: threads, Callers: callers, Batch: batch}
	}
	for name, c := range map[string]struct {
		space      Space
		law        law
		throughput Setting
		idle       bool
	}{
		"all threads on one frame are faster": {twoCores(), perSample(20*ms, 11*ms), at("default", 1, 2, 1), true},
		"all threads gain less than a tenth":  {twoCores(), perSample(1000*time.Microsecond, 910*time.Microsecond), at("default", 1, 2, 1), false},
		"all threads are slower":              {twoCores(), perSample(9*ms/10, ms), at("default", 1, 2, 1), false},
		"one core":                            {Space{Variants: []string{"default"}, Cores: 1, Batches: []int{1}, CPU: true}, perSample(5*ms, ms), at("default", 1, 1, 1), false},
		"a batch gains until 4":               {Space{Variants: []string{"default"}, Cores: 2, Batches: []int{1, 2, 4, 8}}, func(s Setting) time.Duration { return 5*ms + time.Duration(min(s.Batch, 4)+10*max(s.Batch-4, 0))*ms }, at("default", 1, 2, 4), false},
		"int8 is faster": {twoCores("default", "int8"), func(s Setting) time.Duration {
			return time.Duration(s.Batch) * map[string]time.Duration{"default": 30 * ms, "int8": 9 * ms}[s.Variant]
		}, at("int8", 1, 2, 1), false},
		"int8 is slower": {twoCores("default", "int8"), func(s Setting) time.Duration {
			return time.Duration(s.Batch) * map[string]time.Duration{"default": 4 * ms, "int8": 7 * ms}[s.Variant]
		}, at("default", 1, 2, 1), false},
		"int8 gains too little to leave the first": {twoCores("default", "int8"), func(s Setting) time.Duration {
			return time.Duration(s.Batch) * map[string]time.Duration{"default": 100 * ms, "int8": 98 * ms}[s.Variant] / 10
		}, at("default", 1, 2, 1), false},
		"the idle graph is that of the throughput": {twoCores("default", "int8"), func(s Setting) time.Duration {
			return time.Duration(s.Batch)*map[Setting]time.Duration{at("default", 2, 1, 1): ms}[atBatch(s, 1)] + time.Duration(s.Batch)*map[string]time.Duration{"default": 20 * ms, "int8": 9 * ms}[s.Variant]
		}, at("int8", 1, 2, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := planner(t, "").Measure(t.Context(), Key{}, c.space, &bench{law: c.law})
				if err != nil {
					t.Fatal(err)
				}
				if got := p.Choice.Throughput.Setting; got != c.throughput {
					t.Errorf("for throughput got %+v, want %+v", got, c.throughput)
				}
				if got := p.Choice.Idle != nil; got != c.idle {
					t.Errorf("when idle, all threads on one frame: got %v, want %v", got, c.idle)
				}
				if p.Choice.Idle != nil && p.Choice.Idle.Variant != p.Choice.Throughput.Variant {
					t.Errorf("idle runs %s, throughput %s: a verdict depends on the load", p.Choice.Idle.Variant, p.Choice.Throughput.Variant)
				}
				if !p.Complete {
					t.Error("got an incomplete plan, want all measured")
				}
			})
		})
	}
}

func TestABatchGrowsOnlyWhileThatGains(t *testing.T) {
	for _, c := range []struct {
		name string
		law  law
		want []int
	}{
		{"nothing gained", perSample(10*ms, 6*ms), []int{1, 2}},
		{"2.9 % gained", func(s Setting) time.Duration {
			return time.Duration(float64(s.Batch) * float64(10*ms) * pow(1/1.029, s.Batch))
		}, []int{1, 2}},
		{"3.1 % gained, then nothing", func(s Setting) time.Duration {
			return time.Duration(float64(s.Batch) * float64(5*ms) * pow(1/1.031, min(s.Batch, 2)))
		}, []int{1, 2, 4}},
		{"always gained", func(Setting) time.Duration { return 5 * ms }, []int{1, 2, 4, 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), &bench{law: c.law})
				if err != nil {
					t.Fatal(err)
				}
				var got []int
				for _, q := range p.Curve() {
					got = append(got, q.Batch)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("measured batches %v, want %v", got, c.want)
				}
			})
		})
	}
}

// pow returns x for a batch of 2, x squared for 4, x cubed for 8: its gain at each doubling is 1/x.
func pow(x float64, batch int) float64 {
	out := 1.0
	for ; batch > 1; batch /= 2 {
		out *= x
	}
	return out
}

func TestMeasuringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := &bench{law: func(Setting) time.Duration { return 50 * ms }}
		p, err := planner(t, "").Measure(t.Context(), Key{}, twoCores("default", "int8", "int4"), b)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("measuring took %v, want 3 s at most", took)
		}
		if p.Complete {
			t.Error("got a complete plan, though nine lanes of 50 ms, and nine of their batches, do not fit into 3 s")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := &bench{law: perSample(60*ms, 35*ms)}
		if _, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), b); err != nil {
			t.Fatal(err)
		}
		for _, s := range b.ran {
			if s.Threads == 1 && s.Batch > 1 {
				t.Fatalf("ran %+v, which holds a thread for 120 ms: want 100 at most", s)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), &bench{law: func(Setting) time.Duration { return 2 * time.Second }})
		if !errors.Is(err, inspection.ErrOverloaded) {
			t.Errorf("a model too slow to measure: got %v, want ErrOverloaded", err)
		}
	})
}

func TestSettingsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{law: perSample(10*ms, 6*ms)}
		if _, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), b); err != nil {
			t.Fatal(err)
		}
		for i := 3; i < 9; i++ {
			if b.ran[i] != b.ran[i-3] || b.ran[i] == b.ran[i-1] {
				t.Fatalf("run %d is %+v after %+v: want the three settings in turns", i, b.ran[i], b.ran[i-1])
			}
		}
	})
}

func TestTheColdRunIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), &bench{law: perSample(10*ms, 6*ms)})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Choice.Throughput; got.P99 != 10*ms || got.Median != 10*ms || got.Rate() < 199 || got.Rate() > 201 {
			t.Errorf("got median %v, p99 %v, %v/s; want 10 ms, 10 ms and 200/s", got.Median, got.P99, got.Rate())
		}
	})
}

func TestWhatOthersHoldIsLeftOutAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := &bench{law: perSample(10*ms, 6*ms), err: func(s Setting, _ int) error {
			if s.Threads > 1 {
				return fmt.Errorf("wide: %w", ErrBusy)
			}
			return nil
		}}
		pl, key := planner(t, dir), Key{Model: "m"}
		p, err := pl.Measure(t.Context(), key, twoCores(), b)
		if err != nil {
			t.Fatal(err)
		}
		if p.Complete || p.Choice.Idle != nil || p.Choice.Throughput.Threads != 1 {
			t.Errorf("got %+v, complete %v; want one thread alone, incomplete", p.Choice, p.Complete)
		}
		if _, ok := pl.Lookup(key); ok {
			t.Error("an incomplete plan was kept: a busy start would decide for good")
		}
	})
}

func TestMeasuringEndsWithItsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the device is gone")
		b := &bench{law: perSample(ms, ms), err: func(_ Setting, run int) error {
			if run == 3 {
				return broken
			}
			return nil
		}}
		if _, err := planner(t, "").Measure(t.Context(), Key{}, twoCores(), b); !errors.Is(err, broken) {
			t.Errorf("got %v, want the bench's error", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		if _, err := planner(t, "").Measure(ctx, Key{}, twoCores(), &bench{law: perSample(10*ms, ms)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: got %v, want the context's error", err)
		}
	})
	if _, err := planner(t, "").Measure(t.Context(), Key{}, Space{Cores: 1}, nil); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("nothing to measure: got %v, want ErrInvalid", err)
	}
	if _, err := New(Config{Budget: -1}, slog.New(slog.DiscardHandler)); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a negative budget: got %v, want ErrInvalid", err)
	}
}
