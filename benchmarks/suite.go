package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
)

// Config says what to run and for how long.
type Config struct {
	Program    string        // assayd
	Unrecorded string        // assayd built with -tags assay_failpoint, which can leave out the record; empty: what needs it is left out
	Receiver   string        // a program that calls Receive when it is given -receive and a socket; empty: P8b has nothing beside it
	Models     string        // folder of the benchmarks' networks
	Dir        string        // for data; a local disk like that of a node
	Only       []string      // ids to run, such as P1; empty: all
	Pairs      int           // A B pairs of one figure
	Unit       time.Duration // length of one run; some take several
	Profiles   string        // folder for a CPU profile of the node in each benchmark, which costs it some speed; empty: none
	Progress   io.Writer     // what is being done, line by line
}

// Validate names the field that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Program == "" || c.Models == "" || c.Dir == "":
		return fmt.Errorf("%w: benchmarks need a program, a folder of models and one for data", inspection.ErrInvalid)
	case c.Pairs < 1 || c.Unit <= 0:
		return fmt.Errorf("%w: %d pairs of %v: give at least one, and a length above 0", inspection.ErrInvalid, c.Pairs, c.Unit)
	}
	for _, id := range c.Only {
		if !slices.ContainsFunc(benchmarks(), func(b benchmark) bool { return strings.EqualFold(b.id, id) }) {
			return fmt.Errorf("%w: there is no benchmark %q", inspection.ErrInvalid, id)
		}
	}
	return nil
}

// benchmark measures one row or a few that belong together.
type benchmark struct {
	id  string
	run func(context.Context, *suite) error
}

func benchmarks() []benchmark {
	return []benchmark{
		{"P1", throughput}, {"P2", addedLatency}, {"P3", goodput}, {"P3d", refused}, {"P4", mixedDeadlines}, {"P6", cameras},
		{"P8a", manyStreams}, {"P8b", sizes}, {"P9", jpegs}, {"P10", recording}, {"P11", garbage},
	}
}

// suite is a run of benchmarks.
type suite struct {
	Config
	series *synthetic.Series
	nodes  map[bool]*child // by recorded
	loads  map[string]*workload
	rows   []Row
	id     string // of the benchmark under way
}

// workload is a model with its pictures and right answers.
type workload struct {
	name    string
	network string // the model, and the recipe that names it
	model   *raw.Model
	frames  []inspection.Frame
	samples [][]byte
	check   checker
	sweep   []raw.Figures
	one     time.Duration // a frame by one thread
	outside string        // how that lies outside of what the network should take, or ""
}

// Run measures what is asked for. A benchmark that fails becomes a row that says so; the error is of what stops all.
func Run(ctx context.Context, cfg Config) (*Results, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	series, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetTest))
	if err != nil {
		return nil, err
	}
	s := &suite{Config: cfg, series: series, nodes: map[bool]*child{}, loads: map[string]*workload{}}
	defer s.close()
	if err := writeRecipes(filepath.Join(cfg.Dir, "recipes"), series); err != nil {
		return nil, err
	}
	began := time.Now()
	results := newResults(cfg)
	for _, b := range benchmarks() {
		if len(cfg.Only) > 0 && !slices.ContainsFunc(cfg.Only, func(id string) bool { return strings.EqualFold(b.id, id) }) {
			continue
		}
		s.say("%s ...", b.id)
		s.id = b.id
		from := time.Now()
		if err := b.run(ctx, s); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s.rows = append(s.rows, Row{ID: b.id, State: Void, Note: "failed: " + err.Error()})
			s.say("%s failed: %v", b.id, err)
		}
		s.say("%s took %v", b.id, time.Since(from).Round(time.Second))
	}
	results.Rows, results.Took = s.rows, time.Since(began).Round(time.Second).String()
	for _, w := range s.loads {
		results.Sweeps = append(results.Sweeps, Sweep{w.network, w.sweep})
	}
	slices.SortFunc(results.Sweeps, func(a, b Sweep) int { return strings.Compare(a.Model, b.Model) })
	results.finish(ctx, s)
	return results, nil
}

func (s *suite) say(format string, args ...any) {
	if s.Progress != nil {
		fmt.Fprintf(s.Progress, format+"\n", args...)
	}
}

func (s *suite) add(r Row) {
	s.rows = append(s.rows, r)
	s.say("  %s", r)
}

func (s *suite) close() {
	for _, n := range s.nodes {
		n.stop()
	}
}

// errUnrecorded says why a benchmark is left out.
var errUnrecorded = errors.New("there is no assayd that leaves out the record: build one with -tags assay_failpoint")

