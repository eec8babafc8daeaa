package ort

import (
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// places keeps the threads of a run by all apart: its caller on the first processor, the others on one each. Left alone, the kernel
// wakes the second thread on the first one's processor, to which what they share is near, and leaves it there until its next
// balancing: a run of 5 ms takes 12 (measured, 2 cores, 20 runs a second).
type places struct{ all, first unix.CPUSet }

// placesFor returns the places of so many threads, or nil where the process may not use just as many processors: which ones are
// free is then for the kernel to say.
func placesFor(threads int) *places {
	var p places
	if err := unix.SchedGetaffinity(0, &p.all); err != nil || threads < 2 || p.all.Count() != threads {
		return nil
	}
	for cpu := 0; p.first.Count() == 0; cpu++ {
		if p.all.IsSet(cpu) {
			p.first.Set(cpu)
		}
	}
	return &p
}

// others names the processors of the threads besides the caller's as ONNX Runtime wants it: counted from 1.
func (p *places) others() string {
	var names []string
	for cpu := 0; len(names) < p.all.Count()-1; cpu++ {
		if p.all.IsSet(cpu) && !p.first.IsSet(cpu) {
			names = append(names, strconv.Itoa(cpu+1))
		}
	}
	return strings.Join(names, ";")
}

// take brings the calling goroutine to the caller's place, until back. Where the kernel does not let it, the run is slower and
// nothing else.
func (p *places) take() (back func()) {
	if p == nil {
		return func() {}
	}
	runtime.LockOSThread()
	_ = unix.SchedSetaffinity(0, &p.first)
	return func() {
		_ = unix.SchedSetaffinity(0, &p.all)
		runtime.UnlockOSThread()
	}
}
