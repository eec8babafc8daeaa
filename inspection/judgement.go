package inspection

import "time"

// Role says why a judgement was made and whether it counts. The zero value is RolePrimary: it counts.
type Role uint8

// The roles. A shadow judgement never touches the effective verdict; every other one does.
const (
	RolePrimary   Role = iota // the answer that the desk waited for
	RoleLate                  // arrived after the desk had to answer
	RoleShadow                // from a model that is only watched
	RoleDuplicate             // a second node's judgement of the same frame, or a conflicting delivery
	RoleRejudge               // made again later, from the kept image
)

var roleNames = [...]string{RolePrimary: "primary", RoleLate: "late", RoleShadow: "shadow", RoleDuplicate: "duplicate", RoleRejudge: "rejudge"}

// String returns the role's name.
func (r Role) String() string { return enumName(roleNames[:], uint8(r), "Role") }

// ParseRole reads a name as String writes it.
func ParseRole(s string) (Role, error) {
	i, err := parseEnum(roleNames[:], s, "role")
	return Role(i), err
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRole(string(b))
	return err
}

// Source says who is behind a verdict. The zero value is SourceFallback: nobody judged.
type Source uint8

// The sources.
const (
	SourceFallback Source = iota // the node could not judge in time, or at all
	SourceModel                  // a model ran to its end and the recipe ruled on what it saw
	SourceRule                   // a rule decided without the model (image limits, poison, conflict)
	SourceCamera                 // the camera's own fallback
	SourceOperator               // a person
)

var sourceNames = [...]string{SourceFallback: "fallback", SourceModel: "model", SourceRule: "rule", SourceCamera: "camera", SourceOperator: "operator"}

// String returns the source's name.
func (s Source) String() string { return enumName(sourceNames[:], uint8(s), "Source") }

// ParseSource reads a name as String writes it.
func ParseSource(s string) (Source, error) {
	i, err := parseEnum(sourceNames[:], s, "source")
	return Source(i), err
}

// MarshalText implements encoding.TextMarshaler.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Source) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSource(string(b))
	return err
}

// Reason says in one word why a verdict is not a plain PASS. It is part of the wire and of the store: never rename one.
type Reason string

// The reasons.
const (
	ReasonNone          Reason = ""                // the model ran and nothing was called
	ReasonDefect        Reason = "DEFECT"          // at least one defect was called
	ReasonCount         Reason = "COUNT"           // more called defects than the recipe allows
	ReasonImageLimits   Reason = "IMAGE_LIMITS"    // mean, contrast or sharpness out of the recipe's limits
	ReasonRepeatedImage Reason = "REPEATED_IMAGE"  // pixel for pixel the frame before: a frozen camera
	ReasonAlignment     Reason = "ALIGNMENT"       // shifted against the reference beyond the recipe's limit
	ReasonReference     Reason = "REFERENCE"       // the recipe has no template under the frame's reference key
	ReasonImage         Reason = "IMAGE"           // the image could not be decoded without doubt
	ReasonImageTooLarge Reason = "IMAGE_TOO_LARGE" // the header declares more than the limits allow
	ReasonModelOutput   Reason = "MODEL_OUTPUT"    // missing, misshapen or non-finite output
	ReasonUnknownClass  Reason = "UNKNOWN_CLASS"   // the model named a class for which the recipe has no rule
	ReasonUnknownRecipe Reason = "UNKNOWN_RECIPE"  // the frame names a recipe that this node does not have
	ReasonModelNotReady Reason = "MODEL_NOT_READY" // the recipe's model is not loaded
	ReasonDeadline      Reason = "DEADLINE"        // no judgement in time
	ReasonOverloaded    Reason = "OVERLOADED"      // a queue was full
	ReasonPoison        Reason = "POISON"          // delivered too often without an answer
	ReasonConflict      Reason = "FRAME_CONFLICT"  // the same key with another image
	ReasonNotRecorded   Reason = "NOT_RECORDED"    // the store could not commit in time or is full
	ReasonSourceGap     Reason = "SOURCE_GAP"      // the camera dropped the frame or skipped its number
	ReasonShutdown      Reason = "SHUTDOWN"        // the node stopped before the frame was judged
	ReasonInvalid       Reason = "INVALID"         // the frame's header breaks a rule: answered, never recorded under its key
	ReasonInternal      Reason = "INTERNAL"        // a fault inside the node
)

// Point is a place in the picture in pixels of the frame as it came, origin top left.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Box is a rectangle in pixels of the frame as it came: X1, Y1 inclusive top left, X2, Y2 exclusive bottom right.
type Box struct {
	X1 float64 `json:"x1"`
	Y1 float64 `json:"y1"`
	X2 float64 `json:"x2"`
	Y2 float64 `json:"y2"`
}

// W returns the width in pixels.
func (b Box) W() float64 { return b.X2 - b.X1 }

// H returns the height in pixels.
func (b Box) H() float64 { return b.Y2 - b.Y1 }

// Candidate is one thing that a model saw, before any rule: Class is the model's label, Score its raw score in [0, 1].
type Candidate struct {
	Class string  `json:"class"`
	Score float64 `json:"score"`
	Box   Box     `json:"box"`
	Mask  *Mask   `json:"mask,omitempty"` // which of the box's pixels belong to it, if the model says
}

