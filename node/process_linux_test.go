package node

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The thread that is slowed down must be the monitor, which sleeps by nanosleep or, where nothing runs, on a futex, and
// which runs Go's sysmon alone: a worker whose timers are late would be late with answers.
func TestTheMonitorIsFound(t *testing.T) {
	thread, err := monitor()
	if err != nil {
		t.Fatal(err)
	}
	if err := slowMonitor(2 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	slack := func(id int) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", id))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if got := slack(thread); got != "2000000" {
		t.Errorf("the monitor's slack: got %s ns, want 2000000", got)
	}
	// It is the one thread that naps while goroutines work.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
		}
	}()
	naps := 0
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread))
		if err != nil {
			t.Skipf("the kernel does not say what a thread waits for: %v", err)
		}
		if number, _, _ := strings.Cut(string(call), " "); number == fmt.Sprint(syscall.SYS_NANOSLEEP) {
			naps++
		}
	}
	if naps == 0 {
		t.Errorf("thread %d never naps while a goroutine works: it is not Go's monitor", thread)
	}
}
