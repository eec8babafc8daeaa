package server

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"

	pb "google.golang.org/protobuf/proto"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// format writes a request as a query string; parseQuery must read it back.
func format(req *assayv1.ListResultsRequest) string {
	v, f := url.Values{}, req.Filter
	for name, value := range map[string]string{
		"serial": f.Serial, "run_id": f.RunId, "lot": f.Lot, "work_order": f.WorkOrder, "line": f.Line, "station": f.Station, "camera": f.Camera,
		"session": f.Session, "product": f.Product, "recipe": f.Recipe, "model": f.Model, "model_version": f.ModelVersion,
		"defect_class": f.DefectClass, "cursor": req.Cursor, "page_size": strconv.Itoa(int(req.PageSize)), "ascending": strconv.FormatBool(req.Ascending),
		"simulated": []string{"exclude", "only", "include"}[f.Simulated],
	} {
		v.Set(name, value)
	}
	for _, verdict := range f.Verdicts {
		v.Add("verdict", verdict.String())
	}
	if f.From != nil {
		v.Set("from", f.From.AsTime().Format(timeFormat))
	}
	if f.To != nil {
		v.Set("to", f.To.AsTime().Format(timeFormat))
	}
	return v.Encode()
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"", "serial=SN-1&verdict=FAIL&verdict=REVIEW", "from=2026-01-31T08:00:00Z&to=2026-02-01T00:00:00.5%2B02:00", "page_size=10&cursor=abc&ascending=1",
		"simulated=only", "verdict=VERDICT_PASS", "serial=%ff", "x=%zz", "a;b", "page_size=99999999999", "from=0000-01-01T00:00:00Z", "lot=a&lot=b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		req, err := parseQuery(raw)
		if err != nil {
			if !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("%q: got %v, want an error that is ErrInvalid", raw, err)
			}
			return
		}
		if _, err := proto.ToQuery(req); err != nil && !strings.Contains(err.Error(), "years 1 and 9999") {
			t.Fatalf("%q was taken, and is no query: %v", raw, err)
		} else if err != nil {
			return
		}
		again, err := parseQuery(format(req))
		if err != nil || !pb.Equal(req, again) {
			t.Fatalf("%q: read as %v, and again as %v (%v)", raw, req, again, err)
		}
	})
}
