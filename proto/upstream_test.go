package proto_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	pb "google.golang.org/protobuf/proto"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// countingPool counts the buffers that are out.
type countingPool struct{ out atomic.Int64 }

func (p *countingPool) Get(n int) *[]byte { p.out.Add(1); b := make([]byte, n); return &b }
func (p *countingPool) Put(*[]byte)       { p.out.Add(-1) }

// split cuts b into random pieces, some of them empty, each in a buffer large enough for gRPC to count references on it.
func split(b []byte, seed uint64, pool *countingPool) mem.BufferSlice {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out mem.BufferSlice
	for len(b) > 0 || rng.IntN(4) == 0 {
		n := 0
		if rng.IntN(6) > 0 {
			n = min(len(b), 1+rng.IntN(1+rng.IntN(40)))
		}
		p := append(make([]byte, 0, 2048), b[:n]...)
		pool.out.Add(1)
		out = append(out, mem.NewBuffer(&p, pool))
		b = b[n:]
	}
	return out
}

func field(num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), content)
}

func seeds(t testing.TB) map[string][]byte {
	marshal := func(m pb.Message) []byte {
		b, err := pb.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	frame := func(seq uint64, image string) []byte {
		return marshal(&assayv1.Frame{Header: &assayv1.FrameHeader{Seq: seq, Serial: "SN-1"}, Image: []byte(image)})
	}
	hello := marshal(&assayv1.InspectRequest{Message: &assayv1.InspectRequest_Hello{Hello: &assayv1.Hello{Line: "l"}}})
	image, header := field(15, []byte("first")), field(1, marshal(&assayv1.FrameHeader{Seq: 7}))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	group := append(protowire.AppendTag(nil, 40, protowire.StartGroupType), protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 300)...)
	group = protowire.AppendTag(group, 40, protowire.EndGroupType)
	return map[string][]byte{
		"empty":               {},
		"hello":               hello,
		"frame":               field(2, frame(1, "an image")),
		"no image":            field(2, frame(1, "")),
		"image first":         field(2, join(image, header)),
		"two images":          field(2, join(image, header, field(15, []byte("second")))),
		"image, then empty":   field(2, join(image, field(15, nil))),
		"two frames":          join(field(2, frame(1, "one")), field(2, frame(2, "two"))),
		"merged frames":       join(field(2, frame(1, "one")), field(2, header)),
		"frame, then hello":   join(field(2, frame(1, "one")), hello),
		"frame, hello, frame": join(field(2, frame(1, "one")), hello, field(2, header)),
		"unknown fields":      join(field(99, []byte("x")), field(2, join(field(98, []byte("y")), image, group)), group),
		"long numbers":        join([]byte{0x92, 0x00, 0x87, 0x80, 0x00}, image),
		"image as number":     field(2, protowire.AppendVarint(protowire.AppendTag(nil, 15, protowire.VarintType), 5)),
		"hello as number":     join(field(2, frame(1, "one")), []byte{0x08, 0x01}),
		"cut":                 field(2, frame(1, "an image"))[:12],
		"over the end":        {0x12, 0x03, 0x7a, 0x05, 'a', 'b', 'c', 'd', 'e'},
		"huge length":         {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"huge image":          {0x12, 0x04, 0x7a, 0xff, 0xff, 0x7f},
		"open group":          {0x0b},
		"end of no group":     {0x12, 0x01, 0x0c},
		"field zero":          {0x12, 0x02, 0x00, 0x00},
		"bad UTF-8":           field(2, field(1, field(5, []byte{0xff}))),
	}
}

// check compares what the codec makes of b, cut into pieces, with what generated code makes of it, in both directions.
func check(t *testing.T, b []byte, seed uint64) {
	t.Helper()
	var pool countingPool
	codec := proto.NewCodec(0)
	want := &assayv1.InspectRequest{}
	wantErr := pb.Unmarshal(b, want)
	data := split(b, seed, &pool)
	got := &proto.Upstream{}
	err := codec.Unmarshal(data, got)
	data.Free()
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("got error %v, generated code has %v", err, wantErr)
	}
	if err != nil {
		if n := pool.out.Load(); n != 0 {
			t.Fatalf("%d buffers are still held after an error", n)
		}
		return
	}
	if image := got.Msg.GetFrame().GetImage(); len(image) > 0 {
		t.Fatalf("Msg holds an image of %d bytes", len(image))
	}
	sent, err := codec.Marshal(got)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	back := &assayv1.InspectRequest{}
	if err := pb.Unmarshal(sent.Materialize(), back); err != nil {
		t.Fatalf("generated code cannot read what the codec wrote: %v", err)
	}
	sent.Free()
	if f := got.Msg.GetFrame(); f != nil && got.Image != nil {
		f.Image = got.Image.Bytes()
	}
	if f := want.GetFrame(); f != nil && len(f.Image) == 0 { // an image that is there and empty is none
		f.Image = nil
	}
	if !pb.Equal(got.Msg, want) {
		t.Fatalf("got %v\nwant %v", got.Msg, want)
	}
	if !pb.Equal(back, want) {
		t.Fatalf("there and back: got %v\nwant %v", back, want)
	}
	got.Image.Release()
	if n := pool.out.Load(); n != 0 {
		t.Fatalf("%d buffers are still held after Release", n)
	}
}