// node returns a node that records, or one that does not, started when it is first asked for.
func (s *suite) node(ctx context.Context, recorded bool) (*child, error) {
	if n := s.nodes[recorded]; n != nil {
		return n, nil
	}
	c := childConfig{
		program: s.Program, dir: filepath.Join(s.Dir, "recorded"), recipes: filepath.Join(s.Dir, "recipes"), models: s.Models, env: []string{"GODEBUG=gctrace=1"},
		profiles: s.Profiles, subject: func() string { return s.id },
	}
	if !recorded {
		if s.Unrecorded == "" {
			return nil, errUnrecorded
		}
		c.program, c.dir, c.env = s.Unrecorded, filepath.Join(s.Dir, "unrecorded"), append(c.env, "ASSAY_FAILPOINT=no-record")
	}
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return nil, err
	}
	n, err := start(ctx, c)
	if err == nil {
		s.nodes[recorded] = n
	}
	return n, err
}

// kind is networks of one kind, small to large, of which a machine is given the one that comes nearest to the middle of a
// range. Without a range there is one network.
type kind struct {
	networks    []string
	least, most time.Duration // of one frame by one thread
}

// off is how far a time lies from the middle of the range.
func (k kind) off(one time.Duration) time.Duration { return (one - (k.least+k.most)/2).Abs() }

// outside says how a time lies outside of the range, or "".
func (k kind) outside(one time.Duration) string {
	if k.most == 0 || k.least <= one && one <= k.most {
		return ""
	}
	return fmt.Sprintf("no network takes %v to %v here: a frame takes %.2f ms by one thread", k.least, k.most, ms(one))
}

// kinds are the networks that were made for benchmarks, by workload. A bar is for networks that take 8 to 11 ms, or about
// 1 ms, a frame on one core of the machine at hand.
func kinds() map[string]kind {
	return map[string]kind{
		"conv9": {[]string{"conv9", "conv9-large", "conv9-xlarge", "conv9-xxlarge"}, 8 * time.Millisecond, 11 * time.Millisecond},
		"conv1": {[]string{"conv1", "conv1-large", "conv1-xlarge"}, 850 * time.Microsecond, 1200 * time.Microsecond},
		"tiny":  {networks: []string{"tiny"}},
	}
}

// load returns a model with its pictures, made and swept when it is first asked for.
func (s *suite) load(ctx context.Context, name string) (*workload, error) {
	if w := s.loads[name]; w != nil {
		return w, nil
	}
	w := &workload{name: name}
	var templates []inspection.Template
	var err error
	of, made := kinds()[name]
	switch {
	case !made:
		of.networks = []string{name}
		w.frames, templates, err = boardFrames(s.series)
	case name == "conv9":
		w.frames = paintedFrames(224, 3)
	case name == "conv1":
		w.frames = paintedFrames(128, 3)
	default:
		w.frames = paintedFrames(64, 1)
	}
	if err != nil {
		return nil, err
	}
	if w, err = s.nearest(ctx, *w, of, templates); err != nil {
		return nil, err
	}
	if w.sweep, err = w.model.Sweep(ctx, w.samples, min(s.Unit/4, time.Second)); err != nil {
		return nil, err
	}
	s.say("  %s is network %s (%.2f ms): best %s, one at a time %s", name, w.network, ms(w.one), raw.Fastest(w.sweep), raw.Quickest(w.sweep))
	s.loads[name] = w
	return w, nil
}

// nearest gives a workload the network of a kind that comes nearest to what one should take.
func (s *suite) nearest(ctx context.Context, w workload, of kind, templates []inspection.Template) (best *workload, err error) {
	for _, network := range of.networks {
		c := w
		c.network = network
		if c.model, err = raw.Open(s.Models, network); err != nil {
			return nil, err
		}
		if c.one, err = c.choose(ctx, templates, min(s.Unit, time.Second)); err != nil {
			return nil, err
		}
		if best == nil || of.off(c.one) < of.off(best.one) {
			best = &c
		}
		if c.one > of.most {
			break // the others take longer still
		}
	}
	best.outside = of.outside(best.one)
	return best, nil
}

// choose takes the fastest of the model's graphs, and what each finds, and returns the time of one frame by one thread.
func (w *workload) choose(ctx context.Context, templates []inspection.Template, length time.Duration) (least time.Duration, err error) {
	w.check = nil
	best := 0
	for g := range w.model.Graphs() {
		w.model.Use(g)
		var found [][]inspection.Candidate
		if w.samples, found, err = w.model.Expected(w.frames, templates); err != nil {
			return 0, err
		}
		w.check = append(w.check, found)
		one, err := w.raw(ctx, raw.Setting{Callers: 1, Threads: 1, Batch: 1}, length)
		if err != nil {
			return 0, err
		}
		if g == 0 || one.P50 < least {
			best, least = g, one.P50
		}
	}
	w.model.Use(best)
	return least, nil
}

// options are what a run of the workload sends.
func (w *workload) options() load.Options {
	return load.Options{Pictures: w.frames, Check: w.check.right, Margin: time.Millisecond}
}

// other is the workload's model on other pictures.
func (w *workload) other(frames []inspection.Frame) (*workload, error) {
	o := *w
	o.frames = frames
	samples, found, err := w.model.Expected(frames, nil)
	o.samples, o.check = samples, checker{found}
	return &o, err
}

