package onnx

import (
	"encoding/binary"
	"fmt"

	"github.com/assay-vision/assay/inspection"
)

var errDamaged = fmt.Errorf("%w: the file is no ONNX graph, or it is damaged: export or copy it again", inspection.ErrInvalid)

// field is one field of a protobuf message: a number, or a body that lies in the file's bytes.
type field struct {
	number uint64
	value  uint64
	body   []byte
	isBody bool
}

// Wire types of protobuf.
const (
	wireVarint = 0
	wire64     = 1
	wireBody   = 2
	wire32     = 5
)

// each calls f for every field of a message, in order.
func each(b []byte, f func(field) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errDamaged
		}
		fd := field{number: key >> 3}
		rest, ok := fd.read(b[n:], key&7)
		if !ok {
			return errDamaged
		}
		b = rest
		if err := f(fd); err != nil {
			return err
		}
	}
	return nil
}

// read takes the field's value off b. Numbers of fixed width are passed over: no field that is read has one.
func (f *field) read(b []byte, wire uint64) (rest []byte, ok bool) {
	switch wire {
	case wireVarint, wireBody:
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, false
		}
		b = b[n:]
		if wire == wireVarint {
			f.value = v
			return b, true
		}
		if v > uint64(len(b)) {
			return nil, false
		}
		f.body, f.isBody = b[:v], true
		return b[v:], true
	case wire64:
		return b[min(8, len(b)):], len(b) >= 8
	case wire32:
		return b[min(4, len(b)):], len(b) >= 4
	}
	return nil, false
}
