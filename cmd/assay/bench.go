package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/assay-vision/assay/camera"
)

// benchFrames is how many different pictures a benchmark holds in memory and sends round and round.
const benchFrames = 64

func (a *app) benchCommand() *cobra.Command {
	var src sourceFlags
	var cam cameraFlags
	var streams int
	var seconds float64
	var sweep sweepFlags
	cmd := &cobra.Command{
		Use:   "bench [folder]",
		Short: "Load a node with simulated frames, and show frames a second and the time to the verdict",
		Long: "Load a node with simulated frames from memory, and show frames a second and the time to the verdict. Without --rate\n" +
			"each stream sends as fast as the node gives credits, which finds the highest rate; frames have an hour then, unless\n" +
			"--budget says less: refusing those that are late would cost the node more than judging them. With --rate frames are due at fixed\n" +
			"times, all streams together, and the time counts from when a frame was due, also if the node was behind.\n\n" +
			"With --sweep the highest rate is found first, then shares of it are sent by timetables, --seconds each, and shown as\n" +
			"latency against load; --plot writes that as a page that needs nothing but itself.\n\n" +
			"--pattern says when the frames of --sweep or --rate are due:\n" +
			"  poisson   each at random (of --sweep, where nothing is said)\n" +
			"  cameras   each camera with a period, and a phase of its own\n" +
			"  together  all cameras triggered at once, with one period\n" +
			"  bursts    as many frames at once as there are --streams, the bursts at random\n\n" +
			"Exit status: 0 every frame was judged by the model and recorded, 3 not so, 1 an error, 2 wrong usage.",
		Example: "  assay bench --recipe my-product --streams 4 --seconds 30 my-pictures/\n  assay bench --recipe demo-board --boards 64 --sweep 0.1,0.5,0.8,0.9 --plot latency.html\n" +
			"  assay bench --recipe my-product --streams 12 --rate 120 --pattern together --budget 50ms my-pictures/",
		Args: args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if streams < 1 || seconds <= 0 || src.rate < 0 {
				return fmt.Errorf("%w: --streams must be at least 1, --seconds above 0, --rate not negative", errUsage)
			}
			sweep.rate = src.rate
			if err := sweep.validate(streams); err != nil {
				return err
			}
			rate := src.rate
			src.rate, src.loop = 0, 1
			source, err := src.open(args, cam.log())
			if err != nil {
				return err
			}
			shots, err := pictures(cmd.Context(), source, benchFrames)
			if err := errors.Join(err, source.Close()); err != nil {
				return err
			}
			length := time.Duration(seconds * float64(time.Second))
			if len(sweep.loads) > 0 || sweep.pattern != "" {
				return a.sweep(cmd.Context(), cam, shots, streams, length, sweep)
			}
			return a.bench(cmd.Context(), cam, shots, streams, rate, length)
		},
	}
	f := cmd.Flags()
	cam.register(f, "bench")
	f.IntVar(&src.boards, "boards", 0, "number of rendered boards to send, instead of a folder")
	f.StringVar(&src.csv, "csv", "", "table of the frames (default: frames.csv in the folder, if there is one)")
	f.Float64Var(&src.rate, "rate", 0, "frames a second, all streams together (0: as fast as the node answers)")
	f.IntVar(&streams, "streams", 2, "cameras")
	f.Float64Var(&seconds, "seconds", 10, "time to send for; of each load of a sweep")
	f.Float64SliceVar(&sweep.loads, "sweep", nil, "loads to show latency at, as shares of the highest rate, such as 0.1,0.5,0.8,0.9,1.0")
	f.StringVar(&sweep.pattern, "pattern", "", "when frames are due, with --rate or --sweep: poisson, cameras, together or bursts (default of --sweep: poisson)")
	f.StringVar(&sweep.plot, "plot", "", "file for a page (HTML) with p50 and p99 against load; with --sweep")
	f.Uint64Var(&sweep.seed, "seed", 1, "seed of the timetables: the same one offers the same load again")
	return cmd
}

// pictures reads at most n shots into memory.
func pictures(ctx context.Context, src camera.Source, n int) ([]camera.Shot, error) {
	var shots []camera.Shot
	for len(shots) < n {
		shot, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read pictures: %w", err)
		}
		shots = append(shots, shot)
	}
	if len(shots) == 0 {
		return nil, errors.New("there is no picture to send")
	}
	return shots, nil
}

// memory yields shots round and round until its time is over.
type memory struct {
	shots []camera.Shot
	next  int
	until time.Time
}

func (m *memory) Close() error { return nil }

func (m *memory) Next(ctx context.Context) (camera.Shot, error) {
	if time.Now().After(m.until) {
		return camera.Shot{}, io.EOF
	}
	shot := m.shots[m.next%len(m.shots)]
	m.next++
	shot.Frame.Simulated = true
	shot.Frame.Image.Data.Ref()
	return shot, ctx.Err()
}

func (a *app) bench(ctx context.Context, cam cameraFlags, shots []camera.Shot, streams int, rate float64, length time.Duration) error {
	if rate == 0 && cam.budget == 0 {
		cam.budget = noHurry
	}
	sum := newTally()
	var mu sync.Mutex
	bar := progress(-1, "bench")
	group, ctx := errgroup.WithContext(ctx)
	until := time.Now().Add(length)
	for i := range streams {
		each := cam
		each.camera = fmt.Sprintf("%s-%d", cam.camera, i+1)
		group.Go(func() error {
			s, err := a.open(ctx, each, nil)
			if err != nil {
				return err
			}
			// Streams begin at different pictures, so that no two send the same one at the same time.
			var src camera.Source = &memory{shots: shots, next: i * len(shots) / streams, until: until}
			if rate > 0 {
				if src, err = camera.NewPaced(src, rate/float64(streams)); err != nil {
					return err
				}
			}
			err = s.Run(ctx, stamped{src, cam.budget, true}, func(_ camera.Shot, o camera.Outcome) error {
				mu.Lock()
				defer mu.Unlock()
				_ = bar.Add(1)
				sum.add(o)
				return nil
			})
			return errors.Join(err, closeStream(ctx, s, 10*time.Second))
		})
	}
	err := group.Wait()
	_ = bar.Finish()
	if err != nil {
		return err
	}
	sum.finish()
	size := int64(0)
	for _, s := range shots {
		size += int64(s.Frame.Image.Data.Len())
	}
	if a.json {
		err = a.printJSON(map[string]any{"streams": streams, "rate": rate, "frames_per_second": float64(sum.Frames) / sum.Seconds, "picture_bytes": size / int64(len(shots)), "summary": sum})
	} else {
		_, err = fmt.Fprintf(a.out, "%d streams, %d different pictures of %d bytes on average: %.1f frames/s\n%s\n", streams, len(shots), size/int64(len(shots)), float64(sum.Frames)/sum.Seconds, sum)
	}
	return errors.Join(err, sum.verdict())
}
