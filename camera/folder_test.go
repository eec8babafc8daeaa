package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// aJPEG and aPNG are whole pictures; another seed makes other bytes.
func aJPEG(t testing.TB, seed uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, noise(seed), nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func aPNG(t testing.TB, seed uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, noise(seed)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func noise(seed uint64) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, 24, 16))
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range m.Pix {
		m.Pix[i] = byte(r.Uint32())
	}
	return m
}

// writeFiles fills a new folder.
func writeFiles(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openFolder(t testing.TB, cfg FolderConfig) *Folder {
	t.Helper()
	f, err := NewFolder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// drain reads a source to its end: the good shots, and the errors about single ones.
func drain(t testing.TB, s Source) (shots []Shot, bad []error) {
	t.Helper()
	for {
		shot, err := s.Next(t.Context())
		switch {
		case errors.Is(err, ErrShot):
			if shot.Frame.Image.Data != nil || shot.Name == "" {
				t.Errorf("a bad shot came with name %q and %d bytes, want a name and no image", shot.Name, shot.Frame.Image.Data.Len())
			}
			bad = append(bad, err)
		case errors.Is(err, io.EOF):
			return shots, bad
		case err != nil:
			t.Fatalf("after %d shots: %v", len(shots), err)
		default:
			shots = append(shots, shot)
		}
	}
}

func names(shots []Shot) []string {
	var out []string
	for _, s := range shots {
		out = append(out, s.Name)
	}
	return out
}

func wantNames(t testing.TB, shots []Shot, want ...string) {
	t.Helper()
	if got := names(shots); !slices.Equal(got, want) {
		t.Errorf("shots are %q, want %q", got, want)
	}
}

// wantError checks an error's kind and that its words name what they must.
func wantError(t testing.TB, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error is %v, want one that wraps %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not name %q", err, word)
		}
	}
}

func TestFolderYieldsFilesAsTheyAreInNaturalOrder(t *testing.T) {
	files := map[string][]byte{
		"board10.jpg": aJPEG(t, 1), "board2.PNG": aPNG(t, 2), "board1.jpeg": aJPEG(t, 3), "Board3.JPG": aJPEG(t, 4),
		"notes.txt": []byte("not a picture"), ".hidden.jpg": aJPEG(t, 5), "sub/board0.jpg": aJPEG(t, 6),
	}
	f := openFolder(t, FolderConfig{Dir: writeFiles(t, files)})
	if got := f.Len(); got != 4 {
		t.Errorf("Len is %d, want 4", got)
	}
	shots, bad := drain(t, f)
	wantNames(t, shots, "Board3.JPG", "board1.jpeg", "board2.PNG", "board10.jpg")
	if bad != nil {
		t.Errorf("bad shots: %v", bad)
	}
	for i, want := range []struct {
		serial string
		format inspection.ImageFormat
	}{{"Board3", inspection.FormatJPEG}, {"board1", inspection.FormatJPEG}, {"board2", inspection.FormatPNG}, {"board10", inspection.FormatJPEG}} {
		s := shots[i]
		if s.Frame.Serial != want.serial || s.Frame.Image.Format != want.format {
			t.Errorf("%s: serial %q, format %s; want %q, %s", s.Name, s.Frame.Serial, s.Frame.Image.Format, want.serial, want.format)
		}
		if got := s.Frame.Image.Data.Bytes(); !bytes.Equal(got, files[s.Name]) {
			t.Errorf("%s: %d bytes that are not the file's %d", s.Name, len(got), len(files[s.Name]))
		}
		if err := s.Frame.Image.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if _, err := f.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Next after the end: %v, want io.EOF again", err)
	}
}

