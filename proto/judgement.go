package proto

import (
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// FromJudgement returns the message for a judgement.
func FromJudgement(j inspection.Judgement) *assayv1.Judgement {
	return &assayv1.Judgement{
		Role:    FromRole(j.Role),
		Verdict: FromVerdict(j.Verdict),
		Source:  FromSource(j.Source),
		Reason:  string(j.Reason),
		Detail:  j.Detail,
		Defects: each(j.Defects, FromDefect),
		Facts:   FromFacts(j.Facts),
		Model:   FromModelRef(j.Model),
		Recipe:  FromRecipeRef(j.Recipe),
		Node:    j.Node,
		Timings: FromTimings(j.Timings),
		At:      FromTime(j.At),
		Heatmap: FromHeatmap(j.Heatmap),
	}
}

// ToJudgement returns the judgement in a message, and of nil the zero one, UNDETERMINED.
func ToJudgement(j *assayv1.Judgement) inspection.Judgement {
	return inspection.Judgement{
		Role:    ToRole(j.GetRole()),
		Verdict: ToVerdict(j.GetVerdict()),
		Source:  ToSource(j.GetSource()),
		Reason:  inspection.Reason(j.GetReason()),
		Detail:  j.GetDetail(),
		Defects: each(j.GetDefects(), ToDefect),
		Facts:   ToFacts(j.GetFacts()),
		Model:   ToModelRef(j.GetModel()),
		Recipe:  ToRecipeRef(j.GetRecipe()),
		Node:    j.GetNode(),
		Timings: ToTimings(j.GetTimings()),
		At:      ToTime(j.GetAt()),
		Heatmap: ToHeatmap(j.GetHeatmap()),
	}
}

// each converts a list and keeps an empty one nil.
func each[A, B any](in []A, convert func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = convert(v)
	}
	return out
}

// FromDefect returns the message for a defect.
func FromDefect(d inspection.Defect) *assayv1.Defect {
	m := &assayv1.Defect{
		Id:       fromInt(d.ID),
		Class:    d.Class,
		Code:     d.Code,
		Severity: fromInt(d.Severity),
		Score:    d.Score,
		Box:      FromBox(d.Box),
		Region:   d.Region,
		Unit:     d.Unit,
		Called:   d.Called,
		Verdict:  FromVerdict(d.Verdict),
		Mask:     FromMask(d.Mask),
	}
	if d.BoxMM != nil {
		m.BoxMm = FromBox(*d.BoxMM)
	}
	return m
}

// ToDefect returns the defect in a message.
func ToDefect(m *assayv1.Defect) inspection.Defect {
	d := inspection.Defect{
		ID:       int(m.GetId()),
		Class:    m.GetClass(),
		Code:     m.GetCode(),
		Severity: int(m.GetSeverity()),
		Score:    m.GetScore(),
		Box:      ToBox(m.GetBox()),
		Region:   m.GetRegion(),
		Unit:     m.GetUnit(),
		Called:   m.GetCalled(),
		Verdict:  ToVerdict(m.GetVerdict()),
		Mask:     ToMask(m.GetMask()),
	}
	if m.GetBoxMm() != nil {
		mm := ToBox(m.GetBoxMm())
		d.BoxMM = &mm
	}
	return d
}

// FromMask returns the message for a mask, and nil for none.
func FromMask(m *inspection.Mask) *assayv1.Mask {
	if m == nil {
		return nil
	}
	return &assayv1.Mask{Width: fromInt(m.Width), Height: fromInt(m.Height), Counts: m.Counts}
}

// ToMask returns the mask in a message, and nil for none.
func ToMask(m *assayv1.Mask) *inspection.Mask {
	if m == nil {
		return nil
	}
	return &inspection.Mask{Width: int(m.GetWidth()), Height: int(m.GetHeight()), Counts: m.GetCounts()}
}

// FromHeatmap returns the message for a heatmap, and nil for none.
func FromHeatmap(h *inspection.Heatmap) *assayv1.Heatmap {
	if h == nil {
		return nil
	}
	return &assayv1.Heatmap{Png: h.PNG, Area: FromBox(h.Area), Low: h.Low, High: h.High}
}

// ToHeatmap returns the heatmap in a message, and nil for none.
func ToHeatmap(m *assayv1.Heatmap) *inspection.Heatmap {
	if m == nil {
		return nil
	}
	return &inspection.Heatmap{PNG: m.GetPng(), Area: ToBox(m.GetArea()), Low: m.GetLow(), High: m.GetHigh()}
}

