package benchmarks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
)

// The states of a row.
const (
	Pass = "pass"
	Miss = "MISS"
	Void = "VOID"
	Info = "-" // there is no bar
)

// Bar is what a figure must reach. The zero value is no bar.
type Bar struct {
	Limit  float64
	AtMost bool // else at least
}

// String is as the issue writes it.
func (b Bar) String() string {
	switch {
	case b == Bar{}:
		return "-"
	case b.AtMost:
		return fmt.Sprintf("<= %g", b.Limit)
	}
	return fmt.Sprintf(">= %g", b.Limit)
}

// Row is one line of the table.
type Row struct {
	ID     string  `json:"id"`
	Case   string  `json:"case"`
	Bar    string  `json:"bar"`
	Figure float64 `json:"figure"` // NaN is written as 0, with the state VOID
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Unit   string  `json:"unit"` // of the figure
	N      int     `json:"n"`    // values behind the median
	Frames int     `json:"frames"`
	Raw    string  `json:"raw"` // what it is compared with, in its own unit
	State  string  `json:"state"`
	Note   string  `json:"note,omitempty"`
	// Values are what the median was taken of; benchstat wants them one by one.
	Values []float64 `json:"values,omitempty"`
	// CPU is the node's CPU time for a frame in milliseconds, where it was looked at.
	CPU float64 `json:"node_cpu_ms_per_frame,omitempty"`
}

// newRow judges a spread by a bar.
func newRow(id, what string, bar Bar, unit string, j judged) Row {
	r := Row{
		ID: id, Case: what, Bar: bar.String(), Unit: unit, Figure: j.figure.Median, Min: j.figure.Min, Max: j.figure.Max,
		N: len(j.valid), Values: j.valid, Note: strings.Join(j.voids, "; "), State: Info,
	}
	switch {
	case len(j.valid) == 0 || math.IsNaN(r.Figure):
		r.State, r.Figure, r.Min, r.Max, r.Values = Void, 0, 0, 0, nil // JSON has no NaN
	case bar == Bar{}:
	case bar.AtMost && r.Figure <= bar.Limit, !bar.AtMost && r.Figure >= bar.Limit:
		r.State = Pass
	default:
		r.State = Miss
	}
	return r
}

// note adds a remark.
func (r *Row) note(format string, args ...any) {
	if r.Note != "" {
		r.Note += "; "
	}
	r.Note += fmt.Sprintf(format, args...)
}

func (r Row) figure() string {
	if r.State == Void {
		return "-"
	}
	if r.N < 2 {
		return strings.TrimSpace(fmt.Sprintf("%.4g %s", r.Figure, r.Unit))
	}
	return strings.TrimSpace(fmt.Sprintf("%.4g (%.4g-%.4g) %s", r.Figure, r.Min, r.Max, r.Unit))
}

// String is the row in one line.
func (r Row) String() string {
	return fmt.Sprintf("%s %s: %s, bar %s, %s", r.ID, r.Case, r.figure(), r.Bar, r.State)
}

// Sweep is what the raw loop's settings measured.
type Sweep struct {
	Model   string        `json:"model"`
	Figures []raw.Figures `json:"figures"`
}

// Results are one run of benchmarks on one machine.
type Results struct {
	Date     string            `json:"date"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"`
	Runtime  string            `json:"onnxruntime"`
	Commit   string            `json:"commit"`
	LoadBy   [2]string         `json:"load_average_before_after"` // of the machine: who else was there
	Pairs    int               `json:"pairs"`
	Unit     string            `json:"unit"`
	Took     string            `json:"took"`
	Settings []string          `json:"settings"` // of the node, beside its defaults
	Config   string            `json:"effective_configuration"`
	Notes    map[string]string `json:"notes"`
	Sweeps   []Sweep           `json:"raw_sweeps"`
	Rows     []Row             `json:"rows"`
}

func newResults(cfg Config) *Results {
	return &Results{
		Date: time.Now().UTC().Format(time.RFC3339), CPU: hostCPU(), Cores: cores(), Kernel: firstLine("/proc/sys/kernel/osrelease"), Go: runtime.Version(),
		LoadBy: [2]string{firstLine("/proc/loadavg")}, Pairs: cfg.Pairs, Unit: cfg.Unit.String(),
		Notes: map[string]string{
			"recording": "frames are not simulated; every verdict is recorded; PASS images are not kept (keep: {pass: none}); one of 16 conv pictures fails, and its image is kept",
			"client":    "camera/load in the benchmark's process, on the same cores, over the node's Unix socket (P8a: loopback TCP)",
			"generator": generator(),
			"latency":   "from when a frame was due; the frame carries what is left of its budget, less 1 ms",
			"void":      "a pair is void when the comparison before and after it differs by more than 10 % of the smaller, a run when the generator's p99 lag is above 1 ms or, but for P3, P4 and P6, an answer was not the model's right one",
			"answers":   "each is compared with what the raw loop found in the same picture; a wrong or missing one is a miss in P3, P4 and P6",
		},
	}
}

