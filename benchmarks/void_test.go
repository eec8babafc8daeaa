package benchmarks

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/camera/synthetic"
)

func TestAnswersThatAreNotTheModelsRightOnesVoidARun(t *testing.T) {
	good := load.Report{Frames: 100, Answered: 100, Judged: 100}
	with := func(change func(*served)) served {
		r := served{report: good}
		change(&r)
		return r
	}
	late := func(r *served) { r.report.LagP99 = 2 * load.LagLimit }
	for _, tc := range []struct {
		name  string
		run   served
		want  string // part of the reason; "": it counts
		drops string // the same where frames had a budget of their own
	}{
		{"all right", with(func(*served) {}), "", ""},
		{"wrong", with(func(r *served) { r.report.Wrong = 2 }), "of 100 frames 2 answered wrong", ""},
		{"missing", with(func(r *served) { r.report.Answered, r.report.Judged, r.report.Missing = 99, 99, 1 }), "1 not answered", ""},
		{"by a fallback", with(func(r *served) { r.report.Judged, r.others = 97, "DEADLINE 3" }), "3 answered by a fallback (DEADLINE 3)", ""},
		{"late generator", with(late), "late", "late"},
		{"nothing sent", served{}, "no frame", "no frame"},
	} {
		for drops, want := range map[bool]string{false: tc.want, true: tc.drops} {
			tc.run.drops = drops
			if got := tc.run.void(); (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%s, drops %v: void %q, want %q", tc.name, drops, got, want)
			}
		}
	}
	rate := func(r served) float64 { return float64(r.report.Answered) }
	right, lagging := served{report: good}, with(late)
	for _, p := range []pair{lagging.against(right, right, rate), right.against(lagging, right, rate), right.against(right, lagging, rate)} {
		if !strings.Contains(p.void(), "late") {
			t.Errorf("%+v counts although one of its three runs was late", p)
		}
	}
	if p := right.against(right, right, rate); p.void() != "" || p.figure != 100 || p.raw() != 100 {
		t.Errorf("%+v: want a pair that counts", p)
	}
	for others, want := range map[string]bool{"DEADLINE 100": false, "DEADLINE 98, NOT_RECORDED 2": false, "DEADLINE 98, OVERLOADED 2": true} {
		r := served{report: load.Report{Frames: 100, Answered: 100}, others: others, drops: true}
		if why := r.notTaken(); (why != "") != want {
			t.Errorf("all too late, %s: %q, want void %v", others, why, want)
		}
	}
	if r := (served{report: load.Report{Frames: 100, Answered: 99, Missing: 1}, others: "DEADLINE 99", drops: true}); r.notTaken() == "" {
		t.Error("a frame that was never answered does not void what a refused one costs")
	}
	if j := single(3, "late"); len(j.valid) != 0 || newRow("P8b", "x", Bar{4, true}, "", j).State != Void || !strings.Contains(j.voids[0], "3") {
		t.Errorf("%+v: want a void figure that says what it was", j)
	}
}

func TestTheCollectorsShareIsVoidWhereItDidNotRun(t *testing.T) {
	run := served{report: load.Report{Frames: 100, Answered: 100, Judged: 100}, cpu: 10 * time.Millisecond}
	fallback := run
	fallback.report.Judged, fallback.others = 99, "DEADLINE 1"
	for _, tc := range []struct {
		name   string
		runs   []served
		cycles int
		state  string
		want   float64
		note   string
	}{
		{"two collections", []served{run}, 2, Pass, 1, "2 collections"},
		{"none in two runs", []served{run, run}, 0, Void, 0, "no collection"},
		{"one in two runs", []served{run, run}, 1, Pass, 0.5, "1 collections"},
		{"a fallback", []served{run, fallback}, 1, Void, 0, "by a fallback"},
	} {
		g := collected{bytes: 1000, cycles: tc.cycles}
		if tc.cycles > 0 {
			g.gc = 10 * time.Millisecond
		}
		for _, r := range tc.runs {
			g.add(r, time.Second)
		}
		if row := g.gcRow("x"); row.State != tc.state || row.Figure != tc.want || !strings.Contains(row.Note, tc.note) {
			t.Errorf("%s: %s, note %q: want %s, %v and %q", tc.name, row, row.Note, tc.state, tc.want, tc.note)
		}
		if row := g.heapRow("x"); tc.note != "by a fallback" && row.Figure != 1000/float64(100*len(tc.runs)) || (row.State == Void) != (tc.note == "by a fallback") {
			t.Errorf("%s: %s", tc.name, row)
		}
	}
}

// TestNoFigureIsDividedByAnswersOfAFallback runs the benchmarks that divide by answers for moments against a node that
// refuses nearly all frames, because its recipes ask for the impossible. None may have a figure.
func TestNoFigureIsDividedByAnswersOfAFallback(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts two nodes")
	}
	t.Setenv("ASSAYD_INFERENCE__MEASURE", "0") // no model needs its best setting here
	dir := t.TempDir()
	program := filepath.Join(dir, "assayd")
	build := exec.Command("go", "build", "-o", program, "../cmd/assayd")
	build.Env = append(os.Environ(), "GOFLAGS="+strings.Replace(os.Getenv("GOFLAGS"), "-tags=", "-tags=assay_failpoint,", 1))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build assayd: %v\n%s", err, out)
	}
	models, err := filepath.Abs("models")
	if err != nil {
		t.Fatal(err)
	}
	series, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetTest))
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{
		Config: Config{Program: program, Unrecorded: program, Models: models, Dir: dir, Pairs: 1, Unit: 500 * time.Millisecond, Progress: testWriter{t}},
		series: series, nodes: map[bool]*child{}, loads: map[string]*workload{},
	}
	defer s.close()
	recipes := filepath.Join(dir, "recipes")
	if err := writeRecipes(recipes, series); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(recipes, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("recipes %v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), "budget: 60s", "budget: 1ms", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range benchmarks() {
		if !slices.Contains([]string{"P1", "P2", "P8a", "P8b", "P9", "P10", "P11"}, b.id) {
			continue
		}
		from := len(s.rows)
		if err := b.run(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", b.id, err)
		}
		if len(s.rows) == from {
			t.Errorf("%s has no row", b.id)
		}
	}
	for _, r := range s.rows {
		if r.State != Void || !strings.Contains(r.Note, "by a fallback (") {
			t.Errorf("%s, note %q: want it void, for answers of a fallback", r, r.Note)
		}
	}
}
