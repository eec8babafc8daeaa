package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
	"github.com/assay-vision/assay/server"
)

func rows(n int) []inspection.Result {
	var out []inspection.Result
	for i := range n {
		key := inspection.FrameKey{Line: "l1", Station: "s1", Camera: "cam", Session: "S", Seq: uint64(i + 1)}
		out = append(out, inspection.Result{
			ID: key.ID(), Frame: inspection.Frame{Key: key, Serial: fmt.Sprintf("SN-%d", i+1), Attempt: 1},
			Effective: inspection.Effect{Verdict: inspection.Fail, Source: inspection.SourceModel, Reason: inspection.ReasonDefect},
			Received:  time.Unix(int64(1000+i), 0), Revision: uint64(i + 1),
		})
	}
	return out
}

func wantCode(t *testing.T, what string, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("%s: got %v, want %v that says %q", what, err, code, text)
	}
}

func TestGetResult(t *testing.T) {
	d := open(t, nil)
	d.results.rows = rows(3)
	client, ctx := assayv1.NewResultServiceClient(d.conn), testContext(t)
	want := d.results.rows[1]
	key := &assayv1.FrameKey{Line: "l1", Station: "s1", Camera: "cam", Session: "S", Seq: 2}
	for _, req := range []*assayv1.GetResultRequest{{Id: string(want.ID)}, {Key: key}} {
		resp, err := client.GetResult(ctx, req)
		if err != nil || resp.Result.Id != string(want.ID) || resp.Result.Frame.Serial != "SN-2" || resp.Result.Effective.Verdict != assayv1.Verdict_VERDICT_FAIL {
			t.Errorf("%v: got %v, %v; want result %s", req, resp, err, want.ID)
		}
	}
	get := func(req *assayv1.GetResultRequest) error { _, err := client.GetResult(ctx, req); return err }
	wantCode(t, "nothing", get(&assayv1.GetResultRequest{}), codes.InvalidArgument, "either id or key")
	wantCode(t, "both", get(&assayv1.GetResultRequest{Id: "x", Key: key}), codes.InvalidArgument, "either id or key")
	wantCode(t, "no id", get(&assayv1.GetResultRequest{Id: "../../etc/passwd"}), codes.InvalidArgument, "32 hexadecimal digits")
	wantCode(t, "half a key", get(&assayv1.GetResultRequest{Key: &assayv1.FrameKey{Line: "l"}}), codes.InvalidArgument, "station is empty")
	wantCode(t, "unknown", get(&assayv1.GetResultRequest{Id: strings.Repeat("0", 32)}), codes.NotFound, "not found")
	d.results.err = fmt.Errorf("open /var/lib/assay: %w", inspection.ErrClosed)
	wantCode(t, "closed store", get(&assayv1.GetResultRequest{Id: string(want.ID)}), codes.Unavailable, "shutting down")
}

