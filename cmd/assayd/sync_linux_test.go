//go:build gocv_specific_modules

package main_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// TestEveryRecordedAnswerFollowsItsSync watches the system calls of the real program from the camera's frames to its
// answers. strace stops a thread before and after each call and writes the two down in that order, so what stands earlier in
// its trace came earlier, whatever the threads did.
//
// The argument, for every result id: the id is text in the row of its result and in the answer to the camera, and no other
// message of the node to this camera holds it. The first write to the write-ahead log that holds the id is therefore part of the commit of that
// row. The store has one writer and SQLite writes all of a commit before it syncs the log, so the first fdatasync of the
// log that begins after that write has ended covers the whole commit. It must have ended, with success, before the first
// write to a socket that holds the id begins.
func TestEveryRecordedAnswerFollowsItsSync(t *testing.T) {
	const frames = 30
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace to see the system calls of an answer")
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace cannot trace here (is ptrace forbidden?): %v: %s", err, out)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	s := newSite(t, "", generous)
	// -D: the process that we start is assayd and not strace. A WAL page and an answer fit into -s.
	s.under = []string{strace, "-D", "-f", "-q", "-y", "-s", "70000", "-e", "trace=" + tracedCalls, "-e", "signal=none", "-o", trace}
	node := s.start().ready()
	stream, src := s.connect(), newParts(t, frames)
	outcomes := s.settled(s.send(stream, src, frames))
	s.closeStream(stream)
	node.terminate(patience)
	var text string
	ended := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +\+\+\+ exited with 0`, node.cmd.Process.Pid))
	s.until("strace has written its last line", func() bool {
		b, err := os.ReadFile(trace)
		text = string(b)
		return err == nil && ended.MatchString(text)
	})

	var ids []string
	for _, o := range outcomes {
		if o.Answer == nil || !o.Recorded || o.Sends != 1 {
			t.Fatalf("frame %s: recorded=%t after %d sends, want an answer from the record at the first", o.Frame.Key, o.Recorded, o.Sends)
		}
		ids = append(ids, string(o.Frame.Key.ID()))
	}
	syncs, problems := readTrace(text, ids)
	report(t, problems)
	sum := s.prove(expected{session: stream.Session(), outcomes: bySeq(outcomes), picture: src.picture})
	if sum.rows != frames {
		t.Errorf("%d results, want %d", sum.rows, frames)
	}
	t.Logf("%d recorded answers, each after the sync of its own commit (%d syncs of the log in %d calls)", frames, syncs, strings.Count(text, "\n"))
}

// tracedCalls are all by which bytes leave or become durable.
const tracedCalls = "fdatasync,fsync,sync_file_range,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,sendmmsg"

var (
	anyCall  = regexp.MustCompile(`^(\d+) +(\w+)\((\d+)<([^>]*)>`)
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	returned = regexp.MustCompile(`\) += (-?\d+)[^)]*$`)
)

// passage is how far one result has come.
type passage int

const (
	unwritten passage = iota
	writing           // the write to the log that first holds it has begun
	written           // and has ended
	syncing           // a sync began after that
	synced            // and ended well
)

// call is one that has begun and not ended.
type call struct {
	name string
	log  bool     // of the write-ahead log
	ids  []string // that change their state when it ends
}

// readTrace follows the ids through a trace, counts the syncs of the log, and names every id that left for a socket before
// its sync, that left never, or that was never written.
func readTrace(trace string, ids []string) (syncs int, problems []string) {
	at, left := map[string]passage{}, map[string]bool{}
	for _, id := range ids {
		at[id] = unwritten
	}
	among := func(state passage) (list []string) {
		for id := range maps.Keys(at) {
			if at[id] == state {
				list = append(list, id)
			}
		}
		slices.Sort(list)
		return list
	}
	pending, tails := map[string]call{}, map[string]string{}
	begin := func(line string, m []string) call {
		name, file := m[2], m[4]
		c := call{name: name, log: strings.HasSuffix(file, "/assay.db-wal")}
		switch {
		case c.log && strings.HasSuffix(name, "sync"):
			c.ids = among(written)
			move(at, c.ids, syncing)
		case c.log:
			for _, id := range among(unwritten) {
				if strings.Contains(line, id) {
					c.ids = append(c.ids, id)
					at[id] = writing
				}
			}
		case strings.HasPrefix(file, "socket:") || strings.HasPrefix(file, "TCP"):
			said := tails[file] + bytesOf(line)
			for _, id := range ids {
				if left[id] || !strings.Contains(said, id) {
					continue
				}
				left[id] = true
				if at[id] != synced {
					problems = append(problems, fmt.Sprintf("%s left for the camera while it was %s", id, at[id]))
				}
			}
			tails[file] = said[max(0, len(said)-31):] // an id may lie across two writes
		}
		return c
	}
	end := func(line string, c call) {
		m := returned.FindStringSubmatch(line)
		ok := m != nil && !strings.HasPrefix(m[1], "-")
		switch {
		case c.log && strings.HasSuffix(c.name, "sync"):
			syncs++
			if ok {
				move(at, c.ids, synced)
			} else {
				move(at, c.ids, written)
			}
		case c.log:
			move(at, c.ids, written)
		}
	}
	for line := range strings.Lines(trace) {
		line = strings.TrimRight(line, "\n")
		if m := resumed.FindStringSubmatch(line); m != nil {
			end(line, pending[m[1]])
			delete(pending, m[1])
		} else if m := anyCall.FindStringSubmatch(line); m != nil {
			c := begin(line, m)
			if strings.HasSuffix(line, "<unfinished ...>") {
				pending[m[1]] = c
			} else {
				end(line, c)
			}
		}
	}
	for _, id := range ids {
		if at[id] != synced || !left[id] {
			problems = append(problems, fmt.Sprintf("%s: at the end it is %s, and it left for the camera: %t", id, at[id], left[id]))
		}
	}
	return syncs, problems
}

func move(at map[string]passage, ids []string, to passage) {
	for _, id := range ids {
		at[id] = to
	}
}

// bytesOf is the string among a call's arguments, as strace writes it.
func bytesOf(line string) string {
	first, last := strings.Index(line, `"`), strings.LastIndex(line, `"`)
	if first == last {
		return ""
	}
	return line[first+1 : last]
}

func (p passage) String() string {
	return [...]string{"not written", "being written", "written and not synced", "being synced", "synced"}[p]
}

// TestTheTraceReaderSeesEveryFault is the control of the test above.
func TestTheTraceReaderSeesEveryFault(t *testing.T) {
	id := string(inspection.FrameKey{Line: "l", Station: "s", Camera: "c", Session: "x", Seq: 1}.ID())
	write := `7 pwrite64(9</d/assay.db-wal>, "\0\1` + id + `\0", 4096, 56) = 4096`
	sync := `7 fdatasync(9</d/assay.db-wal>) = 0`
	answer := `8 write(11<socket:[42]>, "\0\0\22 ` + id + `\30\1", 90) = 90`
	for _, c := range []struct {
		name, want string // want "": nothing
		trace      []string
	}{
		{"in order", "", []string{write, sync, answer}},
		{"interleaved", "", []string{
			`7 pwrite64(9</d/assay.db-wal>, "` + id + `", 4096, 56 <unfinished ...>`, `8 write(2<pipe:[1]>, "x", 1) = 1`, `7 <... pwrite64 resumed>) = 4096`,
			`7 fdatasync(9</d/assay.db-wal> <unfinished ...>`, `8 write(11<socket:[42]>, "x", 1) = 1`, `7 <... fdatasync resumed>) = 0`, answer}},
		{"an id across two writes", "", []string{write, sync,
			`8 write(11<socket:[42]>, "\22 ` + id[:10] + `", 90) = 90`, `8 write(11<socket:[42]>, "` + id[10:] + `", 90) = 90`}},
		{"an id after a quote", "", []string{write, sync, `8 write(11<socket:[42]>, "\"\22 ` + id + `\30\1", 90) = 90`}},
		{"no sync", "not synced", []string{write, answer}},
		{"answered before the sync", "not synced", []string{write, answer, sync}},
		{"answered during the sync", "being synced", []string{write, `7 fdatasync(9</d/assay.db-wal> <unfinished ...>`, answer, `7 <... fdatasync resumed>) = 0`}},
		{"the sync began before the write", "not synced", []string{`7 fdatasync(9</d/assay.db-wal> <unfinished ...>`, strings.Replace(write, "7", "6", 1), `7 <... fdatasync resumed>) = 0`, answer}},
		{"the sync failed", "not synced", []string{write, `7 fdatasync(9</d/assay.db-wal>) = -1 EIO (Input/output error)`, answer}},
		{"another file was synced", "not synced", []string{write, `7 fsync(10</d/images/tmp/x>) = 0`, answer}},
		{"answered before it was written", "not written", []string{sync, answer, write, sync}},
		{"never written", "not written", []string{sync, answer}},
		{"never answered", "left for the camera: false", []string{write, sync}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := readTrace(strings.Join(c.trace, "\n")+"\n", []string{id})
			switch got := strings.Join(problems, "; "); {
			case c.want == "" && got != "":
				t.Errorf("got %q, want no problem", got)
			case c.want != "" && !strings.Contains(got, c.want):
				t.Errorf("got %q, want a problem with %q", got, c.want)
			}
		})
	}
}
