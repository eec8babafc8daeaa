package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/camera/synthetic"
	"github.com/assay-vision/assay/node"
)

// golden is what the command is asked for.
type golden struct {
	pictures, references []string
	rendered             int
	reportAt             float64
	write                bool
}

// goldenCommand records golden sets. load reads the configuration.
func goldenCommand(load func() (node.Config, error)) *cobra.Command {
	var g golden
	cmd := &cobra.Command{
		Use:   "golden folder",
		Short: "Record what a model version says of pictures on this machine, as its golden set",
		Long: "Record what a model version says of pictures on this machine now, as the golden set of its manifest. The folder is that of\n" +
			"the version, .../NAME/VERSION; no node is needed. The section is printed, or with --write put into model.yaml in place of\n" +
			"the one before, the pictures into golden/ beside it. A version that a node has already must not be changed: give it a\n" +
			"new number. Look at the answers before you trust them: they are what the model says, right or wrong.",
		Example: "  assayd golden my-models/scratch-net/2 --picture a.png --picture b.png --write\n" +
			"  assayd golden my-models/pair-net/1 --picture a.png --reference a-template.png",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: %d arguments given, want one folder", errUsage, len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return g.run(cmd.Context(), cmd.OutOrStdout(), cfg, args[0])
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&g.pictures, "picture", nil, "a PNG or JPEG; may be repeated")
	f.StringArrayVar(&g.references, "reference", nil, "the template of the picture at the same place, where the model compares with one; may be repeated")
	f.IntVar(&g.rendered, "rendered", 0, "take so many boards that are drawn, with their templates, in place of pictures")
	f.Float64Var(&g.reportAt, "report-at", 0.3, "the score from which on a candidate is expected")
	f.BoolVar(&g.write, "write", false, "write into the folder")
	return cmd
}

func (g golden) run(ctx context.Context, out io.Writer, cfg node.Config, dir string) error {
	pictures, err := g.read()
	if err != nil {
		return err
	}
	set, err := node.RecordGolden(ctx, cfg, dir, g.reportAt, pictures, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("record the golden set: %w", err)
	}
	if !g.write {
		_, err = fmt.Fprint(out, set.Section)
		return err
	}
	if err := set.Write(dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %d pictures are in %s now\n", dir, len(pictures), filepath.Join(dir, "model.yaml"))
	return err
}

// read returns the pictures that are asked for.
func (g golden) read() ([]node.GoldenPicture, error) {
	switch {
	case g.rendered > 0 && len(g.pictures)+len(g.references) > 0:
		return nil, fmt.Errorf("%w: --rendered stands in place of --picture and --reference: leave one out", errUsage)
	case g.rendered > 0:
		return renderedBoards(g.rendered)
	case len(g.pictures) == 0:
		return nil, fmt.Errorf("%w: no picture: give --picture FILE, once for each", errUsage)
	case len(g.references) != 0 && len(g.references) != len(g.pictures):
		return nil, fmt.Errorf("%w: %d --reference for %d --picture: give one for each, or none", errUsage, len(g.references), len(g.pictures))
	}
	var out []node.GoldenPicture
	for i, file := range g.pictures {
		p := node.GoldenPicture{Name: pictureName(file)}
		if slices.ContainsFunc(out, func(o node.GoldenPicture) bool { return o.Name == p.Name }) {
			return nil, fmt.Errorf("%w: two pictures are called %s: rename one", errUsage, p.Name)
		}
		var err error
		if p.Image, err = readPicture(file); err != nil {
			return nil, err
		}
		if len(g.references) > 0 {
			if p.Reference, err = readPicture(g.references[i]); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func readPicture(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err == nil && !bytes.HasPrefix(data, []byte("\x89PNG")) && !bytes.HasPrefix(data, []byte("\xff\xd8")) {
		err = fmt.Errorf("%s is neither PNG nor JPEG: convert it", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the picture: %w", err)
	}
	return data, nil
}

// pictureName is a file's name without its ending, as a version's file may be called.
func pictureName(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, base), "-")
}

// renderedBoards draws boards with defects, each of a product of its own.
func renderedBoards(n int) ([]node.GoldenPicture, error) {
	cfg := synthetic.DefaultSeries(synthetic.SetDemo)
	cfg.GoodPercent = 0
	series, err := synthetic.NewSeries(cfg)
	if err != nil {
		return nil, err
	}
	var out []node.GoldenPicture
	for i := range n {
		board, err := series.Board(i)
		if err != nil {
			return nil, err
		}
		p := node.GoldenPicture{Name: fmt.Sprintf("board-%d", i+1)}
		if p.Image, err = synthetic.PNG(board.Test); err != nil {
			return nil, err
		}
		if p.Reference, err = synthetic.PNG(board.Template); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
