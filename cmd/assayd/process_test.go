//go:build gocv_specific_modules

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/assay-vision/assay/camera/synthetic"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// patience is how long a test waits for what must happen. It is long because a machine may be busy, and no test measures
// by it.
const patience = 90 * time.Second

// drainTime is what docs/operations.md gives a node after SIGTERM before a SIGKILL.
const drainTime = time.Minute

// site is what outlives a node's process: its data, its recipe and its addresses.
type site struct {
	t             *testing.T
	data, recipes string
	grpc, http    string
	set           []string // further --set
	under         []string // a program, with its arguments, that runs assayd
}

// newSite writes the recipe of the boards. data may be empty: a directory that ends with the test.
func newSite(t *testing.T, data string, budget time.Duration) *site {
	t.Helper()
	dir := t.TempDir()
	if data == "" {
		data = filepath.Join(dir, "data")
	}
	s := &site{t: t, data: data, recipes: filepath.Join(dir, "recipes"), grpc: freeAddr(t), http: freeAddr(t)}
	if err := series(t).WriteRecipe(s.recipes, recipeName, budget); err != nil {
		t.Fatal(err)
	}
	return s
}

// freeAddr is a loopback address that nobody listens on. Its port lies below those that the system gives to outgoing
// connections, so that none of them has taken it when a killed node wants it back.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		_ = l.Close()
		return l.Addr().String()
	}
	t.Fatal("no free port in 100 tries")
	return ""
}

func (s *site) args(more ...string) []string {
	args := []string{"--set", "node.name=under-test", "--set", "node.data_dir=" + s.data, "--set", "recipes.dir=" + s.recipes,
		"--set", "listen.grpc=" + s.grpc, "--set", "listen.http=" + s.http}
	for _, set := range append([]string{"images.min_free=0"}, s.set...) {
		args = append(args, "--set", set)
	}
	return append(args, more...)
}

// process is one start of the program.
type process struct {
	*site
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan struct{} // closed when it has ended; err is valid then
	err  error
}

// start starts the program; env is added to the environment. The process ends with the test at the latest.
func (s *site) start(env ...string) *process {
	s.t.Helper()
	argv := append(append(append([]string{}, s.under...), built(s.t)), s.args()...)
	p := &process{site: s, cmd: exec.Command(argv[0], argv[1:]...), log: &syncBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
	return p
}

// kill is SIGKILL. A process that has ended stays so.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// terminate is SIGTERM, and waits. It fails the test unless the process ends with status 0 within the time.
func (p *process) terminate(within time.Duration) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("SIGTERM: %v", err)
	}
	p.ended("after SIGTERM", within)
	if got := exitStatus(p.err); got != 0 {
		p.t.Fatalf("after SIGTERM the program ended with status %d (%v), want 0", got, p.err)
	}
}

// ended waits for the end of the process.
func (p *process) ended(when string, within time.Duration) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		p.t.Fatalf("%s the program did not end within %v", when, within)
	}
}

// dial connects to the node's services.
func (s *site) dial() *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// status asks the node how it is; nil while it does not answer.
func (s *site) status(conn *grpc.ClientConn) *assayv1.GetStatusResponse {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	status, err := assayv1.NewNodeServiceClient(conn).GetStatus(ctx, &assayv1.GetStatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil
	}
	return status
}

// ready waits until the node can judge.
func (p *process) ready() *process {
	p.t.Helper()
	conn := p.dial()
	p.until("the node is ready", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("the node ended before it was ready: %v\n%s", p.err, p.log)
		default:
		}
		return p.status(conn).GetReady()
	})
	return p
}

// until waits for something that must become true.
func (s *site) until(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			s.t.Fatalf("waited %v in vain until %s", patience, what)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-s.t.Context().Done():
			s.t.Fatal("the test ended")
		}
	}
}

// contextThatEnded asks for what is known now.
func contextThatEnded() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx, cancel
}

// get reads a page of the node's HTTP side.
func (s *site) get(path string) (int, string) {
	s.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + s.http + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// series is the line whose boards the tests' cameras see.
func series(t *testing.T) *synthetic.Series {
	t.Helper()
	s, err := synthetic.NewSeries(synthetic.DefaultSeries(synthetic.SetTest))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
