package proto

import (
	"errors"
	"io"
	"math"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// span is a run of bytes of a message.
type span struct{ start, size int }

// cursor reads protobuf fields from a message that lies in pieces. A piece may end anywhere, also within a number.
type cursor struct {
	data  mem.BufferSlice
	piece int // index into data
	off   int // within the piece
	at    int // bytes read
	left  int // bytes not read

	raw  [10]byte // the last number as it was written, which need not be its shortest form
	rawN int
}

var (
	errFieldNumber = errors.New("invalid field number")
	errWireType    = errors.New("invalid wire type")
)

// next returns the unread bytes of the current piece, at most n, and steps over them. It returns none only at the end.
func (c *cursor) next(n int) []byte {
	for c.piece < len(c.data) {
		b := c.data[c.piece].ReadOnlyData()[c.off:]
		if len(b) == 0 {
			c.piece, c.off = c.piece+1, 0
			continue
		}
		b = b[:min(n, len(b))]
		c.off, c.at, c.left = c.off+len(b), c.at+len(b), c.left-len(b)
		return b
	}
	return nil
}

// skip steps over n bytes, which the caller knows to be there.
func (c *cursor) skip(n int) {
	for n > 0 {
		n -= len(c.next(n))
	}
}

// copy appends n bytes to dst.
func (c *cursor) copy(dst []byte, n int) ([]byte, error) {
	if n > c.left {
		return nil, io.ErrUnexpectedEOF
	}
	if len(dst)+n > MaxHeaderBytes {
		return nil, errHeader
	}
	for n > 0 {
		b := c.next(n)
		dst = append(dst, b...)
		n -= len(b)
	}
	return dst, nil
}

// varint reads one number, byte by byte, as protowire would from bytes in a row.
func (c *cursor) varint() (uint64, error) {
	for c.rawN = 0; c.rawN < len(c.raw); {
		b := c.next(1)
		if len(b) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		c.raw[c.rawN] = b[0]
		c.rawN++
		if b[0] < 0x80 {
			break
		}
	}
	v, n := protowire.ConsumeVarint(c.raw[:c.rawN])
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	return v, nil
}

// appendRaw appends the last number as it was written.
func (c *cursor) appendRaw(dst []byte) []byte { return append(dst, c.raw[:c.rawN]...) }

// tag reads a field's number and type.
func (c *cursor) tag() (protowire.Number, protowire.Type, error) {
	v, err := c.varint()
	if err != nil {
		return 0, 0, err
	}
	num, typ := protowire.DecodeTag(v)
	if num < protowire.MinValidNumber || num > protowire.MaxValidNumber {
		return 0, 0, errFieldNumber
	}
	return num, typ, nil
}

// length reads the length of a bytes field, which must be there in full.
func (c *cursor) length() (int, error) {
	v, err := c.varint()
	if err != nil {
		return 0, err
	}
	if v > math.MaxInt || int(v) > c.left {
		return 0, io.ErrUnexpectedEOF
	}
	return int(v), nil
}

// copyField appends a field, whose tag was just read, to dst as it was written. Whether a group's ends match is left to the parser that reads dst.
func (c *cursor) copyField(dst []byte, typ protowire.Type) ([]byte, error) {
	for depth := 0; ; {
		dst = c.appendRaw(dst)
		var err error
		switch typ {
		case protowire.VarintType:
			_, err = c.varint()
			dst = c.appendRaw(dst)
		case protowire.Fixed32Type:
			dst, err = c.copy(dst, 4)
		case protowire.Fixed64Type:
			dst, err = c.copy(dst, 8)
		case protowire.BytesType:
			var n int
			if n, err = c.length(); err == nil {
				dst = c.appendRaw(dst)
				dst, err = c.copy(dst, n)
			}
		case protowire.StartGroupType:
			depth++
		case protowire.EndGroupType:
			depth--
		default:
			err = errWireType
		}
		if err != nil {
			return nil, err
		}
		if len(dst) > MaxHeaderBytes {
			return nil, errHeader
		}
		if depth <= 0 {
			return dst, nil
		}
		if _, typ, err = c.tag(); err != nil {
			return nil, err
		}
	}
}
