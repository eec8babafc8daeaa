package plan

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Config bounds a Planner.
type Config struct {
	// Dir is where plans are kept; it is made when the first one is. Empty: nowhere.
	Dir string
	// Budget is how long a model may be measured. 0: 3 s.
	Budget time.Duration
	// LongestRun bounds a single run that is measured, besides those of the smallest batch. 0: 100 ms.
	LongestRun time.Duration
	// Processor returns the processor time that this process has used, so that a plan shows whether other programs had the
	// processor while it was measured; see ProcessorTime. nil: that is not asked.
	Processor func() time.Duration
}

func (c Config) orDefault() Config {
	if c.Budget == 0 {
		c.Budget = 3 * time.Second
	}
	if c.LongestRun == 0 {
		c.LongestRun = 100 * time.Millisecond
	}
	return c
}

// Key is what a plan is true for. When any of it changes, the model is measured anew.
type Key struct {
	Model   string `json:"model"`   // digest of the model version
	Device  string `json:"device"`  // what runs it: cpu, cuda:0, ...
	CPU     string `json:"cpu"`     // processor's name; see CPUName
	Cores   int    `json:"cores"`   // of the machine
	Threads int    `json:"threads"` // native threads that may run at the same time
	Library string `json:"library"` // what runs models, with its version
}

// Plan is a model's surface on this machine and what follows from it.
type Plan struct {
	Key      Key           `json:"key"`
	Surface  Surface       `json:"surface"`
	Choice   Choice        `json:"choice"`
	Measured time.Time     `json:"measured"` // when
	Took     time.Duration `json:"took_ns"`
	// Contended: runs got less processor time than they took, so other programs had it. Such figures are believed for a day.
	Contended bool `json:"contended,omitempty"`
	Complete  bool `json:"-"` // all was measured; what was not complete is not kept
	Cached    bool `json:"-"` // it was read from disk
}

// Curve returns the points of the operating point for throughput: its graph with one thread a run and every thread at
// work, by batch.
func (p Plan) Curve() []Point {
	var out []Point
	for _, q := range p.Surface {
		if t := p.Choice.Throughput; q.Variant == t.Variant && q.Threads == t.Threads && q.Callers == t.Callers {
			out = append(out, q)
		}
	}
	return out
}

// Planner makes plans and keeps them. It may be shared by goroutines; two that measure at the same time disturb each
// other's figures.
type Planner struct {
	config Config
	log    *slog.Logger
}

// New returns a planner. The error wraps inspection.ErrInvalid and names the field.
func New(c Config, log *slog.Logger) (*Planner, error) {
	if c.Budget < 0 || c.LongestRun < 0 {
		return nil, fmt.Errorf("%w: plan: budget %v and longest run %v must not be negative", inspection.ErrInvalid, c.Budget, c.LongestRun)
	}
	return &Planner{config: c.orDefault(), log: log}, nil
}

// Measure measures a model, chooses, and keeps the plan where all could be measured. The error wraps
// inspection.ErrOverloaded where too little could be measured in the time, or is the bench's or ctx's.
func (p *Planner) Measure(ctx context.Context, key Key, space Space, b Bench) (Plan, error) {
	if space.Cores < 1 || len(space.Variants) == 0 || len(space.Batches) == 0 {
		return Plan{}, fmt.Errorf("%w: plan: nothing to measure in %+v", inspection.ErrInvalid, space)
	}
	start := time.Now()
	t := &totalled{Bench: b, processor: p.processor}
	surface, complete, err := measure(ctx, p.config, space, t)
	if err != nil {
		return Plan{}, fmt.Errorf("measure model: %w", err)
	}
	choice, ok := Choose(surface, space)
	if !ok {
		return Plan{}, fmt.Errorf("%w: too little of the model could be measured in %v: measure it again when the node has less to do", inspection.ErrOverloaded, p.config.Budget)
	}
	out := Plan{Key: key, Surface: surface, Choice: choice, Measured: start.UTC(), Took: time.Since(start), Complete: complete}
	if space.CPU && p.config.Processor != nil && float64(t.used) < uncontended*float64(t.took) {
		out.Contended = true
		p.log.Warn("model was measured while other programs had the processor; it is measured again when it is loaded after a day, or by assay models profile NAME --measure",
			"processor_time", t.used, "runs_took", t.took)
	}
	if complete && p.config.Dir != "" {
		if err := p.keep(out); err != nil {
			p.log.Warn("plan is not kept; the model is measured again at the next start", "dir", p.config.Dir, "error", err)
		}
	}
	return out, nil
}

// uncontended is the share of their time that measured runs must have had the processor.
const uncontended = 0.85

func (p *Planner) processor() time.Duration {
	if p.config.Processor == nil {
		return 0
	}
	return p.config.Processor()
}

// totalled adds up how long the runs of a bench took, and the processor time that the process used meanwhile: of runs by one
// thread, which use as much as they take where nobody else has the processor.
type totalled struct {
	Bench
	processor  func() time.Duration
	took, used time.Duration
}

// Run implements Bench.
func (t *totalled) Run(ctx context.Context, s Setting) ([]time.Duration, error) {
	before := t.processor()
	all, err := t.Bench.Run(ctx, s)
	if s.Threads > 1 {
		return all, err
	}
	t.used += t.processor() - before
	for _, took := range all {
		t.took += took
	}
	return all, err
}
