package inference

import (
	"syscall"
	"testing"
)

// The threads that compute must give way to those that receive, record and answer.
func TestAThreadThatComputesGivesWay(t *testing.T) {
	nice := func() int { // the system call gives 20 less the nice value
		value, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid())
		if err != nil {
			t.Fatal(err)
		}
		return 20 - value
	}
	before, after := make(chan int), make(chan int)
	go func() {
		before <- nice()
		if err := yield(); err != nil {
			t.Errorf("yield: %v", err)
		}
		after <- nice()
	}()
	if was, is := <-before, <-after; is != was+politeness && is != 19 {
		t.Errorf("the thread's nice value went from %d to %d, want %d more", was, is, politeness)
	}
	b, err := startBatcher(BatcherConfig{Workers: 1, Queue: 1, Yield: true})
	quiet(t, err)
	defer b.Close()
	got := make(chan int, 1)
	quiet(t, b.Do(t.Context(), &fakeSession{sizes: []int{1}}, Order{}, &niceTask{got: got, nice: nice}))
	if is := <-got; is < politeness {
		t.Errorf("a worker runs at nice %d, want at least %d", is, politeness)
	}
}

// niceTask tells at which nice value it is filled.
type niceTask struct {
	fakeTask
	got  chan int
	nice func() int
}

func (t *niceTask) Fill(worker int, slots [][]byte) error {
	t.got <- t.nice()
	return t.fakeTask.Fill(worker, slots)
}
