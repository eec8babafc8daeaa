package proto

import (
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// FromResult returns the message for a result. Where the store keeps the image (Image.Ref) stays here.
func FromResult(r inspection.Result) *assayv1.Result {
	f := r.Frame
	return &assayv1.Result{
		Id:        string(r.ID),
		Key:       FromKey(f.Key),
		Effective: FromEffect(r.Effective),
		Frame: &assayv1.FrameInfo{
			View: f.View, Reference: f.Reference, Serial: f.Serial, RunId: f.RunID, Lot: f.Lot, WorkOrder: f.WorkOrder,
			Product: f.Product, Recipe: f.Recipe, CapturedAt: FromTime(f.CapturedAt), Encoder: f.Encoder,
			Attempt: fromSize(f.Attempt), Budget: FromDuration(f.Budget),
		},
		Image:        FromImageInfo(r.Image),
		Judgements:   each(r.Judgements, FromJudgement),
		Announced:    each(r.Announced, fromAnnouncement),
		Dispositions: each(r.Dispositions, fromDisposition),
		Received:     FromTime(r.Received),
		Recorded:     FromTime(r.Recorded),
		Revision:     r.Revision,
		IsSimulated:  f.Simulated,
	}
}

// ToResult returns the result in a message. What its Frame says of the image is what the image's row says.
func ToResult(m *assayv1.Result) inspection.Result {
	f, image := m.GetFrame(), ToImageInfo(m.GetImage())
	r := inspection.Result{
		ID: inspection.ResultID(m.GetId()),
		Frame: inspection.Frame{
			Key: ToKey(m.GetKey()), Attempt: int(f.GetAttempt()), View: f.GetView(), Reference: f.GetReference(), Serial: f.GetSerial(),
			RunID: f.GetRunId(), Lot: f.GetLot(), WorkOrder: f.GetWorkOrder(), Product: f.GetProduct(), Recipe: f.GetRecipe(),
			CapturedAt: ToTime(f.GetCapturedAt()), Budget: ToDuration(f.GetBudget()), Simulated: m.GetIsSimulated(),
			Image: inspection.Image{Format: image.Format, PixelFormat: image.PixelFormat, Width: image.Width, Height: image.Height, Stride: image.Stride},
		},
		Image:        image,
		Judgements:   each(m.GetJudgements(), ToJudgement),
		Announced:    each(m.GetAnnounced(), toAnnouncement),
		Dispositions: each(m.GetDispositions(), toDisposition),
		Effective:    ToEffect(m.GetEffective()),
		Received:     ToTime(m.GetReceived()),
		Recorded:     ToTime(m.GetRecorded()),
		Revision:     m.GetRevision(),
	}
	if f != nil && f.Encoder != nil {
		encoder := *f.Encoder
		r.Frame.Encoder = &encoder
	}
	return r
}

// FromImageInfo returns the message for what is known of an image, without the place where the store keeps it.
func FromImageInfo(i inspection.ImageInfo) *assayv1.ImageInfo {
	return &assayv1.ImageInfo{
		Format: FromImageFormat(i.Format), PixelFormat: uint32(i.PixelFormat), Width: fromSize(i.Width), Height: fromSize(i.Height),
		Stride: fromSize(i.Stride), Size: i.Size, Xxh128: i.XXH128, Sha256: i.SHA256, State: FromImageState(i.State),
	}
}

// ToImageInfo returns what a message says of an image.
func ToImageInfo(i *assayv1.ImageInfo) inspection.ImageInfo {
	return inspection.ImageInfo{
		Format: ToImageFormat(i.GetFormat()), PixelFormat: inspection.PixelFormat(i.GetPixelFormat()), Width: int(i.GetWidth()),
		Height: int(i.GetHeight()), Stride: int(i.GetStride()), Size: i.GetSize(), XXH128: i.GetXxh128(), SHA256: i.GetSha256(), State: ToImageState(i.GetState()),
	}
}

func fromAnnouncement(a inspection.Announcement) *assayv1.Announcement {
	return &assayv1.Announcement{Verdict: FromVerdict(a.Verdict), Source: FromSource(a.Source), Reason: string(a.Reason), At: FromTime(a.At)}
}

func toAnnouncement(a *assayv1.Announcement) inspection.Announcement {
	return inspection.Announcement{
		Verdict: ToVerdict(a.GetVerdict()), Source: ToSource(a.GetSource()), Reason: inspection.Reason(a.GetReason()), At: ToTime(a.GetAt()),
	}
}

func fromDisposition(d inspection.Disposition) *assayv1.Disposition {
	return &assayv1.Disposition{
		Kind: string(d.Kind), Judgement: fromInt(d.Judgement), DefectId: fromInt(d.DefectID), Operator: d.Operator, Comment: d.Comment, At: FromTime(d.At),
	}
}

func toDisposition(d *assayv1.Disposition) inspection.Disposition {
	return inspection.Disposition{
		Kind: inspection.DispositionKind(d.GetKind()), Judgement: int(d.GetJudgement()), DefectID: int(d.GetDefectId()),
		Operator: d.GetOperator(), Comment: d.GetComment(), At: ToTime(d.GetAt()),
	}
}
