package imaging

import "hash/maphash"

// Fingerprint is a 128-bit hash of a picture's pixels and size. Two pictures with one fingerprint are taken to be pixel
// for pixel the same; it means something within one process only.
type Fingerprint [2]uint64

// Fingerprinter makes fingerprints with keys of its own.
type Fingerprinter struct{ seeds [2]maphash.Seed }

// NewFingerprinter returns one with fresh random keys.
func NewFingerprinter() *Fingerprinter {
	return &Fingerprinter{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// Of hashes a picture.
func (f *Fingerprinter) Of(p *Picture) Fingerprint {
	var fp Fingerprint
	size := [...]int{p.Width(), p.Height(), p.Channels()}
	for i, seed := range f.seeds {
		fp[i] = maphash.Bytes(seed, p.Bytes()) ^ maphash.Comparable(seed, size)
	}
	return fp
}
