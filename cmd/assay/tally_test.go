package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// judgedAfter is the outcome of a frame that the model judged.
func judgedAfter(d time.Duration) camera.Outcome {
	return camera.Outcome{Latency: d, Recorded: true, Answer: &inspection.Answer{Judgement: inspection.Judgement{Source: inspection.SourceModel}}}
}

// A watch runs for months: its sum takes no more room than that of a day, and is still right.
func TestTallyOfALongRunIsBounded(t *testing.T) {
	const frames, common = 6 * maxSample, 7
	sum := newTally()
	for i := range frames {
		d := time.Duration(i) * time.Microsecond // it slows down: neither the first nor the last frames tell how it was
		if i == frames/2 {
			d = time.Hour
		}
		sum.add(judgedAfter(d))
		o := camera.Outcome{Dropped: true, Err: fmt.Errorf("shifted by %d px", i)}
		if i >= maxReasons && i%common == 0 {
			o.Err = errors.New("no such reference")
		}
		sum.add(o)
	}
	sum.finish()
	if got, want := sum.P50, float64(frames)/2000; got < 0.99*want || got > 1.01*want {
		t.Errorf("p50 is %v ms, want %v within a hundredth", got, want)
	}
	if got, want := sum.P99, 0.99*frames/1000; got < 0.998*want || got > 1.002*want {
		t.Errorf("p99 is %v ms, want %v within two thousandths", got, want)
	}
	if want := float64(time.Hour / time.Millisecond); sum.Max != want {
		t.Errorf("the longest is %v ms, want %v", sum.Max, want)
	}
	if len(sum.latencies.kept) > maxSample || len(sum.unjudged) > maxReasons {
		t.Errorf("%d times and %d reasons are kept, want at most %d and %d", len(sum.latencies.kept), len(sum.unjudged), maxSample, maxReasons)
	}
	var out bytes.Buffer
	(&app{out: &out}).printUnjudged(sum)
	contains(t, out.String(), fmt.Sprintf("Not judged by the model, %d: -: no such reference\n", sum.unjudged["-: no such reference"]), " for other reasons: ")
	if got, want := sum.unjudged["-: no such reference"], frames/common-maxReasons/common; got < want-1 || got > want+1 {
		t.Errorf("the common reason is counted %d times, want %d", got, want)
	}
}

func TestTallyOfAShortRunIsExact(t *testing.T) {
	sum := newTally()
	for _, i := range rand.Perm(1000) {
		sum.add(judgedAfter(time.Duration(i+1) * 100 * time.Microsecond))
	}
	for i := range 12 {
		sum.add(camera.Outcome{Dropped: true, Err: fmt.Errorf("reason %d", i/2)})
	}
	sum.finish()
	if sum.P50 != 50 || sum.P99 != 99 || sum.Max != 100 {
		t.Errorf("p50 %v, p99 %v, longest %v; want 50, 99 and 100 ms", sum.P50, sum.P99, sum.Max)
	}
	var out bytes.Buffer
	(&app{out: &out}).printUnjudged(sum)
	contains(t, out.String(), "Not judged by the model, 2: -: reason 0\n", "reason 4\n", "... and 2 for other reasons: ")
}
