package benchmarks

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/assay-vision/assay/camera/load"
)

// policy orders the frames that wait. The first of each comparison runs first.
type policy struct {
	name  string
	order func(a, b waiting) int
	drops bool // what can no longer be in time does not run
}

// waiting is a frame of a simulated queue.
type waiting struct {
	at, deadline time.Duration
	budget       time.Duration
	index        int
}

// waits is a frame of a timetable as it enters a queue. deadline is that of frames without a budget of their own.
func waits(s load.Schedule, index int, deadline time.Duration) waiting {
	a := s[index]
	budget := cmp.Or(a.Budget, deadline)
	return waiting{a.At, a.At + budget, budget, index}
}

// pop takes the first frame out of a queue that is not empty.
func (p policy) pop(queue *[]waiting) waiting {
	at := 0
	for i := range *queue {
		if p.order((*queue)[i], (*queue)[at]) < 0 {
			at = i
		}
	}
	w := (*queue)[at]
	*queue = slices.Delete(*queue, at, at+1)
	return w
}

// policies are what a node is compared with under mixed deadlines, each as it is written in textbooks and with the
// hopeless dropped.
func policies() []policy {
	fifo := func(a, b waiting) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.index, b.index)) }
	first := func(a, b waiting) int { return cmp.Or(cmp.Compare(a.budget, b.budget), fifo(a, b)) }
	edf := func(a, b waiting) int { return cmp.Or(cmp.Compare(a.deadline, b.deadline), fifo(a, b)) }
	return []policy{
		{"FIFO", fifo, false}, {"FIFO+drop", fifo, true}, {"priorities", first, false}, {"priorities+drop", first, true},
		{"EDF", edf, false}, {"EDF+drop", edf, true},
	}
}

// simulate runs a timetable through servers that each take service for a frame, and returns which frames were in time.
func (p policy) simulate(s load.Schedule, servers int, service time.Duration) []bool {
	good := make([]bool, len(s))
	free := make([]time.Duration, servers)
	var queue []waiting
	next, now := 0, time.Duration(0)
	for next < len(s) || len(queue) > 0 {
		server := 0
		for i := range free {
			if free[i] < free[server] {
				server = i
			}
		}
		now = max(now, free[server]) // who was free before frames came takes them when they come
		if len(queue) == 0 {
			now = max(now, s[next].At)
		}
		for ; next < len(s) && s[next].At <= now; next++ {
			queue = append(queue, waits(s, next, 0))
		}
		w := p.pop(&queue)
		end := now + service
		if p.drops && end > w.deadline {
			free[server] = now
			continue
		}
		free[server] = end
		good[w.index] = end <= w.deadline
	}
	return good
}

// bestPolicy returns the policy with most frames in time, and that share.
func bestPolicy(s load.Schedule, servers int, service time.Duration) (best policy, share float64) {
	share = math.Inf(-1)
	for _, p := range policies() {
		if got := shareOf(p.simulate(s, servers, service)); got > share {
			best, share = p, got
		}
	}
	return best, share
}

// edfDrop runs the frame whose deadline is next and drops the hopeless: where all have one budget, in the order in which they came.
func edfDrop() policy {
	all := policies()
	return all[len(all)-1]
}
