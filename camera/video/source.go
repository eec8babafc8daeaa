//go:build gocv_specific_modules && gocv_videoio

package video

import (
	"context"
	"fmt"
	"io"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

// Source yields a film's frames as raw BGR8 pixels: height rows of width pixels, stride = 3 x width bytes.
type Source struct {
	config   Config
	film     *gocv.VideoCapture
	frame    gocv.Mat
	declared int // frames by the film's header; 0: it does not say
	read     int
	ended    bool
	closed   bool
}

// Open opens a film. The error of one that cannot be opened names the path and the remedy.
func Open(config Config) (*Source, error) {
	config, err := config.check()
	if err != nil {
		return nil, err
	}
	film, err := gocv.VideoCaptureFile(config.Path)
	if err != nil {
		_ = film.Close() // frees what was made although it did not open; it never fails
		return nil, fmt.Errorf("%w: film %s cannot be opened: it is damaged, or this machine's OpenCV lacks its codec: convert it, for example with ffmpeg -i FILM -c:v mjpeg -q:v 2 FILM.avi", inspection.ErrImage, config.Path)
	}
	width, height := film.Get(gocv.VideoCaptureFrameWidth), film.Get(gocv.VideoCaptureFrameHeight)
	if bytes := 3 * width * height; bytes > float64(config.MaxBytes) {
		_ = film.Close()
		return nil, fmt.Errorf("film %s: %w", config.Path, tooLarge(int(width), int(height), config.MaxBytes))
	}
	return &Source{
		config: config, film: film, frame: gocv.NewMat(),
		declared: max(0, int(film.Get(gocv.VideoCaptureFrameCount))),
	}, nil
}

func tooLarge(width, height int, limit int64) error {
	return fmt.Errorf("%w: frames of %d x %d pixels are %d bytes raw, the limit is %d: raise MaxBytes here and the node's limit, or scale the film down", inspection.ErrImageTooLarge, width, height, 3*width*height, limit)
}

// Len is the number of frames by the film's header, which for some containers is an estimate; -1 where it does not say.
func (s *Source) Len() int {
	if s.declared == 0 {
		return -1
	}
	return s.declared
}

// Next decodes the next frame. OpenCV has one word for the end and for what it cannot decode: where it stops more than a
// frame short of what the header declares, one ErrShot says how many are missing before io.EOF does.
func (s *Source) Next(ctx context.Context) (camera.Shot, error) {
	if s.closed {
		return camera.Shot{}, fmt.Errorf("film %s: %w", s.config.Path, inspection.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return camera.Shot{}, err
	}
	if s.ended {
		return camera.Shot{}, io.EOF
	}
	if !s.film.Read(&s.frame) || s.frame.Empty() {
		s.ended = true
		// One may be missing by rounding: containers without an index compute the number from time and rate.
		if s.declared > s.read+1 {
			return camera.Shot{Name: s.config.name(s.read + 1)}, fmt.Errorf("%w: film %s: %w: its header declares %d frames and %d could be decoded: it is cut short or damaged; copy it again or convert it",
				camera.ErrShot, s.config.Path, inspection.ErrImage, s.declared, s.read)
		}
		return camera.Shot{}, io.EOF
	}
	s.read++
	return s.shot()
}

func (s *Source) shot() (camera.Shot, error) {
	shot := camera.Shot{Name: s.config.name(s.read)}
	if !s.config.NoSerial {
		shot.Frame.Serial = shot.Name
	}
	width, height := s.frame.Cols(), s.frame.Rows()
	if s.frame.Type() != gocv.MatTypeCV8UC3 {
		return shot, fmt.Errorf("%w: frame %s: %w: OpenCV gave pixels of type %v, not 8-bit BGR: convert the film", camera.ErrShot, shot.Name, inspection.ErrImage, s.frame.Type())
	}
	if int64(3*width*height) > s.config.MaxBytes { // the header may lie
		return shot, fmt.Errorf("%w: frame %s: %w", camera.ErrShot, shot.Name, tooLarge(width, height, s.config.MaxBytes))
	}
	if !s.frame.IsContinuous() { // ToBytes would copy rows with gaps; OpenCV promises none here
		return shot, fmt.Errorf("film %s: frame %d has gaps between its rows", s.config.Path, s.read)
	}
	// ToBytes copies, so the next Read cannot change what was handed out.
	shot.Frame.Image = inspection.Image{
		Format: inspection.FormatRaw, PixelFormat: inspection.BGR8, Width: width, Height: height, Stride: 3 * width,
		Data: inspection.NewBuffer(nil, s.frame.ToBytes()),
	}
	return shot, nil
}

// Close frees the film.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.frame.Close(); err != nil {
		return fmt.Errorf("free a frame of %s: %w", s.config.Path, err)
	}
	if err := s.film.Close(); err != nil {
		return fmt.Errorf("close film %s: %w", s.config.Path, err)
	}
	return nil
}

var (
	_ camera.Source = (*Source)(nil)
	_ camera.Sized  = (*Source)(nil)
)
