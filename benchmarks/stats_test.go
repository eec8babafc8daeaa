package benchmarks

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/benchmarks/raw"
	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func TestAPairIsVoidWhenTheComparisonMoved(t *testing.T) {
	for _, tc := range []struct {
		name string
		pair pair
		want string // part of the reason; "": it counts
	}{
		{"still", pair{figure: 90, before: 100, after: 100}, ""},
		{"up by a tenth", pair{figure: 90, before: 100, after: 110}, ""},
		{"up by more", pair{figure: 90, before: 100, after: 111}, "moved by 11.0 %"},
		{"down by as much", pair{figure: 90, before: 111, after: 100}, "moved by 11.0 %"},
		{"nothing before", pair{figure: 90, after: 100}, "nothing"},
		{"not a number", pair{figure: 90, before: math.NaN(), after: 100}, "nothing"},
		{"not a number after", pair{figure: 90, before: 100, after: math.NaN()}, "nothing"},
		{"late generator", pair{figure: 90, before: 100, after: 100, fault: "the generator was late"}, "late"},
	} {
		if got := tc.pair.void(); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: void %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestOnlyPairsThatCountMakeTheFigure(t *testing.T) {
	j := judge([]pair{
		{figure: 90, before: 100, after: 100}, {figure: 10, before: 100, after: 50}, {figure: 80, before: 100, after: 100}, {figure: 95, before: 98, after: 102},
	}, ratio)
	if want := (spread{0.9, 0.8, 0.95}); j.figure != want {
		t.Errorf("figure %+v, want %+v", j.figure, want)
	}
	if len(j.voids) != 1 || !strings.Contains(j.voids[0], "pair 2 of 4") || !strings.Contains(j.voids[0], "0.1333") {
		t.Errorf("voids %q, want the second pair with what it said", j.voids)
	}
}

func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   spread
	}{{[]float64{3}, spread{3, 3, 3}}, {[]float64{5, 1, 3}, spread{3, 1, 5}}, {[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}}} {
		if got := spreadOf(tc.values); got != tc.want {
			t.Errorf("spread of %v: %+v, want %+v", tc.values, got, tc.want)
		}
	}
}

func TestSlope(t *testing.T) {
	a, b := slope([]float64{1, 2, 5}, []float64{2.5, 3, 4.5})
	if math.Abs(a-2) > 1e-12 || math.Abs(b-0.5) > 1e-12 {
		t.Errorf("line %v + %v x, want 2 + 0.5 x", a, b)
	}
}

func TestRowsAreJudgedByTheirBar(t *testing.T) {
	of := func(v ...float64) judged { return judged{figure: spreadOf(v), valid: v} }
	for _, tc := range []struct {
		bar  Bar
		j    judged
		want string
	}{
		{Bar{Limit: 0.93}, of(0.93), Pass}, {Bar{Limit: 0.93}, of(0.92), Miss}, {Bar{0.8, true}, of(0.8), Pass}, {Bar{0.8, true}, of(0.9), Miss},
		{Bar{}, of(0.1), Info}, {Bar{Limit: 0.93}, of(), Void}, {Bar{0.8, true}, of(), Void}, {Bar{0.8, true}, of(math.NaN()), Void},
	} {
		if got := newRow("P1", "x", tc.bar, "", tc.j).State; got != tc.want {
			t.Errorf("%+v against %v: %s, want %s", tc.j.figure, tc.bar, got, tc.want)
		}
	}
}

func TestThroughputOverTCPHasTheBarOfTheSocket(t *testing.T) {
	cases := map[bool]throughputCase{}
	for _, c := range throughputCases(7) {
		if c.model == "conv9" {
			cases[c.tcp] = c
		}
	}
	if tcp, socket := cases[true], cases[false]; socket.bar != (Bar{Limit: 0.93}) || tcp.bar != socket.bar || tcp.most != socket.most {
		t.Errorf("over TCP %+v, over the socket %+v: want the bar of 0.93 and as many pairs for both", tcp, socket)
	}
}