func TestListResults(t *testing.T) {
	d := open(t, nil)
	d.results.rows = rows(25)
	client, ctx := assayv1.NewResultServiceClient(d.conn), testContext(t)
	var ids []string
	for cursor := ""; ; {
		page, err := client.ListResults(ctx, &assayv1.ListResultsRequest{
			PageSize: 10, Cursor: cursor, Ascending: true,
			Filter: &assayv1.ResultFilter{Serial: "SN", DefectClass: "open", Verdicts: []assayv1.Verdict{assayv1.Verdict_VERDICT_FAIL}, Simulated: assayv1.Simulated_SIMULATED_ONLY},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Results {
			ids = append(ids, r.Id)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 25 {
		t.Errorf("got %d different results over all pages, want 25", len(ids))
	}
	q := d.results.last
	if q.Serial != "SN" || q.DefectClass != "open" || !slices.Equal(q.Verdicts, []inspection.Verdict{inspection.Fail}) || q.Simulated != inspection.SimulatedOnly || !q.Ascending || q.Limit != 10 {
		t.Errorf("the store was asked %+v, want what the request said", q)
	}
	for name, tc := range map[string]struct {
		req  *assayv1.ListResultsRequest
		text string
	}{
		"page of -1":      {&assayv1.ListResultsRequest{PageSize: -1}, "page_size is -1"},
		"page of 1001":    {&assayv1.ListResultsRequest{PageSize: 1001}, "page_size is 1001"},
		"foreign cursor":  {&assayv1.ListResultsRequest{Cursor: "zzz"}, "cursor"},
		"long cursor":     {&assayv1.ListResultsRequest{Cursor: strings.Repeat("9", 5000)}, "cursor has 5000 bytes"},
		"long serial":     {&assayv1.ListResultsRequest{Filter: &assayv1.ResultFilter{Serial: strings.Repeat("x", 300)}}, "serial has 300 bytes"},
		"unknown verdict": {&assayv1.ListResultsRequest{Filter: &assayv1.ResultFilter{Verdicts: []assayv1.Verdict{9}}}, "verdicts holds 9"},
		"many verdicts":   {&assayv1.ListResultsRequest{Filter: &assayv1.ResultFilter{Verdicts: make([]assayv1.Verdict, 99)}}, "verdicts holds 99 entries"},
		"no time at all": {&assayv1.ListResultsRequest{Filter: &assayv1.ResultFilter{
			From: timestamppb.New(time.Unix(5, 0)), To: timestamppb.New(time.Unix(5, 0)),
		}}, "from 1970-01-01T00:00:05Z is not before to"},
	} {
		_, err := client.ListResults(ctx, tc.req)
		wantCode(t, name, err, codes.InvalidArgument, tc.text)
	}
}

func TestWatchResults(t *testing.T) {
	d := open(t, nil)
	d.results.rows = rows(5)
	client := assayv1.NewResultServiceClient(d.conn)
	watch, err := client.WatchResults(testContext(t), &assayv1.WatchResultsRequest{Cursor: "2"})
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 5; i++ {
		m, err := watch.Recv()
		if err != nil || m.Result.Id != string(d.results.rows[i].ID) || m.Cursor != fmt.Sprint(i+1) {
			t.Fatalf("got %v, %v; want result %d with the cursor after it", m, err, i+1)
		}
	}
	end := func(req *assayv1.WatchResultsRequest) error {
		w, err := client.WatchResults(testContext(t), req)
		if err == nil {
			_, err = w.Recv()
		}
		return err
	}
	wantCode(t, "bad cursor", end(&assayv1.WatchResultsRequest{Cursor: "x"}), codes.InvalidArgument, "cursor")
	wantCode(t, "bad filter", end(&assayv1.WatchResultsRequest{Filter: &assayv1.ResultFilter{Lot: "\x01"}}), codes.InvalidArgument, "lot")
	go func() { _ = d.Close(testContext(t)) }()
	_, err = watch.Recv()
	wantCode(t, "shutdown", err, codes.Unavailable, "shutting down")
}

func TestWatchResultsLags(t *testing.T) {
	d := open(t, nil)
	d.results.err = inspection.ErrOverloaded
	w, err := assayv1.NewResultServiceClient(d.conn).WatchResults(testContext(t), &assayv1.WatchResultsRequest{})
	if err == nil {
		_, err = w.Recv()
	}
	wantCode(t, "a watcher that lags", err, codes.Aborted, "last cursor")
}

func TestCatalogServices(t *testing.T) {
	d := open(t, nil)
	ctx := testContext(t)
	models, recipes := assayv1.NewModelServiceClient(d.conn), assayv1.NewRecipeServiceClient(d.conn)
	list, err := models.ListModels(ctx, &assayv1.ListModelsRequest{})
	if err != nil || len(list.Models) != 1 {
		t.Fatalf("got %v, %v; want one model", list, err)
	}
	m := list.Models[0]
	if m.Ref.Name != "pcb-pair" || m.State != assayv1.ModelState_MODEL_STATE_READY || !m.Active || !slices.Equal(m.BatchSizes, []int32{1, 4}) || m.Inputs[0].Width != 640 || m.Provider != "cpu" {
		t.Errorf("got model %v, want what the catalog says", m)
	}
	one, err := models.GetModel(ctx, &assayv1.GetModelRequest{Name: "pcb-pair", Version: "1"})
	if err != nil || one.Manifest != "task: detect\n" {
		t.Errorf("got %v, %v; want the manifest", one, err)
	}
	_, err = models.GetModel(ctx, &assayv1.GetModelRequest{})
	wantCode(t, "no name", err, codes.InvalidArgument, "name is empty")
	_, err = models.GetModel(ctx, &assayv1.GetModelRequest{Name: "pcb-pair", Version: "9"})
	wantCode(t, "unknown version", err, codes.NotFound, "unknown model")

	p, err := models.ProfileModel(ctx, &assayv1.ProfileModelRequest{Name: "pcb-pair"})
	if err != nil || p.Model.GetName() != "pcb-pair" || len(p.Surface) != 2 || p.Throughput.GetCallers() != 2 || p.Idle != nil || !p.Cached || p.Waits {
		t.Errorf("got profile %v, %v; want what was kept", p, err)
	}
	if p.GetTook().AsDuration() != 2*time.Second || p.GetMeasured().GetSeconds() != 1000 || !p.GetDrifted() || p.GetDriftRatio() != 1.3 || p.GetNarrow().GetP99().AsDuration() != 40*time.Millisecond {
		t.Errorf("got profile %v, want when it was measured and how its runs differ", p)
	}
	p, err = models.ProfileModel(ctx, &assayv1.ProfileModelRequest{Name: "pcb-pair", Version: "1", Measure: true})
	if err != nil || p.Cached || !p.Waits || p.Idle.GetThreads() != 2 || p.Idle.GetMedian().AsDuration() != 11*time.Millisecond || p.Idle.GetSamplesPerSecond() != 91 || p.Idle.GetRuns() != 8 {
		t.Errorf("got profile %v, %v; want it measured now", p, err)
	}
	_, err = models.ProfileModel(ctx, &assayv1.ProfileModelRequest{Name: "pcb-pair", Version: "9"})
	wantCode(t, "profile of an unknown version", err, codes.NotFound, "unknown model")
	_, err = models.ProfileModel(ctx, &assayv1.ProfileModelRequest{})
	wantCode(t, "profile of no name", err, codes.InvalidArgument, "name is empty")

	all, err := recipes.ListRecipes(ctx, &assayv1.ListRecipesRequest{})
	if err != nil || len(all.Recipes) != 2 {
		t.Fatalf("got %v, %v; want two recipes", all, err)
	}
	if !slices.Equal(all.Problems, []string{"y.yaml: not taken"}) {
		t.Errorf("problems are %q, want what the catalog says", all.Problems)
	}
	r := all.Recipes[0]
	if r.Ref.Revision != 3 || r.ModelSelector != "pcb-pair" || r.Fallback != assayv1.Verdict_VERDICT_REVIEW || !slices.Equal(r.References, []string{"a", "b"}) || !r.Ready {
		t.Errorf("got recipe %v, want what the catalog says", r)
	}
	text, err := recipes.GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: "pcb", Revision: 3})
	if err != nil || text.Yaml != "name: pcb\n" {
		t.Errorf("got %v, %v; want the text", text, err)
	}
	_, err = recipes.GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: "pcb", Revision: 4})
	wantCode(t, "unknown revision", err, codes.NotFound, "not found")
	_, err = recipes.GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: "pcb", Revision: -1})
	wantCode(t, "negative revision", err, codes.InvalidArgument, "revision is -1")
	// Messages of these services are small, whatever the limit for images.
	_, err = models.GetModel(ctx, &assayv1.GetModelRequest{Name: strings.Repeat("x", server.MaxMessageBytes)})
	wantCode(t, "a message over the limit", err, codes.Internal, "at most 4194304 are allowed")
}

