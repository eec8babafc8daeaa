package store_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCommitIsSynced watches the system calls of a process that commits: between a group's last write to the
// write-ahead log and the acknowledgement there is always a sync of that log that succeeded.
func TestEveryCommitIsSynced(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace to see the system calls of a commit")
	}
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-y", "-e", "trace=write,pwrite64,pwritev,fsync,fdatasync", "-o", trace, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, "ASSAY_STORE_CRASH_FIRST=1", "ASSAY_STORE_CRASH_IMAGES=off")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("strace cannot run here: %v", err)
	}
	acks := 0
	for lines := bufio.NewScanner(out); acks < 100 && lines.Scan(); {
		acks++
	}
	_ = out.Close() // the next acknowledgement fails, and the child ends
	_ = cmd.Wait()
	if acks == 0 {
		t.Skip("strace traced nothing: is ptrace allowed here?")
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	seen, syncs, problems := readTrace(string(b))
	if seen < 100 || len(problems) > 0 {
		t.Errorf("%d acknowledgements, %d syncs of the log, %d wrong: %s", seen, syncs, len(problems), strings.Join(problems, "; "))
	}
	t.Logf("%d acknowledgements, each after its own sync of the log (%d in all)", seen, syncs)
}

var (
	ackCall     = regexp.MustCompile(`^\d+ +write\(1<[^>]*>, "(\d+ \d+)\\n"`)
	walWrite    = regexp.MustCompile(`^\d+ +pwrite(64|v)\(\d+<[^>]*assay\.db-wal>`)
	walSync     = regexp.MustCompile(`^(\d+) +f(data)?sync\(\d+<[^>]*assay\.db-wal>`)
	syncResumed = regexp.MustCompile(`^(\d+) +<\.\.\. f(data)?sync resumed>`)
	succeeded   = regexp.MustCompile(`= 0$`)
)

// readTrace counts acknowledgements and syncs of the write-ahead log, and names every acknowledgement that came while a
// write to it was not synced, or without any sync since the one before.
func readTrace(trace string) (acks, syncs int, problems []string) {
	dirty, synced, waiting := false, false, map[string]bool{}
	for line := range strings.Lines(trace) {
		line = strings.TrimSpace(line)
		done := false
		if m := walSync.FindStringSubmatch(line); m != nil {
			done = succeeded.MatchString(line)
			waiting[m[1]] = strings.Contains(line, "unfinished")
		} else if m := syncResumed.FindStringSubmatch(line); m != nil && waiting[m[1]] {
			done = succeeded.MatchString(line)
			delete(waiting, m[1])
		}
		switch {
		case done:
			syncs++
			dirty, synced = false, true
		case walWrite.MatchString(line):
			dirty, synced = true, false
		case ackCall.MatchString(line):
			acks++
			if dirty || !synced {
				problems = append(problems, "acknowledged before its sync: "+ackCall.FindStringSubmatch(line)[1])
			}
			synced = false
		}
	}
	return acks, syncs, problems
}
