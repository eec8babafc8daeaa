package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
	"github.com/assay-vision/assay/server"
)

// versions remembers what it was asked, and refuses with err.
type versions struct {
	mu      sync.Mutex
	err     error
	acts    []server.Activation
	removed []string
	uploads []*upload
}

type upload struct {
	bytes.Buffer
	name, version string
	files         []string
	fail          error // of Commit
	committed     bool
	closed        int
}

func (u *upload) File(name string, size int64, sha string) error {
	u.files = append(u.files, fmt.Sprintf("%s %d %s", name, size, sha))
	return nil
}

func (u *upload) Commit() (inspection.ModelRef, bool, error) {
	u.committed = u.fail == nil
	return inspection.ModelRef{Name: u.name, Version: u.version, Digest: "abc"}, true, u.fail
}

func (u *upload) Close() error {
	u.closed++
	return nil
}

func (v *versions) BeginUpload(name, version string) (server.Upload, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	u := &upload{name: name, version: version, fail: v.err}
	v.uploads = append(v.uploads, u)
	return u, nil
}

func (v *versions) Activate(_ context.Context, by server.Activation) (server.Activation, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	by.Act, by.From = "activate", "1"
	v.acts = append(v.acts, by)
	return by, true, v.err
}

func (v *versions) Rollback(_ context.Context, by server.Activation) (server.Activation, error) {
	by.Act, by.To = "rollback", "1"
	v.acts = append(v.acts, by)
	return by, v.err
}

func (v *versions) RemoveModel(_ context.Context, name, version string) error {
	v.removed = append(v.removed, name+"@"+version)
	return v.err
}

func (v *versions) Activations(name string) []server.Activation {
	var out []server.Activation
	for _, a := range v.acts {
		if name == "" || a.Model == name {
			out = append(out, a)
		}
	}
	return out
}

func header(name, version string) *assayv1.PushModelRequest {
	return &assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Header{Header: &assayv1.PushHeader{Name: name, Version: version}}}
}

func fileOf(name string, size int64) *assayv1.PushModelRequest {
	return &assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_File{File: &assayv1.PushFile{Name: name, Size: size, Sha256: "aa"}}}
}

func chunk(text string) *assayv1.PushModelRequest {
	return &assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Chunk{Chunk: []byte(text)}}
}

func TestAPushHandsOnWhatComes(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages []*assayv1.PushModelRequest
		fail     error
		want     codes.Code
		uploads  int
	}{
		{"whole", []*assayv1.PushModelRequest{header("pair", "2"), fileOf("model.yaml", 2), chunk("a"), chunk("b"), fileOf("model.onnx", 1), chunk("c")}, nil, codes.OK, 1},
		{"refused", []*assayv1.PushModelRequest{header("pair", "2")}, inspection.ErrExists, codes.AlreadyExists, 1},
		{"nothing", nil, nil, codes.InvalidArgument, 0},
		{"no header", []*assayv1.PushModelRequest{chunk("a")}, nil, codes.InvalidArgument, 0},
		{"no version", []*assayv1.PushModelRequest{header("pair", "")}, nil, codes.InvalidArgument, 0},
		{"two headers", []*assayv1.PushModelRequest{header("pair", "2"), header("pair", "3")}, nil, codes.InvalidArgument, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t, nil)
			d.versions.err = c.fail
			stream, err := assayv1.NewModelServiceClient(d.conn).PushModel(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.messages {
				if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
			resp, err := stream.CloseAndRecv()
			if status.Code(err) != c.want || len(d.versions.uploads) != c.uploads {
				t.Fatalf("got %v and %d uploads, want %v and %d", err, len(d.versions.uploads), c.want, c.uploads)
			}
			for _, u := range d.versions.uploads {
				if u.closed != 1 || u.committed != (c.want == codes.OK) {
					t.Errorf("closed %d times, committed %v; want once, and committed only a whole one", u.closed, u.committed)
				}
			}
			if c.want != codes.OK {
				return
			}
			u := d.versions.uploads[0]
			if got := strings.Join(u.files, "|"); got != "model.yaml 2 aa|model.onnx 1 aa" || u.String() != "abc" || u.name != "pair" || u.version != "2" {
				t.Errorf("got %s@%s with files %s and bytes %q", u.name, u.version, got, u.String())
			}
			if resp.GetModel().GetDigest() != "abc" || !resp.GetExisted() {
				t.Errorf("the answer is %v, want the digest, and that it existed", resp)
			}
		})
	}
}

