package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// script is a Source that yields what it is told to: a name, or an ErrShot for "bad". It counts what is done to it.
type script struct {
	names   []string
	frame   inspection.Frame
	settled []string
	closed  int
	freed   int
}

func (s *script) Next(ctx context.Context) (Shot, error) {
	if err := ctx.Err(); err != nil {
		return Shot{}, err
	}
	if len(s.names) == 0 {
		return Shot{}, io.EOF
	}
	name := s.names[0]
	s.names = s.names[1:]
	shot := Shot{Name: name, Frame: s.frame}
	if name == "bad" {
		return shot, fmt.Errorf("%w: bad", ErrShot)
	}
	shot.Frame.Image.Data = inspection.NewBuffer(func() { s.freed++ }, []byte(name))
	return shot, nil
}

func (s *script) Settle(shot Shot, recorded bool) error {
	s.settled = append(s.settled, fmt.Sprint(shot.Name, " ", recorded))
	return nil
}

func (s *script) Close() error { s.closed++; return nil }

func TestPacedNeverDrifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 30.0
		inner := &script{}
		for i := range 1000 {
			inner.names = append(inner.names, fmt.Sprint(i))
		}
		p, err := NewPaced(inner, rate)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // in the bubble: the start is the first Next
		start := time.Now()
		for i := range 1000 {
			shot, err := p.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			due := start.Add(time.Duration(float64(i) / rate * 1e9))
			at := due
			if i >= 300 && i < 450 {
				at = start.Add(15 * time.Second) // a receiver that slept from the 300th shot on: what is overdue comes at once
			}
			if !shot.Due.Equal(due) || !time.Now().Equal(at) {
				t.Fatalf("shot %d is due at %v and came at %v, want %v and %v", i, shot.Due.Sub(start), time.Since(start), due.Sub(start), at.Sub(start))
			}
			if i == 299 {
				time.Sleep(time.Until(start.Add(15 * time.Second)))
			}
		}
		if _, err := p.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v, want io.EOF", err)
		}
	})
}

func TestPacedLosesNoShotWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &script{names: []string{"a", "b", "bad", "c"}}
		p, err := NewPaced(inner, 1)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		next := func(patience time.Duration) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			shot, err := p.Next(ctx)
			return shot.Name, err
		}
		for _, want := range []struct {
			name string
			err  error
			at   time.Duration
		}{
			{"a", nil, 0}, {"", context.DeadlineExceeded, 100 * time.Millisecond}, {"b", nil, time.Second}, {"bad", ErrShot, 2 * time.Second},
			{"", context.DeadlineExceeded, 2100 * time.Millisecond},
		} {
			patience := 10 * time.Second
			if errors.Is(want.err, context.DeadlineExceeded) {
				patience = 100 * time.Millisecond
			}
			name, err := next(patience)
			if name != want.name || !errors.Is(err, want.err) || time.Since(start) != want.at {
				t.Fatalf("got %q, %v at %v; want %q, %v at %v", name, err, time.Since(start), want.name, want.err, want.at)
			}
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(inner.settled) != "[c false]" || inner.freed != 1 || inner.closed != 2 {
			t.Errorf("settled %v, freed %d, closed %d; want the shot that nobody came for settled as not recorded and freed, closes passed on", inner.settled, inner.freed, inner.closed)
		}
	})
}

func TestPacedChecksItsRate(t *testing.T) {
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1), 1e7} {
		_, err := NewPaced(&script{}, rate)
		wantError(t, err, inspection.ErrInvalid, "rate", "frames/s")
	}
}

func TestWrappersPassOn(t *testing.T) {
	folder := openFolder(t, FolderConfig{Dir: writeFiles(t, map[string][]byte{"a.jpg": aJPEG(t, 1), "b.jpg": aJPEG(t, 2)})})
	inner := &script{}
	for _, wrap := range []func(Source) (Source, error){
		func(s Source) (Source, error) { return NewPaced(s, 1) },
		func(s Source) (Source, error) { return NewLabelled(s, Labels{}) },
		func(s Source) (Source, error) { return NewLoop(1, func() (Source, error) { return s, nil }) },
	} {
		w, err := wrap(folder)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.(Sized).Len(); got != 2 {
			t.Errorf("%T of a folder has Len %d, want 2", w, got)
		}
		if err := w.(Settler).Settle(Shot{Name: "a"}, true); err != nil {
			t.Errorf("%T of a folder, which is no Settler: %v, want nothing done", w, err)
		}
		inner.settled = nil
		if w, err = wrap(inner); err != nil {
			t.Fatal(err)
		}
		if got := w.(Sized).Len(); got != -1 {
			t.Errorf("%T of a source without Len has Len %d, want -1", w, got)
		}
		if err := w.(Settler).Settle(Shot{Name: "a"}, true); err != nil || fmt.Sprint(inner.settled) != "[a true]" {
			t.Errorf("%T: the source inside heard %v, error %v; want [a true]", w, inner.settled, err)
		}
	}
}

func TestLabelledFillsInWhatIsEmpty(t *testing.T) {
	inner := &script{names: []string{"a", "bad"}, frame: inspection.Frame{View: "bottom", Serial: "S1"}}
	l, err := NewLabelled(inner, Labels{View: "top", Reference: "t", RunID: "r", Lot: "l", WorkOrder: "w", Product: "p", Recipe: "x"})
	if err != nil {
		t.Fatal(err)
	}
	want := inspection.Frame{View: "bottom", Serial: "S1", Reference: "t", RunID: "r", Lot: "l", WorkOrder: "w", Product: "p", Recipe: "x"}
	for _, kind := range []error{nil, ErrShot} {
		shot, err := l.Next(t.Context())
		if !errors.Is(err, kind) {
			t.Fatalf("error is %v, want %v", err, kind)
		}
		shot.Frame.Image = inspection.Image{}
		if shot.Frame != want {
			t.Errorf("frame is %+v\nwant %+v", shot.Frame, want)
		}
	}
	_, err = NewLabelled(inner, Labels{WorkOrder: "a\nb"})
	wantError(t, err, inspection.ErrInvalid, "work_order")
}
