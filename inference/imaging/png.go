package imaging

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/assay-vision/assay/inspection"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// PNG colour types.
const (
	pngGray      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGrayAlpha = 4
	pngRGBAlpha  = 6
)

// pngHeaderSize is the signature and the whole IHDR chunk.
const pngHeaderSize = 8 + 8 + 13 + 4

func readPNGHeader(data []byte) (Header, error) {
	if len(data) < 8 || string(data[:8]) != pngSignature {
		return Header{}, fmt.Errorf("%w: no PNG begins with these bytes", inspection.ErrImage)
	}
	if len(data) < pngHeaderSize || binary.BigEndian.Uint32(data[8:]) != 13 || string(data[12:16]) != "IHDR" {
		return Header{}, fmt.Errorf("%w: PNG has no header chunk", inspection.ErrImage)
	}
	if crc32.ChecksumIEEE(data[12:29]) != binary.BigEndian.Uint32(data[29:]) {
		return Header{}, fmt.Errorf("%w: PNG header is damaged (CRC)", inspection.ErrImage)
	}
	w, h := binary.BigEndian.Uint32(data[16:]), binary.BigEndian.Uint32(data[20:])
	depth, colour := data[24], data[25]
	if w > 1<<31-1 || h > 1<<31-1 {
		return Header{}, fmt.Errorf("%w: PNG declares %d x %d px", inspection.ErrImage, w, h)
	}
	if depth == 16 {
		return Header{}, fmt.Errorf("%w: PNG has 16 bits a sample: send 8, scaled as the camera's documents say", inspection.ErrImage)
	}
	header := Header{Width: int(w), Height: int(h), Channels: 1}
	switch colour {
	case pngGray:
	case pngRGB, pngPalette:
		header.Channels = 3
	case pngGrayAlpha, pngRGBAlpha:
		return Header{}, fmt.Errorf("%w: PNG has an alpha channel: send grey or RGB without one", inspection.ErrImage)
	default:
		return Header{}, fmt.Errorf("%w: PNG has colour type %d", inspection.ErrImage, colour)
	}
	return header, nil
}

// checkPNG walks over all chunks: each CRC must hold and an end chunk must close the file, which the decoder alone does
// not insist on. That the compressed data is complete is the decoder's to say. Bytes after the end chunk are ignored.
func checkPNG(data []byte) error {
	for at := len(pngSignature); ; {
		if len(data)-at < 12 {
			return fmt.Errorf("%w: PNG ends before its end chunk", inspection.ErrImage)
		}
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if n > int64(len(data)-at-12) {
			return fmt.Errorf("%w: PNG ends inside a chunk", inspection.ErrImage)
		}
		kind, end := string(data[at+4:at+8]), at+8+int(n)
		if crc32.ChecksumIEEE(data[at+4:end]) != binary.BigEndian.Uint32(data[end:]) {
			return fmt.Errorf("%w: PNG chunk %q is damaged (CRC)", inspection.ErrImage, kind)
		}
		switch kind {
		case "tRNS":
			return fmt.Errorf("%w: PNG has a transparent colour: send grey or RGB without one", inspection.ErrImage)
		case "IEND":
			return nil
		}
		at = end + 4
	}
}