func TestUpstreamIsWhatGeneratedCodeReads(t *testing.T) {
	for name, b := range seeds(t) {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				check(t, b, seed)
			}
		})
	}
}

func FuzzUpstream(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		if len(b) > 1<<16 {
			return
		}
		check(t, b, seed)
	})
}

func TestUpstreamKnowsItsFields(t *testing.T) {
	request := (&assayv1.InspectRequest{}).ProtoReflect().Descriptor()
	if got := request.Fields().ByName("frame").Number(); got != 2 {
		t.Errorf("InspectRequest.frame has number %d, the codec looks for 2", got)
	}
	if got := (&assayv1.Frame{}).ProtoReflect().Descriptor().Fields().ByName("image").Number(); got != 15 {
		t.Errorf("Frame.image has number %d, the codec looks for 15", got)
	}
	members := request.Oneofs().ByName("message").Fields()
	if members.Len() != 4 || members.Len() != request.Fields().Len() {
		t.Errorf("InspectRequest has %d fields, %d of them in the oneof: isRequestMember counts on 1 to 4", request.Fields().Len(), members.Len())
	}
}

func TestUpstreamRefusesMisuse(t *testing.T) {
	image := inspection.NewBuffer(nil, []byte("x"))
	full := &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: &assayv1.Frame{Image: []byte("y")}}}
	for name, u := range map[string]*proto.Upstream{
		"no Msg": {Image: image}, "no Frame": {Msg: &assayv1.InspectRequest{}, Image: image}, "two images": {Msg: full, Image: image},
	} {
		if _, err := proto.NewCodec(0).Marshal(u); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestCodecLimits(t *testing.T) {
	header := field(2, field(1, bytes.Repeat(field(50, make([]byte, 1000)), proto.MaxHeaderBytes/1000)))
	err := proto.NewCodec(0).Unmarshal(mem.BufferSlice{mem.SliceBuffer(header)}, &proto.Upstream{})
	if !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a header of %d bytes: got %v, want ErrInvalid", len(header), err)
	}
	numbers := bytes.Repeat(protowire.AppendVarint(protowire.AppendTag(nil, 50, protowire.VarintType), 1), proto.MaxHeaderBytes)
	for name, b := range map[string][]byte{"message": numbers, "frame": field(2, numbers)} {
		if err := proto.NewCodec(0).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &proto.Upstream{}); !errors.Is(err, inspection.ErrInvalid) {
			t.Errorf("a %s of %d bytes of numbers: got %v, want ErrInvalid", name, len(b), err)
		}
	}
	small := proto.NewCodec(100)
	name := field(1, make([]byte, 101))
	if err := small.Unmarshal(mem.BufferSlice{mem.SliceBuffer(name)}, &assayv1.GetModelRequest{}); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a message over the limit: got %v, want ErrInvalid", err)
	}
	image := field(2, field(15, make([]byte, 1000)))
	var up proto.Upstream
	if err := small.Unmarshal(mem.BufferSlice{mem.SliceBuffer(image)}, &up); err != nil || up.Image.Len() != 1000 {
		t.Errorf("an image: got %d bytes, %v; want 1000, the limit does not hold for an Upstream", up.Image.Len(), err)
	}
}
