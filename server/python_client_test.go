package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/server"
)

// The example client for camera integrators, run as its README says against real servers: every picture gets a verdict in
// time, every frame and every word of the camera ends up recorded once under its key, also when a node dies.
func TestPythonClient(t *testing.T) {
	python := pythonClient(t)
	script, err := filepath.Abs("../docs/camera-client/assay_camera.py")
	if err != nil {
		t.Fatal(err)
	}
	limit := func(c *server.Config) { c.MaxFrameBytes, c.Credits = 64<<10, 3 }
	first, second := open(t, limit), open(t, limit)
	scene := newScene()
	second.desk.hook = scene.judge
	var full sync.WaitGroup // the first answers wait until all credits are used: a client that ignores them is found out
	full.Add(3)
	var arrived atomic.Int64
	first.desk.hook = func(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
		if job.Frame.Serial == "killer" { // the node dies with this frame, and maybe others, unanswered
			scene.dying.Do(func() {
				gone, cancel := context.WithCancel(context.Background())
				cancel()
				go func() { _ = first.Close(gone) }()
			})
			<-ctx.Done()
			return inspection.Answer{}, ctx.Err()
		}
		if arrived.Add(1) <= 3 {
			full.Done()
			full.Wait()
		}
		return scene.judge(ctx, job)
	}

	args := []string{script, "--address", first.GRPCAddr(), "--address", second.GRPCAddr(), "--recipe", "pcb", "--view", "top", "--budget", "5", "--at-once", "8"}
	var serials []string
	for i := range 20 {
		serials = append(serials, fmt.Sprintf("good-%02d", i))
	}
	serials = append(serials, "unrecorded", "invalid", "toobig")
	for i := range 6 { // three credits: by the last of them the one that is not recorded has its answer, and does not die unanswered
		serials = append(serials, fmt.Sprintf("between-%d", i))
	}
	serials = append(serials, "killer", "after-1", "after-2")
	args = append(args, pictureFiles(t, serials, 80<<10)...)
	got := run(t, python, args...)
	for _, serial := range serials {
		want := line{Verdict: "PASS", By: "node"}
		switch serial {
		case "unrecorded":
			want.Verdict = "REVIEW"
		case "invalid":
			want.Verdict = "UNDETERMINED"
		case "toobig":
			want = line{Verdict: "REVIEW", By: "camera"}
		}
		if l := got[serial+".jpg"]; l.Verdict != want.Verdict || l.By != want.By {
			t.Errorf("%s: got %s by the %s, want %s by the %s", serial, l.Verdict, l.By, want.Verdict, want.By)
		}
	}
	scene.check(t, first.desk, second.desk)
	for i, d := range []*door{first, second} {
		if n := metric(t, d, "assay_server_protocol_errors_total"); n != 0 {
			t.Errorf("node %d ended %v streams for what the client sent, want none", i+1, n)
		}
	}
}

// A node that is too slow: the camera's own verdict is there at the deadline, and the node hears of it.
func TestPythonClientDeadline(t *testing.T) {
	python := pythonClient(t)
	script, err := filepath.Abs("../docs/camera-client/assay_camera.py")
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, nil)
	told := make(chan struct{})
	d.desk.fail = func() error { // the first time it is not recorded, and has to be sent again
		select {
		case <-told:
			return nil
		default:
			close(told)
			return inspection.ErrDiskFull
		}
	}
	d.desk.hook = func(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
		select {
		case <-told: // the model's answer comes only after the camera told the gate
			return answer(job, inspection.Pass, inspection.ReasonNone), nil
		case <-ctx.Done():
			return inspection.Answer{}, ctx.Err()
		}
	}
	args := append([]string{script, "--address", d.GRPCAddr(), "--recipe", "pcb", "--budget", "0.5"}, pictureFiles(t, []string{"slow"}, 0)...)
	got := run(t, python, args...)["slow.jpg"]
	if got.Verdict != "REVIEW" || got.By != "camera" || got.MS < 450 {
		t.Errorf("got %+v, want the recipe's fallback REVIEW by the camera at the deadline of 500 ms", got)
	}
	d.desk.mu.Lock()
	defer d.desk.mu.Unlock()
	if len(d.desk.announced) != 1 {
		t.Fatalf("got announcements %v, want one", d.desk.announced)
	}
	for _, as := range d.desk.announced {
		if len(as) != 1 || as[0].Verdict != inspection.Review || as[0].Reason != inspection.ReasonDeadline {
			t.Errorf("got %v, want REVIEW for DEADLINE, once", as)
		}
	}
	if job := d.desk.jobs[0]; job.Deadline.Sub(job.Received) > 500*time.Millisecond {
		t.Errorf("the frame came with %v left, want at most its budget", job.Deadline.Sub(job.Received))
	}
}

