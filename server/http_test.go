package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
	"github.com/assay-vision/assay/server"
)

// reply is what came beside the body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// get fetches a path of the HTTP side, with headers given as name, value.
func (d *door) get(t *testing.T, path string, headers ...string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, "http://"+d.HTTPAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header}, string(body)
}

func TestProbes(t *testing.T) {
	d := open(t, nil)
	if resp, body := d.get(t, "/healthz"); resp.StatusCode != 200 || body != "ok\n" {
		t.Errorf("healthz: got %d %q, want 200 ok", resp.StatusCode, body)
	}
	d.status.Warnings = []string{"model pcb-pair: cuda is missing, it runs on cpu"}
	resp, body := d.get(t, "/readyz")
	if want := `{"ready":true,"reasons":[],"warnings":["model pcb-pair: cuda is missing, it runs on cpu"]}` + "\n"; resp.StatusCode != 200 || body != want {
		t.Errorf("readyz: got %d %s, want 200 %s", resp.StatusCode, body, want)
	}
	d.status.NodeStatus = server.NodeStatus{Reasons: []string{"recipe cold: model is loading"}}
	resp, body = d.get(t, "/readyz")
	if want := `{"ready":false,"reasons":["recipe cold: model is loading"],"warnings":[]}` + "\n"; resp.StatusCode != 503 || body != want {
		t.Errorf("readyz: got %d %s, want 503 %s", resp.StatusCode, body, want)
	}
	d.dial(t, "cam")
	if resp, body := d.get(t, "/metrics"); resp.StatusCode != 200 || !strings.Contains(body, "assay_server_streams 1\n") {
		t.Errorf("metrics: got %d and %d bytes, want 200 and one stream", resp.StatusCode, len(body))
	}
	if resp, _ := d.get(t, "/nothing"); resp.StatusCode != 404 {
		t.Errorf("unknown path: got %d, want 404", resp.StatusCode)
	}
}

func TestHTTPResults(t *testing.T) {
	d := open(t, nil)
	d.results.rows = rows(3)
	d.results.rows[1].Effective = inspection.Effect{}
	resp, body := d.get(t, "/v1/results/"+string(d.results.rows[1].ID))
	var one assayv1.GetResultResponse
	if err := protojson.Unmarshal([]byte(body), &one); err != nil || resp.StatusCode != 200 || one.Result.Frame.Serial != "SN-2" {
		t.Errorf("got %d %s (%v), want the result of SN-2", resp.StatusCode, body, err)
	}
	if !strings.Contains(strings.ReplaceAll(body, " ", ""), `"verdict":"VERDICT_UNDETERMINED"`) {
		t.Errorf("got %s, want an UNDETERMINED that can be seen", body)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got content type %q, want application/json", got)
	}
	query := url.Values{
		"serial": {"SN 1"}, "verdict": {"FAIL", "verdict_review"}, "from": {"2026-01-31T08:00:00+01:00"}, "page_size": {"2"}, "ascending": {"true"}, "simulated": {"include"},
	}
	resp, body = d.get(t, "/v1/results?"+query.Encode())
	var page assayv1.ListResultsResponse
	if err := protojson.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != 200 || len(page.Results) != 2 || page.NextCursor != "2" {
		t.Errorf("got %d %s (%v), want a page of 2", resp.StatusCode, body, err)
	}
	q := d.results.last
	if q.Serial != "SN 1" || len(q.Verdicts) != 2 || q.Verdicts[1] != inspection.Review || q.From.UTC().Hour() != 7 || q.Limit != 2 || !q.Ascending || q.Simulated != inspection.SimulatedInclude {
		t.Errorf("the store was asked %+v, want what the query said", q)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/v1/results?colour=red":             {400, `unknown parameter \"colour\"`},
		"/v1/results?lot=a&lot=b":            {400, "parameter lot is given 2 times"},
		"/v1/results?verdict=GOOD":           {400, "parameter verdict"},
		"/v1/results?from=yesterday":         {400, "parameter from"},
		"/v1/results?page_size=2000":         {400, "page_size is 2000"},
		"/v1/results?page_size=ten":          {400, "parameter page_size"},
		"/v1/results?ascending=up":           {400, "parameter ascending"},
		"/v1/results?simulated=yes":          {400, "parameter simulated"},
		"/v1/results?serial=%ff":             {400, "serial is not valid UTF-8"},
		"/v1/results?serial=%zz":             {400, "not well formed"},
		"/v1/results?cursor=zzz":             {400, "cursor"},
		"/v1/results/nope":                   {400, "32 hexadecimal digits"},
		"/v1/results/" + nobody:              {404, "not found"},
		"/v1/results/" + nobody + "/image":   {404, "not found"},
		"/v1/results/..%2f..%2fetc/image":    {400, "32 hexadecimal digits"},
		"/v1/results?" + longQuery("serial"): {400, "at most 8192 are allowed"},
	} {
		resp, body := d.get(t, path)
		if resp.StatusCode != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%.60s: got %d %s, want %d that says %q", path, resp.StatusCode, body, want.status, want.text)
		}
		var e struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code == 0 || e.Message == "" {
			t.Errorf("%.60s: got error body %s, want code and message", path, body)
		}
	}
	d.results.err = errors.New("open /secret/path: it broke")
	if resp, body := d.get(t, "/v1/results"); resp.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Errorf("got %d %s, want 500 that names no path", resp.StatusCode, body)
	}
}

