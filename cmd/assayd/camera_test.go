//go:build gocv_specific_modules

package main_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/inspection"
)

// recipeName is the recipe of the boards.
const recipeName = "boards"

// distinct is how many boards are drawn; a longer stream shows them again, each as another part.
const distinct = 40

// drawnOnce draws the boards once for all tests.
var drawnOnce = sync.OnceValues(func() ([]camera.Shot, error) {
	src, err := synthetic.NewSource(synthetic.DefaultSource(synthetic.SetTest, distinct))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	shots := make([]camera.Shot, distinct)
	for i := range shots {
		if shots[i], err = src.Next(context.Background()); err != nil {
			return nil, err
		}
	}
	return shots, nil
})

// parts is a camera.Source of n parts.
type parts struct {
	shots   []camera.Shot
	n, next int
}

func newParts(t *testing.T, n int) *parts {
	t.Helper()
	shots, err := drawnOnce()
	if err != nil {
		t.Fatal(err)
	}
	return &parts{shots: shots, n: n}
}

// picture is the bytes of the i-th part, counted from 0.
func (p *parts) picture(i int) []byte { return p.shots[i%len(p.shots)].Frame.Image.Data.Bytes() }

func (p *parts) Next(ctx context.Context) (camera.Shot, error) {
	switch {
	case ctx.Err() != nil:
		return camera.Shot{}, ctx.Err()
	case p.next == p.n:
		return camera.Shot{}, io.EOF
	}
	shot := p.shots[p.next%len(p.shots)]
	shot.Name = fmt.Sprintf("PART-%06d", p.next)
	shot.Frame.Serial = shot.Name
	shot.Frame.Image.Data = inspection.NewBuffer(nil, p.picture(p.next))
	p.next++
	return shot, nil
}

func (p *parts) Close() error { return nil }

// connect opens a camera's stream to the site and waits until the node has told it the recipe's terms: until then frames
// have the camera's own budget. It is quick to come back, for the tests' sake.
func (s *site) connect() *camera.Stream {
	s.t.Helper()
	cfg := camera.DefaultStream()
	cfg.Addrs, cfg.Line, cfg.Station, cfg.Camera, cfg.Recipe = []string{s.grpc}, "line-1", "aoi", "cam-1", recipeName
	cfg.BackoffMin, cfg.BackoffMax = 20*time.Millisecond, 200*time.Millisecond
	cfg.ResendMin, cfg.ResendMax = 50*time.Millisecond, 500*time.Millisecond
	log := &syncBuffer{}
	stream, err := camera.NewStream(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		ended, cancel := contextThatEnded()
		defer cancel()
		_ = stream.Close(ended) // of a test that failed; it was closed else
		if s.t.Failed() {
			s.t.Logf("log of the camera:\n%s", log)
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := stream.Connect(ctx); err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// closeStream ends a stream that has nothing left to say.
func (s *site) closeStream(stream *camera.Stream) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := stream.Close(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// send gives n parts to the stream, whether or not the node has a credit for them.
func (s *site) send(stream *camera.Stream, src *parts, n int) []*camera.Ticket {
	s.t.Helper()
	tickets := make([]*camera.Ticket, n)
	for i := range tickets {
		shot, err := src.Next(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if tickets[i], err = stream.Send(s.t.Context(), shot.Frame); err != nil {
			s.t.Fatal(err)
		}
		shot.Frame.Image.Data.Release()
	}
	return tickets
}

// settled waits for the last word on every ticket.
func (s *site) settled(tickets []*camera.Ticket) []camera.Outcome {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	outcomes := make([]camera.Outcome, len(tickets))
	for i, ticket := range tickets {
		var err error
		if outcomes[i], err = ticket.Settled(ctx); err != nil {
			s.t.Fatalf("part %d of %d is not settled: %v", i, len(tickets), err)
		}
	}
	return outcomes
}