// generator says how the generator of load runs here.
func generator() string {
	if load.Promoted() {
		return "its thread has real-time priority, as a trigger from outside has"
	}
	return "its thread has no priority over the node (that takes root or CAP_SYS_NICE), so its lag is larger and more runs are void"
}

// finish adds what is known at the end.
func (r *Results) finish(ctx context.Context, s *suite) {
	r.LoadBy[1] = firstLine("/proc/loadavg")
	r.Runtime = raw.Version()
	c := childConfig{dir: "DIR", recipes: "RECIPES", models: "benchmarks/models"}
	r.Settings = c.settings()
	if text, err := effective(ctx, s.Program, r.Settings); err == nil {
		r.Config = text
	} else {
		r.Config = "could not be asked for: " + err.Error()
	}
}

// JSON writes everything.
func (r *Results) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Table writes the rows for people.
func (r *Results) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tCASE\tBAR\tFIGURE\tN\tCOMPARED WITH\tNODE CPU/FRAME\tSTATE")
	for _, row := range r.Rows {
		cpu := "-"
		if row.CPU > 0 {
			cpu = fmt.Sprintf("%.2f ms", row.CPU)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", row.ID, row.Case, row.Bar, row.figure(), row.N, row.Raw, cpu, row.State)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(w, "%s %s: %s\n", row.ID, row.Case, row.Note)
		}
	}
	return nil
}

// Text writes what is kept in the repository: the machine and configuration, the table, and lines that benchstat reads.
func (r *Results) Text(w io.Writer) error {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/assay-vision/assay/benchmarks\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, r.CPU)
	fmt.Fprintf(w, "# %s, commit %s, %s, ONNX Runtime %s, %d cores, kernel %s\n", r.Date, r.Commit, r.Go, r.Runtime, r.Cores, r.Kernel)
	fmt.Fprintf(w, "# load average of the machine before %s, after %s\n", r.LoadBy[0], r.LoadBy[1])
	fmt.Fprintf(w, "# at most %d pairs of %s a figure; took %s\n", r.Pairs, r.Unit, r.Took)
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		fmt.Fprint(w, "# ", line)
	}
	for _, s := range r.Sweeps {
		for _, f := range s.Figures {
			fmt.Fprintf(w, "# raw %s %s: %.1f frames/s, p50 %.3f ms, p99 %.3f ms, CPU %.3f ms a frame\n", s.Model, f.Setting, f.Rate, ms(f.P50), ms(f.P99), ms(f.CPU))
		}
	}
	for _, key := range []string{"recording", "client", "generator", "latency", "void", "answers"} {
		fmt.Fprintf(w, "# %s: %s\n", key, r.Notes[key])
	}
	for _, row := range r.Rows {
		for _, v := range row.Values {
			fmt.Fprintf(w, "Benchmark%s/%s %d %.6g %s\n", row.ID, strings.ReplaceAll(row.Case, " ", "_"), max(row.Frames, 1), v, unitName(row.Unit))
		}
	}
	fmt.Fprintln(w, "# the node's effective configuration:")
	for line := range strings.Lines(r.Config) {
		fmt.Fprint(w, "# ", line)
	}
	return nil
}

// unitName is a unit as benchstat wants it: one word.
func unitName(unit string) string {
	if unit == "" {
		return "ratio"
	}
	return strings.ReplaceAll(strings.ReplaceAll(unit, "%", "percent"), " ", "-")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// hostCPU is the processor's name.
func hostCPU() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "?"
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// Write writes the text and the JSON into dir and returns the text's path. The name says the day and the processor.
func (r *Results) Write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Date[:len("2006-01-02")]+"-"+fileName(r.CPU))
	for _, f := range []struct {
		ending string
		write  func(io.Writer) error
	}{{".txt", r.Text}, {".json", r.JSON}} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return "", err
		}
		if err := os.WriteFile(path+f.ending, b.Bytes(), 0o644); err != nil { //nolint:gosec // results are for everyone to read
			return "", err
		}
	}
	return path + ".txt", nil
}

// fileName is a name in small letters, digits and dashes.
func fileName(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}
