package inference

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// However workers come and go: no more threads than there are, a run by all has them all, and everybody gets his turn.
func TestThreadsAreNeverMoreThanThereAre(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		total := rapid.IntRange(1, 5).Draw(rt, "total")
		type turn struct{ idle, narrow, wide time.Duration }
		turns := make([][]turn, total) // of each worker
		for w := range turns {
			for range rapid.IntRange(1, 8).Draw(rt, "turns") {
				ms := func(name string, most int) time.Duration {
					return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Millisecond
				}
				turns[w] = append(turns[w], turn{ms("idle", 9), ms("narrow", 5), ms("wide", 5)})
			}
		}
		var err error
		synctest.Test(t, func(*testing.T) {
			threads := newThreads(total)
			var mu sync.Mutex
			running, wides := 0, 0
			change := func(n, wide int) {
				mu.Lock()
				defer mu.Unlock()
				running, wides = running+n, wides+wide
				if running > total || wides > 0 && running != total {
					err = fmt.Errorf("%d threads run of %d, with %d runs by all", running, total, wides)
				}
			}
			var workers sync.WaitGroup
			for _, mine := range turns {
				workers.Go(func() {
					for _, u := range mine {
						time.Sleep(u.idle)
						threads.take()
						change(1, 0)
						time.Sleep(u.narrow)
						if threads.takeRest() {
							change(total-1, 1)
							time.Sleep(u.wide)
							change(1-total, -1)
							threads.giveRest()
						}
						change(-1, 0)
						threads.give()
					}
				})
			}
			workers.Wait() // a worker that never gets its turn is a deadlock, which synctest reports
			if threads.taken != 0 && err == nil {
				err = fmt.Errorf("%d threads were not given back", threads.taken)
			}
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func TestTheFirstToTakeAThreadIsAlone(t *testing.T) {
	threads := newThreads(2)
	if !threads.take() || threads.take() {
		t.Error("want the first to be alone and the second not")
	}
	threads.give()
	if !threads.takeRest() {
		t.Error("the rest was free and not given")
	}
	threads.giveRest()
	threads.give()
	if !threads.take() {
		t.Error("want whoever comes when all have gone to be alone")
	}
}
