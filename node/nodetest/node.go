package nodetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/assay-vision/assay/node"
)

// patience is how long a node may take for what it does by itself: loading a model, looking at a folder, draining.
const patience = 60 * time.Second

// Node is a node that runs in this process. Its methods are called from the test's goroutine.
type Node struct {
	Config node.Config // as the running node has it, addresses included

	t      testing.TB
	log    logBuffer
	stop   context.CancelFunc // nil while it is stopped
	ended  chan error         // of the running node's Run and Close
	client *grpc.ClientConn
}

// Start starts a node with the models that ship, an empty directory of recipes that it looks at every 20 ms, and free
// ports; change (may be nil) sees the configuration before. The node is stopped when the test ends.
func Start(t testing.TB, change func(*node.Config)) *Node {
	t.Helper()
	n := Prepare(t, change)
	n.Start()
	return n
}

// Prepare is a node that was not started yet: see Start. Its Config may be changed until then.
func Prepare(t testing.TB, change func(*node.Config)) *Node {
	t.Helper()
	dir := t.TempDir()
	cfg := node.Default()
	cfg.Node.Name = "node-under-test"
	cfg.Node.DataDir = filepath.Join(dir, "data")
	cfg.Recipes.Dir = filepath.Join(dir, "recipes")
	cfg.Recipes.ScanEvery = 20 * time.Millisecond
	cfg.Listen.GRPC, cfg.Listen.HTTP = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Images.MinFree = 0    // whatever is free where the tests run
	cfg.Inference.Measure = 0 // seconds at each start, for a node that answers a few frames
	cfg.Log.Level = "debug"
	if err := os.Mkdir(cfg.Recipes.Dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	n := &Node{Config: cfg, t: t}
	t.Cleanup(func() {
		n.Stop()
		if t.Failed() {
			t.Logf("the node's log:\n%s", n.Log())
		}
	})
	return n
}

// Start starts a node that was prepared or stopped, on the ports that it had before.
func (n *Node) Start() {
	n.t.Helper()
	if n.stop != nil {
		n.t.Fatal("the node runs already")
	}
	ctx, stop := context.WithCancel(context.Background())
	running, err := node.New(ctx, n.Config, "test", n.Config.Log.Logger(&n.log))
	if err != nil {
		stop()
		n.t.Fatalf("start the node: %v", err)
	}
	n.Config.Listen.GRPC, n.Config.Listen.HTTP = running.GRPCAddr(), running.HTTPAddr()
	n.stop, n.ended = stop, make(chan error, 1)
	go func() {
		err := running.Run(ctx)
		end, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if cerr := running.Close(end); err == nil { //nolint:contextcheck // ctx has ended by then
			err = cerr
		}
		n.ended <- err
	}()
}

// Stop drains and closes the node, as SIGTERM does. A node that is stopped already stays so.
func (n *Node) Stop() {
	n.t.Helper()
	if n.client != nil {
		_ = n.client.Close()
		n.client = nil
	}
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	select {
	case err := <-n.ended:
		if err != nil {
			n.t.Errorf("the node ended with: %v", err)
		}
	case <-time.After(2 * patience):
		n.t.Errorf("the node does not end")
	}
}

// Restart stops the node and starts it on the same data and ports; between may change what lies on its disk or its
// configuration.
func (n *Node) Restart(between func(*node.Config)) {
	n.t.Helper()
	n.Stop()
	if between != nil {
		between(&n.Config)
	}
	n.Start()
}

// GRPCAddr is where cameras and MES call.
func (n *Node) GRPCAddr() string { return n.Config.Listen.GRPC }

// HTTPAddr is where probes, metrics and images are.
func (n *Node) HTTPAddr() string { return n.Config.Listen.HTTP }

// Conn is a connection to the node for its services, closed with the node.
func (n *Node) Conn() *grpc.ClientConn {
	n.t.Helper()
	if n.client == nil {
		c, err := grpc.NewClient(n.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			n.t.Fatal(err)
		}
		n.client = c
	}
	return n.client
}

// Readiness is what /readyz says.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Warnings []string `json:"warnings"`
}

// Readiness asks /readyz. 200 must mean ready, and nothing else may.
func (n *Node) Readiness() Readiness {
	n.t.Helper()
	status, _, body := n.Get("/readyz", nil)
	var r Readiness
	if err := json.Unmarshal(body, &r); err != nil {
		n.t.Fatalf("/readyz says %q: %v", body, err)
	}
	if (status == http.StatusOK) != r.Ready {
		n.t.Errorf("/readyz has status %d and says ready=%v", status, r.Ready)
	}
	return r
}

// WaitReady waits until every recipe judges.
func (n *Node) WaitReady() {
	n.t.Helper()
	var last Readiness
	Until(n.t, "the node is ready", func() error {
		if last = n.Readiness(); !last.Ready {
			return fmt.Errorf("not ready: %q", last.Reasons)
		}
		return nil
	})
}

// Get asks the node's HTTP side.
func (n *Node) Get(path string, header http.Header) (status int, got http.Header, body []byte) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTPAddr()+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		n.t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, resp.Header, body
}

// Log is what the node has logged, all its starts together.
func (n *Node) Log() string { return n.log.String() }

// logBuffer takes a log from many goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Until asks every few milliseconds until is says nil, and fails the test with its last word when it does not for long.
func Until(t testing.TB, what string, is func() error) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not so after %v: %v", what, patience, err)
		}
	}
}
