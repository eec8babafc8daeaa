package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
)

// output is what a program has written until now.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// watching is an 'assay stream --watch' that runs until it is interrupted.
type watching struct {
	*testing.T
	cmd       *exec.Cmd
	out, errs output
	ended     chan error
}

func watch(t *testing.T, n *childNode, dir string) *watching {
	t.Helper()
	demo, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetDemo))
	if err != nil {
		t.Fatal(err)
	}
	board, err := demo.Board(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w := &watching{T: t, ended: make(chan error, 1)}
	w.cmd = exec.CommandContext(ctx, filepath.Join(bin, "assay"), "--addr", n.grpc, "stream", "-r", "demo-board", "--reference", board.Reference, "--view", "top", "--watch", dir)
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.errs
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		w.ended <- w.cmd.Wait()
	}()
	t.Cleanup(func() { cancel(); <-waited })
	return w
}

// until waits for what must come while it runs.
func (w *watching) until(what string, ok func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case err := <-w.ended:
			w.Fatalf("it ended by itself before %s: %v\n%s%s", what, err, w.out.String(), w.errs.String())
		case <-tick.C:
		}
	}
}

// interrupt ends it and returns its exit status.
func (w *watching) interrupt() int {
	w.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.Fatal(err)
	}
	<-w.ended
	return w.cmd.ProcessState.ExitCode()
}

// waitingIn counts the pictures of a folder that are not recorded yet.
func waitingIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// A watched folder is streamed until somebody interrupts, and what is recorded is moved away.
func TestStreamWatchesAFolder(t *testing.T) {
	n := node(t)
	dir := boardFolder(t, 1)
	w := watch(t, n, dir)
	w.until("the picture was moved", func() bool {
		_, err := os.Stat(filepath.Join(dir, camera.ProcessedDir, "B-0.jpg"))
		return err == nil
	})
	if status := w.interrupt(); status != 0 {
		t.Errorf("after an interrupt: exit status %d, want 0\n%s", status, w.errs.String())
	}
	contains(t, w.out.String(), "B-0", "1 judged by the model")
}

// A line that stood still is no fault.
func TestWatchThatIsInterruptedBeforeAPictureEndsWell(t *testing.T) {
	n := node(t)
	w := watch(t, n, t.TempDir())
	w.until("it watched", func() bool { return strings.Contains(w.out.String(), "SERIAL") })
	if status := w.interrupt(); status != 0 || w.errs.String() != "" {
		t.Errorf("exit status %d, want 0 and no error\n%s", status, w.errs.String())
	}
}

// Whoever interrupts it with pictures on their way, and starts it again, gets one result of each part.
func TestInterruptedWatchRecordsNoPartTwice(t *testing.T) {
	n := node(t)
	const parts = 40
	dir := boardFolder(t, parts)
	for left, starts := parts, 0; left > 0; starts++ {
		most := left - 2
		if starts >= 3 {
			most = 0
		}
		w := watch(t, n, dir)
		w.until("pictures were recorded", func() bool { return waitingIn(t, dir) <= most })
		// 3: most parts are of other products than the reference, and a rule may decide on them.
		if status := w.interrupt(); status != 0 && status != 3 || strings.Contains(w.out.String(), "NOT RECORDED") {
			t.Errorf("after an interrupt: exit status %d, want 0 or 3 and all recorded\n%s%s", status, w.out.String(), w.errs.String())
		}
		left = waitingIn(t, dir)
	}
	rows, errs, status := assay(t, nil, "--addr", n.grpc, "--json", "results", "--all")
	if got := strings.Count(rows, `"serial":"B-`); status != 0 || got != parts {
		t.Errorf("exit status %d, %d results of %d parts\n%s", status, got, parts, errs)
	}
}
