package ort

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func affinity(t *testing.T) unix.CPUSet {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// The threads of a run by all have a processor each, and the caller's is free to go afterwards.
func TestThreadsOfAWideRunAreKeptApart(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := affinity(t)
	n := all.Count()
	if n < 2 { // there is no run by all threads
		if placesFor(n) != nil {
			t.Error("got places on a single processor")
		}
		return
	}
	p := placesFor(n)
	if p == nil {
		t.Fatalf("got no places for %d threads on as many processors", n)
	}
	others := strings.Split(p.others(), ";")
	if len(others) != n-1 {
		t.Errorf("got %q, want a processor for each of %d threads", p.others(), n-1)
	}
	for _, name := range others {
		if cpu, err := strconv.Atoi(name); err != nil || !all.IsSet(cpu-1) || p.first.IsSet(cpu-1) {
			t.Errorf("got %q, want processors of the process other than the caller's, counted from 1", p.others())
		}
	}
	back := p.take()
	if got := affinity(t); got != p.first || got.Count() != 1 {
		t.Errorf("in the run the caller may use %d processors, want its own", got.Count())
	}
	back()
	if got := affinity(t); got != all {
		t.Errorf("after the run the caller may use %d processors, want all %d", got.Count(), n)
	}
	if placesFor(n+1) != nil || placesFor(1) != nil {
		t.Error("got places where threads and processors are not as many: which ones are free is for the kernel to say")
	}
	var none *places
	back = none.take()
	back()
	if got := affinity(t); got != all {
		t.Error("without places the caller was moved")
	}
}
