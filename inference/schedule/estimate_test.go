package schedule_test

import (
	"errors"
	"testing"
	"time"

	"github.com/assay-vision/assay/inference/schedule"
	"github.com/assay-vision/assay/inspection"
)

const ms = time.Millisecond

func open(t *testing.T, executors int) *queue {
	t.Helper()
	q, err := schedule.New[int, *event](schedule.Config{Executors: executors, Depth: 100}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// offer adds a sample with so much time left.
func offer(q *queue, at, left time.Duration) (*sample, error) {
	s := &sample{Arrival: epoch.Add(at), Deadline: epoch.Add(at + left)}
	return s, q.Add(s, epoch.Add(at))
}

func TestWhatIsUnknownRefusesNobody(t *testing.T) {
	q := open(t, 1)
	q.Introduce(0, schedule.Proportional([]int{1, 2}))
	if _, err := offer(q, 0, ms/1000); err != nil {
		t.Errorf("nothing measured yet: got %v", err)
	}
	q.Observe(0, 1, 20*ms, epoch)
	if _, err := offer(q, 0, 19*ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("19 ms left for a run of 20: got %v, want ErrDeadline", err)
	}
	if _, err := offer(q, 0, 20*ms); err != nil {
		t.Errorf("20 ms left for a run of 20: got %v", err)
	}
	if c, ok := q.Curve(0); !ok || c[1].Expected != 40*ms {
		t.Errorf("got curve %v, %t: want the shape at the measured scale, 40 ms for two", c, ok)
	}
}

func TestAnEstimateThatNobodyConfirmsRefusesNobodyForLong(t *testing.T) {
	q := open(t, 1)
	q.Introduce(0, schedule.Proportional([]int{1}))
	q.Observe(0, 1, 100*ms, epoch) // a stall, and the first run of all
	if _, err := offer(q, 390*ms, 50*ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("a fresh estimate: got %v, want ErrDeadline", err)
	}
	if _, err := offer(q, 410*ms, 50*ms); err != nil {
		t.Errorf("an estimate that is four runs old: got %v, want that somebody tries", err)
	}
}

// What needs many samples is refused by what all of them take on all executors, in the fastest batches that there are, and
// one that waits is dropped when what is left of them can no longer be in time.
func TestWhatFollowsCounts(t *testing.T) {
	q := open(t, 2)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}, {Size: 4, Expected: 24 * ms, P99: 24 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	tile := func(left time.Duration, follow int) *sample {
		return &sample{Arrival: epoch, Deadline: epoch.Add(left), Follow: follow}
	}
	for _, c := range []struct {
		left   time.Duration
		follow int
		want   error
	}{
		{10 * ms, 0, nil},
		{10 * ms, 2, nil}, // three take 9 ms in batches of 4 on two executors, and one alone takes 10
		{300*ms - 1, 99, inspection.ErrDeadline},
		{300 * ms, 99, nil},
		{0, 99, inspection.ErrDeadline},
	} {
		if err := q.Add(tile(c.left, c.follow), epoch); !errors.Is(err, c.want) {
			t.Errorf("%v left for %d samples: got %v, want %v", c.left, c.follow+1, err, c.want)
		}
	}
	if err := q.Add(&sample{Arrival: epoch, Follow: 1 << 40}, epoch); err != nil {
		t.Errorf("no deadline: got %v", err)
	}
	s := tile(400*ms, 99)
	if last, ok := q.Latest(s, epoch); !ok || last.Sub(epoch) != 100*ms+1 || q.Waits(s) {
		t.Errorf("Latest: got %v, %t, want that it is too late after 100 ms", last.Sub(epoch), ok)
	}
	if err := q.Add(s, epoch); err != nil {
		t.Fatal(err)
	}
	if q.Expire(s, epoch.Add(100*ms)) || !q.Expire(s, epoch.Add(100*ms+1)) {
		t.Error("a hundred samples that take 300 ms wait for an answer in 400: want them dropped right after 100 ms")
	}
	q.ObserveAlone(0, 2*ms, epoch) // by all threads at once a sample is faster than any batch
	if err := q.Add(tile(200*ms, 99), epoch); err != nil {
		t.Errorf("200 ms for a hundred of 2 ms each: got %v", err)
	}
}

func TestAStallMovesTheEstimateLittleAndALastingChangeAllTheWay(t *testing.T) {
	q := open(t, 1)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}, {Size: 2, Expected: 15 * ms, P99: 15 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	q.Observe(0, 1, 10*time.Second, epoch)
	if c, _ := q.Curve(0); c[0].Expected > 40*ms {
		t.Errorf("after one stall of 10 s: got %v, want no more than an outlier's weight", c[0])
	}
	for range 300 {
		q.Observe(0, 1, 20*ms, epoch)
	}
	c, _ := q.Curve(0)
	for i, want := range []time.Duration{20 * ms, 30 * ms} {
		if got := c[i].Expected; got < want*98/100 || got > want*102/100 {
			t.Errorf("size %d on a device that got half as fast: got %v, want about %v", c[i].Size, got, want)
		}
	}
	if c[0].P99 > 21*ms {
		t.Errorf("300 equal runs: got p99 %v, want the stall forgotten", c[0].P99)
	}
}

func TestP99IsMeasured(t *testing.T) {
	q := open(t, 1)
	q.Introduce(0, schedule.Proportional([]int{1}))
	for i := range 512 {
		took := 10 * ms
		if i%50 == 0 {
			took = 30 * ms
		}
		q.Observe(0, 1, took, epoch)
	}
	if c, _ := q.Curve(0); c[0].P99 < 2*c[0].Expected {
		t.Errorf("2 of 100 runs take three times as long: got %v, want a p99 of at least twice the mean", c[0])
	}
}

func TestDecodingIsPredictedFromBytes(t *testing.T) {
	q := open(t, 1)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	jpeg := func(left time.Duration) error {
		return q.Add(&sample{Source: schedule.Source{Format: inspection.FormatJPEG}, Bytes: 2_000_000, Arrival: epoch, Deadline: epoch.Add(left)}, epoch)
	}
	if err := jpeg(29 * ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("2 MB to decode at 100 MB/s and a run of 10 ms in 29 ms: got %v, want ErrDeadline", err)
	}
	if err := jpeg(30 * ms); err != nil {
		t.Errorf("the same in 30 ms: got %v", err)
	}
	for range 64 {
		q.ObserveFill(schedule.Source{Format: inspection.FormatJPEG}, 1_000_000, 2*ms, epoch)
	}
	if err := jpeg(15 * ms); err != nil {
		t.Errorf("after decoding was measured at 500 MB/s, in 15 ms: got %v", err)
	}
}

// A picture that is slow to decode says nothing of another camera's, and while the machine stood still nothing of itself: who
// is refused for it too long is let pass, and what that one takes is believed.
func TestADecodeTimeRefusesOnlyItsOwnAndNotForLong(t *testing.T) {
	q := open(t, 1)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	from := func(view string, at time.Duration) error {
		q.Observe(0, 1, 10*ms, epoch.Add(at)) // others are served all along
		return q.Add(&sample{
			Source: schedule.Source{View: view, Format: inspection.FormatJPEG}, Bytes: 500_000, Arrival: epoch.Add(at), Deadline: epoch.Add(at + 20*ms),
		}, epoch.Add(at))
	}
	for range 32 {
		q.ObserveFill(schedule.Source{View: "slow", Format: inspection.FormatJPEG}, 500_000, 15*ms, epoch)
	}
	if err := from("other", ms); err != nil {
		t.Errorf("5 ms to decode and a run of 10 in 20 ms, beside a camera whose pictures take 15: got %v", err)
	}
	if err := from("slow", ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("15 ms to decode and a run of 10 in 20 ms: got %v, want ErrDeadline", err)
	}
	if err := from("slow", 251*ms); err != nil {
		t.Errorf("nobody confirmed it for a quarter of a second: got %v, want that somebody tries", err)
	}
	q.ObserveFill(schedule.Source{View: "slow", Format: inspection.FormatJPEG}, 500_000, 6*ms, epoch.Add(270*ms))
	if err := from("slow", 280*ms); err != nil {
		t.Errorf("who tried took 6 ms: got %v", err)
	}
}

// A run that takes longer than expected while that was doubted is one more slow run, not the truth.
func TestOnlyAFasterTryIsBelieved(t *testing.T) {
	q := open(t, 1)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 60 * ms, P99: 60 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	q.Observe(0, 1, 60*ms, epoch)
	expected := func() time.Duration { c, _ := q.Curve(0); return c[0].Expected }
	try := func(at, took time.Duration) {
		if _, err := offer(q, at, 50*ms); err != nil {
			t.Fatalf("at %v: %v, want that somebody tries", at, err)
		}
		if d := q.Next(0, epoch.Add(at)); len(d.Batch) != 1 {
			t.Fatalf("at %v: nobody was begun with", at)
		}
		if _, err := offer(q, at, 50*ms); !errors.Is(err, inspection.ErrDeadline) {
			t.Errorf("at %v, while one tries: got %v, want ErrDeadline", at, err)
		}
		q.Observe(0, 1, took, epoch.Add(at+took))
		q.Next(0, epoch.Add(at+took))
	}
	try(time.Second, 120*ms)
	if e := expected(); e < 61*ms || e > 70*ms {
		t.Errorf("after a try of 120 ms where 60 were expected: got %v, want a little more than 60", e)
	}
	try(3*time.Second, 10*ms)
	if e := expected(); e > 11*ms {
		t.Errorf("after a try of 10 ms: got %v, want that", e)
	}
	q.Observe(0, 1, 5*ms, epoch.Add(4*time.Second))
	if e := expected(); e < 9*ms {
		t.Errorf("after a run of 5 ms that refused nobody: got %v, want no more than its weight", e)
	}
}

// The first picture of a process is decoded by code and into memory that nobody touched yet. Those after it must not pay.
func TestOneSlowPictureIsNotBelieved(t *testing.T) {
	q := open(t, 1)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 10 * ms, P99: 10 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	q.ObserveFill(schedule.Source{Format: inspection.FormatPNG}, 100_000, 30*ms, epoch)
	for range 3 {
		q.ObserveFill(schedule.Source{Format: inspection.FormatPNG}, 100_000, ms, epoch)
	}
	s := &sample{Source: schedule.Source{Format: inspection.FormatPNG}, Bytes: 100_000, Arrival: epoch, Deadline: epoch.Add(12 * ms)}
	if err := q.Add(s, epoch); err != nil {
		t.Errorf("1 ms to decode, but 30 the first time of four, and a run of 10 ms in 12 ms: got %v", err)
	}
}

func TestAnIdleDeviceMayBeFasterThanOneExecutor(t *testing.T) {
	q := open(t, 2)
	if err := q.SetCurve(0, schedule.Curve{{Size: 1, Expected: 20 * ms, P99: 20 * ms}}, epoch); err != nil {
		t.Fatal(err)
	}
	q.ObserveAlone(0, 11*ms, epoch)
	if _, err := offer(q, 0, 11*ms); err != nil {
		t.Errorf("11 ms left where all threads take 11: got %v", err)
	}
	if _, err := offer(q, 0, 10*ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("10 ms left where all threads take 11: got %v, want ErrDeadline", err)
	}
	if d := q.Next(0, epoch); len(d.Batch) != 1 {
		t.Fatalf("got a batch of %d, want the sample that waits", len(d.Batch))
	}
	if _, err := offer(q, 0, 19*ms); !errors.Is(err, inspection.ErrDeadline) {
		t.Errorf("19 ms left, where one executor takes 20 and another is at work: got %v, want ErrDeadline", err)
	}
	if _, err := offer(q, 0, 20*ms); err != nil {
		t.Errorf("20 ms left, where one executor takes 20 and another is at work: got %v", err)
	}
}

func TestCurvesAreChecked(t *testing.T) {
	q := open(t, 1)
	for _, c := range []schedule.Curve{
		nil, {{Size: 0, Expected: 1, P99: 1}}, {{Size: 1, Expected: 0, P99: 1}}, {{Size: 1, Expected: 2, P99: 1}},
		{{Size: 2, Expected: 1, P99: 1}, {Size: 2, Expected: 1, P99: 1}},
	} {
		if err := q.SetCurve(0, c, epoch); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("%v: got %v, want ErrInvalid", c, err)
		}
	}
	if schedule.Proportional([]int{1, 2, 4}).BatchFriendly() || !schedule.Overhead([]int{1, 2, 4}).BatchFriendly() {
		t.Error("a batch pays where it costs less than its samples one by one, and only there")
	}
}

// Where run times vary so much that nobody can be sure of them, a sample with time to spare goes before one that would most
// likely end late.
func TestWhoHasAChanceGoesFirstWhereNobodyIsSafe(t *testing.T) {
	for _, c := range []struct {
		name    string
		took    func(run int) time.Duration
		left    []time.Duration
		started int
	}{
		{"nine of ten take as long as ever", func(run int) time.Duration {
			if run%20 == 0 {
				return 39 * ms
			}
			return 10 * ms
		}, []time.Duration{12 * ms, 20 * ms, 30 * ms}, 0},
		{"one of two takes twice as long", func(run int) time.Duration { return 10*ms + time.Duration(run%2)*20*ms }, []time.Duration{21 * ms, 24 * ms, 28 * ms}, 2},
	} {
		q := open(t, 1)
		q.Introduce(0, schedule.Proportional([]int{1}))
		for run := range 512 {
			q.Observe(0, 1, c.took(run), epoch)
		}
		var waiting []*sample
		for _, left := range c.left {
			s, err := offer(q, 0, left)
			if err != nil {
				t.Fatalf("%s: %v left: %v", c.name, left, err)
			}
			waiting = append(waiting, s)
		}
		d := q.Next(0, epoch)
		if len(d.Batch) != 1 || d.Batch[0] != waiting[c.started] {
			curve, _ := q.Curve(0)
			t.Errorf("%s, %v: got %d samples, want the one with %v left", c.name, curve, len(d.Batch), c.left[c.started])
		}
	}
}