// FromBox returns the message for a box.
func FromBox(b inspection.Box) *assayv1.Box {
	return &assayv1.Box{X1: b.X1, Y1: b.Y1, X2: b.X2, Y2: b.Y2}
}

// ToBox returns the box in a message.
func ToBox(b *assayv1.Box) inspection.Box {
	return inspection.Box{X1: b.GetX1(), Y1: b.GetY1(), X2: b.GetX2(), Y2: b.GetY2()}
}

// FromFacts returns the message for image facts, and nil where nothing was measured.
func FromFacts(f *inspection.ImageFacts) *assayv1.ImageFacts {
	if f == nil {
		return nil
	}
	return &assayv1.ImageFacts{
		Width: fromInt(f.Width), Height: fromInt(f.Height), Mean: f.Mean, Contrast: f.Contrast, Sharpness: f.Sharpness,
		Aligned: f.Aligned, ShiftX: f.ShiftX, ShiftY: f.ShiftY, Repeated: f.Repeated,
	}
}

// ToFacts returns the image facts in a message, and nil where nothing was measured.
func ToFacts(f *assayv1.ImageFacts) *inspection.ImageFacts {
	if f == nil {
		return nil
	}
	return &inspection.ImageFacts{
		Width: int(f.Width), Height: int(f.Height), Mean: f.Mean, Contrast: f.Contrast, Sharpness: f.Sharpness,
		Aligned: f.Aligned, ShiftX: f.ShiftX, ShiftY: f.ShiftY, Repeated: f.Repeated,
	}
}

// FromModelRef returns the message for a model reference.
func FromModelRef(m inspection.ModelRef) *assayv1.ModelRef {
	return &assayv1.ModelRef{Name: m.Name, Version: m.Version, Digest: m.Digest}
}

// ToModelRef returns the model reference in a message.
func ToModelRef(m *assayv1.ModelRef) inspection.ModelRef {
	return inspection.ModelRef{Name: m.GetName(), Version: m.GetVersion(), Digest: m.GetDigest()}
}

// FromRecipeRef returns the message for a recipe reference.
func FromRecipeRef(r inspection.RecipeRef) *assayv1.RecipeRef {
	return &assayv1.RecipeRef{Name: r.Name, Revision: fromInt(r.Revision), Digest: r.Digest}
}

// ToRecipeRef returns the recipe reference in a message.
func ToRecipeRef(r *assayv1.RecipeRef) inspection.RecipeRef {
	return inspection.RecipeRef{Name: r.GetName(), Revision: int(r.GetRevision()), Digest: r.GetDigest()}
}

// FromTimings returns the message for timings; a step that did not happen is absent.
func FromTimings(t inspection.Timings) *assayv1.Timings {
	return &assayv1.Timings{
		Receive: FromDuration(t.Receive), Queue: FromDuration(t.Queue), Decode: FromDuration(t.Decode),
		ComputeInput: FromDuration(t.ComputeInput), ComputeInfer: FromDuration(t.ComputeInfer),
		ComputeOutput: FromDuration(t.ComputeOutput), Forward: FromDuration(t.Forward), Commit: FromDuration(t.Commit),
	}
}

// ToTimings returns the timings in a message.
func ToTimings(t *assayv1.Timings) inspection.Timings {
	return inspection.Timings{
		Receive: ToDuration(t.GetReceive()), Queue: ToDuration(t.GetQueue()), Decode: ToDuration(t.GetDecode()),
		ComputeInput: ToDuration(t.GetComputeInput()), ComputeInfer: ToDuration(t.GetComputeInfer()),
		ComputeOutput: ToDuration(t.GetComputeOutput()), Forward: ToDuration(t.GetForward()), Commit: ToDuration(t.GetCommit()),
	}
}

// FromEffect returns the message for an effect.
func FromEffect(e inspection.Effect) *assayv1.Effect {
	return &assayv1.Effect{Verdict: FromVerdict(e.Verdict), Source: FromSource(e.Source), Reason: string(e.Reason)}
}

// ToEffect returns the effect in a message.
func ToEffect(e *assayv1.Effect) inspection.Effect {
	return inspection.Effect{Verdict: ToVerdict(e.GetVerdict()), Source: ToSource(e.GetSource()), Reason: inspection.Reason(e.GetReason())}
}