// raw runs the model alone at a setting.
func (w *workload) raw(ctx context.Context, setting raw.Setting, length time.Duration) (f raw.Figures, err error) {
	l, err := w.model.Loop(setting, w.samples)
	if err != nil {
		return raw.Figures{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if _, err := l.Run(ctx, min(length/5, 200*time.Millisecond)); err != nil {
		return raw.Figures{}, err
	}
	return l.Run(ctx, length)
}

// paced runs the model alone, a frame at a time, by a timetable.
func (w *workload) paced(ctx context.Context, setting raw.Setting, table load.Schedule) (f raw.Figures, err error) {
	l, err := w.model.Loop(setting, w.samples)
	if err != nil {
		return raw.Figures{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	at := make([]time.Duration, len(table))
	for i, a := range table {
		at[i] = a.At
	}
	return l.Paced(ctx, at)
}

// served is what one run over the wire measured.
type served struct {
	report  load.Report
	others  string        // why answers were not the model's, and how many
	drops   bool          // frames had a budget of their own: what is refused for it, or wrong, is a miss of the figure
	rate    float64       // right answers a second
	cpu     time.Duration // of the node, for each answered frame
	wakeUps float64       // how often a thread of the node went to sleep and was woken, for each answered frame
}

// void says why the run says nothing, or "": the generator was late, or answers that a figure is divided by were not the
// model's right ones. A run that drops counts those in its figure.
func (r served) void() string {
	if why := r.flaws(); why != "" && !r.drops {
		return why
	}
	return r.report.Void()
}

// flaws says how many frames did not get the model's right answer, or "".
func (r served) flaws() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.report.Wrong, "answered wrong"}, {r.report.Missing, "not answered"}, {r.report.Unsent, "not sent"},
		{r.report.Answered - r.report.Judged, "answered by a fallback (" + r.others + ")"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("of %d frames %s", r.report.Frames, strings.Join(parts, ", "))
}

// notTaken says why a run whose frames all come too late says nothing, or "": the node must have taken and answered each.
func (r served) notTaken() string {
	if r.report.Missing > 0 || strings.Contains(r.others, string(inspection.ReasonOverloaded)) {
		return r.flaws()
	}
	return ""
}

// pair sets a figure of the run beside what was measured for comparison.
func (r served) pair(figure, before, after float64) pair {
	return pair{figure: figure, before: before, after: after, fault: r.void()}
}

// against compares a run with two others that were served too, whose faults are the pair's as well.
func (r served) against(before, after served, of func(served) float64) pair {
	p := r.pair(of(r), of(before), of(after))
	for _, c := range [...]served{before, after} {
		if why := c.void(); p.fault == "" && why != "" {
			p.fault = "the comparison: " + why
		}
	}
	return p
}

// measure runs f between two looks at the node's CPU clock.
func measure(ctx context.Context, n *child, length time.Duration, f func() ([]load.Outcome, error)) (served, error) {
	profiled := n.record(ctx, length)
	before, err := n.cpu()
	if err != nil {
		return served{}, err
	}
	woken := n.wakeUps()
	out, err := f()
	if err != nil {
		return served{}, err
	}
	after, err := n.cpu()
	if err != nil {
		return served{}, err
	}
	woken = n.wakeUps() - woken
	if err := profiled(); err != nil {
		return served{}, err
	}
	r := served{report: load.NewReport(out), others: reasons(out)}
	edge := length / 10
	r.rate = load.Throughput(out, edge, length)
	if r.report.Answered > 0 {
		r.cpu = (after - before) / time.Duration(r.report.Answered)
		r.wakeUps = float64(woken) / float64(r.report.Answered)
	}
	return r, nil
}

// reasons counts why answers were not the model's: "DEADLINE 12, OVERLOADED 3".
func reasons(out []load.Outcome) string {
	counts := map[string]int{}
	for _, o := range out {
		if o.Answered && !o.Judged {
			counts[o.Reason]++
		}
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, counts[reason]))
	}
	return strings.Join(parts, ", ")
}

// saturate keeps a node's credits in use.
func (w *workload) saturate(ctx context.Context, n *child, c *load.Client, length time.Duration, window int) (served, error) {
	o := w.options()
	o.Window = window
	return measure(ctx, n, length, func() ([]load.Outcome, error) { return c.Closed(ctx, length, o) })
}

// follow sends by a timetable. A budget of 0 is the recipe's, which is so long that nothing may be refused for it.
func (w *workload) follow(ctx context.Context, n *child, c *load.Client, s load.Schedule, budget time.Duration) (served, error) {
	o := w.options()
	o.Budget = budget
	r, err := measure(ctx, n, s.Length(), func() ([]load.Outcome, error) { return c.Open(ctx, s, o) })
	r.drops = budget > 0
	return r, err
}

// cores are those that the node, the client and the raw loop share.
func cores() int { return runtime.NumCPU() }
