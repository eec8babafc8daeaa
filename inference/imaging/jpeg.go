package imaging

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

// maxScans is how many scans a JPEG may have. A progressive encoder writes about ten; a bomb tens of thousands, each of
// which costs a pass over the whole picture.
const maxScans = 64

// JPEG marker codes, the byte after 0xFF.
const (
	markerSOI = 0xD8
	markerEOI = 0xD9
	markerSOS = 0xDA
)

// isSOF tells the markers that begin a frame header, which carries the dimensions.
func isSOF(m byte) bool { return m >= 0xC0 && m <= 0xCF && m != 0xC4 && m != 0xC8 && m != 0xCC }

// isBare tells the markers that no length follows.
func isBare(m byte) bool { return m == 0x01 || m >= 0xD0 && m <= 0xD9 }

// readJPEGHeader looks for the frame header among the segments before the first scan.
func readJPEGHeader(data []byte) (Header, error) {
	segments := jpegSegments{data: data}
	for {
		m, body, err := segments.next()
		switch {
		case err != nil:
			return Header{}, err
		case isSOF(m):
			return parseSOF(m, body)
		case m == markerSOS || m == markerEOI:
			return Header{}, fmt.Errorf("%w: JPEG has no frame header before its first scan", inspection.ErrImage)
		}
	}
}

func parseSOF(m byte, body []byte) (Header, error) {
	if len(body) < 6 {
		return Header{}, fmt.Errorf("%w: JPEG frame header has %d bytes", inspection.ErrImage, len(body))
	}
	if m > 0xC2 {
		return Header{}, fmt.Errorf("%w: JPEG of kind SOF%d (lossless, arithmetic or hierarchical): send baseline or progressive", inspection.ErrImage, m-0xC0)
	}
	if body[0] != 8 {
		return Header{}, fmt.Errorf("%w: JPEG has %d bits a sample: send 8", inspection.ErrImage, body[0])
	}
	h := Header{
		Height:      int(binary.BigEndian.Uint16(body[1:])),
		Width:       int(binary.BigEndian.Uint16(body[3:])),
		Channels:    int(body[5]),
		Progressive: m == 0xC2,
	}
	if h.Channels != 1 && h.Channels != 3 {
		return Header{}, fmt.Errorf("%w: JPEG has %d channels: send grey or colour (1 or 3)", inspection.ErrImage, h.Channels)
	}
	return h, nil
}

// checkScans refuses a JPEG with more than maxScans scans, without decoding one: it follows the markers and leaps over
// what lies between.
func checkScans(data []byte) error {
	segments := jpegSegments{data: data}
	for scans := 0; ; {
		m, _, err := segments.next()
		if err != nil || m == markerEOI {
			return nil // whether the end is missing is the decoder's to say
		}
		if m != markerSOS {
			continue
		}
		if scans++; scans > maxScans {
			return fmt.Errorf("%w: JPEG has more than %d scans", inspection.ErrImageTooLarge, maxScans)
		}
	}
}

// jpegSegments walks over a JPEG's markers.
type jpegSegments struct {
	data []byte
	at   int
}

// next returns the next marker and the bytes of its segment. After a start of scan it leaps over the entropy-coded data.
func (s *jpegSegments) next() (marker byte, body []byte, err error) {
	if s.at == 0 {
		if len(s.data) < 2 || s.data[0] != 0xFF || s.data[1] != markerSOI {
			return 0, nil, fmt.Errorf("%w: no JPEG begins with these bytes", inspection.ErrImage)
		}
		s.at = 2
	}
	for {
		i := bytes.IndexByte(s.data[s.at:], 0xFF)
		if i < 0 || s.at+i+1 >= len(s.data) {
			return 0, nil, fmt.Errorf("%w: JPEG ends before its end marker", inspection.ErrImage)
		}
		marker = s.data[s.at+i+1]
		s.at += i + 1
		// 0xFF00 is a stuffed byte of a scan, 0xFFFF a fill byte, and restart markers belong to the scan.
		if marker == 0xFF {
			continue
		}
		s.at++
		if marker == 0 || isBare(marker) && marker != markerEOI {
			continue
		}
		break
	}
	if marker == markerEOI {
		return marker, nil, nil
	}
	if s.at+2 > len(s.data) {
		return 0, nil, fmt.Errorf("%w: JPEG ends inside a segment", inspection.ErrImage)
	}
	n := int(binary.BigEndian.Uint16(s.data[s.at:]))
	if n < 2 || s.at+n > len(s.data) {
		return 0, nil, fmt.Errorf("%w: JPEG ends inside a segment", inspection.ErrImage)
	}
	body = s.data[s.at+2 : s.at+n]
	s.at += n
	return marker, body, nil
}
