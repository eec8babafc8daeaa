package node

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slowMonitor lets the kernel wake Go's monitor up to slack later than it asked for.
func slowMonitor(slack time.Duration) error {
	thread, err := monitor()
	if err != nil {
		return err
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", thread), strconv.AppendInt(nil, slack.Nanoseconds(), 10), 0)
}

// monitor finds the thread of Go's monitor: the first one that the runtime starts, whose numbers go round.
func monitor() (int, error) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	var threads []int
	for _, e := range entries {
		if id, err := strconv.Atoi(e.Name()); err == nil && id != os.Getpid() {
			threads = append(threads, id)
		}
	}
	if len(threads) == 0 {
		return 0, errors.New("the process has one thread")
	}
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return 0, err
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read pid_max: %w", err)
	}
	return slices.MinFunc(threads, func(a, b int) int { return age(a, most) - age(b, most) }), nil
}

// age is how many numbers after the process's own a thread got its own.
func age(thread, most int) int { return (thread - os.Getpid() + most) % most }
