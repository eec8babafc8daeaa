package custody

import (
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"github.com/assay-vision/assay/inspection"
)

// xxh128Of returns the XXH128 of an image's bytes in hexadecimal. Every frame pays for it before anything else.
func xxh128Of(b *inspection.Buffer) string {
	digits := xxh3.Hash128(b.Bytes()).Bytes()
	return hex.EncodeToString(digits[:])
}
