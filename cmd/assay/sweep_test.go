package main

import (
	"encoding/json"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/camera/load"
	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
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
	if r.Pattern != "poisson" {
		t.Errorf("pattern %q, want poisson where none is named", r.Pattern)
	}
	page, err := os.ReadFile(plot)
	if err != nil || !strings.Contains(string(page), "demo-board") {
		t.Errorf("the plot: %v\n%s", err, page)
	}
}

// patternIsSent runs one rate by a pattern against a node.
func patternIsSent(t *testing.T, n *childNode) {
	t.Helper()
	args := []string{"--addr", n.grpc, "bench", "--boards", "4", "--seconds", "1", "-r", "demo-board", "--streams", "3", "--rate", "12", "--pattern", "together"}
	out, errs, status := assay(t, nil, append([]string{"--json"}, args...)...)
	if status != 0 && status != 3 {
		t.Fatalf("pattern: exit status %d\n%s%s", status, out, errs)
	}
	var r sweepReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if r.Pattern != "together" || r.Capacity != 0 || len(r.Points) != 1 || r.Points[0].Frames != 12 || r.Points[0].Offered != 12 {
		t.Errorf("got %+v, want one point of 12 frames: 4 of each of 3 cameras", r)
	}
	out, errs, status = assay(t, nil, args...)
	if status != 0 && status != 3 {
		t.Fatalf("pattern: exit status %d\n%s%s", status, out, errs)
	}
	contains(t, out, "3 cameras, recipe demo-board", "all cameras triggered at once")
}

