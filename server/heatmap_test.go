package server_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func heatmap() *inspection.Heatmap {
	return &inspection.Heatmap{PNG: []byte("\x89PNG picture"), Area: inspection.Box{X1: -0.5, Y1: 2, X2: 640, Y2: 480}, Low: -3.25, High: 17}
}

// A heatmap is fetched as a picture, and comes with its masks in the result itself.
func TestHTTPHeatmap(t *testing.T) {
	d := open(t, nil)
	d.results.rows = rows(3)
	one := &d.results.rows[1]
	mask := inspection.EncodeMask(4, 3, 1, 1, 1, 2, []bool{true, true})
	one.Judgements = []inspection.Judgement{
		{Verdict: inspection.Review},
		{Verdict: inspection.Fail, Heatmap: heatmap(), Defects: []inspection.Defect{{ID: 1, Class: "stain", Called: true, Mask: mask}}},
		{Verdict: inspection.Fail, Heatmap: &inspection.Heatmap{PNG: []byte("a later one")}},
	}
	path := "/v1/results/" + string(one.ID)
	resp, body := d.get(t, path+"/heatmap")
	h := resp.Header
	if resp.StatusCode != 200 || body != "\x89PNG picture" || h.Get("Content-Type") != "image/png" {
		t.Errorf("got %d, %q, %v; want the first heatmap's picture", resp.StatusCode, body, h)
	}
	if h.Get("X-Heatmap-Area") != "-0.5 2 640 480" || h.Get("X-Heatmap-Low") != "-3.25" || h.Get("X-Heatmap-High") != "17" {
		t.Errorf("got %v, want area and range in the headers", h)
	}
	_, body = d.get(t, path)
	var got assayv1.GetResultResponse
	if err := protojson.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	j := got.Result.Judgements[1]
	if m := j.Defects[0].Mask; m.GetWidth() != 4 || m.GetHeight() != 3 || m.GetCounts() != mask.Counts || !bytes.Equal(j.Heatmap.GetPng(), heatmap().PNG) {
		t.Errorf("got %s, want mask and heatmap in the result's JSON", body)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/v1/results/" + string(d.results.rows[0].ID) + "/heatmap": {404, "not found"},
		"/v1/results/" + nobody + "/heatmap":                       {404, "not found"},
		"/v1/results/nope/heatmap":                                 {400, "32 hexadecimal digits"},
	} {
		if resp, body := d.get(t, path); resp.StatusCode != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: got %d %s, want %d that says %q", path, resp.StatusCode, body, want.status, want.text)
		}
	}
}

// The camera's answer says that there is a heatmap and leaves its picture in the record, also of the desk's.
func TestAnswersCarryNoPictures(t *testing.T) {
	d := open(t, nil)
	kept := heatmap()
	d.desk.hook = func(_ context.Context, job inspection.Job) (inspection.Answer, error) {
		a := answer(job, inspection.Fail, inspection.ReasonDefect)
		a.Judgement.Heatmap = kept
		return a, nil
	}
	c := d.dial(t, "cam")
	c.frame(1, []byte("x"), nil2)
	if got := c.answer().Judgement.Heatmap; got.GetHigh() != 17 || got.GetArea().GetX2() != 640 || len(got.GetPng()) != 0 {
		t.Errorf("got %v, want area and range without a picture", got)
	}
	if len(kept.PNG) == 0 {
		t.Error("the desk's own heatmap lost its picture")
	}
}
