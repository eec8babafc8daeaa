package proto

import (
	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// FromKey returns the wire's frame key.
func FromKey(k inspection.FrameKey) *assayv1.FrameKey {
	return &assayv1.FrameKey{Line: k.Line, Station: k.Station, Camera: k.Camera, Session: k.Session, Seq: k.Seq}
}

// ToKey returns the frame key of a message; of nil the zero key, which no Validate accepts.
func ToKey(k *assayv1.FrameKey) inspection.FrameKey {
	return inspection.FrameKey{
		Line: k.GetLine(), Station: k.GetStation(), Camera: k.GetCamera(), Session: k.GetSession(), Seq: k.GetSeq(),
	}
}

// HelloKey returns the key of a stream's frames, without Seq.
func HelloKey(h *assayv1.Hello) inspection.FrameKey {
	return inspection.FrameKey{Line: h.GetLine(), Station: h.GetStation(), Camera: h.GetCamera(), Session: h.GetSession()}
}

// FromFrame returns the header under which a frame travels. Its line, station, camera and session travel in Hello, its
// bytes beside the header.
func FromFrame(f inspection.Frame) *assayv1.FrameHeader {
	return &assayv1.FrameHeader{
		Seq:         f.Key.Seq,
		Attempt:     fromSize(f.Attempt),
		View:        f.View,
		Reference:   f.Reference,
		Serial:      f.Serial,
		RunId:       f.RunID,
		Lot:         f.Lot,
		WorkOrder:   f.WorkOrder,
		Product:     f.Product,
		Recipe:      f.Recipe,
		CapturedAt:  FromTime(f.CapturedAt),
		Encoder:     f.Encoder,
		Budget:      FromDuration(f.Budget),
		Simulated:   f.Simulated,
		Format:      FromImageFormat(f.Image.Format),
		PixelFormat: uint32(f.Image.PixelFormat),
		Width:       fromSize(f.Image.Width),
		Height:      fromSize(f.Image.Height),
		Stride:      fromSize(f.Image.Stride),
	}
}

// ToFrame puts a frame together: key is the stream's, image may be nil. A header without an attempt is the first delivery,
// and one without a recipe leaves Recipe empty for the caller to fill from Hello. A budget that is there but used up
// becomes one nanosecond, because zero means the recipe's.
func ToFrame(key inspection.FrameKey, h *assayv1.FrameHeader, image *inspection.Buffer) inspection.Frame {
	key.Seq = h.GetSeq()
	f := inspection.Frame{
		Key:        key,
		Attempt:    int(max(h.GetAttempt(), 1)),
		View:       h.GetView(),
		Reference:  h.GetReference(),
		Serial:     h.GetSerial(),
		RunID:      h.GetRunId(),
		Lot:        h.GetLot(),
		WorkOrder:  h.GetWorkOrder(),
		Product:    h.GetProduct(),
		Recipe:     h.GetRecipe(),
		CapturedAt: ToTime(h.GetCapturedAt()),
		Budget:     toBudget(h.GetBudget()),
		Simulated:  h.GetSimulated(),
		Image: inspection.Image{
			Format:      ToImageFormat(h.GetFormat()),
			PixelFormat: inspection.PixelFormat(h.GetPixelFormat()),
			Width:       int(h.GetWidth()),
			Height:      int(h.GetHeight()),
			Stride:      int(h.GetStride()),
			Data:        image,
		},
	}
	if h != nil && h.Encoder != nil {
		encoder := *h.Encoder
		f.Encoder = &encoder
	}
	return f
}

// FromAnswer returns the message for an answer. The key's line to session are the stream's.
func FromAnswer(a inspection.Answer) *assayv1.Answer {
	return &assayv1.Answer{
		Seq:       a.Key.Seq,
		ResultId:  string(a.ID),
		Verdict:   FromVerdict(a.Verdict),
		Effective: FromEffect(a.Effect),
		Judgement: FromJudgement(a.Judgement),
		Recorded:  a.Recorded,
		Repeated:  a.Repeated,
	}
}

// ToAnswer returns the answer in a message; key is the stream's.
func ToAnswer(key inspection.FrameKey, a *assayv1.Answer) inspection.Answer {
	key.Seq = a.GetSeq()
	return inspection.Answer{
		ID:        inspection.ResultID(a.GetResultId()),
		Key:       key,
		Verdict:   ToVerdict(a.GetVerdict()),
		Effect:    ToEffect(a.GetEffective()),
		Judgement: ToJudgement(a.GetJudgement()),
		Recorded:  a.GetRecorded(),
		Repeated:  a.GetRepeated(),
	}
}

// FromAnnounced returns the message for what a camera announced of the frame seq.
func FromAnnounced(seq uint64, a inspection.Announcement, simulated bool) *assayv1.Announced {
	return &assayv1.Announced{Seq: seq, Verdict: FromVerdict(a.Verdict), Reason: string(a.Reason), At: FromTime(a.At), Simulated: simulated}
}

// ToAnnounced returns what a camera announced. Its source is always the camera.
func ToAnnounced(a *assayv1.Announced) inspection.Announcement {
	return inspection.Announcement{
		Verdict: ToVerdict(a.GetVerdict()), Source: inspection.SourceCamera, Reason: inspection.Reason(a.GetReason()), At: ToTime(a.GetAt()),
	}
}

// FromDrop returns the message for a run of frames that a camera gave up.
func FromDrop(d inspection.Drop) *assayv1.Dropped {
	return &assayv1.Dropped{FirstSeq: d.First, LastSeq: d.Last, Reason: d.Reason, Simulated: d.Simulated, At: FromTime(d.At),
		Serial: d.Serial, Recipe: d.Recipe, Detail: d.Detail}
}

// ToDrop returns the run of frames that a camera gave up; key is the stream's.
func ToDrop(key inspection.FrameKey, d *assayv1.Dropped) inspection.Drop {
	key.Seq = 0
	return inspection.Drop{
		Key: key, First: d.GetFirstSeq(), Last: d.GetLastSeq(), Reason: d.GetReason(), Simulated: d.GetSimulated(), At: ToTime(d.GetAt()),
		Serial: d.GetSerial(), Recipe: d.GetRecipe(), Detail: d.GetDetail(),
	}
}
