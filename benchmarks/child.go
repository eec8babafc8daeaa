package benchmarks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/assay-vision/assay/camera/load"
)

// child is an assayd in a process of its own.
type child struct {
	config     childConfig
	cmd        *exec.Cmd
	grpc, http string
	done       chan struct{} // it ended
	work       sync.WaitGroup
	profiled   map[string]int // profiles of each subject

	mu   sync.Mutex
	tail []string // the last lines that it wrote
	gc   time.Duration
	gcs  int // collections
}

// childConfig says how an assayd is started.
type childConfig struct {
	program string
	dir     string // for its data; made
	recipes string
	models  string
	env     []string

	profiles string        // folder for CPU profiles; empty: none
	subject  func() string // names what is measured now
}

// socket is where cameras of this host connect.
func (c childConfig) socket() string { return filepath.Join(c.dir, "cameras.sock") }

// settings are what a benchmark's node has beside its defaults.
func (c childConfig) settings() []string {
	list := []string{
		"node.name=benchmark", "node.data_dir=" + filepath.Join(c.dir, "data"), "recipes.dir=" + c.recipes, "models.dir=" + c.models,
		"listen.grpc=127.0.0.1:0", "listen.http=127.0.0.1:0", "listen.socket=" + c.socket(), "images.budget=1GiB", "log.format=json",
	}
	if c.profiles != "" {
		list = append(list, "listen.pprof=true")
	}
	return list
}

// start starts an assayd and waits until it judges.
func start(ctx context.Context, c childConfig) (*child, error) {
	var args []string
	for _, s := range c.settings() {
		args = append(args, "--set", s)
	}
	n := &child{config: c, cmd: exec.Command(c.program, args...), done: make(chan struct{}), profiled: map[string]int{}}
	n.cmd.Env = append(os.Environ(), c.env...)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the benchmark, which then stops the node
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.program, err)
	}
	up := make(chan struct{})
	n.work.Go(func() { n.follow(stderr, up) })
	go func() {
		n.work.Wait() // Wait may only be called once all is read
		_ = n.cmd.Wait()
		close(n.done)
	}()
	if err := n.await(ctx, up); err != nil {
		n.stop()
		return nil, fmt.Errorf("%w; its last words:\n%s", err, n.lastWords())
	}
	return n, nil
}

// follow reads what the node writes: its addresses, and what Go's collector says of itself.
func (n *child) follow(r io.Reader, up chan struct{}) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if d, ok := gcTime(line); ok {
			n.mu.Lock()
			n.gc += d
			n.gcs++
			n.mu.Unlock()
			continue
		}
		var entry struct{ Msg, GRPC, HTTP string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "node is up" && n.grpc == "" {
			n.grpc, n.http = entry.GRPC, entry.HTTP
			close(up)
		}
		n.mu.Lock()
		n.tail = append(n.tail, line)
		n.tail = n.tail[max(0, len(n.tail)-20):]
		n.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // a line that was too long must not block the node
}

func (n *child) lastWords() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.tail, "\n")
}

func (n *child) await(ctx context.Context, up <-chan struct{}) error {
	timeout := time.After(2 * time.Minute)
	select {
	case <-up:
	case <-n.done:
		return errors.New("the node ended")
	case <-timeout:
		return errors.New("the node does not come up")
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		body, err := n.ask(ctx, "/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-n.done:
			return errors.New("the node ended")
		case <-timeout:
			return fmt.Errorf("the node is not ready: %w: %s", err, body)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask asks the node's HTTP side for what it must have at hand.
func (n *child) ask(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return n.get(ctx, path)
}

func (n *child) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return string(body), err
}

// metric returns the sum over all labels of one of the node's metrics.
func (n *child) metric(ctx context.Context, name string) (float64, error) {
	text, err := n.ask(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	return metricOf(text, name)
}

func metricOf(text, name string) (sum float64, err error) {
	found := false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("the node has no metric %s", name)
	}
	return sum, nil
}

// gcCPU is what the collector has used by now, and how often it ran. The node must have been started with GODEBUG=gctrace=1.
func (n *child) gcCPU() (time.Duration, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gc, n.gcs
}

// gcTime reads a line of Go's gctrace, whose CPU times stand as "0.1+0.2/0.3/0.4+0.5 ms cpu": pause, assists, background,
// idle, pause. Time that nobody else wanted (idle) does not count.
func gcTime(line string) (time.Duration, bool) {
	if !strings.HasPrefix(line, "gc ") {
		return 0, false
	}
	head, _, ok := strings.Cut(line, " ms cpu")
	if !ok {
		return 0, false
	}
	fields := strings.FieldsFunc(head[strings.LastIndexByte(head, ' ')+1:], func(r rune) bool { return r == '+' || r == '/' })
	if len(fields) != 5 {
		return 0, false
	}
	total := 0.0
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 {
			total += v
		}
	}
	return time.Duration(total * float64(time.Millisecond)), true
}

// cpu is what the node's process has used of all cores.
func (n *child) cpu() (time.Duration, error) { return processCPU(n.cmd.Process.Pid) }

// record takes a CPU profile of a run's length, and the node's metrics at its end, where profiles are asked for. The
// returned function waits for it.
func (n *child) record(ctx context.Context, length time.Duration) (done func() error) {
	if n.config.profiles == "" {
		return func() error { return nil }
	}
	name := n.config.subject()
	n.profiled[name]++
	path := filepath.Join(n.config.profiles, fmt.Sprintf("%s-%d", name, n.profiled[name]))
	end := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, length+30*time.Second)
		defer cancel()
		profile, err := n.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(length.Seconds()))))
		if err == nil {
			err = os.WriteFile(path+".pb.gz", []byte(profile), 0o644) //nolint:gosec // for everyone to read
		}
		end <- err
	}()
	return func() error {
		metrics, err := n.ask(ctx, "/metrics")
		if err == nil {
			err = os.WriteFile(path+".metrics", []byte(metrics), 0o644) //nolint:gosec // for everyone to read
		}
		return errors.Join(err, <-end)
	}
}

// wakeUps is how often the node's threads went to sleep so far.
func (n *child) wakeUps() int { return sleeps(n.cmd.Process.Pid) }

// dial opens cameras to the node over its socket, as cameras on its host do.
func (n *child) dial(ctx context.Context, recipe string, streams int) (*load.Client, error) {
	return n.dialTo(ctx, "unix://"+n.config.socket(), recipe, streams)
}

// dialTCP opens cameras to the node over loopback.
func (n *child) dialTCP(ctx context.Context, recipe string, streams int) (*load.Client, error) {
	return n.dialTo(ctx, n.grpc, recipe, streams)
}

func (n *child) dialTo(ctx context.Context, addr, recipe string, streams int) (*load.Client, error) {
	return load.Dial(ctx, load.Config{Addr: addr, Recipe: recipe, Line: "benchmark", Station: "load", Camera: "camera", Streams: streams, Apart: true})
}

// stop ends the node and waits for it.
func (n *child) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.done:
	case <-time.After(35 * time.Second):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
}
