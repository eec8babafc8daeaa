package server_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
	"github.com/assay-vision/assay/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk answers from memory. hook, when set, says what becomes of a job; else frames are recorded as PASS by a model, those
// without a recipe or with a bad image as UNDETERMINED.
type desk struct {
	hook func(ctx context.Context, job inspection.Job) (inspection.Answer, error)
	fail func() error // of Announce and Drop

	mu        sync.Mutex
	jobs      []inspection.Job // without their image
	images    [][]byte
	announced map[inspection.FrameKey][]inspection.Announcement
	drops     []inspection.Drop
}

func answer(job inspection.Job, v inspection.Verdict, reason inspection.Reason) inspection.Answer {
	source := inspection.SourceModel
	if v != inspection.Pass && reason != inspection.ReasonDefect {
		source = inspection.SourceRule
	}
	j := inspection.Judgement{Verdict: v, Source: source, Reason: reason, Recipe: job.Recipe.Ref(), Model: job.Model, Node: "fake"}
	e := inspection.Effect{Verdict: v, Source: source, Reason: reason}
	return inspection.Answer{ID: job.Frame.Key.ID(), Key: job.Frame.Key, Verdict: v, Effect: e, Judgement: j, Recorded: true}
}

func (d *desk) Inspect(ctx context.Context, job inspection.Job) (inspection.Answer, error) {
	image := job.Frame.Image.Data.Bytes()
	imageErr := job.Frame.Image.Validate()
	kept := job
	kept.Frame.Image.Data = nil
	d.mu.Lock()
	d.jobs, d.images = append(d.jobs, kept), append(d.images, image)
	d.mu.Unlock()
	switch {
	case d.hook != nil:
		return d.hook(ctx, job)
	case job.Recipe == nil:
		return answer(job, inspection.Undetermined, inspection.ReasonUnknownRecipe), nil
	case imageErr != nil:
		return answer(job, inspection.Undetermined, inspection.ReasonImage), nil
	}
	return answer(job, inspection.Pass, inspection.ReasonNone), nil
}