// scene is what happens to the frames of TestPythonClient, by serial.
type scene struct {
	dying sync.Once

	mu       sync.Mutex
	recorded map[inspection.FrameKey]string // serial
	serials  map[string]inspection.FrameKey
	attempts map[string][]int
}

func newScene() *scene {
	return &scene{recorded: map[inspection.FrameKey]string{}, serials: map[string]inspection.FrameKey{}, attempts: map[string][]int{}}
}

func (s *scene) judge(_ context.Context, job inspection.Job) (inspection.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, serial := job.Frame.Key, job.Frame.Serial
	s.attempts[serial] = append(s.attempts[serial], job.Frame.Attempt)
	if known, ok := s.serials[serial]; ok && known != key {
		return inspection.Answer{}, fmt.Errorf("serial %s came under %v and %v", serial, known, key)
	}
	s.serials[serial] = key
	switch {
	case serial == "invalid":
		return inspection.Answer{}, fmt.Errorf("%w: this frame breaks a rule", inspection.ErrInvalid)
	case serial == "unrecorded" && len(s.attempts[serial]) == 1:
		return inspection.Answer{}, inspection.ErrOverloaded
	}
	s.recorded[key] = serial
	return answer(job, inspection.Pass, inspection.ReasonNone), nil
}

// check looks at what the desks were told, after all.
func (s *scene) check(t *testing.T, desks ...*desk) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recorded) != 30 {
		t.Errorf("%d frames are recorded, want all 32 but the invalid and the too large one", len(s.recorded))
	}
	if got := s.attempts["unrecorded"]; len(got) < 2 {
		t.Errorf("the frame that was not recorded was delivered %d times, want again", len(got))
	}
	if got := s.attempts["killer"]; len(got) != 1 || got[0] != 2 {
		t.Errorf("the frame that the first node died with came with attempts %v, want 2", got)
	}
	reasons := map[string]string{}
	for _, d := range desks {
		d.mu.Lock()
		for _, drop := range d.drops {
			reasons[fmt.Sprint(drop.First, "-", drop.Last)] = drop.Reason
		}
		d.mu.Unlock()
	}
	if len(reasons) != 2 {
		t.Errorf("got drops %v, want the invalid and the too large frame", reasons)
	}
	invalid := s.serials["invalid"].Seq
	if r := reasons[fmt.Sprint(invalid, "-", invalid)]; !strings.Contains(r, "breaks a rule") {
		t.Errorf("got reason %q for the invalid frame, want what its answer said", r)
	}
}

// line is one line that the client prints.
type line struct {
	Picture, Verdict, By string
	MS                   float64
}

// run runs the client and returns its lines by picture.
func run(t *testing.T, python string, args ...string) map[string]line {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Dir(stubs(t, python)), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the client: %v\n%s\n%s", err, out, stderr.String())
	}
	got := map[string]line{}
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatalf("the client printed %q: %v", sc.Text(), err)
		}
		got[l.Picture] = l
	}
	return got
}

// pictureFiles writes a file for each serial and returns the paths; the one called toobig has size bytes.
func pictureFiles(t *testing.T, serials []string, size int) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for _, s := range serials {
		data := []byte("picture of " + s)
		if s == "toobig" {
			data = make([]byte, size)
		}
		path := filepath.Join(dir, s+".jpg")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// stubs generates the client's stubs as its README says, and returns the folder assay.
func stubs(t *testing.T, python string) string {
	t.Helper()
	dir := t.TempDir()
	command(t, python, "-m", "grpc_tools.protoc", "-I", "../proto", "--python_out="+dir, "--grpc_python_out="+dir,
		"assay/v1/types.proto", "assay/v1/inspection.proto")
	return filepath.Join(dir, "assay")
}

// pythonClient returns the Python of a virtual environment with the client's requirements, made once and kept in .tools.
func pythonClient(t *testing.T) string {
	t.Helper()
	system, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3: the example client is not tested")
	}
	const requirements = "../docs/camera-client/requirements.txt"
	text, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	version := command(t, system, "--version")
	tools, err := filepath.Abs("../.tools/camera-client")
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(tools, fmt.Sprintf("%x", sha256.Sum256(append(text, version...)))[:16])
	python := filepath.Join(home, "bin", "python")
	if exec.Command(python, "-c", "import grpc, grpc_tools").Run() == nil {
		return python
	}
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	// Made aside and renamed: what has its name is complete. bin/python finds its packages from where it stands.
	fresh, err := os.MkdirTemp(tools, "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	t.Log("installing grpcio into .tools/camera-client, once: about 15 seconds")
	command(t, system, "-m", "venv", fresh) // on Debian this needs the package python3-venv
	command(t, filepath.Join(fresh, "bin", "python"), "-m", "pip", "install", "--quiet", "--requirement", requirements)
	if err := os.Rename(fresh, home); err != nil {
		t.Fatal(err)
	}
	return python
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}
