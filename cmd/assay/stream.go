package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/camera/video"
	"github.com/assay-vision/assay/inspection"
)

// sourceFlags say where the pictures come from.
type sourceFlags struct {
	watch, film string
	boards      int
	rate        float64
	loop        int
	csv         string
	recursive   bool
	noSerial    bool
	labels      camera.Labels
}

// open returns the source that the flags and arguments name; exactly one.
func (f *sourceFlags) open(args []string, log *slog.Logger) (camera.Source, error) {
	named := 0
	for _, is := range []bool{len(args) == 1, f.watch != "", f.film != "", f.boards > 0} {
		if is {
			named++
		}
	}
	if named != 1 {
		return nil, fmt.Errorf("%w: name one source: a folder of pictures, --watch DIR, --video FILE or --boards N", errUsage)
	}
	once := func() (camera.Source, error) {
		switch {
		case f.watch != "":
			return camera.NewWatch(camera.WatchConfig{Dir: f.watch, NoSerial: f.noSerial}, log)
		case f.film != "":
			return video.Open(video.Config{Path: f.film, NoSerial: f.noSerial})
		case f.boards > 0:
			return synthetic.NewSource(synthetic.DefaultSource(synthetic.SetDemo, f.boards))
		}
		return camera.NewFolder(camera.FolderConfig{Dir: args[0], CSV: f.csv, Recursive: f.recursive, NoSerial: f.noSerial})
	}
	src, err := once()
	if f.loop != 1 {
		if err == nil {
			err = src.Close() // opened to see its faults; each round opens it anew
		}
		if err == nil {
			src, err = camera.NewLoop(f.loop, once)
		}
	}
	if err != nil {
		return nil, err
	}
	if f.rate != 0 {
		if src, err = camera.NewPaced(src, f.rate); err != nil {
			return nil, fmt.Errorf("%w: --rate: %w", errUsage, err)
		}
	}
	return camera.NewLabelled(src, f.labels)
}

func (a *app) streamCommand() *cobra.Command {
	var src sourceFlags
	var cam cameraFlags
	var policy string
	var simulated, quiet bool
	limits := camera.DefaultStream()
	cmd := &cobra.Command{
		Use:   "stream [folder]",
		Short: "Send pictures to a node as a camera does, and show each verdict",
		Long: "Send pictures to a node as a camera does: a folder (with frames.csv for serial, view, lot, ... if there is one), a\n" +
			"folder that another program writes into (--watch), a film (--video) or rendered boards (--boards). Each frame is kept\n" +
			"and sent again, to any of the nodes, until one has it on disk.\n\n" +
			"Exit status: 0 every frame was judged by the model and recorded, 3 not so, 1 an error, 2 wrong usage.",
		Example: "  assay stream --recipe my-product my-pictures/\n  assay stream --recipe my-product --watch /var/spool/camera --view top\n  assay stream --recipe my-product --json my-pictures/ | jq -r .detail",
		Args:    args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := src.open(args, cam.log())
			if err != nil {
				return err
			}
			defer source.Close()
			drop, err := camera.ParsePolicy(policy)
			if err != nil {
				return fmt.Errorf("%w: --policy: %w", errUsage, err)
			}
			s, err := a.open(cmd.Context(), cam, func(c *camera.StreamConfig) {
				c.Policy, c.MaxFrames, c.MaxBytes = drop, limits.MaxFrames, limits.MaxBytes
			})
			if err != nil {
				return err
			}
			if err = a.stream(cmd.Context(), s, stamped{source, cam.budget, simulated}, quiet); errors.Is(err, errNoFrame) && src.watch != "" {
				return nil // a watch ends when it is interrupted, and there need not have been a picture by then
			}
			return err
		},
	}
	f := cmd.Flags()
	cam.register(f, "station-1")
	f.StringVar(&src.watch, "watch", "", "folder that another program writes pictures into; runs until interrupted")
	f.StringVar(&src.film, "video", "", "film whose frames are sent")
	f.IntVar(&src.boards, "boards", 0, "number of rendered boards to send")
	f.Float64Var(&src.rate, "rate", 0, "frames a second (0: as fast as the node answers)")
	f.IntVar(&src.loop, "loop", 1, "times to send the pictures (0: for ever)")
	f.StringVar(&src.csv, "csv", "", "table of the frames (default: frames.csv in the folder, if there is one)")
	f.BoolVar(&src.recursive, "recursive", false, "take pictures of sub-folders too")
	f.BoolVar(&src.noSerial, "no-serial", false, "do not take a file's name for the part's serial")
	for _, l := range []struct {
		field      *string
		name, help string
	}{
		{&src.labels.View, "view", "view"}, {&src.labels.Reference, "reference", "reference key"}, {&src.labels.RunID, "run", "run id"}, {&src.labels.Lot, "lot", "lot"},
		{&src.labels.WorkOrder, "work-order", "work order"}, {&src.labels.Product, "product", "product"},
	} {
		f.StringVar(l.field, l.name, "", l.help+" of frames that state none")
	}
	f.StringVar(&policy, "policy", "block", "when too many frames are kept: block, drop-oldest, drop-newest")
	f.IntVar(&limits.MaxFrames, "keep-frames", limits.MaxFrames, "frames kept until they are recorded, at most")
	f.Int64Var(&limits.MaxBytes, "keep-bytes", limits.MaxBytes, "bytes of their images, at most")
	f.BoolVar(&simulated, "simulated", false, "mark the frames as simulated: recorded apart from the line's")
	f.BoolVarP(&quiet, "quiet", "q", false, "only the sum at the end")
	return cmd
}

