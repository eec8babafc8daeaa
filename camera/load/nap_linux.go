package load

import (
	"syscall"
	"time"
)

// nap puts the calling thread to sleep. A signal may end it early.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}
