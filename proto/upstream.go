package proto

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/assay-vision/assay/inspection"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// Upstream is an InspectRequest whose frame's image is held apart: in a pooled buffer, into which it was joined as it
// arrived, or in the one from which it is to be sent. On the wire it is the plain protobuf message. Give it to SendMsg and
// RecvMsg of a stream whose codec is a Codec.
//
// Sending: Msg.Frame.Image must be empty when Image is set. Image is only borrowed: the codec takes references of its own
// and returns them when the bytes are on the wire. A nil or empty Image sends Msg as it is.
//
// Receiving: Msg.Frame.Image is always empty, Image holds the bytes, or is nil where there were none. The receiver owns
// one reference and must Release it. What Msg and Image held before is overwritten, not released.
type Upstream struct {
	Msg   *assayv1.InspectRequest
	Image *inspection.Buffer
}

// MaxHeaderBytes bounds what a received InspectRequest may hold beside its image.
const MaxHeaderBytes = 1 << 20

// The field numbers that the codec must know; a test compares them with the generated descriptors.
const (
	requestFrameField protowire.Number = 2
	frameImageField   protowire.Number = 15
)

// errHeader says that a message is all header.
var errHeader = fmt.Errorf("%w: an InspectRequest without its image has more than %d bytes", inspection.ErrInvalid, MaxHeaderBytes)

// marshal writes the message so that the image is sent from where it lies.
func (u *Upstream) marshal() (mem.BufferSlice, error) {
	frame := u.Msg.GetFrame()
	switch {
	case frame == nil:
		return nil, errors.New("proto: an Upstream with an Image needs a Frame in its Msg")
	case len(frame.GetImage()) > 0:
		return nil, errors.New("proto: an Upstream has its image in Image and in Msg.Frame.Image: use one")
	}
	header, err := proto.Marshal(frame)
	if err != nil {
		return nil, fmt.Errorf("marshal frame: %w", err)
	}
	size := u.Image.Len()
	head := make([]byte, 0, len(header)+4*10)
	head = protowire.AppendTag(head, requestFrameField, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(header)+protowire.SizeTag(frameImageField)+protowire.SizeBytes(size)))
	head = append(head, header...)
	head = protowire.AppendTag(head, frameImageField, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(size))

	data := append(make(mem.BufferSlice, 0, 3), mem.SliceBuffer(head), lent(u.Image))
	if unknown := u.Msg.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		data = append(data, mem.SliceBuffer(unknown))
	}
	return data, nil
}

// lent is an image as gRPC sends it, without a copy. It holds a reference, which the transport gives back when it has written
// the bytes. What is too small for gRPC to count references on is copied.
func lent(image *inspection.Buffer) mem.Buffer {
	data := image.Bytes()
	if mem.IsBelowBufferPoolingThreshold(len(data)) {
		return mem.SliceBuffer(slices.Clone(data))
	}
	data = data[:len(data):len(data)]
	return mem.NewBuffer(&data, releaser{image.Ref()})
}

// releaser is a buffer pool that takes nothing back but a reference on an image.
type releaser struct{ image *inspection.Buffer }

func (r releaser) Get(n int) *[]byte { b := make([]byte, n); return &b }
func (r releaser) Put(*[]byte)       { r.image.Release() }

// unmarshal reads the message out of the pieces in which it arrived. The image is what generated code would make of it:
// the last one of a frame sent in several fields, none when another member of the oneof came after the frame.
func (u *Upstream) unmarshal(data mem.BufferSlice, pool *bufferPool) error {
	c := cursor{data: data, left: data.Len()}
	var (
		rest    []byte // the message without its image
		image   span
		scratch []byte
	)
	for c.left > 0 {
		num, typ, err := c.tag()
		if err != nil {
			return err
		}
		if typ != protowire.BytesType || num != requestFrameField {
			if typ == protowire.BytesType && isRequestMember(num) {
				image = span{}
			}
			if rest, err = c.copyField(rest, typ); err != nil {
				return err
			}
			continue
		}
		if scratch, err = c.frame(scratch[:0], &image); err != nil {
			return err
		}
		rest = protowire.AppendTag(rest, num, typ)
		if rest = protowire.AppendBytes(rest, scratch); len(rest) > MaxHeaderBytes {
			return errHeader
		}
	}
	msg := &assayv1.InspectRequest{}
	if err := proto.Unmarshal(rest, msg); err != nil {
		return err
	}
	u.Msg, u.Image = msg, nil
	if image.size > 0 {
		u.Image = pool.join(data, image)
	}
	return nil
}

// frame reads a Frame field after its tag: everything but images is appended to rest, the last image's place goes to image.
func (c *cursor) frame(rest []byte, image *span) ([]byte, error) {
	size, err := c.length()
	if err != nil {
		return nil, err
	}
	end := c.left - size
	for c.left > end {
		num, typ, err := c.tag()
		if err != nil {
			return nil, err
		}
		if num != frameImageField || typ != protowire.BytesType {
			if rest, err = c.copyField(rest, typ); err != nil {
				return nil, err
			}
			continue
		}
		n, err := c.length()
		if err != nil {
			return nil, err
		}
		*image = span{start: c.at, size: n}
		c.skip(n)
	}
	if c.left < end { // a field ran over the frame's end
		return nil, io.ErrUnexpectedEOF
	}
	return rest, nil
}

// isRequestMember reports whether num is a member of InspectRequest's oneof beside the frame.
func isRequestMember(num protowire.Number) bool {
	return num >= 1 && num <= 4 && num != requestFrameField
}
