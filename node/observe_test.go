//go:build gocv_specific_modules

package node_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/node"
	"github.com/assay-vision/assay/node/nodetest"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// What an operator's dashboards and alarms stand on is there, has its type, and counts.
func TestMetricsTellTheLinesStory(t *testing.T) {
	h := open(t, nil)
	s := h.camera("cam-1", nil)
	h.judge(s, h.board(h.good(), inspection.FormatPNG))
	h.judge(s, h.board(h.bad(), inspection.FormatPNG))
	c := h.raw("cam-2", session)
	if a := c.deliver(withBytes(h.board(0, inspection.FormatJPEG), []byte("text")), 1, 1); a.Verdict != inspection.Undetermined {
		t.Errorf("text is %v", a.Verdict)
	}
	c.put(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Dropped{Dropped: &assayv1.Dropped{FirstSeq: 2, LastSeq: 3, Reason: "QUEUE_FULL"}}})
	c.take()
	c.close()
	_, _, body := h.Get("/metrics", nil)
	text := string(body)
	for family, kind := range map[string]string{
		"assay_custody_frames_total": "counter", "assay_custody_deadline_misses_total": "counter", "assay_server_notes_total": "counter",
		"assay_queue_wait_seconds": "histogram", "assay_batch_size": "histogram", "assay_inference_step_seconds": "histogram",
		"assay_custody_receive_seconds": "histogram", "assay_custody_answer_seconds": "histogram", "assay_custody_commit_seconds": "histogram",
		"assay_images": "gauge",
	} {
		if !strings.Contains(text, fmt.Sprintf("\n# TYPE %s %s\n", family, kind)) {
			t.Errorf("/metrics has no %s %s", kind, family)
		}
	}
	for _, line := range []string{
		`assay_custody_frames_total{reason="",simulated="false",source="model",verdict="PASS"} 1`,
		`assay_custody_frames_total{reason="DEFECT",simulated="false",source="model",verdict="FAIL"} 1`,
		`assay_custody_frames_total{reason="IMAGE",simulated="false",source="rule",verdict="UNDETERMINED"} 1`,
		`assay_server_notes_total{kind="dropped",recorded="true"} 1`,
		`assay_custody_deadline_misses_total 0`,
		`assay_queue_wait_seconds_count 3`,
		`assay_batch_size_count 2`,
		`assay_custody_receive_seconds_count 3`,
		`assay_custody_answer_seconds_count 3`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("/metrics does not say %s, but\n%s", line, family(text, line))
		}
	}
	for _, step := range []string{"queue", "decode", "compute_input", "compute_infer", "compute_output"} {
		if line := fmt.Sprintf(`assay_inference_step_seconds_count{step=%q} 2`, step); !strings.Contains(text, line) {
			t.Errorf("/metrics does not say %s", line)
		}
	}
	if !regexp.MustCompile(`(?m)^assay_images\{state="(pending|kept)"\} [1-9]`).MatchString(text) {
		t.Errorf("/metrics counts no image:\n%s", family(text, "assay_images{"))
	}
	status := h.status()
	want := map[string]uint64{"pass": 1, "fail": 1, "undetermined": 1}
	if got := status.GetFrames(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("status counts %v, want %v", got, want)
	}
	if n := status.GetStorage().GetResults(); n != 5 { // 3 frames and a gap of 2
		t.Errorf("status counts %d results, want 5", n)
	}
	for _, library := range []string{"onnxruntime", "opencv", "libjpeg-turbo"} {
		if status.GetLibraries()[library] == "" {
			t.Errorf("status names the libraries %v, want %s among them", status.GetLibraries(), library)
		}
	}
}

// family returns the lines of a metric.
func family(text, line string) string {
	name, _, _ := strings.Cut(strings.ReplaceAll(line, " ", "{"), "{")
	var out []string
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, name) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