// P2 is p50 served less raw p50 as performance.md has it; pairs count on both sides of nothing added.
func TestAddedLatencyIsAboveRawThatIsCalledWithoutAPause(t *testing.T) {
	pairs := []pair{{figure: 10, before: 9.5, after: 9.5}, {figure: 9, before: 9.4, after: 9.6}, {figure: 9.7, before: 9.5, after: 9.5}}
	row := addedRow("150 kB", Bar{0.3, true}, pairs, []float64{9.9, 9.6, 9.8}, raw.Setting{Callers: 1, Threads: 2, Batch: 1})
	if math.Abs(row.Figure-0.2) > 1e-9 || math.Abs(row.Min+0.5) > 1e-9 || row.N != 3 || row.State != Pass || !strings.Contains(row.Raw, "9.500 ms") {
		t.Errorf("%+v: want 0.2 (-0.5 to 0.5) above 9.5 ms, of three pairs", row)
	}
	if want := "called as often as frames come, raw has p50 9.800 ms at 1x2 b1, and served is -0.100 ms above that"; !strings.Contains(row.Note, want) {
		t.Errorf("note %q, want %q", row.Note, want)
	}
}

func TestTableAndTextShowVoidsAndMisses(t *testing.T) {
	r := &Results{CPU: "a CPU", Rows: []Row{
		newRow("P1", "conv9", Bar{Limit: 0.93}, "", judge([]pair{{figure: 95, before: 100, after: 100}, {figure: 96, before: 100, after: 100}}, ratio)),
		newRow("P2", "150 kB", Bar{0.8, true}, "ms", judge([]pair{{figure: 1, before: 9, after: 5}}, excess)),
	}}
	r.Rows[0].Raw, r.Rows[0].Frames = "raw 100 frames/s", 1234
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# P1  conv9   >= 0.93  0.955 (0.95-0.96)  2  raw 100 frames/s  -               pass\n",
		"# P2  150 kB  <= 0.8   -                  0                    -               VOID\n",
		"# P2 150 kB: pair 1 of 1 void (it said -6): the comparison moved by 80.0 %\n",
		"BenchmarkP1/conv9 1234 0.95 ratio\nBenchmarkP1/conv9 1234 0.96 ratio\n", "cpu: a CPU\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not hold %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "BenchmarkP2") {
		t.Error("a void figure stands among those that benchstat compares")
	}
}

// The networks' times are those measured on one core, as shares of conv9-large's.
func TestAMachineGetsANetworkOfTheRange(t *testing.T) {
	of := kinds()["conv9"]
	shares := []float64{0.65, 1, 1.27, 1.6}
	if len(shares) != len(of.networks) {
		t.Fatalf("networks %v, and %d times", of.networks, len(shares))
	}
	for large := 5050 * time.Microsecond; large < 11*time.Millisecond; large += 50 * time.Microsecond {
		best := time.Duration(0)
		for _, share := range shares {
			if one := time.Duration(share * float64(large)); of.off(one) < of.off(best) {
				best = one
			}
		}
		if why := of.outside(best); why != "" {
			t.Errorf("where conv9-large takes %v: %s", large, why)
		}
	}
	for one, want := range map[time.Duration]string{
		7640 * time.Microsecond: "8ms to 11ms here: a frame takes 7.64 ms", 8 * time.Millisecond: "", 11 * time.Millisecond: "", 12 * time.Millisecond: "12.00 ms",
	} {
		if got := of.outside(one); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", one, got, want)
		}
	}
	if why := kinds()["tiny"].outside(time.Hour); why != "" {
		t.Errorf("a network without a range: %s", why)
	}
}

func TestSimulatedPolicies(t *testing.T) {
	const ms = time.Millisecond
	// One server of 10 ms. A loose frame runs; a loose and a tight one wait; one more loose.
	s := load.Schedule{
		{At: 0, Budget: 100 * ms}, {At: 1 * ms, Budget: 35 * ms}, {At: 2 * ms, Budget: 18 * ms}, {At: 3 * ms, Budget: 100 * ms},
	}
	want := map[string][]bool{
		"FIFO": {true, true, false, true}, "FIFO+drop": {true, true, false, true},
		"priorities": {true, true, true, true}, "EDF": {true, true, true, true},
	}
	for _, p := range policies() {
		if w := want[p.name]; w != nil {
			if got := p.simulate(s, 1, 10*ms); !equal(got, w) {
				t.Errorf("%s: in time %v, want %v", p.name, got, w)
			}
		}
	}
	if best, share := bestPolicy(s, 1, 10*ms); share != 1 || best.name == "FIFO" {
		t.Errorf("best is %s with %v, want one with all in time", best.name, share)
	}
	// Far above capacity only dropping helps.
	var flood load.Schedule
	for i := range 200 {
		flood = append(flood, load.Arrival{At: time.Duration(i) * 5 * ms, Budget: 30 * ms})
	}
	good := map[string]int{}
	for _, p := range policies() {
		for _, ok := range p.simulate(flood, 1, 10*ms) {
			if ok {
				good[p.name]++
			}
		}
	}
	if good["FIFO"] > 10 || good["FIFO+drop"] < 95 || good["EDF+drop"] < 95 {
		t.Errorf("in time of 200 frames at twice the capacity: %v, want next to none by FIFO and 100 where the hopeless are dropped", good)
	}
}

