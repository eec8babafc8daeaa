package inspection

import "time"

// Recipe is a product's settings at one revision: which model judges, what counts as a defect, and what to do when nobody
// judged. It is read-only once parsed (package inspection/recipe) and may be shared by goroutines.
type Recipe struct {
	Name     string
	Revision int
	Digest   string // SHA-256 over YAML and template pictures, hexadecimal

	Model     ModelSelector
	Reference ReferenceSpec
	Image     ImageLimits
	Tiling    Tiling

	PxPerMM map[string]float64 // by view; "*" stands for every other view; absent: sizes in mm are refused at parse
	Regions []Region
	Classes map[string]ClassRule // by model label; "*" rules every other label

	ReportAt      float64 // floor of kept candidates, in [0, 1]
	MaxCandidates int     // kept candidates that were not called, at most
	MaxDefects    int     // more called defects than this in one frame is FAIL; 0 means no limit

	Views    []string      // the views that make a part complete; empty: any one frame does
	Budget   time.Duration // from receipt to verdict, when the frame states none
	Fallback Verdict       // FAIL, REVIEW or UNDETERMINED: the answer when nobody judged in time
	Keep     KeepPolicy
}

// Ref returns the reference that a judgement carries.
func (r *Recipe) Ref() RecipeRef {
	if r == nil {
		return RecipeRef{}
	}
	return RecipeRef{Name: r.Name, Revision: r.Revision, Digest: r.Digest}
}

// ModelSelector is "model" (its active version) or "model@version".
type ModelSelector struct {
	Name    string
	Version string // empty: the active version
}

// String writes the selector as the recipe's YAML does.
func (m ModelSelector) String() string {
	if m.Version == "" {
		return m.Name
	}
	return m.Name + "@" + m.Version
}

// Align says how a frame is laid over its template before the model sees the pair.
type Align uint8

// The ways to align.
const (
	AlignNone        Align = iota // taken as they are
	AlignTranslation              // the shift is measured and undone, up to the limit
)

var alignNames = [...]string{AlignNone: "none", AlignTranslation: "translation"}

// String returns the name as the recipe's YAML writes it.
func (a Align) String() string { return enumName(alignNames[:], uint8(a), "Align") }

// ParseAlign reads a name as String writes it.
func ParseAlign(s string) (Align, error) {
	i, err := parseEnum(alignNames[:], s, "align")
	return Align(i), err
}

// ReferenceSpec is the recipe's set of defect-free templates.
type ReferenceSpec struct {
	Templates  map[string]Template // by reference key (the file's name without its ending); empty: the model takes no template
	Align      Align
	MaxShiftPx float64 // a frame shifted further, in pixels of the frame, is refused with ReasonAlignment
}

// Template is one template picture as it was read when the recipe was parsed.
type Template struct {
	Key    string
	Path   string
	Format ImageFormat
	Data   []byte // the file's bytes; read-only
	Digest string // SHA-256 of Data, hexadecimal
}

// ImageLimits are what a picture must meet before a model's word on it counts. A nil bound does not limit.
type ImageLimits struct {
	MinMean, MaxMean *float64 // grey mean, 0..255
	MinContrast      *float64 // grey standard deviation, 0..255
	MinSharpness     *float64 // variance of the Laplacian of the grey picture
	RefuseRepeated   bool     // refuse a picture identical to the same camera's frame before
}

// Tiling says how a large picture is cut into samples. The zero value: it is not, the model sees every picture whole.
type Tiling struct {
	Width, Height int // of a tile, px of the frame
	Overlap       int // px that tiles beside each other share at least
}

// Region is a polygon in pixels of the frame as it came.
type Region struct {
	Name    string
	View    string // empty: every view
	Exclude bool   // true: what lies wholly inside is not called; false: only what touches an include region is
	Unit    string // the unit of a multi-unit part (a board of a panel) that lies here
	Polygon []Point
}

// ClassRule says when one class of a model is a defect and how bad.
type ClassRule struct {
	Ignore    bool              // not a defect at all: kept as evidence, never called
	ReviewAt  float64           // score from which a person must look
	RejectAt  float64           // score from which the part fails; at least ReviewAt
	MinSizePx float64           // the box's longer side must reach it; 0: any size
	MinSizeMM float64           // the same in millimetres, needs PxPerMM for the view
	MaxCount  int               // more called ones than this in one frame is FAIL; 0: no limit
	Severity  int               // 1 (cosmetic) .. 5 (safety), for sorting and statistics
	Code      string            // the plant's defect code
	Labels    map[string]string // by language tag: "en", "zh-CN"
}

// KeepPolicy says which images of PASS frames are kept; images of all other frames always are.
type KeepPolicy struct {
	PassEvery int // keep one PASS image in so many per camera; 0: none, 1: all
}

// Rule returns the rule for a model label, and false when the recipe has none.
func (r *Recipe) Rule(class string) (ClassRule, bool) {
	if c, ok := r.Classes[class]; ok {
		return c, true
	}
	c, ok := r.Classes["*"]
	return c, ok
}

// Scale returns the pixels per millimetre of a view, and 0 when the recipe states none.
func (r *Recipe) Scale(view string) float64 {
	if s, ok := r.PxPerMM[view]; ok {
		return s
	}
	return r.PxPerMM["*"]
}