func TestPatternsAreThoseOfTheGenerator(t *testing.T) {
	const rate, cameras, length = 60.0, 6, 20 * time.Second
	for name, want := range map[string]struct {
		most    int  // frames due at one time
		streams bool // each camera has its own
	}{"poisson": {1, false}, "cameras": {1, true}, "together": {6, true}, "bursts": {6, false}} {
		s, err := patterns()[name].table(rate, cameras, length, 1)
		if err != nil {
			t.Fatal(err)
		}
		at, streams := map[time.Duration]int{}, map[int]int{}
		most := 0
		for _, a := range s {
			at[a.At]++
			most = max(most, at[a.At])
			streams[a.Stream]++
		}
		if n := len(s); n < 1000 || n > 1400 || most != want.most || (len(streams) == cameras) != want.streams {
			t.Errorf("%s: %d frames, %d at once, from streams %v; want about 1200, %d at once", name, n, most, streams, want.most)
		}
	}
	if len(patterns()) != 4 {
		t.Errorf("patterns %v", patterns())
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
	if strings.Contains(text, "too low") {
		t.Error("the page warns of a capacity that was judged")
	}
	page.Reset()
	if err := plotPage(&page, sweepReport{Warning: "3 <refused>"}); err != nil || !strings.Contains(page.String(), "too low, and so is every load: 3 &lt;refused&gt;") {
		t.Errorf("a sweep without points and with a warning: %v\n%s", err, page.String())
	}
	if err := (sweepReport{Warning: "3 refused"}).verdict(); err == nil || !strings.Contains(err.Error(), "3 refused") {
		t.Errorf("a capacity that is too low ends with %v", err)
	}
}

func TestReasonsAreOfFramesThatNoModelJudged(t *testing.T) {
	out := []load.Outcome{{Answered: true, Judged: true}, {Answered: true, Reason: "DEADLINE"}, {}, {Answered: true, Reason: "DEADLINE"}}
	if got, want := countNames(reasons(out)), "2 DEADLINE, 1 without an answer"; got != want {
		t.Errorf("got %q, want %q", got, want)
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
	for goodput, well := range map[float64]bool{1: true, 0.995: false} {
		if err := (sweepReport{Points: []sweepPoint{{Offered: 20, Goodput: goodput}}}).verdict(); (err == nil) != well {
			t.Errorf("goodput %v at a rate that was asked for: %v, want well %v", goodput, err, well)
		}
	}
}

// refusing is a node that answers each frame at once: by the model where the frame's budget is at least enough and its
// seq is no multiple of every, else by the fallback.
type refusing struct {
	assayv1.UnimplementedInspectionServiceServer
	enough time.Duration
	every  uint64
	budget time.Duration // of its recipe "hasty"
}

// serve starts it and returns its address.
func (n refusing) serve(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(proto.ServerOptions(1<<20, 1<<20)...)
	assayv1.RegisterInspectionServiceServer(server, n)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	return listener.Addr().String()
}

func (n refusing) Inspect(rpc grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]) error {
	for {
		var up proto.Upstream
		if err := rpc.RecvMsg(&up); err != nil {
			return nil
		}
		up.Image.Release()
		header := up.Msg.GetFrame().GetHeader()
		resp := &assayv1.InspectResponse{Message: &assayv1.InspectResponse_Welcome{Welcome: &assayv1.Welcome{
			Credits: 4, Recipes: []*assayv1.RecipeTerms{{Name: "hasty", Budget: durationpb.New(n.budget), Fallback: assayv1.Verdict_VERDICT_REVIEW, Ready: true}},
		}}}
		if header != nil {
			j := inspection.Judgement{Verdict: inspection.Pass, Source: inspection.SourceModel}
			if header.GetBudget().AsDuration() < n.enough || header.GetSeq()%n.every == 0 {
				j = inspection.Judgement{Verdict: inspection.Review, Source: inspection.SourceFallback, Reason: inspection.ReasonDeadline}
			}
			resp.Message = &assayv1.InspectResponse_Answer{Answer: &assayv1.Answer{Seq: header.GetSeq(), Judgement: proto.FromJudgement(j), Recorded: true}}
		}
		if err := rpc.Send(resp); err != nil {
			return nil
		}
	}
}

// The capacity is what the model judges: frames are given all the time they need, and where a node refuses some all the
// same the report says so.
func TestCapacityIsOfFramesThatTheModelJudged(t *testing.T) {
	for _, c := range []struct {
		name          string
		node          refusing
		warning, want string // parts of the warning and of the error; "": none
	}{
		{"a recipe with a short budget", refusing{enough: time.Minute, every: math.MaxUint64}, "", ""},
		{"one of 100 refused", refusing{every: 100}, "", ""},
		{"one of 10 refused", refusing{every: 10}, "DEADLINE", ""},
		{"all refused", refusing{every: 1}, "", "DEADLINE"},
	} {
		client, err := load.Dial(t.Context(), load.Config{Addr: c.node.serve(t), Line: "l", Station: "s", Camera: "c", Streams: 2})
		if err != nil {
			t.Fatal(err)
		}
		picture := inspection.Frame{Image: inspection.Image{Format: inspection.FormatPNG, Data: inspection.NewBuffer(nil, []byte("x"))}}
		rate, warning, err := capacity(t.Context(), client, 100*time.Millisecond, load.Options{Pictures: []inspection.Frame{picture}})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && rate <= 0 {
			t.Errorf("%s: %v frames/s, %v; want an error with %q", c.name, rate, err, c.want)
		}
		if (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) {
			t.Errorf("%s: warning %q, want %q", c.name, warning, c.warning)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Frames that wait for each other in a closed loop have the time for it, whatever the recipe's budget; a budget that was asked
// for, and the recipe's at a rate, hold.
func TestBenchWithoutARateHasNoHurry(t *testing.T) {
	addr := refusing{enough: time.Minute, every: math.MaxUint64, budget: 30 * time.Millisecond}.serve(t)
	for _, c := range []struct {
		flags  []string
		status int
	}{
		{nil, 0},
		{[]string{"--budget", "30ms"}, 3},
		{[]string{"--rate", "40"}, 3},
	} {
		args := append([]string{"--addr", addr, "--json", "bench", "-r", "hasty", "--boards", "2", "--streams", "8", "--seconds", "0.3"}, c.flags...)
		out, errs, status := assay(t, nil, args...)
		var r struct{ Summary tally }
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %v in %s%s", c.flags, err, out, errs)
		}
		judged := 0
		if c.status == 0 {
			judged = r.Summary.Frames
		}
		if status != c.status || r.Summary.Frames == 0 || r.Summary.Judged != judged {
			t.Errorf("%v: exit status %d, %d of %d frames judged, want status %d and %d judged\n%s", c.flags, status, r.Summary.Judged, r.Summary.Frames, c.status, judged, errs)
		}
	}
}
