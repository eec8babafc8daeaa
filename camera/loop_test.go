package camera

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

func TestLoopRepeatsAFolder(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{"a.jpg": aJPEG(t, 1), "b.jpg": []byte("bad"), "c.jpg": aJPEG(t, 3)})
	l, err := NewLoop(3, func() (Source, error) { return NewFolder(FolderConfig{Dir: dir}) })
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Len(); got != 9 {
		t.Errorf("Len is %d, want 9", got)
	}
	shots, bad := drain(t, l)
	wantNames(t, shots, "a.jpg", "c.jpg", "a.jpg", "c.jpg", "a.jpg", "c.jpg")
	if len(bad) != 3 {
		t.Errorf("%d bad shots, want 3", len(bad))
	}
	for i, want := range []string{"", "", "round-2", "round-2", "round-3", "round-3"} {
		if got := shots[i].Frame; got.RunID != want || got.Serial != strings.TrimSuffix(shots[i].Name, ".jpg") {
			t.Errorf("shot %d: run %q of serial %q, want run %q: a part that comes again is a new run", i, got.RunID, got.Serial, want)
		}
	}
}

func TestLoopForEver(t *testing.T) {
	var opened []*script
	l, err := NewLoop(0, func() (Source, error) {
		opened = append(opened, &script{names: []string{"a"}, frame: inspection.Frame{RunID: "r"}})
		return opened[len(opened)-1], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Len(); got != -1 {
		t.Errorf("Len is %d, want -1", got)
	}
	for i := 1; i <= 1000; i++ {
		shot, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("r/round-%d", i); i > 1 && shot.Frame.RunID != want {
			t.Fatalf("run id is %q, want %q", shot.Frame.RunID, want)
		}
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range opened {
		if s.closed != 1 {
			t.Fatalf("round %d was closed %d times, want once", i+1, s.closed)
		}
	}
	if _, err := l.Next(t.Context()); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("Next after Close: %v, want ErrClosed", err)
	}
}

func TestLoopEnds(t *testing.T) {
	l, err := NewLoop(0, func() (Source, error) { return &script{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("a loop for ever of nothing: %v, want io.EOF", err)
	}

	given := []string{"a"}
	l, err = NewLoop(0, func() (Source, error) {
		s := &script{names: given}
		given = nil // the folder was emptied meanwhile
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shots, _ := drain(t, l)
	wantNames(t, shots, "a")

	broken := errors.New("broken")
	rounds := 0
	l, err = NewLoop(2, func() (Source, error) {
		if rounds++; rounds == 2 {
			return nil, broken
		}
		return &script{names: []string{"a"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = l.Next(t.Context())
	wantError(t, err, broken, "open round 2")

	_, err = NewLoop(-1, nil)
	wantError(t, err, inspection.ErrInvalid, "rounds")
}

func TestLoopRefusesARunIDThatGrowsTooLong(t *testing.T) {
	var opened []*script
	l, err := NewLoop(2, func() (Source, error) {
		opened = append(opened, &script{names: []string{"a"}, frame: inspection.Frame{RunID: strings.Repeat("r", inspection.MaxName)}})
		return opened[len(opened)-1], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shots, bad := drain(t, l)
	wantNames(t, shots, "a")
	if len(bad) != 1 {
		t.Fatalf("bad shots %v, want one", bad)
	}
	wantError(t, bad[0], inspection.ErrInvalid, "run_id", "shorter")
	if opened[1].freed != 1 {
		t.Errorf("the refused picture was freed %d times, want once", opened[1].freed)
	}
}
