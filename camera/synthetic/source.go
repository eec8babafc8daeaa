package synthetic

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// SourceConfig says which boards of a series come past the camera, and how it encodes them.
type SourceConfig struct {
	// Series says how the boards are drawn.
	Series SeriesConfig
	// First is the index of the first board, from 0.
	First int
	// Boards is how many there are, at least 1.
	Boards int
	// Format is FormatJPEG or FormatPNG.
	Format inspection.ImageFormat
	// Quality is that of JPEG, 1 to 100. PNG has none.
	Quality int
}

// DefaultSource is n boards of a set from the first on, as JPEG of quality 95.
func DefaultSource(set Set, n int) SourceConfig {
	return SourceConfig{Series: DefaultSeries(set), Boards: n, Format: inspection.FormatJPEG, Quality: 95}
}

// Validate names the first field that is out of range, and what it may be.
func (c SourceConfig) Validate() error {
	switch {
	case c.First < 0 || int64(c.First) >= maxBoards:
		return fmt.Errorf("synthetic: First is %d; use 0 to %d", c.First, int64(maxBoards)-1)
	case c.Boards < 1 || int64(c.Boards) > maxBoards-int64(c.First):
		return fmt.Errorf("synthetic: Boards is %d; use 1 to %d from board %d on", c.Boards, maxBoards-int64(c.First), c.First)
	case c.Format != inspection.FormatJPEG && c.Format != inspection.FormatPNG:
		return fmt.Errorf("synthetic: Format is %s; use jpeg or png", c.Format)
	case c.Format == inspection.FormatJPEG && (c.Quality < 1 || c.Quality > 100):
		return fmt.Errorf("synthetic: Quality is %d; use 1 to 100", c.Quality)
	}
	return c.Series.Validate()
}

// Source is a camera.Source of drawn boards, with serial, view and reference, that keeps the truth about each board that it has
// yielded.
type Source struct {
	config SourceConfig
	series *Series
	next   int // boards yielded
	closed bool

	mu    sync.Mutex
	truth map[string][]Defect // by serial
}

// NewSource checks the configuration. Boards are drawn one by one, in Next.
func NewSource(config SourceConfig) (*Source, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	series, err := NewSeries(config.Series)
	if err != nil {
		return nil, err
	}
	return &Source{config: config, series: series, truth: map[string][]Defect{}}, nil
}

// Series is the series of the boards, whose templates a recipe needs.
func (s *Source) Series() *Series { return s.series }

// Len is the number of boards.
func (s *Source) Len() int { return s.config.Boards }

// Next draws the next board.
func (s *Source) Next(ctx context.Context) (camera.Shot, error) {
	if s.closed {
		return camera.Shot{}, fmt.Errorf("synthetic boards: %w", inspection.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return camera.Shot{}, err
	}
	if s.next == s.config.Boards {
		return camera.Shot{}, io.EOF
	}
	board, err := s.series.Board(s.config.First + s.next)
	if err != nil {
		return camera.Shot{}, err
	}
	data, err := s.encode(board)
	if err != nil {
		return camera.Shot{}, err
	}
	s.next++
	s.mu.Lock()
	s.truth[board.Serial] = board.Defects
	s.mu.Unlock()
	size := board.Test.Rect.Size()
	return camera.Shot{
		Name: board.Serial + "." + s.config.Format.String(),
		Frame: inspection.Frame{
			Serial: board.Serial, View: board.View, Reference: board.Reference,
			Image: inspection.Image{Format: s.config.Format, Width: size.X, Height: size.Y, Data: inspection.NewBuffer(nil, data)},
		},
	}, nil
}

func (s *Source) encode(board Board) ([]byte, error) {
	if s.config.Format == inspection.FormatPNG {
		return PNG(board.Test)
	}
	return board.JPEG(s.config.Quality)
}

// Truth gives the planted defects of a board that was yielded, none for a good board; known is false for any other serial. It may be
// called from any goroutine, also after Close; the caller owns the slice.
func (s *Source) Truth(serial string) (defects []Defect, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defects, known = s.truth[serial]
	return slices.Clone(defects), known
}

// Close ends the source.
func (s *Source) Close() error {
	s.closed = true
	return nil
}

var (
	_ camera.Source = (*Source)(nil)
	_ camera.Sized  = (*Source)(nil)
)
