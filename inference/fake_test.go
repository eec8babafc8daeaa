package inference

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/assay-vision/assay/inference/decode"
)

// fakeSession stands in for a device: it echoes each sample's number, takes time, and fails or panics over samples that
// it cannot bear.
type fakeSession struct {
	sizes    []int
	takes    time.Duration // a batch
	each     time.Duration // and so much more for each sample of it
	device   string
	bad      func(number uint32) bool // the whole batch fails
	explodes func(number uint32) bool // Run panics

	mu      sync.Mutex
	leased  int
	ran     [][]uint32 // samples of each run, padding as 0
	outside int        // runs at the same time, and the most there were
	most    int
}

var errBad = errors.New("the device cannot bear this batch")

func (s *fakeSession) BatchSizes() []int   { return s.sizes }
func (s *fakeSession) Device() string      { return s.device }
func (s *fakeSession) Fallbacks() []string { return nil }
func (s *fakeSession) Close() error        { return nil }

func (s *fakeSession) Lease(size int) (Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leased++
	b := &fakeBatch{session: s, size: size, input: make([]byte, 4*size)}
	for i := range b.input {
		b.input[i] = 0xEE // what an earlier batch left
	}
	return b, nil
}

type fakeBatch struct {
	session *fakeSession
	size    int
	input   []byte
}

func (b *fakeBatch) Inputs() [][]byte { return [][]byte{b.input} }

func (b *fakeBatch) Release() {
	b.session.mu.Lock()
	b.session.leased--
	b.session.mu.Unlock()
}

func (b *fakeBatch) Run() ([]decode.Output, error) {
	s := b.session
	out := decode.Output{Name: "echo", Shape: []int64{int64(b.size)}, Data: make([]float32, b.size)}
	var members []uint32
	for at := range b.size {
		n := binary.LittleEndian.Uint32(b.input[4*at:])
		members = append(members, n)
		out.Data[at] = float32(n)
	}
	s.mu.Lock()
	s.ran = append(s.ran, members)
	s.outside++
	s.most = max(s.most, s.outside)
	s.mu.Unlock()
	time.Sleep(s.takes + time.Duration(b.size)*s.each)
	s.mu.Lock()
	s.outside--
	s.mu.Unlock()
	for _, n := range members {
		if s.explodes != nil && s.explodes(n) {
			panic("the device exploded")
		}
		if s.bad != nil && s.bad(n) {
			return nil, errBad
		}
	}
	return []decode.Output{out}, nil
}

// fakeTask fills in its number and reads it back.
type fakeTask struct {
	number   uint32
	deadline time.Time
	takes    time.Duration
	refuse   error // what Fill says
	panics   bool  // Fill panics

	mu       sync.Mutex
	got      float32
	fills    int
	reads    int
	releases int
	late     bool // Fill was called at or after the deadline
	after    bool // something was called after Release
}

func (t *fakeTask) Fill(_ int, slots [][]byte) error {
	t.mu.Lock()
	t.fills++
	t.after = t.after || t.releases > 0
	t.late = !t.deadline.IsZero() && !time.Now().Before(t.deadline)
	t.mu.Unlock()
	time.Sleep(t.takes)
	if t.panics {
		panic("Fill exploded")
	}
	if t.refuse != nil {
		return t.refuse
	}
	binary.LittleEndian.PutUint32(slots[0], t.number)
	return nil
}

func (t *fakeTask) Read(outs []decode.Output, at int, start, end time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	t.after = t.after || t.releases > 0
	t.got = outs[0].Data[at]
	return nil
}

func (t *fakeTask) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.releases++
}

// check returns what the batcher did wrong by this task, once everything has ended.
func (t *fakeTask) check(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.releases != 1:
		return fmt.Errorf("task %d was released %d times, want once", t.number, t.releases)
	case t.fills > 1 || t.reads > 1 || t.reads > t.fills:
		return fmt.Errorf("task %d was filled %d and read %d times", t.number, t.fills, t.reads)
	case t.after:
		return fmt.Errorf("task %d was touched after its release", t.number)
	case t.late:
		return fmt.Errorf("task %d was begun after its deadline", t.number)
	case err == nil && (t.reads != 1 || t.got != float32(t.number)):
		return fmt.Errorf("task %d got the answer %v in %d reads", t.number, t.got, t.reads)
	}
	return nil
}

func quiet(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