// An upload whose client goes away is closed and not committed.
func TestAnUploadThatIsCutOffIsClosed(t *testing.T) {
	d := open(t, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	stream, err := assayv1.NewModelServiceClient(d.conn).PushModel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*assayv1.PushModelRequest{header("pair", "2"), fileOf("model.yaml", 2)} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	poll(t, "the upload has begun", func() bool {
		d.versions.mu.Lock()
		defer d.versions.mu.Unlock()
		return len(d.versions.uploads) == 1
	})
	cancel()
	closeCtx := testContext(t)
	if err := d.Close(closeCtx); err != nil { // waits for handlers
		t.Fatal(err)
	}
	if u := d.versions.uploads[0]; u.closed != 1 || u.committed {
		t.Errorf("closed %d times, committed %v; want once, and not committed", u.closed, u.committed)
	}
}

func TestActsCarryWhoAndWhy(t *testing.T) {
	d := open(t, nil)
	client := assayv1.NewModelServiceClient(d.conn)
	if resp, err := client.ActivateModel(testContext(t), &assayv1.ActivateModelRequest{Name: "pair", Version: "2", By: "ann", Reason: "new lot"}); err != nil || !resp.GetChanged() || resp.GetActivation().GetFrom() != "1" {
		t.Fatalf("got %v, %v", resp, err)
	}
	if _, err := client.RollbackModel(testContext(t), &assayv1.RollbackModelRequest{Name: "pair", By: "bob", Reason: "worse"}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []server.Activation{{Model: "pair", To: "2", By: "ann", Reason: "new lot"}, {Model: "pair", To: "1", By: "bob", Reason: "worse"}} {
		got := d.versions.acts[i]
		if got.Model != want.Model || got.To != want.To || got.By != want.By || got.Reason != want.Reason || !strings.HasPrefix(got.Peer, "127.0.0.1:") {
			t.Errorf("act %d: got %+v, want %+v from this machine", i, got, want)
		}
	}
	resp, err := client.ListActivations(testContext(t), &assayv1.ListActivationsRequest{Name: "pair"})
	if err != nil || len(resp.GetActivations()) != 2 || resp.GetActivations()[1].GetBy() != "bob" {
		t.Errorf("got %v, %v", resp, err)
	}
	d.versions.acts = append(d.versions.acts, make([]server.Activation, 1000)...)
	if resp, err := client.ListActivations(testContext(t), &assayv1.ListActivationsRequest{}); err != nil || len(resp.GetActivations()) != 1000 || resp.GetActivations()[0].GetBy() != "ann" {
		t.Errorf("got %d activations, %v; want the latest 1000", len(resp.GetActivations()), err)
	}
	d.versions.acts = d.versions.acts[:2]
	for name, call := range map[string]func() error{
		"by nobody": func() error {
			_, err := client.ActivateModel(testContext(t), &assayv1.ActivateModelRequest{Name: "pair", Version: "2"})
			return err
		},
		"no version": func() error {
			_, err := client.ActivateModel(testContext(t), &assayv1.ActivateModelRequest{Name: "pair", By: "ann"})
			return err
		},
		"a novel": func() error {
			_, err := client.RollbackModel(testContext(t), &assayv1.RollbackModelRequest{Name: "pair", By: "ann", Reason: strings.Repeat("x", 1001)})
			return err
		},
		"remove all of them": func() error {
			_, err := client.RemoveModel(testContext(t), &assayv1.RemoveModelRequest{Name: "pair"})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v, want INVALID_ARGUMENT", name, err)
		}
	}
	if len(d.versions.acts) != 2 || len(d.versions.removed) != 0 {
		t.Errorf("what was refused was done: %v, %v", d.versions.acts, d.versions.removed)
	}
}

// do sends a request with a JSON body to the HTTP side.
func (d *door) do(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, "http://"+d.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestVersionsOverHTTP(t *testing.T) {
	d := open(t, nil)
	code, text := d.do(t, "POST", "/v1/models/pair/activate", `{"version":"2","by":"ann","reason":"new lot"}`)
	var got struct {
		Changed    bool
		Activation struct{ From, To, By, Reason string }
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != 200 || !got.Changed || got.Activation.To != "2" || got.Activation.By != "ann" || got.Activation.Reason != "new lot" {
		t.Errorf("activate: got %d %s", code, text)
	}
	if code, text := d.do(t, "POST", "/v1/models/pair/rollback", `{"by":"ann"}`); code != 200 || !strings.Contains(text, `"act":"rollback"`) {
		t.Errorf("rollback: got %d %s", code, text)
	}
	if code, text := d.do(t, "DELETE", "/v1/models/pair/versions/1", ""); code != 200 || d.versions.removed[0] != "pair@1" {
		t.Errorf("remove: got %d %s", code, text)
	}
	if code, text := d.do(t, "GET", "/v1/activations?name=pair", ""); code != 200 || strings.Count(text, `"name":"pair"`) != 2 {
		t.Errorf("history: got %d %s", code, text)
	}
	if code, text := d.do(t, "GET", "/v1/models", ""); code != 200 || !strings.Contains(text, `"models":[`) {
		t.Errorf("models: got %d %s", code, text)
	}
	for _, c := range []struct {
		what, path, body string
		headers          []string
		want             int
	}{
		{"no JSON", "/v1/models/pair/activate", "version=2", nil, 400},
		{"a field that there is not", "/v1/models/pair/activate", `{"version":"2","by":"ann","force":true}`, nil, 400},
		{"a rollback to a version", "/v1/models/pair/rollback", `{"version":"2","by":"ann"}`, nil, 400},
		{"a page of somebody else", "/v1/models/pair/activate", `{"version":"2","by":"ann"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if code, text := d.do(t, "POST", c.path, c.body, c.headers...); code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.what, code, text, c.want)
		}
	}
	d.versions.err = fmt.Errorf("%w: golden/a.png: open score 0.9, want 0.97 +- 0.02", inspection.ErrGolden)
	if code, text := d.do(t, "POST", "/v1/models/pair/activate", `{"version":"3","by":"ann"}`); code != 409 || !strings.Contains(text, "want 0.97 +- 0.02") {
		t.Errorf("a failing golden set: got %d %s, want 409 that says by how much", code, text)
	}
}
