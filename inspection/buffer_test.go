package inspection

import (
	"bytes"
	"sync"
	"testing"
)

func TestBufferBytes(t *testing.T) {
	b := NewBuffer(nil, []byte("ab"), nil, []byte("cde"))
	if b.Len() != 5 || string(b.AppendTo([]byte("x"))) != "xabcde" {
		t.Errorf("got %d bytes, %q", b.Len(), b.AppendTo([]byte("x")))
	}
	scratch := make([]byte, 2, 16)
	if got := b.Contiguous(scratch); string(got) != "abcde" || &got[0] != &scratch[0] {
		t.Errorf("got %q, want abcde in the scratch", got)
	}
	one := []byte("only")
	if got := NewBuffer(nil, one).Contiguous(nil); &got[0] != &one[0] {
		t.Error("one piece: got a copy, want the piece itself")
	}
	var none *Buffer
	if none.Len() != 0 || none.Pieces() != nil || len(none.Contiguous(nil)) != 0 || none.Ref() != nil {
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
