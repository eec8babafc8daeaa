package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera/load"
)

// sweepIsShown runs a sweep against a node. Points may be void, and a load may not be borne: the machine is not the test's
// alone.
func sweepIsShown(t *testing.T, n *childNode) {
	t.Helper()
	plot := filepath.Join(t.TempDir(), "plot.html")
	out, errs, status := assay(t, nil, "--addr", n.grpc, "--json", "bench", "--boards", "4", "--seconds", "0.5", "-r", "demo-board", "--sweep", "0.2,0.5", "--plot", plot)
	if status != 0 && status != 3 {
		t.Fatalf("sweep: exit status %d\n%s%s", status, out, errs)
	}
	var r sweepReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if r.Capacity <= 0 || len(r.Points) != 2 || r.Points[1].Offered != 0.5*r.Capacity {
		t.Errorf("got %+v, want a capacity and a point at 0.2 and 0.5 of it", r)
	}
	page, err := os.ReadFile(plot)
	if err != nil || !strings.Contains(string(page), "demo-board") {
		t.Errorf("the plot: %v\n%s", err, page)
	}
}

func TestPlotStandsAloneAndShowsEveryPoint(t *testing.T) {
	var page strings.Builder
	r := sweepReport{Recipe: "<casting>", Capacity: 100, Points: []sweepPoint{
		{Load: 0.1, P50: 9, P99: 20}, {Load: 0.9, P50: 15, P99: 300, Void: "late"}, {Load: 1, P50: 0, P99: 0},
	}}
	if err := plotPage(&page, r); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if n := strings.Count(text, "<circle"); n != 6 {
		t.Errorf("%d points, want 6", n)
	}
	if n := strings.Count(text, `fill="#fff"`); n != 2 {
		t.Errorf("%d hollow points, want the two that are void", n)
	}
	for _, foreign := range []string{"http:", "https:", "src=", "<casting>", "NaN", "Inf"} {
		if strings.Contains(text, foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	// Longer is higher up, more load further right.
	var at [][2]float64
	for _, m := range regexp.MustCompile(`<circle cx="([0-9.]+)" cy="([0-9.]+)"`).FindAllStringSubmatch(text, -1) {
		x, _ := strconv.ParseFloat(m[1], 64)
		y, _ := strconv.ParseFloat(m[2], 64)
		at = append(at, [2]float64{x, y})
	}
	if !(len(at) == 6 && at[0][0] < at[1][0] && at[4][1] < at[3][1]) {
		t.Errorf("the points lie at %v", at)
	}
	if err := plotPage(&page, sweepReport{}); err != nil {
		t.Errorf("an empty sweep: %v", err)
	}
}

func TestSweepPointCountsWhatCameInTime(t *testing.T) {
	out := []load.Outcome{
		{Budget: 50 * time.Millisecond, At: 10 * time.Millisecond, Answered: true, Judged: true, Correct: true},
		{Budget: 50 * time.Millisecond, Due: 900 * time.Millisecond, At: time.Second, Answered: true, Judged: true, Correct: true},
	}
	p := pointOf(0.5, 2, out)
	if p.Goodput != 0.5 || p.Frames != 2 || p.Answered != 2 || p.P50 != 10 || p.Max != 100 {
		t.Errorf("%+v: want half in time, 2 judged a second, 10 and 100 ms", p)
	}
	if err := (sweepReport{Points: []sweepPoint{p}}).verdict(); err == nil {
		t.Error("a node that misses half of its frames at half its capacity is well")
	}
}
