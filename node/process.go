package node

import (
	"log/slog"
	"os"
	"runtime"
	"time"
)

// A thread of Go's, its monitor, looks every 20 us for goroutines that have been in C or in the kernel for long, to give
// the slot that they hold to another one. Models run for milliseconds and disks sync for hundreds of microseconds, so it
// always finds some: it woke up 3,700 times a second and used 9 % of a core (measured, 2 cores, Linux 6.18). With a slot
// for every thread that infers and one for every two cores nobody waits for the monitor, and it may look more seldom. Each slot
// that is free has a thread woken up for the little that there is to do, in the way of a model: one for every core cost 2 %
// more.
const monitorSlack = 2 * time.Millisecond

// cores is how many processors this process may use: where a container's quota or an affinity says so, fewer than the machine
// has. It is read before Settle asks for more slots than that.
var cores = runtime.GOMAXPROCS(0)

// Settle makes the process fit for so many native threads that infer, and returns their number: where it is 0, one for each
// core that the process may use. It is for a process that does nothing else, such as a node's, and is called once; GOMAXPROCS
// in the environment wins.
func Settle(threads int, log *slog.Logger) int {
	if threads == 0 {
		threads = cores
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((cores+1)/2 + threads)
	}
	if err := slowMonitor(monitorSlack); err != nil {
		log.Debug("Go's monitor keeps its pace, which costs some CPU", "error", err)
	}
	return threads
}
