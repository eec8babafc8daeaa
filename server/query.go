package server

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

const timeFormat = time.RFC3339Nano

// maxQuery bounds a query string in bytes: every parameter at its longest, percent-encoded, fits.
const maxQuery = 8 << 10

// parseQuery reads the query string of GET /v1/results: the fields of ResultFilter and ListResultsRequest under their own
// names, verdict as often as there are verdicts to look for, times as RFC 3339, simulated as exclude, only or include.
// The error is ErrInvalid and names the parameter.
func parseQuery(raw string) (*assayv1.ListResultsRequest, error) {
	if len(raw) > maxQuery {
		return nil, fmt.Errorf("%w: the query has %d bytes: at most %d are allowed", inspection.ErrInvalid, len(raw), maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the query is not well formed: %w", inspection.ErrInvalid, err)
	}
	req := &assayv1.ListResultsRequest{Filter: &assayv1.ResultFilter{}}
	fields := queryFields(req)
	for _, name := range slices.Sorted(maps.Keys(values)) { // the same fault is named whatever the order
		set, ok := fields[name]
		if !ok {
			return nil, fmt.Errorf("%w: unknown parameter %q: use %s", inspection.ErrInvalid, name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if len(values[name]) > 1 && name != "verdict" {
			return nil, fmt.Errorf("%w: parameter %s is given %d times", inspection.ErrInvalid, name, len(values[name]))
		}
		for _, v := range values[name] {
			if err := set(v); err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
		}
	}
	return req, nil
}

// queryFields are the parameters, each with what it sets in req.
func queryFields(req *assayv1.ListResultsRequest) map[string]func(string) error {
	f := req.Filter
	fields := map[string]func(string) error{
		"verdict": func(v string) error {
			verdict, err := inspection.ParseVerdict(strings.TrimPrefix(strings.ToUpper(v), "VERDICT_"))
			f.Verdicts = append(f.Verdicts, assayv1.Verdict(verdict))
			return err
		},
		"from":      timeField(&f.From),
		"to":        timeField(&f.To),
		"simulated": func(v string) (err error) { f.Simulated, err = parseSimulated(v); return err },
		"cursor":    func(v string) error { req.Cursor = v; return nil },
		"page_size": func(v string) error {
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil {
				return fmt.Errorf("%w: %q is not a number", inspection.ErrInvalid, v)
			}
			req.PageSize = int32(n)
			return nil
		},
		"ascending": func(v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("%w: %q: give true or false", inspection.ErrInvalid, v)
			}
			req.Ascending = b
			return nil
		},
	}
	for name, field := range map[string]*string{
		"serial": &f.Serial, "run_id": &f.RunId, "lot": &f.Lot, "work_order": &f.WorkOrder, "line": &f.Line, "station": &f.Station,
		"camera": &f.Camera, "session": &f.Session, "product": &f.Product, "recipe": &f.Recipe, "model": &f.Model,
		"model_version": &f.ModelVersion, "defect_class": &f.DefectClass,
	} {
		fields[name] = func(v string) error { *field = v; return nil }
	}
	return fields
}

func timeField(field **timestamppb.Timestamp) func(string) error {
	return func(v string) error {
		t, err := time.Parse(timeFormat, v)
		if err != nil {
			return fmt.Errorf("%w: %q is not a time such as 2026-01-31T08:00:00Z", inspection.ErrInvalid, v)
		}
		*field = timestamppb.New(t)
		return nil
	}
}

func parseSimulated(v string) (assayv1.Simulated, error) {
	switch v {
	case "exclude":
		return assayv1.Simulated_SIMULATED_UNSPECIFIED, nil
	case "only":
		return assayv1.Simulated_SIMULATED_ONLY, nil
	case "include":
		return assayv1.Simulated_SIMULATED_INCLUDE, nil
	}
	return 0, fmt.Errorf("%w: %q: give exclude, only or include", inspection.ErrInvalid, v)
}
