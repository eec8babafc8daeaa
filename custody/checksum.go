package custody

import (
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"github.com/assay-vision/assay/inspection"
)

// xxh128Of returns the XXH128 of an image's bytes in hexadecimal. Every frame pays for it before anything else.
func xxh128Of(b *inspection.Buffer) string {
	var sum xxh3.Uint128
	if ps := b.Pieces(); len(ps) == 1 {
		sum = xxh3.Hash128(ps[0])
	} else {
		var h xxh3.Hasher
		for _, p := range ps {
			_, _ = h.Write(p) // never fails
		}
		sum = h.Sum128()
	}
	digits := sum.Bytes()
	return hex.EncodeToString(digits[:])
}
