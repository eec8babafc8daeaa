package inspection

import (
	"bytes"
	"sync"
	"testing"
)

func TestBufferBytes(t *testing.T) {
	data := []byte("abcde")
	if b := NewBuffer(nil, data); b.Len() != 5 || &b.Bytes()[0] != &data[0] {
		t.Errorf("got %d bytes, want the 5 themselves", b.Len())
	}
	var none *Buffer
	if none.Len() != 0 || none.Bytes() != nil || none.Ref() != nil {
		t.Error("a nil Buffer is not empty")
	}
	none.Release()
}

func TestBufferReferences(t *testing.T) {
	freed := 0
	data := bytes.Repeat([]byte{7}, 10)
	b := NewBuffer(func() { freed++ }, data)
	if b.Ref() != b {
		t.Error("Ref: got another Buffer")
	}
	b.Release()
	if freed != 0 {
		t.Fatalf("freed %d times while a reference is held", freed)
	}
	b.Release()
	if freed != 1 {
		t.Fatalf("freed %d times, want 1", freed)
	}
	mustPanic(t, "Release", b.Release)
	mustPanic(t, "Ref", func() { b.Ref() })
	if freed != 1 {
		t.Errorf("freed %d times, want 1", freed)
	}
}

func TestBufferReferencesAcrossGoroutines(t *testing.T) {
	freed := make(chan struct{}, 2)
	b := NewBuffer(func() { freed <- struct{}{} }, []byte("x"))
	var wg sync.WaitGroup
	for range 8 {
		held := b.Ref()
		wg.Go(func() {
			for range 100 {
				held.Ref().Release()
			}
			held.Release()
		})
	}
	b.Release()
	wg.Wait()
	if n := len(freed); n != 1 {
		t.Errorf("freed %d times, want 1", n)
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s of a released Buffer: got no panic", what)
		}
	}()
	f()
}
