package load

import (
	"syscall"
	"time"
	"unsafe"
)

// nap puts the calling thread to sleep. A signal may end it early.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}

// promote asks for real-time scheduling of the calling thread, so that it wakes up when it wants although the node and
// this client use every core: on a line, the trigger comes from outside. It needs the right to (root, or CAP_SYS_NICE).
func promote() bool {
	const roundRobin, resetOnFork = 2, 0x40000000
	priority := struct{ value int32 }{1}
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, roundRobin|resetOnFork, uintptr(unsafe.Pointer(&priority)))
	return errno == 0
}
