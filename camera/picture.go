package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

// DefaultMaxBytes is the largest picture that a source reads where its configuration says nothing: what a node takes by
// default.
const DefaultMaxBytes = 64 << 20

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// FormatOf tells the format by the first bytes alone, for file endings lie: JPEG, PNG, else FormatUnknown.
func FormatOf(data []byte) inspection.ImageFormat {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xD8, 0xFF}):
		return inspection.FormatJPEG
	case bytes.HasPrefix(data, pngSignature):
		return inspection.FormatPNG
	}
	return inspection.FormatUnknown
}

// incomplete says what a picture lacks at its end, and "" where it is whole. It does not decode: a writer that is not
// done leaves the end away, a damaged middle is the node's to find.
func incomplete(data []byte) string {
	switch FormatOf(data) {
	case inspection.FormatJPEG:
		// Some cameras pad to a block; stuffed bytes keep the mark itself out of the picture's data.
		if !bytes.HasSuffix(bytes.TrimRight(data, "\x00"), []byte{0xFF, 0xD9}) {
			return "the JPEG has no end mark (FF D9)"
		}
	case inspection.FormatPNG:
		if !hasPNGEnd(data) {
			return "the PNG has no end chunk (IEND)"
		}
	default:
		return notAPicture(data)
	}
	return ""
}

func hasPNGEnd(data []byte) bool {
	const overhead = 12 // length, type, checksum
	for rest := data[len(pngSignature):]; len(rest) >= overhead; {
		if bytes.HasPrefix(rest, []byte("\x00\x00\x00\x00IEND\xae\x42\x60\x82")) {
			return true
		}
		size := int64(overhead) + int64(binary.BigEndian.Uint32(rest))
		if size > int64(len(rest)) {
			return false
		}
		rest = rest[size:]
	}
	return false
}

func notAPicture(data []byte) string {
	if len(data) == 0 {
		return "the file is empty"
	}
	return fmt.Sprintf("the bytes are neither JPEG nor PNG (they begin with % X)", data[:min(len(data), 8)])
}

// isPicture says whether a file's name, not its path, is that of a picture that is meant to be seen. Names with a dot in
// front are hidden: programs write so before they rename, and some systems keep attributes so.
func isPicture(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// serialFromName is a file's name without folder and ending, if that can be a serial.
func serialFromName(name string) (string, error) {
	base := path.Base(filepath.ToSlash(name))
	serial := strings.TrimSuffix(base, path.Ext(base))
	if err := inspection.ValidName("serial", serial); err != nil {
		return "", fmt.Errorf("%w from the file's name: rename the file, give serials in frames.csv, or set NoSerial", err)
	}
	return serial, nil
}

// readPicture reads a whole regular file of 1 to limit bytes and says which file it was: the one that was open, whatever
// has its name by now. It neither waits for a pipe nor reads more than limit.
func readPicture(file string, limit int64) ([]byte, fs.FileInfo, error) {
	if info, err := os.Stat(file); err != nil {
		return nil, nil, withoutPath(err)
	} else if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if before.Size() > limit {
		return nil, before, tooLarge(before.Size(), limit)
	}
	data := make([]byte, before.Size())
	switch _, err := io.ReadFull(f, data); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, before, errChanged // not wrapped: io.EOF would end the source
	case err != nil:
		return nil, before, withoutPath(err)
	}
	if after, err := f.Stat(); err != nil || !sameFile(before, after) {
		return nil, before, errChanged
	}
	return data, before, nil
}

var errChanged = errors.New("the file changed while it was read")

func tooLarge(size, limit int64) error {
	return fmt.Errorf("%w: %d bytes, the limit is %d: raise MaxBytes here and the node's limit, or compress the picture", inspection.ErrImageTooLarge, size, limit)
}

// sameFile says whether nothing was written between two looks, as far as a file system tells.
func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// withoutPath leaves the path out of a file error: the message around it names the picture already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return err
}

// encoded is the image of a file's bytes. Width and height stay 0: the header inside the bytes rules.
func encoded(data []byte) inspection.Image {
	return inspection.Image{Format: FormatOf(data), Data: inspection.NewBuffer(nil, data)}
}

func checkMaxBytes(n int64) (int64, error) {
	if n < 0 {
		return 0, fmt.Errorf("%w: MaxBytes is %d: use a number of bytes above 0, or 0 for %d", inspection.ErrInvalid, n, int64(DefaultMaxBytes))
	}
	if n == 0 {
		return DefaultMaxBytes, nil
	}
	return n, nil
}

// checkFolder says whether dir is a folder, and where a relative one was looked for.
func checkFolder(dir string) error {
	if dir == "" {
		return fmt.Errorf("%w: Dir is empty: name the folder of the pictures", inspection.ErrInvalid)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no folder %s: check the path (a relative one starts where the program was started)", err, dir)
	case err != nil:
		return fmt.Errorf("look at folder %s: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is not a folder: name the folder that holds the pictures", inspection.ErrInvalid, dir)
	}
	return nil
}
