package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	standard "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// Receive takes frames on a Unix socket by a node's gRPC settings, drops each in the pieces in which it came and answers it
// with an empty message, until ctx ends: what no node that is spoken to by gRPC can do without.
func Receive(ctx context.Context, socket string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	options := append(proto.ServerOptions(64<<20, 1<<20), grpc.ForceServerCodecV2(dropping{encoding.GetCodecV2(standard.Name)}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			for {
				err := stream.RecvMsg(nil)
				if err == nil {
					err = stream.SendMsg(&assayv1.InspectResponse{})
				}
				if err != nil {
					return err
				}
			}
		}))
	server := grpc.NewServer(options...)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return server.Serve(listener)
}

// dropping is a codec that does not look at what it receives.
type dropping struct{ encoding.CodecV2 }

func (dropping) Unmarshal(mem.BufferSlice, any) error { return nil }

// received measures the CPU that a receiver in a process of its own takes for raw frames of some sizes, one at a time, for so
// long each. program is one that calls Receive when it is given -receive and a socket.
func received(ctx context.Context, program, dir string, sizes [][2]int, long time.Duration) (costs []time.Duration, err error) {
	socket := filepath.Join(dir, "receiver.sock")
	receiver := exec.CommandContext(ctx, program, "-receive", socket)
	receiver.Stderr = os.Stderr
	receiver.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := receiver.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	defer func() {
		_ = receiver.Process.Kill()
		_ = receiver.Wait()
		_ = os.Remove(socket)
	}()
	conn, err := grpc.NewClient("unix://"+socket, append(proto.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute+2*time.Duration(len(sizes))*long)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/benchmark/Receive", grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		message := &proto.Upstream{
			Msg:   &assayv1.InspectRequest{Message: &assayv1.InspectRequest_Frame{Frame: &assayv1.Frame{}}},
			Image: inspection.NewBuffer(nil, make([]byte, size[0]*size[1])),
		}
		if _, err = exchange(stream, message, long/4); err != nil { // warm
			return nil, err
		}
		before, err := processCPU(receiver.Process.Pid)
		if err != nil {
			return nil, err
		}
		n, err := exchange(stream, message, long)
		if err != nil {
			return nil, err
		}
		after, err := processCPU(receiver.Process.Pid)
		if err != nil {
			return nil, err
		}
		costs = append(costs, (after-before)/time.Duration(n))
	}
	return costs, nil
}

// exchange sends a message and awaits its answer, again and again, at least once.
func exchange(stream grpc.ClientStream, message *proto.Upstream, long time.Duration) (n int, err error) {
	for begin := time.Now(); n == 0 || time.Since(begin) < long; n++ {
		if err := stream.SendMsg(message); err != nil {
			return n, err
		}
		if err := stream.RecvMsg(&assayv1.InspectResponse{}); err != nil {
			return n, err
		}
	}
	return n, nil
}
