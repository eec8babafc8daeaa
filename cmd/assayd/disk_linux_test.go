//go:build gocv_specific_modules

package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// smallDisk mounts a file system of some bytes and returns its path.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a disk of its own needs root to mount a tmpfs: run this test as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// filler is a file that takes what room there is.
type filler struct {
	t *testing.T
	f *os.File
}

func newFiller(t *testing.T, disk string) *filler {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &filler{t, f}
}

// fill writes until the disk has not one byte more.
func (f *filler) fill() {
	f.t.Helper()
	for size := 1 << 16; size > 0; {
		if _, err := f.f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 4
		} else if err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestAFullDiskRecordsNothingThatIsNotThere fills the disk under the real program while frames come. What it answers as
// recorded is in the database; every other frame gets its fallback, and the node says that it is not ready and why. When
// there is room again the same process records again, and in the end every frame is recorded once.
func TestAFullDiskRecordsNothingThatIsNotThere(t *testing.T) {
	const before, refusals, after = 10, 12, 5
	disk := smallDisk(t, "64m")
	s := newSite(t, filepath.Join(disk, "data"), 2*time.Second)
	s.set = []string{"images.min_free=1MiB"}
	node := s.start().ready()
	conn := s.dial()
	stream, src := s.connect(), newParts(t, 1000)
	tickets := s.send(stream, src, before)
	for _, o := range s.settled(tickets) {
		if !o.Recorded {
			t.Fatalf("frame %s is not recorded on a disk with room: %v", o.Frame.Key, o.Err)
		}
	}

	full := newFiller(t, disk)
	refused, byNode := map[inspection.ResultID]bool{}, 0
	for refusedInRow := 0; refusedInRow < refusals; {
		full.fill() // again and again: the node has a reserve to give up
		if len(tickets) > 200 {
			s.recordIsWhatWasTold(tickets, refused)
			t.Fatalf("%d frames on a full disk, and no %d in a row were refused", len(tickets), refusals)
		}
		ticket := s.send(stream, src, 1)[0]
		tickets = append(tickets, ticket)
		o := s.verdict(ticket)
		if o.Recorded {
			refusedInRow = 0
			continue
		}
		refusedInRow++
		refused[o.Frame.Key.ID()] = true
		if !o.FellBack {
			byNode++ // by the deadline: else the camera would have fallen back
		}
		switch {
		case o.Verdict == inspection.Pass:
			t.Errorf("frame %s passed and is not recorded", o.Frame.Key)
		case o.Answer == nil && !o.FellBack:
			t.Errorf("frame %s has a verdict that neither the node nor the camera gave: %+v", o.Frame.Key, o)
		case o.Answer != nil && !o.Answer.Verdict.FallbackVerdict():
			t.Errorf("frame %s was answered %s without a record, want the fallback or more careful", o.Frame.Key, o.Answer.Verdict)
		}
	}
	if byNode == 0 {
		t.Errorf("the node answered none of %d refused frames by its deadline", len(refused))
	}
	s.recordIsWhatWasTold(tickets, refused)
	status := s.status(conn)
	if status.GetReady() || !strings.Contains(strings.Join(status.GetReasons(), "; "), "disk is full") || !status.GetStorage().GetFull() {
		t.Errorf("on a full disk the node's status is ready=%t, full=%t, reasons %q; want not ready, for the disk is full", status.GetReady(), status.GetStorage().GetFull(), status.GetReasons())
	}
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "disk is full") {
		t.Errorf("on a full disk /readyz gives %d %s, want 503 and the reason", code, body)
	}
	if !strings.Contains(node.log.String(), "not recorded: cameras get the fallback") {
		t.Error("the node's log does not say that nothing can be recorded")
	}

	if err := os.Remove(full.f.Name()); err != nil {
		t.Fatal(err)
	}
	if err := full.f.Close(); err != nil { // now the room is there
		t.Fatal(err)
	}
	tickets = append(tickets, s.send(stream, src, after)...)
	outcomes := s.settled(tickets)
	node.ready()
	s.closeStream(stream)
	node.terminate(patience)
	sum := s.prove(expected{session: stream.Session(), outcomes: bySeq(outcomes), picture: src.picture})
	if sum.rows != len(tickets) || sum.judged != len(tickets) {
		t.Errorf("%d results, %d judged by the model, want %d of each; not judged: %v", sum.rows, sum.judged, len(tickets), sum.unjudged)
	}
	t.Logf("%d frames, %d of them refused on the full disk, %d by the node in time; in the end %d recorded once and judged; images %d kept, %d shed, %d lost",
		len(tickets), len(refused), byNode, sum.rows, sum.kept, sum.shed, sum.lost)
}

// verdict waits for something to act on.
func (s *site) verdict(ticket *camera.Ticket) camera.Outcome {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	o, err := ticket.Verdict(ctx)
	if err != nil {
		s.t.Fatalf("no verdict after %v: %v", patience, err)
	}
	return o
}

// recordIsWhatWasTold looks into the database while the disk is full: what was answered as recorded is there. Of what was
// refused some is not, or the disk was not full.
func (s *site) recordIsWhatWasTold(tickets []*camera.Ticket, refused map[inspection.ResultID]bool) {
	s.t.Helper()
	told := map[string]bool{}
	ended, cancel := contextThatEnded()
	defer cancel()
	for _, ticket := range tickets {
		if o, _ := ticket.Settled(ended); o.Recorded {
			told[string(o.Frame.Key.ID())] = true
		}
	}
	rows, err := readRecord(s.data)
	if err != nil {
		s.t.Fatal(err)
	}
	there := map[string]bool{}
	for _, r := range rows {
		there[r.id] = !r.stub
	}
	for id := range told {
		if !there[id] {
			s.t.Errorf("%s was answered as recorded and is not in the database", id)
		}
	}
	absent := 0
	for id := range refused {
		if !told[string(id)] && !there[string(id)] {
			absent++
		}
	}
	if absent == 0 {
		s.t.Errorf("%d frames were refused and all of them are recorded: the disk was not full", len(refused))
	}
}