func (d *desk) Announce(_ context.Context, key inspection.FrameKey, a inspection.Announcement, _ bool) error {
	if d.fail != nil {
		if err := d.fail(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.announced == nil {
		d.announced = map[inspection.FrameKey][]inspection.Announcement{}
	}
	d.announced[key] = append(d.announced[key], a)
	return nil
}

func (d *desk) Drop(_ context.Context, drop inspection.Drop) error {
	if d.fail != nil {
		if err := d.fail(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drops = append(d.drops, drop)
	return nil
}

// seen returns the jobs that came, by seq.
func (d *desk) seen() []inspection.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.jobs)
	slices.SortFunc(out, func(a, b inspection.Job) int { return cmp.Compare(a.Frame.Key.Seq, b.Frame.Key.Seq) })
	return out
}

// catalog has the recipe pcb, whose model is ready, and cold, whose model is not.
type catalog struct {
	mu    sync.Mutex
	ready bool
}

func (c *catalog) recipes() []server.RecipeStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	recipe := func(name string) *inspection.Recipe {
		return &inspection.Recipe{
			Name: name, Revision: 3, Digest: "d-" + name, Model: inspection.ModelSelector{Name: "pcb-pair"},
			Budget: 2 * time.Second, Fallback: inspection.Review, Views: []string{"top"},
			Reference: inspection.ReferenceSpec{Templates: map[string]inspection.Template{"b": {}, "a": {}}},
		}
	}
	ref := inspection.ModelRef{Name: "pcb-pair", Version: "1", Digest: "m"}
	return []server.RecipeStatus{
		{Recipe: recipe("pcb"), Model: ref, Ready: c.ready, Imported: time.Unix(1000, 0)},
		{Recipe: recipe("cold"), Message: "model is loading"},
	}
}

func (c *catalog) setReady(ready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = ready
}

func (c *catalog) Problems() []string { return []string{"y.yaml: not taken"} }

func (c *catalog) Recipes() []server.RecipeStatus { return c.recipes() }

func (c *catalog) Resolve(name string) (*inspection.Recipe, inspection.ModelRef, error) {
	for _, r := range c.recipes() {
		if r.Recipe.Name == name {
			if name == "cold" {
				return r.Recipe, r.Model, fmt.Errorf("model of recipe cold: %w", inspection.ErrNotReady)
			}
			return r.Recipe, r.Model, nil
		}
	}
	return nil, inspection.ModelRef{}, fmt.Errorf("%w %q", inspection.ErrUnknownRecipe, name)
}

func (c *catalog) Recipe(_ context.Context, name string, revision int) (server.RecipeStatus, string, error) {
	for _, r := range c.recipes() {
		if r.Recipe.Name == name && (revision == 0 || revision == 3) {
			return r, "name: " + name + "\n", nil
		}
	}
	return server.RecipeStatus{}, "", inspection.ErrNotFound
}

func (c *catalog) Models() []server.ModelStatus {
	return []server.ModelStatus{{
		Ref: inspection.ModelRef{Name: "pcb-pair", Version: "1", Digest: "m"}, Task: "detect", Labels: []string{"open", "short"},
		Inputs:     []server.ModelInput{{Name: "pair", Layout: "NCHW", Type: "float32", Width: 640, Height: 640, Channels: 3}},
		BatchSizes: []int{1, 4}, Active: true, State: server.ModelReady, Provider: "cpu", ProvidersWanted: []string{"cuda", "cpu"},
	}}
}

func (c *catalog) Model(name, version string) (server.ModelStatus, string, error) {
	if m := c.Models()[0]; name == m.Ref.Name && (version == "" || version == m.Ref.Version) {
		return m, "task: detect\n", nil
	}
	return server.ModelStatus{}, "", inspection.ErrUnknownModel
}

func (c *catalog) ProfileModel(_ context.Context, name, version string, again bool) (server.ModelProfile, error) {
	m, _, err := c.Model(name, version)
	if err != nil {
		return server.ModelProfile{}, err
	}
	one := server.ProfilePoint{Variant: "default", Threads: 1, Callers: 2, Batch: 1, Median: 20 * time.Millisecond, P99: 30 * time.Millisecond, Rate: 100, Runs: 7}
	all := server.ProfilePoint{Variant: "default", Threads: 2, Callers: 1, Batch: 1, Median: 11 * time.Millisecond, P99: 12 * time.Millisecond, Rate: 91, Runs: 8}
	p := server.ModelProfile{
		Model: m.Ref, Device: "cpu", Surface: []server.ProfilePoint{one, all}, Throughput: one, Measured: time.Unix(1000, 0), Took: 2 * time.Second,
		Cached: !again, Complete: true, Loaded: true, DriftRatio: 1.3, Drifted: true,
		Narrow: server.RunEstimate{Runs: 9, Mean: 26 * time.Millisecond, P99: 40 * time.Millisecond},
	}
	if again {
		p.Idle, p.Waits = &all, true
	}
	return p, nil
}

// results holds rows in their order; a cursor is the index of the next one.
type results struct {
	rows []inspection.Result
	err  error
	last inspection.Query
}

func (r *results) Get(_ context.Context, id inspection.ResultID) (inspection.Result, error) {
	if r.err != nil {
		return inspection.Result{}, r.err
	}
	for _, row := range r.rows {
		if row.ID == id {
			return row, nil
		}
	}
	return inspection.Result{}, inspection.ErrNotFound
}

func (r *results) List(_ context.Context, q inspection.Query) (inspection.Page, error) {
	if r.err != nil {
		return inspection.Page{}, r.err
	}
	r.last = q
	start, err := strconv.Atoi(cmp.Or(q.Cursor, "0"))
	if err != nil || start > len(r.rows) {
		return inspection.Page{}, fmt.Errorf("%w: cursor is not of this query", inspection.ErrInvalid)
	}
	end := min(len(r.rows), start+cmp.Or(q.Limit, 100))
	page := inspection.Page{Results: r.rows[start:end]}
	if end < len(r.rows) {
		page.Next = strconv.Itoa(end)
	}
	return page, nil
}

func (r *results) Watch(ctx context.Context, after string, _ inspection.Query, send func(inspection.Result, string) error) error {
	if r.err != nil {
		return r.err
	}
	start, err := strconv.Atoi(cmp.Or(after, strconv.Itoa(len(r.rows))))
	if err != nil {
		return fmt.Errorf("%w: cursor %q", inspection.ErrInvalid, after)
	}
	for i := start; i < len(r.rows); i++ {
		if err := send(r.rows[i], strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// pictures opens images from memory.
type pictures map[inspection.ResultID]picture

type picture struct {
	data []byte
	info inspection.ImageInfo
	err  error
}

type nopSeekCloser struct{ io.ReadSeeker }

func (nopSeekCloser) Close() error { return nil }

func (p pictures) Open(_ context.Context, id inspection.ResultID) (io.ReadSeekCloser, inspection.ImageInfo, error) {
	pic, ok := p[id]
	switch {
	case !ok:
		return nil, inspection.ImageInfo{}, inspection.ErrNotFound
	case pic.err != nil:
		return nil, pic.info, pic.err
	}
	sum := sha256.Sum256(pic.data)
	pic.info.SHA256 = hex.EncodeToString(sum[:])
	return nopSeekCloser{bytes.NewReader(pic.data)}, pic.info, nil
}

// nodeStatus is what the node would say.
type nodeStatus struct{ server.NodeStatus }

func (s *nodeStatus) Status(context.Context) server.NodeStatus { return s.NodeStatus }

// door is a server with fakes behind it.
type door struct {
	*server.Server
	desk     *desk
	catalog  *catalog
	versions *versions
	results  *results
	images   pictures
	status   *nodeStatus
	reg      *prometheus.Registry
	conn     *grpc.ClientConn
	log      *logged
}

// logged is what the server logged, as text.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the log's lines that hold what is wanted.
func (l *logged) lines(what string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(strings.Split(l.text.String(), "\n"), func(line string) bool { return !strings.Contains(line, what) })
}

// open starts a server on loopback; tweak may change its config. It is closed with the test.
func open(t *testing.T, tweak func(*server.Config)) *door {
	t.Helper()
	d := &door{
		desk: &desk{}, catalog: &catalog{ready: true}, versions: &versions{}, results: &results{}, images: pictures{}, reg: prometheus.NewRegistry(),
		log: &logged{}, status: &nodeStatus{server.NodeStatus{Version: "test", Ready: true}},
	}
	cfg := server.Default()
	cfg.Node, cfg.GRPCAddress, cfg.HTTPAddress, cfg.PollInterval = "node-1", "127.0.0.1:0", "127.0.0.1:0", time.Millisecond
	if tweak != nil {
		tweak(&cfg)
	}
	srv, err := server.New(cfg, server.Deps{
		Desk: d.desk, Catalog: d.catalog, Versions: d.versions, Results: d.results, Images: d.images, Status: d.status, Registerer: d.reg, Gatherer: d.reg,
		Log: slog.New(slog.NewTextHandler(d.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Server = srv
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	options := proto.DialOptions()
	d.conn, err = grpc.NewClient(srv.GRPCAddr(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

// camera is a client's stream.
type camera struct {
	t *testing.T
	grpc.BidiStreamingClient[assayv1.InspectRequest, assayv1.InspectResponse]
	welcome *assayv1.Welcome
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial opens a stream and says Hello.
func (d *door) dial(t *testing.T, name string) *camera {
	t.Helper()
	return d.greet(t, hello(name))
}

// greet opens a stream and says this Hello.
func (d *door) greet(t *testing.T, h *assayv1.Hello) *camera {
	t.Helper()
	c := d.dialSilent(t)
	c.send(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: h}})
	c.welcome = c.recv().GetWelcome()
	if c.welcome == nil {
		t.Fatal("got no Welcome after Hello")
	}
	return c
}

func (d *door) dialSilent(t *testing.T) *camera {
	t.Helper()
	stream, err := assayv1.NewInspectionServiceClient(d.conn).Inspect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return &camera{t: t, BidiStreamingClient: stream}
}

func hello(camera string) *assayv1.Hello {
	return &assayv1.Hello{Line: "l1", Station: "s1", Camera: camera, Session: "01J0000000000000000000000A", Recipe: "pcb", Client: "test/1"}
}

func (c *camera) send(m *assayv1.InspectRequest) {
	c.t.Helper()
	if err := c.Send(m); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// frame sends a JPEG-like frame whose header change may alter.
func (c *camera) frame(seq uint64, image []byte, change ...func(*assayv1.FrameHeader)) {
	c.t.Helper()
	h := &assayv1.FrameHeader{Seq: seq, Attempt: 1, View: "top", Serial: fmt.Sprintf("SN-%d", seq), Format: assayv1.ImageFormat_IMAGE_FORMAT_JPEG}
	for _, f := range change {
		f(h)
	}
	msg := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: &assayv1.Frame{Header: h}}}
	err := c.SendMsg(&proto.Upstream{Msg: msg, Image: inspection.NewBuffer(nil, image)})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the stream is over, recv says why
		c.t.Fatalf("send frame %d: %v", seq, err)
	}
}

func (c *camera) recv() *assayv1.InspectResponse {
	c.t.Helper()
	m, err := c.Recv()
	if err != nil {
		c.t.Fatalf("recv: %v", err)
	}
	return m
}

func (c *camera) answer() *assayv1.Answer {
	c.t.Helper()
	a := c.recv().GetAnswer()
	if a == nil {
		c.t.Fatal("got another message, want an Answer")
	}
	return a
}

// end reads on until the stream ends and returns its error.
func (c *camera) end() error {
	for {
		if _, err := c.Recv(); err != nil {
			return err
		}
	}
}

// metric adds up what a metric says under all the labels given as name=value.
func metric(t *testing.T, d *door, name string, labels ...string) float64 {
	t.Helper()
	families, err := d.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			missing := slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) })
			if f.GetName() == name && !missing {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// poll waits until ok holds, for at most ten seconds.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("timed out: %s", what)
		}
	}
}
