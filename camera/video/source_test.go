//go:build gocv_specific_modules && gocv_videoio

package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/assay-vision/assay/camera"
	"github.com/assay-vision/assay/inspection"
)

const (
	frames = 12
	width  = 64
	height = 48
)

// shade is the blue, green and red of the n-th frame, from 1.
func shade(n int) [3]float64 { return [3]float64{float64(20 * n), float64(255 - 20*n), 128} }

// makeFilm writes a film whose n-th frame has shade(n) all over.
func makeFilm(t *testing.T, path string) {
	t.Helper()
	film, err := gocv.VideoWriterFile(path, "MJPG", 25, width, height, true)
	if err != nil {
		t.Fatalf("make a film to read: %v", err)
	}
	defer func() {
		if err := film.Close(); err != nil {
			t.Error(err)
		}
	}()
	for n := 1; n <= frames; n++ {
		c := shade(n)
		frame := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(c[0], c[1], c[2], 0), height, width, gocv.MatTypeCV8UC3)
		err := film.Write(frame)
		if err := errors.Join(err, frame.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, config Config) *Source {
	t.Helper()
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

func TestEveryFrameOfAFilmComesInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "line 3.avi")
	makeFilm(t, path)
	s := open(t, Config{Path: path})
	if got := s.Len(); got != frames {
		t.Errorf("Len is %d, want %d", got, frames)
	}
	var shots []camera.Shot
	for {
		shot, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		shots = append(shots, shot)
	}
	if len(shots) != frames {
		t.Fatalf("%d frames came, want %d", len(shots), frames)
	}
	// Only now: a frame that was handed out must not change with the next.
	for i, shot := range shots {
		im := shot.Frame.Image
		if im.Format != inspection.FormatRaw || im.PixelFormat != inspection.BGR8 || im.Width != width || im.Height != height || im.Stride != 3*width || im.Data.Len() != 3*width*height {
			t.Fatalf("frame %d is %+v with %d bytes, want raw BGR8 of %d x %d", i+1, im, im.Data.Len(), width, height)
		}
		if err := im.Validate(); err != nil {
			t.Error(err)
		}
		if want := fmt.Sprintf("line 3-%06d", i+1); shot.Frame.Serial != want || shot.Name != want {
			t.Errorf("frame %d has name %q and serial %q, want %q", i+1, shot.Name, shot.Frame.Serial, want)
		}
		pixels := im.Data.Bytes()
		for c, want := range shade(i + 1) {
			got := float64(pixels[len(pixels)/2+c])
			if got < want-8 || got > want+8 { // the film is JPEG
				t.Errorf("frame %d has %v in channel %d, want about %v", i+1, got, c, want)
			}
		}
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want io.EOF again", err)
	}
}

func TestFilmStopsWhenToldTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.avi")
	makeFilm(t, path)
	s := open(t, Config{Path: path, NoSerial: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v, want context.Canceled", err)
	}
	shot, err := s.Next(t.Context())
	if err != nil || shot.Name != "film-000001" || shot.Frame.Serial != "" {
		t.Errorf("then %q, serial %q, %v; want film-000001 without serial", shot.Name, shot.Frame.Serial, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("Next after Close: %v, want ErrClosed", err)
	}
}

// A film that was cut short says how many frames are missing before it ends.
func TestCutFilmSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "film.avi")
	makeFilm(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.avi")
	movie := bytes.Index(data, []byte("movi"))
	if movie < 0 {
		t.Fatal("the film has no movie chunk")
	}
	if err := os.WriteFile(cut, data[:movie+(len(data)-movie)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: cut})
	good, bad := 0, 0
	for {
		_, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err == nil:
			good++
		case errors.Is(err, camera.ErrShot) && errors.Is(err, inspection.ErrImage):
			bad++
			if want := fmt.Sprintf("declares %d frames and %d could be decoded", frames, good); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), cut) {
				t.Errorf("error %q does not say %q and %s", err, want, cut)
			}
		default:
			t.Fatal(err)
		}
	}
	if good == 0 || good >= frames || bad != 1 {
		t.Errorf("%d frames came and %d errors, want some of %d frames and one error", good, bad, frames)
	}
}

func TestFilmThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.avi")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no film "), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); !errors.Is(err, inspection.ErrImage) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "ffmpeg") {
		t.Errorf("Open of a file that is no film: %v, want ErrImage with path and remedy", err)
	}
	makeFilm(t, path)
	if _, err := Open(Config{Path: path, MaxBytes: 3*width*height - 1}); !errors.Is(err, inspection.ErrImageTooLarge) || !strings.Contains(err.Error(), "64 x 48") {
		t.Errorf("Open of a film with too large frames: %v, want ErrImageTooLarge", err)
	}
	open(t, Config{Path: path, MaxBytes: 3 * width * height})
}