// Defect is a candidate on which the recipe has ruled. Candidates down to report_at that were not called are kept beside
// the called ones as evidence, with Called false.
type Defect struct {
	ID       int     `json:"id"` // 1.. within its judgement, by falling score, the called ones first
	Class    string  `json:"class"`
	Code     string  `json:"code,omitempty"`
	Severity int     `json:"severity,omitempty"`
	Score    float64 `json:"score"` // the model's raw score
	Box      Box     `json:"box"`
	BoxMM    *Box    `json:"box_mm,omitempty"` // set where the recipe states px_per_mm for the view
	Region   string  `json:"region,omitempty"` // the recipe region it lies in
	Unit     string  `json:"unit,omitempty"`   // the unit of a multi-unit part that the region belongs to
	Called   bool    `json:"called"`
	Verdict  Verdict `json:"verdict"`        // what it alone asks for: FAIL, REVIEW, or PASS where it was not called
	Mask     *Mask   `json:"mask,omitempty"` // which of the box's pixels belong to it, if the model says
}

// ImageFacts are what was measured on the decoded picture. Width, Height in pixels; Mean and Contrast (standard
// deviation) of the grey picture in 0..255; Sharpness is the variance of its Laplacian; ShiftX, ShiftY in pixels against
// the reference, when Aligned says that they were measured. Repeated: its pixels equal those of the same camera's frame before.
type ImageFacts struct {
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	Mean      float64 `json:"mean"`
	Contrast  float64 `json:"contrast"`
	Sharpness float64 `json:"sharpness"`
	Aligned   bool    `json:"aligned,omitempty"`
	ShiftX    float64 `json:"shift_x,omitempty"`
	ShiftY    float64 `json:"shift_y,omitempty"`
	Repeated  bool    `json:"repeated,omitempty"`
}

// Observation is what an engine has to say of one frame: the material for Recipe.Judge. The zero value says that nothing
// was seen and is judged UNDETERMINED.
type Observation struct {
	Completed  bool        // the model ran to its end and every output was there and was decoded
	View       string      // the frame's view, for px_per_mm and regions
	Facts      *ImageFacts // nil: never measured, which no image limit can pass
	Candidates []Candidate // everything at or above the decoder's floor, which is never above the recipe's report_at
	Heatmap    *Heatmap    // where the model saw an anomaly, if it says; kept as evidence, never ruled on
}

// Ruling is what Recipe.Judge says of an observation.
type Ruling struct {
	Verdict Verdict
	Source  Source // SourceModel, or SourceRule when the picture itself was refused
	Reason  Reason
	Detail  string   // one sentence for a person, empty for PASS
	Defects []Defect // called ones first, then the kept candidates, at most the recipe's max_candidates beyond the called ones
	Heatmap *Heatmap // as it was observed
}

// Timings are where the time of a frame went, each a duration on the judging node's monotonic clock. Zero means that the
// step did not happen.
type Timings struct {
	Receive       time.Duration `json:"receive_ns,omitempty"`        // last byte received until the desk took it
	Queue         time.Duration `json:"queue_ns,omitempty"`          // waiting for a worker
	Decode        time.Duration `json:"decode_ns,omitempty"`         // image bytes to pixels
	ComputeInput  time.Duration `json:"compute_input_ns,omitempty"`  // pixels to tensor
	ComputeInfer  time.Duration `json:"compute_infer_ns,omitempty"`  // the network
	ComputeOutput time.Duration `json:"compute_output_ns,omitempty"` // outputs to candidates to ruling
	Forward       time.Duration `json:"forward_ns,omitempty"`        // to a peer and back, without its own work
	Commit        time.Duration `json:"commit_ns,omitempty"`         // until the record was on disk
}

// ModelRef names the model version that judged.
type ModelRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // SHA-256 over the version's files, hexadecimal
}

// RecipeRef names the recipe revision that ruled.
type RecipeRef struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	Digest   string `json:"digest"` // SHA-256 over YAML and template pictures, hexadecimal
}

// Judgement is what one inspector said of a frame. It is appended, never changed.
type Judgement struct {
	Role    Role        `json:"role"`
	Verdict Verdict     `json:"verdict"`
	Source  Source      `json:"source"`
	Reason  Reason      `json:"reason,omitempty"`
	Detail  string      `json:"detail,omitempty"`
	Defects []Defect    `json:"defects,omitempty"`
	Heatmap *Heatmap    `json:"heatmap,omitempty"`
	Facts   *ImageFacts `json:"facts,omitempty"`
	Model   ModelRef    `json:"model"`
	Recipe  RecipeRef   `json:"recipe"`
	Node    string      `json:"node"`
	Timings Timings     `json:"timings"`
	At      time.Time   `json:"at"` // wall clock, a label
}

// Called returns the defects that the recipe called.
func (j Judgement) Called() []Defect {
	n := 0
	for n < len(j.Defects) && j.Defects[n].Called {
		n++
	}
	return j.Defects[:n]
}
