package benchmarks

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/assay-vision/assay/camera/load"
)

// floor is what the machine itself adds to a frame that comes alone, whoever serves it; medians.
type floor struct {
	exchange time.Duration // from when a frame is due until a few bytes have come back through a Unix socket
	sync     time.Duration // of a commit's few kB, written and synced
}

// committed is about what one lone commit writes.
const committed = 8 << 10

// floorOf measures the floor for frames of a size at the times of a timetable. Both ends of the socket are in this process,
// which is easier than between two.
func floorOf(ctx context.Context, dir string, size int, table load.Schedule) (f floor, err error) {
	dir, err = os.MkdirTemp(dir, "floor")
	if err != nil {
		return floor{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", filepath.Join(dir, "s"))
	if err != nil {
		return floor{}, err
	}
	answered := make(chan error, 1)
	go func() { answered <- answer(listener, size) }()
	out, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		return floor{}, errors.Join(err, listener.Close())
	}
	file, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return floor{}, errors.Join(err, out.Close())
	}
	f, err = pace(ctx, out, file, size, table)
	return f, errors.Join(err, file.Close(), out.Close(), <-answered)
}

// pace exchanges and syncs once at each of the timetable's times.
func pace(ctx context.Context, out net.Conn, file *os.File, size int, table load.Schedule) (floor, error) {
	frame, reply := make([]byte, size), make([]byte, 100)
	var exchanges, syncs []time.Duration
	begin := time.Now()
	for _, a := range table {
		time.Sleep(a.At - time.Since(begin))
		_, err := out.Write(frame)
		if err == nil {
			_, err = io.ReadFull(out, reply)
		}
		exchanges = append(exchanges, time.Since(begin.Add(a.At)))
		from := time.Now()
		if err == nil {
			_, err = file.WriteAt(frame[:min(size, committed)], 0)
		}
		if err = errors.Join(err, file.Sync(), ctx.Err()); err != nil {
			return floor{}, err
		}
		syncs = append(syncs, time.Since(from))
	}
	if len(syncs) == 0 {
		return floor{}, nil
	}
	slices.Sort(exchanges)
	slices.Sort(syncs)
	return floor{exchanges[len(exchanges)/2], syncs[len(syncs)/2]}, nil
}

// answer takes one connection and answers what comes by 100 bytes for every size of it.
func answer(l net.Listener, size int) error {
	in, err := l.Accept()
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	frame := make([]byte, size)
	for {
		_, err := io.ReadFull(in, frame)
		if err == nil {
			_, err = in.Write(frame[:100])
		}
		if errors.Is(err, io.EOF) {
			return in.Close()
		}
		if err != nil {
			return errors.Join(err, in.Close())
		}
	}
}