func TestFolderOptions(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{"b.jpg": aJPEG(t, 1), "a/2.jpg": aJPEG(t, 2), "a/.cache/3.jpg": aJPEG(t, 3)})
	shots, _ := drain(t, openFolder(t, FolderConfig{Dir: dir, Recursive: true, NoSerial: true}))
	wantNames(t, shots, "a/2.jpg", "b.jpg")
	if got := shots[0].Frame.Serial; got != "" {
		t.Errorf("serial is %q with NoSerial, want none", got)
	}
	shots, _ = drain(t, openFolder(t, FolderConfig{Dir: dir, Recursive: true}))
	if got := shots[0].Frame.Serial; got != "2" {
		t.Errorf("serial of a/2.jpg is %q, want 2", got)
	}
}

func TestFolderNamesABadFileAndGoesOn(t *testing.T) {
	whole := aJPEG(t, 1)
	long := strings.Repeat("x", inspection.MaxName+1)
	dir := writeFiles(t, map[string][]byte{
		"1.jpg": []byte("GIF89a..."), "2.jpg": {}, "3.jpg": append(whole, make([]byte, 4000)...), "5.jpg": whole,
		"6.png": whole, long + ".jpg": whole,
	})
	if err := os.Symlink("nowhere", filepath.Join(dir, "4.jpg")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "7.jpg"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, FolderConfig{Dir: dir, MaxBytes: 4000})
	shots, bad := drain(t, f)
	// The bytes rule, not the ending: a JPEG that is called PNG is a whole picture.
	wantNames(t, shots, "5.jpg", "6.png")
	if got := shots[1].Frame.Image.Format; got != inspection.FormatJPEG {
		t.Errorf("a JPEG called 6.png has format %s, want jpeg", got)
	}
	want := []struct {
		kind  error
		words []string
	}{
		{inspection.ErrImage, []string{"1.jpg", "neither JPEG nor PNG", "47 49 46"}},
		{inspection.ErrImage, []string{"2.jpg", "empty"}},
		{inspection.ErrImageTooLarge, []string{"3.jpg", "MaxBytes", "4000"}},
		{fs.ErrNotExist, []string{"4.jpg"}},
		{ErrShot, []string{"7.jpg", "not a regular file"}},
		{inspection.ErrInvalid, []string{"xxx", "serial", "rename"}},
	}
	if len(bad) != len(want) {
		t.Fatalf("%d bad shots, want %d: %v", len(bad), len(want), bad)
	}
	for i, w := range want {
		wantError(t, bad[i], w.kind, w.words...)
	}
	if got := len(shots) + len(bad); got != f.Len() {
		t.Errorf("%d shots came, Len said %d", got, f.Len())
	}
}

func TestFolderThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string][]byte{"a.jpg": nil}), "a.jpg")
	for _, c := range []struct {
		cfg   FolderConfig
		kind  error
		words []string
	}{
		{FolderConfig{}, inspection.ErrInvalid, []string{"Dir"}},
		{FolderConfig{Dir: "no/such/place"}, fs.ErrNotExist, []string{"no/such/place", "check the path"}},
		{FolderConfig{Dir: file}, inspection.ErrInvalid, []string{file, "not a folder"}},
		{FolderConfig{Dir: t.TempDir()}, inspection.ErrNotFound, []string{"no pictures", "Recursive"}},
		{FolderConfig{Dir: filepath.Dir(file), CSV: "no.csv"}, fs.ErrNotExist, []string{"no.csv"}},
		{FolderConfig{Dir: filepath.Dir(file), MaxBytes: -1}, inspection.ErrInvalid, []string{"MaxBytes"}},
	} {
		_, err := NewFolder(c.cfg)
		wantError(t, err, c.kind, c.words...)
	}
}

