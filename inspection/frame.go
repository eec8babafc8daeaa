package inspection

import (
	"fmt"
	"time"
)

// ImageFormat says how an image's bytes are encoded.
type ImageFormat uint8

// The formats that a node takes. FormatUnknown is refused.
const (
	FormatUnknown ImageFormat = iota
	FormatJPEG
	FormatPNG
	FormatRaw
)

var formatNames = [...]string{FormatUnknown: "unknown", FormatJPEG: "jpeg", FormatPNG: "png", FormatRaw: "raw"}

// String returns the format's name in small letters.
func (f ImageFormat) String() string { return enumName(formatNames[:], uint8(f), "ImageFormat") }

// ParseImageFormat reads a name as String writes it.
func ParseImageFormat(s string) (ImageFormat, error) {
	i, err := parseEnum(formatNames[:], s, "image format")
	return ImageFormat(i), err
}

// MarshalText implements encoding.TextMarshaler.
func (f ImageFormat) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *ImageFormat) UnmarshalText(b []byte) (err error) {
	*f, err = ParseImageFormat(string(b))
	return err
}

// PixelFormat is a GenICam PFNC pixel format code, for raw images.
type PixelFormat uint32

// The raw pixel formats that a node takes, with their PFNC codes.
const (
	Mono8    PixelFormat = 0x01080001
	RGB8     PixelFormat = 0x02180014
	BGR8     PixelFormat = 0x02180015
	BayerRG8 PixelFormat = 0x01080009
	BayerGR8 PixelFormat = 0x01080008
	BayerGB8 PixelFormat = 0x0108000A
	BayerBG8 PixelFormat = 0x0108000B
)

// BytesPerPixel returns the size of one pixel of a raw image, and 0 for a format that is not taken.
func (p PixelFormat) BytesPerPixel() int {
	switch p {
	case Mono8, BayerRG8, BayerGR8, BayerGB8, BayerBG8:
		return 1
	case RGB8, BGR8:
		return 3
	}
	return 0
}

// Image is a picture as the camera sent it. Width, Height, Stride (bytes from one row to the next) and PixelFormat are
// required for FormatRaw; for the others the header inside the bytes rules, and a Width or Height that is set must agree.
type Image struct {
	Format      ImageFormat
	PixelFormat PixelFormat
	Width       int
	Height      int
	Stride      int
	Data        *Buffer
}

// Validate checks what can be told without decoding.
func (im Image) Validate() error {
	if im.Data.Len() == 0 {
		return fmt.Errorf("%w: image data is empty", ErrImage)
	}
	if im.Width < 0 || im.Height < 0 || im.Stride < 0 {
		return fmt.Errorf("%w: image width %d, height %d, stride %d: none may be negative", ErrImage, im.Width, im.Height, im.Stride)
	}
	switch im.Format {
	case FormatJPEG, FormatPNG:
		return nil
	case FormatRaw:
		return im.validateRaw()
	default:
		return fmt.Errorf("%w: image format %s: send jpeg, png or raw", ErrImage, im.Format)
	}
}

func (im Image) validateRaw() error {
	bpp := im.PixelFormat.BytesPerPixel()
	switch {
	case bpp == 0:
		return fmt.Errorf("%w: pixel format %#08x is not taken: send Mono8, RGB8, BGR8 or an 8-bit Bayer pattern (PFNC codes)", ErrImage, uint32(im.PixelFormat))
	case im.Width == 0 || im.Height == 0:
		return fmt.Errorf("%w: a raw image needs width and height", ErrImage)
	case im.Stride < im.Width*bpp:
		return fmt.Errorf("%w: stride %d is less than a row of %d pixels of %d bytes", ErrImage, im.Stride, im.Width, bpp)
	}
	if want := im.Stride*(im.Height-1) + im.Width*bpp; im.Data.Len() < want || im.Data.Len() > im.Stride*im.Height {
		return fmt.Errorf("%w: raw image has %d bytes: %d x %d at stride %d needs %d to %d", ErrImage, im.Data.Len(), im.Width, im.Height, im.Stride, want, im.Stride*im.Height)
	}
	return nil
}

// Frame is one image of one part from one camera, with what the line knows of it.
type Frame struct {
	Key        FrameKey
	Attempt    int    // deliveries of this frame that ended without any answer, plus one
	View       string // which side or light of the part the frame shows
	Reference  string // key of the defect-free template to compare with; empty means View
	Serial     string // the part's serial; may come later
	RunID      string // one measurement of a part; again means a new run
	Lot        string // production batch
	WorkOrder  string
	Product    string
	Recipe     string        // the recipe's name
	CapturedAt time.Time     // the camera's wall clock: a label, never used to measure
	Encoder    *int64        // encoder position at capture, if the line has one
	Budget     time.Duration // time from receipt until the verdict must be out; 0 means the recipe's
	Simulated  bool          // eval, replay, benchmark: recorded apart
	Image      Image
}

// ReferenceKey returns the key of the template to compare with.
func (f Frame) ReferenceKey() string {
	if f.Reference != "" {
		return f.Reference
	}
	return f.View
}

// Validate reports the first field that breaks a rule. Image problems are ErrImage, all others ErrInvalid: a frame with a
// bad image has an identity and gets a recorded result, one with a bad identity cannot.
func (f Frame) Validate() error {
	if err := f.Key.Validate(); err != nil {
		return err
	}
	for _, n := range [...]struct{ name, value string }{
		{"view", f.View}, {"reference", f.Reference}, {"serial", f.Serial}, {"run_id", f.RunID}, {"lot", f.Lot},
		{"work_order", f.WorkOrder}, {"product", f.Product}, {"recipe", f.Recipe},
	} {
		if err := ValidName(n.name, n.value); err != nil {
			return err
		}
	}
	if f.Recipe == "" {
		return fmt.Errorf("%w: recipe is empty: name the recipe in the frame or in the stream's Hello", ErrInvalid)
	}
	if f.Budget < 0 {
		return fmt.Errorf("%w: budget %v is negative", ErrInvalid, f.Budget)
	}
	if f.Attempt < 1 {
		return fmt.Errorf("%w: attempt %d: count deliveries from 1", ErrInvalid, f.Attempt)
	}
	return f.Image.Validate()
}
