package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// processCPU reads the CPU clock of a process, user and system time of all its threads in nanoseconds: what getrusage
// would say in that process.
func processCPU(pid int) (time.Duration, error) {
	const processClock = 2 // CPUCLOCK_SCHED, of a whole process
	id := uintptr(^pid)<<3 | processClock
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// sleeps sums up how often the threads of a process went to sleep, each of which somebody had to wake up again. Threads
// that ended do not count.
func sleeps(pid int) (n int) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		rest, _, _ = strings.Cut(rest, "\n")
		switches, _ := strconv.Atoi(strings.TrimSpace(rest))
		n += switches
	}
	return n
}