func TestNodeStatus(t *testing.T) {
	d := open(t, nil)
	days := 12.5
	d.status.NodeStatus = server.NodeStatus{
		Version: "v1", Ready: false, Reasons: []string{"recipe cold"}, Warnings: []string{"cuda fell back"}, DeadlineMisses: 4,
		Frames: map[string]uint64{"pass": 3}, Libraries: map[string]string{"sqlite": "3"},
		Storage: server.Storage{Directory: "data", Free: 1, Used: 2, ImageBudget: 3, ImageBytes: 4, Images: map[string]uint64{"kept": 5}, Results: 6, DaysLeft: &days, Full: true},
	}
	d.dial(t, "cam")
	st, err := assayv1.NewNodeServiceClient(d.conn).GetStatus(testContext(t), &assayv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s := st.Storage
	if st.Node != "node-1" || st.Version != "v1" || st.Ready || st.Reasons[0] != "recipe cold" || st.Warnings[0] != "cuda fell back" ||
		st.Streams != 1 || st.InFlight != 0 || st.DeadlineMisses != 4 || st.Frames["pass"] != 3 || st.Libraries["sqlite"] != "3" || st.Uptime.AsDuration() <= 0 {
		t.Errorf("got %v, want what the node says and one stream", st)
	}
	if s.Directory != "data" || s.FreeBytes != 1 || s.UsedBytes != 2 || s.ImageBudgetBytes != 3 || s.ImageBytes != 4 || s.Images["kept"] != 5 || s.Results != 6 || s.GetDaysLeft() != 12.5 || !s.Full {
		t.Errorf("got storage %v, want what the node says", s)
	}
}

func TestHealth(t *testing.T) {
	d := open(t, nil)
	client, ctx := healthgrpc.NewHealthClient(d.conn), testContext(t)
	for service, want := range map[string]healthgrpc.HealthCheckResponse_ServingStatus{
		"": healthgrpc.HealthCheckResponse_SERVING, "recipe/pcb": healthgrpc.HealthCheckResponse_SERVING, "recipe/cold": healthgrpc.HealthCheckResponse_NOT_SERVING,
	} {
		if got, err := client.Check(ctx, &healthgrpc.HealthCheckRequest{Service: service}); err != nil || got.Status != want {
			t.Errorf("%q: got %v, %v; want %v", service, got.GetStatus(), err, want)
		}
	}
	_, err := client.Check(ctx, &healthgrpc.HealthCheckRequest{Service: "recipe/nope"})
	wantCode(t, "unknown service", err, codes.NotFound, "unknown service")
	all, err := client.List(ctx, &healthgrpc.HealthListRequest{})
	if err != nil || len(all.Statuses) != 3 {
		t.Errorf("got %v, %v; want the node and two recipes", all, err)
	}
	watch, err := client.Watch(ctx, &healthgrpc.HealthCheckRequest{Service: "recipe/pcb"})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthgrpc.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := watch.Recv(); err != nil || got.Status != want {
			t.Fatalf("got %v, %v; want %v", got.GetStatus(), err, want)
		}
	}
	next(healthgrpc.HealthCheckResponse_SERVING)
	d.catalog.setReady(false)
	next(healthgrpc.HealthCheckResponse_NOT_SERVING)
	d.catalog.setReady(true)
	next(healthgrpc.HealthCheckResponse_SERVING)
	go func() { _ = d.Close(context.Background()) }()
	next(healthgrpc.HealthCheckResponse_NOT_SERVING)
	_, err = watch.Recv()
	wantCode(t, "shutdown", err, codes.Unavailable, "shutting down")
}

// Every service can be found by tools that know none of our .proto files.
func TestReflection(t *testing.T) {
	d := open(t, nil)
	stream, err := reflectiongrpc.NewServerReflectionClient(d.conn).ServerReflectionInfo(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectiongrpc.ServerReflectionRequest{MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	for _, want := range []string{"InspectionService", "ResultService", "ModelService", "RecipeService", "NodeService"} {
		if !slices.Contains(names, "assay.v1."+want) {
			t.Errorf("got services %v, want assay.v1.%s among them", names, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