func equal(a, b []bool) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestAnswersAreCompared(t *testing.T) {
	box := inspection.Box{X1: 10, Y1: 10, X2: 40, Y2: 40}
	c := checker{
		{{{Class: "warm", Score: 0.9, Box: box}, {Class: "warm", Score: 0.051, Box: box}}},
		{{{Class: "cold", Score: 0.6, Box: box}}}, // what the other graph finds in the same picture
	}
	good := inspection.Defect{Class: "warm", Score: 0.905, Box: inspection.Box{X1: 10.4, Y1: 10, X2: 40, Y2: 39.5}}
	with := func(change func(*inspection.Defect)) inspection.Defect {
		d := good
		change(&d)
		return d
	}
	for _, tc := range []struct {
		name    string
		verdict inspection.Verdict
		defects []inspection.Defect
		want    bool
	}{
		{"as expected", inspection.Pass, []inspection.Defect{good}, true},
		{"with what lies at the floor", inspection.Pass, []inspection.Defect{good, {Class: "warm", Score: 0.055, Box: box}}, true},
		{"nothing", inspection.Pass, nil, false},
		{"one too many", inspection.Pass, []inspection.Defect{good, good}, false},
		{"another class", inspection.Pass, []inspection.Defect{with(func(d *inspection.Defect) { d.Class = "hot" })}, false},
		{"another place", inspection.Pass, []inspection.Defect{with(func(d *inspection.Defect) { d.Box.Y2 = 42 })}, false},
		{"as the other graph", inspection.Pass, []inspection.Defect{{Class: "cold", Score: 0.6, Box: box}}, true},
		{"half of each graph", inspection.Pass, []inspection.Defect{good, {Class: "cold", Score: 0.6, Box: box}}, false},
		{"another score", inspection.Pass, []inspection.Defect{with(func(d *inspection.Defect) { d.Score = 0.88 })}, false},
		{"another verdict", inspection.Review, []inspection.Defect{good}, false},
		{"called and passed", inspection.Pass, []inspection.Defect{with(func(d *inspection.Defect) { d.Called = true })}, false},
		{"called and failed", inspection.Fail, []inspection.Defect{with(func(d *inspection.Defect) { d.Called = true })}, true},
	} {
		a := &assayv1.Answer{Judgement: proto.FromJudgement(inspection.Judgement{Verdict: tc.verdict, Source: inspection.SourceModel, Defects: tc.defects})}
		if got := c.right(0, a); got != tc.want {
			t.Errorf("%s: right is %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestWhatANodeWritesIsRead(t *testing.T) {
	got, ok := gcTime("gc 7 @1.234s 2%: 0.026+0.39+0.10 ms clock, 0.5+1.0/2.0/16+0.25 ms cpu, 4->5->1 MB, 5 MB goal, 0 MB stacks, 0 MB globals, 2 P")
	if !ok || got != 3750*time.Microsecond {
		t.Errorf("the collector's time is %v (%v), want 3.75ms: idle time does not count", got, ok)
	}
	if _, ok := gcTime(`{"msg":"gc 1 ms cpu"}`); ok {
		t.Error("a line of the log was taken for the collector's")
	}
	text := "# HELP x y\nx_total 5\nx 3\nx{a=\"b c\"} 4.5\n"
	if v, err := metricOf(text, "x"); err != nil || v != 7.5 {
		t.Errorf("metric x is %v, %v: want 7.5", v, err)
	}
	if _, err := metricOf(text, "y"); err == nil {
		t.Error("a metric that is not there has a value")
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := Config{Program: "a", Models: "b", Dir: "c", Pairs: 1, Unit: time.Second, Only: []string{"p1", "P8a"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Program = "" }, func(c *Config) { c.Pairs = 0 }, func(c *Config) { c.Unit = 0 }, func(c *Config) { c.Only = []string{"P99"} },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
