package inference

import (
	"runtime"
	"syscall"
)

// politeness is by how much nicer than the rest of the process the threads are that decode and infer.
const politeness = 5

// yield keeps the calling goroutine on a thread of its own, to which the kernel prefers everything else of this process:
// receiving frames, recording and answering take microseconds and are late where they wait for a thread that computes
// for milliseconds, and a frame that was judged in time is then not answered in time. The thread ends with its goroutine.
func yield() error {
	runtime.LockOSThread()
	value, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid()) // 20 less the nice value
	if err != nil {
		return err
	}
	return syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), 20-value+politeness)
}
