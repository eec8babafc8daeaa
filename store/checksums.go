package store

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/zeebo/xxh3"
)

// checksums computes both checksums of an image as its bytes pass: the one that its row has since it came, and the one
// that its row gets when it is kept.
type checksums struct {
	xxh xxh3.Hasher
	sha hash.Hash
}

func newChecksums() *checksums { return &checksums{sha: sha256.New()} }

// Write adds bytes. It never fails.
func (c *checksums) Write(p []byte) (int, error) {
	_, _ = c.xxh.Write(p)
	return c.sha.Write(p)
}

func (c *checksums) xxh128() string {
	sum := c.xxh.Sum128().Bytes()
	return hex.EncodeToString(sum[:])
}

func (c *checksums) sha256() string { return hex.EncodeToString(c.sha.Sum(nil)) }