// stamped marks the shots of a source before they are sent.
type stamped struct {
	camera.Source
	budget    time.Duration // 0: as the source says
	simulated bool
}

func (s stamped) Next(ctx context.Context) (camera.Shot, error) {
	shot, err := s.Source.Next(ctx)
	if s.budget > 0 {
		shot.Frame.Budget = s.budget
	}
	shot.Frame.Simulated = s.simulated
	return shot, err
}

func (s stamped) Settle(shot camera.Shot, recorded bool) error {
	if settler, ok := s.Source.(camera.Settler); ok {
		return settler.Settle(shot, recorded)
	}
	return nil
}

func (s stamped) Len() int {
	if sized, ok := s.Source.(camera.Sized); ok {
		return sized.Len()
	}
	return -1
}

// stream runs a source to its end and shows what became of each shot.
func (a *app) stream(ctx context.Context, s *camera.Stream, src stamped, quiet bool) error {
	bar := progress(src.Len(), "stream")
	if !quiet && term.IsTerminal(int(os.Stdout.Fd())) {
		bar = silent() // the rows tell how far it is
	}
	sum := newTally()
	rows := a.outcomeGrid()
	if !quiet && !a.json {
		if err := rows.header(); err != nil {
			return err
		}
	}
	err := s.Run(ctx, src, func(shot camera.Shot, o camera.Outcome) error {
		_ = bar.Add(1)
		sum.add(o)
		if quiet {
			return nil
		}
		return a.printOutcome(rows, shot, o)
	})
	_ = bar.Finish()
	interrupted := errors.Is(err, context.Canceled)
	err = errors.Join(err, closeStream(ctx, s, 10*time.Second))
	if s.Stats().Forgotten == 0 {
		sum.gapsRecorded()
	}
	sum.finish()
	if a.json {
		if jsonErr := a.printJSON(map[string]any{"summary": sum}); jsonErr != nil {
			return jsonErr
		}
	} else {
		fmt.Fprintln(a.out, sum)
		a.printUnjudged(sum)
	}
	if err != nil && !interrupted {
		return err
	}
	return sum.verdict()
}

// outcomeGrid is the table of frames as they are judged.
func (a *app) outcomeGrid() *grid {
	serial := 24
	if a.width > 0 && a.width < 100 {
		serial = 16
	}
	return a.newGrid(column{name: "SERIAL", width: serial}, column{name: "VERDICT", width: 12}, column{name: "MS", width: 8}, column{name: whyColumn, width: lastColumn})
}

func (a *app) printOutcome(rows *grid, shot camera.Shot, o camera.Outcome) error {
	if a.json {
		return a.printOutcomeJSON(shot, o)
	}
	var called []string
	if o.Answer != nil {
		called = classes(o.Answer.Judgement.Called())
	}
	serial := o.Frame.Serial
	if serial == "" && o.Err != nil {
		serial = shot.Name
	}
	return rows.row(dash(serial), o.Verdict.String(), milliseconds(o.Latency), told(byModel(o), called, string(o.Reason), outcomeWhy(o)))
}

func (a *app) printOutcomeJSON(shot camera.Shot, o camera.Outcome) error {
	line := map[string]any{
		"name": shot.Name, "seq": o.Frame.Key.Seq, "serial": o.Frame.Serial, "verdict": o.Verdict, "source": o.Source, "reason": o.Reason, "detail": outcomeWhy(o),
		"latency_ms": float64(o.Latency) / 1e6, "recorded": o.Recorded, "fell_back": o.FellBack, "dropped": o.Dropped, "sends": o.Sends,
	}
	if o.Answer != nil {
		line["result_id"], line["defects"], line["effective"] = o.Answer.ID, o.Answer.Judgement.Called(), o.Answer.Effect.Verdict
	}
	if o.Err != nil {
		line["error"] = o.Err.Error()
	}
	return a.printJSON(line)
}

// outcomeWhy is the sentence that says why a frame has its verdict; it may span lines, and is empty where a model decided
// and there is no more to say.
func outcomeWhy(o camera.Outcome) string {
	switch {
	case o.Err != nil:
		return o.Err.Error()
	case o.FellBack && (o.Answer == nil || o.Answer.Judgement.Source == inspection.SourceModel):
		return "no recorded answer by the deadline: the camera's own fallback"
	case o.Answer != nil:
		return o.Answer.Judgement.Detail
	}
	return ""
}

// printUnjudged says in full why frames were not judged by the model.
func (a *app) printUnjudged(sum *tally) {
	const most = 5
	rest := sum.Frames - sum.Judged
	for _, c := range commonest(sum.unjudged, most) {
		fmt.Fprintf(a.out, "Not judged by the model, %d: %s\n", c.n, c.text)
		rest -= c.n
	}
	if rest > 0 {
		fmt.Fprintf(a.out, "... and %d for other reasons: 'assay results --verdict UNDETERMINED,REVIEW' lists them.\n", rest)
	}
}