const nobody = "00000000000000000000000000000000"

func longQuery(name string) string { return name + "=" + strings.Repeat("x", 10_000) }

func TestHTTPImage(t *testing.T) {
	d := open(t, nil)
	data := bytes.Repeat([]byte("0123456789"), 1000)
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	id := func(n int) string { return fmt.Sprintf("%032x", n) }
	put := func(n int, info inspection.ImageInfo, err error) {
		d.images[inspection.ResultID(id(n))] = picture{data: data, info: info, err: err}
	}
	put(1, inspection.ImageInfo{Format: inspection.FormatJPEG}, nil)
	put(2, inspection.ImageInfo{Format: inspection.FormatPNG}, nil)
	put(3, inspection.ImageInfo{Format: inspection.FormatRaw, Width: 100, Height: 50, Stride: 200, PixelFormat: inspection.Mono8}, nil)
	put(4, inspection.ImageInfo{State: inspection.ImageShed}, inspection.ErrNotFound)
	put(5, inspection.ImageInfo{}, errors.New("open /var/images/5: input/output error"))

	resp, body := d.get(t, "/v1/results/"+id(1)+"/image")
	if resp.StatusCode != 200 || body != string(data) || resp.Header.Get("Content-Type") != "image/jpeg" || resp.Header.Get("ETag") != etag {
		t.Errorf("got %d, %d bytes, %v; want the bytes as a JPEG under their digest", resp.StatusCode, len(body), resp.Header)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("got headers %v, want that nothing in the bytes is run", resp.Header)
	}
	resp, body = d.get(t, "/v1/results/"+id(1)+"/image", "Range", "bytes=10-19", "If-Range", etag)
	if resp.StatusCode != 206 || body != "0123456789" || resp.Header.Get("Content-Range") != "bytes 10-19/10000" {
		t.Errorf("a range: got %d %q %v, want 206 and ten bytes", resp.StatusCode, body, resp.Header)
	}
	if resp, _ = d.get(t, "/v1/results/"+id(1)+"/image", "If-None-Match", etag); resp.StatusCode != 304 {
		t.Errorf("the same again: got %d, want 304", resp.StatusCode)
	}
	if resp, _ = d.get(t, "/v1/results/"+id(2)+"/image"); resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("got %v, want image/png", resp.Header)
	}
	resp, _ = d.get(t, "/v1/results/"+id(3)+"/image")
	h := resp.Header
	if h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Image-Width") != "100" || h.Get("X-Image-Height") != "50" || h.Get("X-Image-Stride") != "200" || h.Get("X-Image-Pixel-Format") != "0x01080001" {
		t.Errorf("raw: got %v, want the picture's dimensions", h)
	}
	if resp, body = d.get(t, "/v1/results/"+id(4)+"/image"); resp.StatusCode != 410 {
		t.Errorf("given up: got %d %s, want 410", resp.StatusCode, body)
	}
	if resp, body = d.get(t, "/v1/results/"+id(5)+"/image"); resp.StatusCode != 500 || strings.Contains(body, "/var") {
		t.Errorf("a fault: got %d %s, want 500 that names no path", resp.StatusCode, body)
	}
}

func TestProfilesAreServedWhereAskedFor(t *testing.T) {
	if resp, _ := open(t, nil).get(t, "/debug/pprof/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("by default: got %d, want 404", resp.StatusCode)
	}
	d := open(t, func(c *server.Config) { c.Pprof = true })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.01"} {
		if resp, body := d.get(t, path); resp.StatusCode != http.StatusOK || body == "" {
			t.Errorf("%s: got %d with %d bytes, want 200 with some", path, resp.StatusCode, len(body))
		}
	}
}