func TestFolderFollowsItsTable(t *testing.T) {
	table := "\uFEFFfile, serial ,view,reference,run_id,lot,work_order,product,recipe,encoder,captured_at,budget\r\n" +
		"b.jpg,S-1,top,t1,r1,L7,WO9,P,pcb,-12,2026-03-01T08:15:00.25+01:00,150ms\r\n" +
		"sub/a.png,\"S,2\",,,,,,,,,,\r\n" +
		"b.jpg,,,,,,,,,,,\r\n"
	dir := writeFiles(t, map[string][]byte{"a.jpg": aJPEG(t, 1), "b.jpg": aJPEG(t, 2), "sub/a.png": aPNG(t, 3), FramesCSV: []byte(table)})
	f := openFolder(t, FolderConfig{Dir: dir})
	shots, bad := drain(t, f)
	wantNames(t, shots, "b.jpg", "sub/a.png", "b.jpg")
	if bad != nil || f.Len() != 3 {
		t.Fatalf("bad shots %v, Len %d; want none, 3", bad, f.Len())
	}
	got := shots[0].Frame
	if got.Encoder == nil || *got.Encoder != -12 {
		t.Errorf("encoder is %v, want -12", got.Encoder)
	}
	if want := time.Date(2026, 3, 1, 7, 15, 0, 250e6, time.UTC); !got.CapturedAt.Equal(want) {
		t.Errorf("captured at %v, want %v", got.CapturedAt, want)
	}
	got.Encoder, got.CapturedAt, got.Image = nil, time.Time{}, inspection.Image{}
	want := inspection.Frame{Serial: "S-1", View: "top", Reference: "t1", RunID: "r1", Lot: "L7", WorkOrder: "WO9", Product: "P", Recipe: "pcb", Budget: 150 * time.Millisecond}
	if got != want {
		t.Errorf("frame is %+v\nwant %+v", got, want)
	}
	if got, again := shots[1].Frame.Serial, shots[2].Frame.Serial; got != "S,2" || again != "" {
		t.Errorf("serials are %q and %q, want S,2 and none: with a column serial an empty cell is no serial", got, again)
	}
	shots, _ = drain(t, openFolder(t, FolderConfig{Dir: dir, CSV: filepath.Join(writeFiles(t, map[string][]byte{"x.csv": []byte("view,file\ntop,a.jpg\n")}), "x.csv")}))
	wantNames(t, shots, "a.jpg")
	if got := shots[0].Frame; got.Serial != "a" || got.View != "top" {
		t.Errorf("serial %q, view %q; want a (from the name, for there is no column serial) and top", got.Serial, got.View)
	}
}

func TestFolderChecksAllRowsAtOnce(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{"a.jpg": aJPEG(t, 1), "sub/b.jpg": aJPEG(t, 1)})
	table := func(rows string) error {
		t.Helper()
		path := filepath.Join(dir, FramesCSV)
		if err := os.WriteFile(path, []byte("file\n"+rows), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := NewFolder(FolderConfig{Dir: dir})
		return err
	}
	err := table("a.jpg\nmissing.jpg\n../out.jpg\n/etc/passwd\nsub\nsub/../../x.jpg\nsub/b.jpg\n")
	wantError(t, err, inspection.ErrInvalid, FramesCSV, `line 3: not found: file "missing.jpg"`, "line 4", "../out.jpg", "line 5", "/etc/passwd", "line 6", "line 7", "leads out")
	for _, fine := range []string{"line 2", "line 8"} {
		if strings.Contains(err.Error(), fine) {
			t.Errorf("error names %s, which is fine: %v", fine, err)
		}
	}
	wantError(t, table(""), inspection.ErrNotFound, "no rows")
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "gone%d.jpg\n", i)
	}
	wantError(t, table(many.String()), inspection.ErrNotFound, "line 21:", "and 980 more")
}

func TestFolderStopsWhenToldTo(t *testing.T) {
	f := openFolder(t, FolderConfig{Dir: writeFiles(t, map[string][]byte{"a.jpg": aJPEG(t, 1)})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v, want context.Canceled", err)
	}
	if shot, err := f.Next(t.Context()); err != nil || shot.Name != "a.jpg" {
		t.Errorf("then %q, %v; want a.jpg: the end of a context loses no picture", shot.Name, err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := f.Next(t.Context()); !errors.Is(err, inspection.ErrClosed) {
		t.Errorf("Next after Close: %v, want ErrClosed", err)
	}
}
