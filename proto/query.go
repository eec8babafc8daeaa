package proto

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// FromQuery returns the request for a query.
func FromQuery(q inspection.Query) *assayv1.ListResultsRequest {
	return &assayv1.ListResultsRequest{Filter: FromFilter(q), PageSize: fromInt(q.Limit), Cursor: q.Cursor, Ascending: q.Ascending}
}

// FromFilter returns the filter of a query, without its page and order.
func FromFilter(q inspection.Query) *assayv1.ResultFilter {
	return &assayv1.ResultFilter{
		Serial: q.Serial, RunId: q.RunID, Lot: q.Lot, WorkOrder: q.WorkOrder,
		Line: q.Line, Station: q.Station, Camera: q.Camera, Session: q.Session,
		Product: q.Product, Recipe: q.Recipe, Model: q.Model, ModelVersion: q.ModelVersion,
		Verdicts: each(q.Verdicts, FromVerdict), DefectClass: q.DefectClass,
		From: FromTime(q.From), To: FromTime(q.To),
		Simulated: known(assayv1.Simulated(q.Simulated), assayv1.Simulated_name),
	}
}

// ToQuery returns the query in a request, or ErrInvalid naming the field. It does not check the page size or the names.
func ToQuery(r *assayv1.ListResultsRequest) (inspection.Query, error) {
	q, err := ToFilter(r.GetFilter())
	q.Limit, q.Cursor, q.Ascending = int(r.GetPageSize()), r.GetCursor(), r.GetAscending()
	return q, err
}

// ToFilter returns the query in a filter. Here a number that is not known is an error, ErrInvalid naming the field: a zero
// in its place would quietly answer another question.
func ToFilter(f *assayv1.ResultFilter) (inspection.Query, error) {
	q := inspection.Query{
		Serial: f.GetSerial(), RunID: f.GetRunId(), Lot: f.GetLot(), WorkOrder: f.GetWorkOrder(),
		Line: f.GetLine(), Station: f.GetStation(), Camera: f.GetCamera(), Session: f.GetSession(),
		Product: f.GetProduct(), Recipe: f.GetRecipe(), Model: f.GetModel(), ModelVersion: f.GetModelVersion(),
		Verdicts: each(f.GetVerdicts(), ToVerdict), DefectClass: f.GetDefectClass(),
		From: ToTime(f.GetFrom()), To: ToTime(f.GetTo()),
		Simulated: inspection.SimulatedFilter(known(f.GetSimulated(), assayv1.Simulated_name)),
	}
	for _, v := range f.GetVerdicts() {
		if known(v, assayv1.Verdict_name) != v {
			return q, fmt.Errorf("%w: verdicts holds %d: use the numbers of assay.v1.Verdict", inspection.ErrInvalid, v)
		}
	}
	if v := f.GetSimulated(); known(v, assayv1.Simulated_name) != v {
		return q, fmt.Errorf("%w: simulated is %d: use the numbers of assay.v1.Simulated", inspection.ErrInvalid, v)
	}
	for _, t := range [...]struct {
		name  string
		value *timestamppb.Timestamp
	}{{"from", f.GetFrom()}, {"to", f.GetTo()}} {
		if t.value != nil && t.value.CheckValid() != nil {
			return q, fmt.Errorf("%w: %s is not a time between the years 1 and 9999", inspection.ErrInvalid, t.name)
		}
	}
	return q, nil
}
