package inspection

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// ImageState says where a frame's image bytes are. The zero value is ImagePending.
type ImageState uint8

// The states. Kept is said only of bytes that are on disk under their SHA-256.
const (
	ImagePending ImageState = iota // to be written
	ImageKept                      // on disk, synced, SHA-256 known
	ImageShed                      // given up by rule: PASS not kept, back-pressure, retention
	ImageLost                      // should be there and is not
)

var imageStateNames = [...]string{ImagePending: "pending", ImageKept: "kept", ImageShed: "shed", ImageLost: "lost"}

// String returns the state's name.
func (s ImageState) String() string { return enumName(imageStateNames[:], uint8(s), "ImageState") }

// ParseImageState reads a name as String writes it.
func ParseImageState(s string) (ImageState, error) {
	i, err := parseEnum(imageStateNames[:], s, "image state")
	return ImageState(i), err
}

// MarshalText implements encoding.TextMarshaler.
func (s ImageState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *ImageState) UnmarshalText(b []byte) (err error) {
	*s, err = ParseImageState(string(b))
	return err
}

// ImageInfo describes a frame's image in a result.
type ImageInfo struct {
	Format      ImageFormat `json:"format"`
	PixelFormat PixelFormat `json:"pixel_format,omitempty"`
	Width       int         `json:"width,omitempty"`
	Height      int         `json:"height,omitempty"`
	Stride      int         `json:"stride,omitempty"`
	Size        int64       `json:"size"`             // bytes as received
	XXH128      string      `json:"xxh128,omitempty"` // of those bytes, in 32 hexadecimal digits; tells a repeat from another image
	SHA256      string      `json:"sha256,omitempty"` // of those bytes, in 64 hexadecimal digits, once they were kept; proves the file
	Ref         string      `json:"ref,omitempty"`    // where the store keeps them; opaque
	State       ImageState  `json:"state"`
}

// Announcement is a verdict that left for the line: the desk's reply, or what the camera itself told the gate.
type Announcement struct {
	Verdict Verdict   `json:"verdict"`
	Source  Source    `json:"source"` // SourceModel where it repeats a model's verdict, else who fell back
	Reason  Reason    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// MaxDrop bounds the frames of one Drop, each of which becomes a row in one transaction while every other commit waits.
const MaxDrop = 10_000

// Drop is a run of frames of one stream that the camera gave up or never sent: seqs First..Last, inclusive.
type Drop struct {
	Key       FrameKey // Seq is not used
	First     uint64
	Last      uint64
	Reason    string // the camera's words
	Simulated bool
	At        time.Time
	Serial    string // of all these frames; empty where it is not known
	Recipe    string // of all these frames; empty where it is not known
	Detail    string // one sentence for a person; may be empty
}

// MaxDetail bounds the detail of a Drop in bytes.
const MaxDetail = 512

// CutDetail makes words fit to be a detail: one line of printable UTF-8, not longer than MaxDetail.
func CutDetail(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.ToValidUTF8(s[:min(len(s), MaxDetail)], "")
}

// Validate returns an error that wraps ErrInvalid and names the first rule that d breaks, or nil.
func (d Drop) Validate() error {
	first := d.Key
	first.Seq = d.First
	if err := first.Validate(); err != nil {
		return err
	}
	switch {
	case d.Last < d.First:
		return fmt.Errorf("%w: frames %d to %d: last_seq must not be less than first_seq", ErrInvalid, d.First, d.Last)
	case d.Last-d.First >= MaxDrop:
		return fmt.Errorf("%w: frames %d to %d: split it, %d are taken at a time", ErrInvalid, d.First, d.Last, MaxDrop)
	case len(d.Detail) > MaxDetail:
		return fmt.Errorf("%w: detail has %d bytes: cut it to %d", ErrInvalid, len(d.Detail), MaxDetail)
	}
	if err := ValidName("serial", d.Serial); err != nil {
		return err
	}
	return ValidName("recipe", d.Recipe)
}

// DispositionKind is a person's word on a result.
type DispositionKind string

// The dispositions. The first two speak of one defect, Escape of a defect that nobody called, the rest of the frame.
const (
	RealDefect   DispositionKind = "real"
	FalseCall    DispositionKind = "false_call"
	Escape       DispositionKind = "escape"
	Inconclusive DispositionKind = "inconclusive"
	JudgedGood   DispositionKind = "judged_good"
	JudgedBad    DispositionKind = "judged_bad"
)

// Disposition references a result, and for RealDefect and FalseCall one defect of one of its judgements, and overwrites neither.
type Disposition struct {
	Kind      DispositionKind `json:"kind"`
	Judgement int             `json:"judgement,omitempty"` // index into the result's judgements
	DefectID  int             `json:"defect_id,omitempty"` // Defect.ID within it
	Operator  string          `json:"operator"`
	Comment   string          `json:"comment,omitempty"`
	At        time.Time       `json:"at"`
}

// Result is what is known of one frame: its metadata (Frame.Image.Data is nil), every judgement in the order of their
// recording, and the fold over them.
type Result struct {
	ID           ResultID
	Frame        Frame
	Image        ImageInfo
	Judgements   []Judgement
	Announced    []Announcement
	Dispositions []Disposition
	Effective    Effect
	Received     time.Time // wall clock of the node that recorded it first
	Recorded     time.Time // wall clock of the commit
	Revision     uint64    // grows by one change anywhere in the store; what a watch cursor counts
}

// Primary returns the judgement that the desk recorded first, and the zero Judgement (UNDETERMINED) where there is none.
func (r Result) Primary() Judgement {
	if len(r.Judgements) == 0 {
		return Judgement{}
	}
	return r.Judgements[0]
}

// Effect is the effective verdict and what decided it.
type Effect struct {
	Verdict Verdict `json:"verdict"`
	Source  Source  `json:"source"`
	Reason  Reason  `json:"reason,omitempty"`
}

// Entry is one thing that a commit writes. Exactly one of Frame-with-Judgement (a new result), Judgement alone (more
// evidence), Announcement alone or Drop is set beside the key.
type Entry struct {
	Key          FrameKey
	Frame        *Frame // a new result; Image.Data is not written here
	Received     time.Time
	Image        ImageInfo
	Judgement    *Judgement
	Announcement *Announcement
	Drop         *Drop
	Simulated    bool // which side of the wall the key is on, for what comes before its frame
}

// Answer is what goes back to the camera for one frame.
type Answer struct {
	ID        ResultID
	Key       FrameKey
	Verdict   Verdict // what to act on: never milder than the effective verdict known when it was sent
	Effect    Effect
	Judgement Judgement // the one that decided
	Recorded  bool      // on disk; the camera keeps the frame until it has seen true
	Repeated  bool      // answered from the record, not judged again
}
