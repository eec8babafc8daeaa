package proto_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"

	"go.uber.org/goleak"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver answers every frame with its seq, after it gave the image to see.
type receiver struct {
	assayv1.UnimplementedInspectionServiceServer
	upstream bool
	see      func(image *inspection.Buffer)
}

func (r *receiver) Inspect(stream grpc.BidiStreamingServer[assayv1.InspectRequest, assayv1.InspectResponse]) error {
	answer := &assayv1.Answer{}
	reply := &assayv1.InspectResponse{Message: &assayv1.InspectResponse_Answer{Answer: answer}}
	for {
		var up proto.Upstream
		if r.upstream {
			if err := stream.RecvMsg(&up); err != nil {
				return ignoreEOF(err)
			}
		} else {
			msg, err := stream.Recv()
			if err != nil {
				return ignoreEOF(err)
			}
			up = proto.Upstream{Msg: msg, Image: inspection.NewBuffer(nil, msg.GetFrame().GetImage())}
		}
		r.see(up.Image)
		up.Image.Release()
		answer.Seq = up.Msg.GetFrame().GetHeader().GetSeq()
		if err := stream.SendMsg(reply); err != nil {
			return err
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// start serves r on loopback and returns a stream to it. more options come last.
func start(t *testing.T, r *receiver, more ...grpc.ServerOption) grpc.BidiStreamingClient[assayv1.InspectRequest, assayv1.InspectResponse] {
	t.Helper()
	options := proto.ServerOptions(64<<20, 4<<20)
	srv := grpc.NewServer(append(options, more...)...)
	assayv1.RegisterInspectionServiceServer(srv, r)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	dial := proto.DialOptions()
	conn, err := grpc.NewClient(lis.Addr().String(), append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() { cancel(); _ = conn.Close(); srv.Stop(); <-served })
	stream, err := assayv1.NewInspectionServiceClient(conn).Inspect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func request(seq uint64, image []byte) *assayv1.InspectRequest {
	frame := &assayv1.Frame{Header: &assayv1.FrameHeader{Seq: seq, Serial: "SN-1"}, Image: image}
	return &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: frame}}
}

func randomImage(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

// Either end may have the codec, the other one generated code.
func TestCodecOnTheWire(t *testing.T) {
	image := randomImage(3_000_001)
	for _, upstream := range []bool{true, false} {
		r := &receiver{upstream: upstream}
		var got []byte
		r.see = func(b *inspection.Buffer) { got = append(got[:0], b.Bytes()...) }
		stream := start(t, r)
		for seq := uint64(1); seq <= 4; seq++ {
			var err error
			var freed atomic.Bool
			if seq%2 == 0 {
				err = stream.SendMsg(request(seq, image))
			} else {
				b := inspection.NewBuffer(func() { freed.Store(true) }, image)
				err = stream.SendMsg(&proto.Upstream{Msg: request(seq, nil), Image: b})
				b.Release()
			}
			if err != nil {
				t.Fatal(err)
			}
			resp, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if resp.GetAnswer().GetSeq() != seq || !bytes.Equal(got, image) {
				t.Fatalf("server upstream %v, seq %d: got seq %d and %d bytes that are not the image", upstream, seq, resp.GetAnswer().GetSeq(), len(got))
			}
			if seq%2 == 1 {
				poll(t, "the sent image is released", freed.Load)
			}
		}
	}
}

// The image of a frame is copied into pooled memory only, between the socket and the reader: what both ends together leave to
// the garbage collector is a small part of it, and gRPC has its buffers back.
func TestCodecLeavesLittleGarbage(t *testing.T) {
	// gRPC 1.85 by itself leaves about 33 kB for 5 MiB: the lists of its 320 received pieces, made twice for each message.
	const frames, size, most = 60, 5 << 20, 64 << 10
	base, err := mem.NewBinaryTieredBufferPool(8, 12, 14, 15, 20)
	if err != nil {
		t.Fatal(err)
	}
	pool := &trackedPool{BufferPool: base}
	image := inspection.NewBuffer(nil, randomImage(size))
	var seen atomic.Int64
	r := &receiver{upstream: true, see: func(b *inspection.Buffer) { seen.Add(int64(b.Len())) }}
	stream := start(t, r, experimental.BufferPool(pool))
	req := request(1, nil)
	send := func() {
		if err := stream.SendMsg(&proto.Upstream{Msg: req, Image: image}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // fill the pools
		send()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range frames {
		send()
	}
	runtime.ReadMemStats(&after)
	if got := seen.Load(); got != size*(frames+10) {
		t.Fatalf("the server saw %d image bytes, want %d", got, size*(frames+10))
	}
	per := (after.TotalAlloc - before.TotalAlloc) / frames
	t.Logf("%d bytes allocated for each frame of %d bytes, both ends together", per, size)
	if per > most && !raceEnabled {
		t.Errorf("%d bytes allocated for each frame, want at most %d", per, most)
	}
	poll(t, "all received buffers are back", func() bool { return pool.out.Load() == 0 })
}

// What receiving leaves without gRPC around it.
func TestCodecAllocatesLittle(t *testing.T) {
	const most = 4 << 10
	codec, image := proto.NewCodec(0), inspection.NewBuffer(nil, randomImage(5<<20))
	sent, err := codec.Marshal(&proto.Upstream{Msg: request(1, nil), Image: image})
	if err != nil {
		t.Fatal(err)
	}
	var pieces mem.BufferSlice
	for b := sent.Materialize(); len(b) > 0; b = b[min(len(b), 16384):] {
		p := b[:min(len(b), 16384)]
		pieces = append(pieces, mem.NewBuffer(&p, mem.NopBufferPool{}))
	}
	receive := func() {
		var up proto.Upstream
		if err := codec.Unmarshal(pieces, &up); err != nil {
			t.Fatal(err)
		}
		up.Image.Release()
	}
	receive() // fill the pool
	// The median: whoever moves to another processor between two images may find its pool empty once.
	perRun := make([]uint64, 201)
	for i := range perRun {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		receive()
		runtime.ReadMemStats(&after)
		perRun[i] = after.TotalAlloc - before.TotalAlloc
	}
	slices.Sort(perRun)
	per := perRun[len(perRun)/2]
	t.Logf("%d bytes allocated to receive an image in %d pieces", per, len(pieces))
	if per > most && !raceEnabled {
		t.Errorf("%d bytes allocated, want at most %d", per, most)
	}
}

// trackedPool counts the buffers of a pool that are out.
type trackedPool struct {
	mem.BufferPool
	out atomic.Int64
}

func (p *trackedPool) Get(n int) *[]byte { p.out.Add(1); return p.BufferPool.Get(n) }
func (p *trackedPool) Put(b *[]byte)     { p.out.Add(-1); p.BufferPool.Put(b) }

// poll waits until ok holds, for at most ten seconds.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("timed out: %s", what)
		}
	}
}
