package proto

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"

	"github.com/assay-vision/assay/inspection"
)

// Codec is gRPC's protobuf codec with one more message: an *Upstream is sent without a copy of its image, and
// received with one. Everything else goes through the standard codec, and the wire is plain protobuf in both directions.
type Codec struct {
	standard   encoding.CodecV2
	maxMessage int
	images     bufferPool
}

var _ encoding.CodecV2 = (*Codec)(nil)

// NewCodec returns a codec that refuses to unmarshal any message but an *Upstream beyond maxMessage bytes; 0 means no
// limit. gRPC knows one limit for a whole server, and images need a large one.
func NewCodec(maxMessage int) *Codec {
	return &Codec{standard: encoding.GetCodecV2(proto.Name), maxMessage: maxMessage}
}

// Name is the standard codec's, so that both ends may have either.
func (c *Codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c *Codec) Marshal(v any) (mem.BufferSlice, error) {
	u, ok := v.(*Upstream)
	switch {
	case !ok:
		return c.standard.Marshal(v)
	case u.Msg == nil:
		return nil, fmt.Errorf("proto: an Upstream has no Msg")
	case u.Image.Len() == 0:
		return c.standard.Marshal(u.Msg)
	}
	return u.marshal()
}

// Unmarshal implements encoding.CodecV2.
func (c *Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if u, ok := v.(*Upstream); ok {
		return u.unmarshal(data, &c.images)
	}
	if n := data.Len(); c.maxMessage > 0 && n > c.maxMessage {
		return fmt.Errorf("%w: a message of %d bytes: at most %d are allowed", inspection.ErrInvalid, n, c.maxMessage)
	}
	return c.standard.Unmarshal(data, v)
}

// Windows of HTTP/2 flow control. Both are set, because setting one turns gRPC's dynamic window off for both. A stream's
// holds one large frame; a connection's holds two, so that one stream that waits does not stop the others.
const (
	streamWindow     = 8 << 20
	connectionWindow = 16 << 20
	frameBuffer      = 256 << 10 // where frames are read or written; pooled, and none is held while nothing comes
	replyBuffer      = 32 << 10  // where replies are
)

// maxReply is the largest message that a client takes: a page of a thousand results with all their candidates.
const maxReply = 64 << 20

// ServerOptions make a gRPC server take Upstream messages of at most maxUpstream bytes, and every other message of at most
// maxMessage bytes.
func ServerOptions(maxUpstream, maxMessage int) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(NewCodec(maxMessage)),
		grpc.MaxRecvMsgSize(maxUpstream),
		experimental.BufferPool(&bufferPool{}),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connectionWindow),
		grpc.ReadBufferSize(frameBuffer), grpc.WriteBufferSize(replyBuffer),
	}
}

// DialOptions make a gRPC client send Upstream messages without copying their images. How large they may be is the
// node's word (Welcome), so the client sets no limit of its own.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(NewCodec(0)), grpc.MaxCallRecvMsgSize(maxReply)),
		experimental.WithBufferPool(&bufferPool{}),
		grpc.WithReadBufferSize(replyBuffer), grpc.WithWriteBufferSize(frameBuffer),
	}
}
