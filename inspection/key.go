package inspection

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds every identifying string of a frame, in bytes.
const MaxName = 128

// FrameKey names one frame for ever. Session is a ULID that the camera client makes at each start, so that Seq may begin
// at one again; the same key always means the same picture.
type FrameKey struct {
	Line    string `json:"line"`
	Station string `json:"station"`
	Camera  string `json:"camera"`
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
}

// ResultID is a frame's result id: 32 hexadecimal digits, the same on every node.
type ResultID string

// ID derives the result id: the first 8 bytes of SHA-256 over the key's other length-prefixed fields, then Seq, in
// hexadecimal. The ids of a session stand in the order of its frames, so that a store enters frames that are recorded
// together side by side.
func (k FrameKey) ID() ResultID {
	h := sha256.New()
	var n [8]byte
	for _, s := range [...]string{k.Line, k.Station, k.Camera, k.Session} {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	id := binary.BigEndian.AppendUint64(h.Sum(nil)[:8], k.Seq)
	return ResultID(hex.EncodeToString(id))
}

// String writes the key for logs: line/station/camera/session/seq.
func (k FrameKey) String() string {
	return strings.Join([]string{k.Line, k.Station, k.Camera, k.Session, strconv.FormatUint(k.Seq, 10)}, "/")
}

// Validate reports the first field that is missing, too long or not printable.
func (k FrameKey) Validate() error {
	for _, f := range [...]struct{ name, value string }{
		{"line", k.Line}, {"station", k.Station}, {"camera", k.Camera}, {"session", k.Session},
	} {
		if f.value == "" {
			return fmt.Errorf("%w: %s is empty: set it in the stream's Hello", ErrInvalid, f.name)
		}
		if err := ValidName(f.name, f.value); err != nil {
			return err
		}
	}
	if k.Seq == 0 {
		return fmt.Errorf("%w: seq is 0: number frames from 1", ErrInvalid)
	}
	return nil
}

// ValidName reports whether an identifying string fits: at most MaxName bytes of printable UTF-8. Empty is allowed.
func ValidName(field, s string) error {
	if len(s) > MaxName {
		return fmt.Errorf("%w: %s has %d bytes: at most %d are allowed", ErrInvalid, field, len(s), MaxName)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s is not valid UTF-8", ErrInvalid, field)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: %s %q holds a control character", ErrInvalid, field, s)
		}
	}
	return nil
}