func TestTheNodeAnswersToItsNames(t *testing.T) {
	n := nodetest.Start(t, func(c *node.Config) { c.Listen.Hosts = "node1, node1.plant," })
	for host, want := range map[string]int{n.HTTPAddr(): 200, "node1": 200, "node1.plant:7071": 200, "evil.example": 421} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.HTTPAddr()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: got %d, want %d", host, resp.StatusCode, want)
		}
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	h := prepare(t, nil)
	h.Start()
	rpc, err := reflectiongrpc.NewServerReflectionClient(h.Conn()).ServerReflectionInfo(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.Send(&reflectiongrpc.ServerReflectionRequest{MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	resp, err := rpc.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		got = append(got, s.GetName())
	}
	for _, want := range []string{
		"assay.v1.InspectionService", "assay.v1.ResultService", "assay.v1.ModelService", "assay.v1.RecipeService", "assay.v1.NodeService", "grpc.health.v1.Health",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("reflection lists %q, want %s among them", got, want)
		}
	}
	if err := rpc.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatIsNotThereIsNamedBeforeAnythingIsOpened(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*node.Config)
		says   []string
	}{
		{"models.dir", func(c *node.Config) { c.Models.Dir = "/no/such/models" }, []string{"models.dir", "/no/such/models", "does not exist", "leave the key out"}},
		{"recipes.dir", func(c *node.Config) { c.Recipes.Dir = "/no/such/recipes" }, []string{"recipes.dir", "/no/such/recipes", "does not exist", "make it"}},
		{"a file", func(c *node.Config) { c.Recipes.Dir = "main_test.go" }, []string{"recipes.dir", "main_test.go", "no directory"}},
		{"both", func(c *node.Config) { c.Models.Dir, c.Recipes.Dir = "/no/a", "/no/b" }, []string{"models.dir", "recipes.dir"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := prepare(t, nil)
			cfg := h.Config
			c.change(&cfg)
			n, err := node.New(t.Context(), cfg, "test", cfg.Log.Logger(t.Output()))
			if err == nil {
				t.Fatal("the node started", n.Close(t.Context()))
			}
			if !holds(err.Error(), c.says...) {
				t.Errorf("error %q does not say %q", err, c.says)
			}
			h.absent(cfg.Node.DataDir)
		})
	}
}

// A node that cannot start gives back what it opened: the directory's lock and the first of its ports.
func TestANodeThatCannotStartGivesBackWhatItOpened(t *testing.T) {
	h := prepare(t, nil)
	cfg := h.Config
	other := prepare(t, nil)
	other.Start()
	cfg.Listen.HTTP = other.HTTPAddr()
	for range 2 { // the second fails for the same reason, not for the first one's lock
		n, err := node.New(t.Context(), cfg, "test", cfg.Log.Logger(t.Output()))
		if err == nil {
			t.Fatal("the node started", n.Close(t.Context()))
		}
		if !holds(err.Error(), "listen.http", "in use", other.HTTPAddr()) {
			t.Fatalf("error %q does not say that the port is in use and which key gives another", err)
		}
	}
	h.Start()
	h.Stop()
}

func TestANodeIsClosedTwice(t *testing.T) {
	h := prepare(t, nil)
	n, err := node.New(t.Context(), h.Config, "test", h.Config.Log.Logger(t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it never ran
		if err := n.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	h.Start() // the directory's lock is free
}

// A frame whose time is over is answered by the recipe's fallback at once; a judgement that began and came too late is
// added to the result as evidence, and hardens it.
func TestADeadlineIsKeptByTheFallbackAndTheLateAnswerIsEvidence(t *testing.T) {
	h := slow(t)
	f := h.board(0, inspection.FormatPNG)
	c := h.raw("cam-1", session)
	answers := []inspection.Answer{c.spent(f, 1)}
	for seq := uint64(2); seq < 10; seq++ { // how long a frame takes here, nobody knows: much more than the shortest of these
		f.Budget = time.Duration(10*(seq-1)) * time.Millisecond
		answers = append(answers, c.deliver(f, seq, 1))
	}
	c.close()
	for i, a := range answers {
		late := a.Effect.Reason == inspection.ReasonDeadline || !a.Recorded
		if i < 2 && !late || late && (a.Verdict != inspection.Review || a.Effect.Source != inspection.SourceFallback) {
			t.Errorf("frame %d: %v, %q by %v, recorded %v; want the fallback REVIEW, DEADLINE", i+1, a.Verdict, a.Effect.Reason, a.Effect.Source, a.Recorded)
		}
	}
	var r inspection.Result
	nodetest.Until(t, "late evidence is there", func() error {
		for _, r = range h.list(inspection.Query{Session: session}) {
			if len(r.Judgements) > 1 {
				return nil
			}
		}
		return errors.New("every result has one judgement")
	})
	first, second := r.Judgements[0], r.Judgements[1]
	if first.Source != inspection.SourceFallback || first.Reason != inspection.ReasonDeadline || first.Role != inspection.RolePrimary {
		t.Errorf("the first judgement: %v by %v, %q as %v; want the primary fallback, DEADLINE", first.Verdict, first.Source, first.Reason, first.Role)
	}
	if second.Source != inspection.SourceModel || second.Role != inspection.RoleLate || second.Verdict != inspection.Fail {
		t.Errorf("the second judgement: %v by %v as %v; want the model's FAIL, late", second.Verdict, second.Source, second.Role)
	}
	if r.Effective.Verdict != inspection.Fail || r.Effective.Source != inspection.SourceModel {
		t.Errorf("effective is %+v, want the model's FAIL: late evidence hardens", r.Effective)
	}
}

// spent delivers a frame of which the camera says that no time is left.
func (c *raw) spent(f inspection.Frame, seq uint64) inspection.Answer {
	c.t.Helper()
	return c.deliverWith(f, seq, 1, func(h *assayv1.FrameHeader) { h.Budget = durationpb.New(0) })
}
