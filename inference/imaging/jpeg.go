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

// checkScans refuses a JPEG with more than maxScans scans, and one that ends before its scans have sent all, without decoding
// one: it follows the markers and leaps over what lies between. The decoder takes what was never sent for zeros, and a picture
// that lost its last scans for a whole one.
func checkScans(data []byte) error {
	segments, progress := jpegSegments{data: data}, scanProgress{}
	for scans := 0; ; {
		m, body, err := segments.next()
		switch {
		case err != nil:
			return nil // that the end is missing is the decoder's to say
		case m == markerEOI:
			return progress.check()
		case isSOF(m):
			progress.begin(m, body)
		case m == markerSOS:
			if scans++; scans > maxScans {
				return fmt.Errorf("%w: JPEG has more than %d scans", inspection.ErrImageTooLarge, maxScans)
			}
			progress.add(body)
		}
	}
}

// scanProgress is how much of each component a JPEG's scans have sent. Scans that cannot be read are the decoder's to refuse.
type scanProgress struct {
	progressive bool
	components  []componentProgress
}

// componentProgress holds for each coefficient the lowest bit that was sent, plus 1; 0 where nothing was.
type componentProgress struct {
	id   byte
	sent [64]byte
}

// begin reads the components from a frame header.
func (p *scanProgress) begin(marker byte, body []byte) {
	p.progressive, p.components = marker == 0xC2, nil
	for at := 6; at+2 < len(body); at += 3 {
		p.components = append(p.components, componentProgress{id: body[at]})
	}
}

// add notes what a scan sends. Every component of a name gets it, for some encoders give one name to all.
func (p *scanProgress) add(body []byte) {
	if len(body) == 0 || len(body) < 4+2*int(body[0]) {
		return
	}
	names := body[1 : 1+2*int(body[0])]
	rest := body[1+len(names):]
	from, to, before, bit := rest[0], rest[1], rest[2]>>4, rest[2]&15
	if !p.progressive {
		from, to, before, bit = 0, 63, 0, 0
	}
	for i := range p.components {
		c := &p.components[i]
		for at := 0; at < len(names); at += 2 {
			if names[at] == c.id {
				c.add(from, to, before, bit)
			}
		}
	}
}

// add notes a first pass (before is 0), or one that refines what was sent down to the bit before.
func (c *componentProgress) add(from, to, before, bit byte) {
	for k := from; k <= to && k < 64; k++ {
		if before == 0 || c.sent[k] == before+1 {
			c.sent[k] = bit + 1
		}
	}
}

func (p *scanProgress) check() error {
	for i, c := range p.components {
		for k, sent := range c.sent {
			if sent != 1 {
				return fmt.Errorf("%w: JPEG ends before all of its scans: coefficient %d of component %d was not sent to its last bit: send the whole file", inspection.ErrImage, k, i)
			}
		}
	}
	return nil
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
