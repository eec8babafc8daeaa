package camera

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// The folders into which a Watch moves what is settled, under the folder that it watches.
const (
	ProcessedDir = "processed"
	FailedDir    = "failed"
)

// WatchConfig says how a Watch looks at its folder.
type WatchConfig struct {
	// Dir is the folder into which another program writes pictures.
	Dir string
	// Poll is the time between two looks at Dir. A picture is taken one to two of them after it is whole. 0 means 200 ms.
	Poll time.Duration
	// GiveUp is how long a file may stay incomplete since it last changed; then it goes to failed/. 0 means 30 s.
	GiveUp time.Duration
	// NoSerial leaves the serial empty; false means that a file's name without ending is the serial.
	NoSerial bool
	// MaxBytes is the largest file that is read; a larger one goes to failed/. 0 means 64 MiB.
	MaxBytes int64
}

// Watch is a Source of the pictures that another program writes into a folder (.jpg, .jpeg, .png; hidden names are left
// alone, so that a program may write to one and rename it). It never ends by itself.
//
// A file is taken when it is whole: its size and time of change are those of the look before, and its bytes end as its
// format ends. Of the files that are whole, the oldest comes first, then by name. Its time of change is Frame.CapturedAt.
//
// A file stays where it is until its shot is settled as recorded; then it moves to processed/. A file that does not become
// whole, is too large or no picture moves to failed/ with a text beside it that says why, and is an ErrShot. A name that is
// taken there already gets the file's time added. A shot settled as not recorded stays where it is, and this Watch does not offer it again.
//
// So delivery is at least once: after a restart, what was not settled is found again, and a node sees it as a new frame, for a frame's key
// holds the session of the camera client. A file that is written over under its old name is a new picture; the settling of
// the old one does not move it. Two Watches of one folder would both take each file: run one.
type Watch struct {
	cfg      WatchConfig
	log      *slog.Logger
	lastLook time.Time
	blind    bool // the last look failed
	closed   bool

	files map[string]*watched // by name: what the last look saw; only Next touches it
	ready []string            // names to take, in order; only Next touches it

	mu      sync.Mutex
	flights map[uint64]flight // shots that are not settled
	marks   uint64

	moving sync.Mutex // one move at a time, so that no two choose one name; held over file work, by nobody who takes mu
}

// watched is a file of the folder.
type watched struct {
	info  fs.FileInfo
	since time.Time // by our clock: when it was first seen as info says
	state watchState
	why   string // of a file that is not whole
}

type watchState uint8

const (
	fileNew        watchState = iota // one look so far
	fileStable                       // two looks saw the same
	fileUnfinished                   // read, and not whole
	fileDone                         // handed out, or given up
)

// flight is a file whose shot is not settled.
type flight struct {
	name string
	info fs.FileInfo
}

// NewWatch makes processed/ and failed/ where they are missing.
func NewWatch(cfg WatchConfig, log *slog.Logger) (*Watch, error) {
	if log == nil {
		return nil, fmt.Errorf("%w: a watch needs a logger", inspection.ErrInvalid)
	}
	if cfg.Poll < 0 || cfg.GiveUp < 0 {
		return nil, fmt.Errorf("%w: Poll is %v and GiveUp %v: use times above 0, or 0 for 200ms and 30s", inspection.ErrInvalid, cfg.Poll, cfg.GiveUp)
	}
	if cfg.Poll == 0 {
		cfg.Poll = 200 * time.Millisecond
	}
	if cfg.GiveUp == 0 {
		cfg.GiveUp = 30 * time.Second
	}
	var err error
	if cfg.MaxBytes, err = checkMaxBytes(cfg.MaxBytes); err != nil {
		return nil, err
	}
	if err := checkFolder(cfg.Dir); err != nil {
		return nil, err
	}
	for _, sub := range []string{ProcessedDir, FailedDir} {
		if err := makeWritable(filepath.Join(cfg.Dir, sub)); err != nil {
			return nil, fmt.Errorf("%w: watched pictures are moved there: give this user the right to write in %s", err, cfg.Dir)
		}
	}
	return &Watch{cfg: cfg, log: log, files: map[string]*watched{}, flights: map[uint64]flight{}}, nil
}

// makeWritable makes a folder and proves it, so that a missing right is told at the start and not after the first frame.
func makeWritable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Next waits for the next whole picture.
func (w *Watch) Next(ctx context.Context) (Shot, error) {
	if w.closed {
		return Shot{}, fmt.Errorf("watch %s: %w", w.cfg.Dir, inspection.ErrClosed)
	}
	for {
		if err := ctx.Err(); err != nil {
			return Shot{}, err
		}
		for len(w.ready) > 0 {
			name := w.ready[0]
			w.ready = w.ready[1:]
			if shot, taken, err := w.take(name, time.Now()); taken || err != nil {
				return shot, err
			}
		}
		if !w.lastLook.IsZero() {
			if err := waitUntil(ctx, w.lastLook.Add(w.cfg.Poll)); err != nil {
				return Shot{}, err
			}
		}
		w.look(time.Now())
	}
}

// look compares the folder with the look before and lists what may be taken. A folder that cannot be read (a network share that
// is away) ends nothing: its files wait there.
func (w *Watch) look(now time.Time) {
	w.lastLook = now
	seen, err := pictures(w.cfg.Dir)
	if err != nil {
		if !w.blind {
			w.log.Warn("the watched folder cannot be read: pictures wait until it can; check the share or the rights", "dir", w.cfg.Dir, "error", err)
		}
		w.blind = true
		return
	}
	if w.blind {
		w.log.Info("the watched folder can be read again", "dir", w.cfg.Dir)
		w.blind = false
	}
	files := make(map[string]*watched, len(seen))
	w.ready = nil
	for _, info := range seen {
		f := w.files[info.Name()]
		switch {
		case f == nil || !sameFile(f.info, info):
			f = &watched{info: info, since: now}
		case f.state == fileNew:
			f.state = fileStable
		}
		files[info.Name()] = f
		if f.state == fileStable || f.state == fileUnfinished && now.Sub(f.since) >= w.cfg.GiveUp {
			w.ready = append(w.ready, info.Name())
		}
	}
	w.files = files
	slices.SortFunc(w.ready, func(a, b string) int {
		if c := files[a].info.ModTime().Compare(files[b].info.ModTime()); c != 0 {
			return c
		}
		return naturalCompare(a, b)
	})
}

// pictures lists the regular files of dir with the name of a picture.
func pictures(dir string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var infos []fs.FileInfo
	for _, entry := range entries {
		if !isPicture(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err == nil { // else it went away since
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// take reads a file that may be whole. It is not taken where it is not whole yet, has changed or is gone: later looks see to it.
func (w *Watch) take(name string, now time.Time) (shot Shot, taken bool, err error) {
	f := w.files[name]
	shot = Shot{Name: name}
	serial, serialErr := serialFromName(name)
	if serialErr == nil && !w.cfg.NoSerial {
		shot.Frame.Serial = serial
	}
	data, info, err := readPicture(filepath.Join(w.cfg.Dir, name), w.cfg.MaxBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errChanged), info != nil && !sameFile(f.info, info):
		return Shot{}, false, nil
	case errors.Is(err, inspection.ErrImageTooLarge):
		return shot, false, w.giveUp(f, err)
	case err != nil: // perhaps its writer holds it
		f.why = err.Error()
	default:
		f.why = incomplete(data)
	}
	if f.why != "" {
		f.state = fileUnfinished
		if now.Sub(f.since) < w.cfg.GiveUp {
			return Shot{}, false, nil
		}
		return shot, false, w.giveUp(f, fmt.Errorf("%w: %s, and the file has not changed for %v: let the program that writes it finish, or write it anew", inspection.ErrImage, f.why, w.cfg.GiveUp))
	}
	if serialErr != nil && !w.cfg.NoSerial {
		return shot, false, w.giveUp(f, serialErr)
	}
	f.state = fileDone
	shot.Frame.CapturedAt = info.ModTime()
	shot.Frame.Image = encoded(data)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks++
	shot.mark = w.marks
	w.flights[shot.mark] = flight{name, info}
	return shot, true, nil
}

// giveUp moves a file to failed/ and says why there; it is not looked at again unless it changes.
func (w *Watch) giveUp(f *watched, why error) error {
	f.state = fileDone
	name := f.info.Name()
	moved, err := w.move(FailedDir, flight{name, f.info})
	if err == nil && moved != "" {
		err = os.WriteFile(moved+".txt", []byte(why.Error()+"\n"), 0o644)
	}
	bad := fmt.Errorf("%w: %s: %w", ErrShot, filepath.Join(w.cfg.Dir, name), why)
	if err != nil {
		return fmt.Errorf("%w (and moving it to %s: %w)", bad, FailedDir, err)
	}
	return bad
}

// Settle moves a recorded shot's file to processed/. One that is not recorded stays where it is, for the next start.
func (w *Watch) Settle(shot Shot, recorded bool) error {
	w.mu.Lock()
	f, ok := w.flights[shot.mark]
	delete(w.flights, shot.mark)
	w.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: shot %q is no shot of this watch, or is settled already", inspection.ErrInvalid, shot.Name)
	}
	if !recorded {
		return nil
	}
	if _, err := w.move(ProcessedDir, f); err != nil {
		w.mu.Lock()
		w.flights[shot.mark] = f
		w.mu.Unlock()
		return fmt.Errorf("settle %s: %w: free space or give rights in %s; until then it is sent again at each start", f.name, err, w.cfg.Dir)
	}
	return nil
}

// move moves a file to a sub-folder and returns its new path; "" where the file is gone or another one has its name by now.
func (w *Watch) move(sub string, f flight) (string, error) {
	w.moving.Lock()
	defer w.moving.Unlock()
	from := filepath.Join(w.cfg.Dir, f.name)
	switch info, err := os.Lstat(from); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !sameFile(f.info, info):
		w.log.Info("a watched file was written over before it was settled: what is there now is taken as a new picture", "file", from)
		return "", nil
	}
	to, err := freeName(filepath.Join(w.cfg.Dir, sub), f.name, f.info.ModTime())
	if err != nil {
		return "", err
	}
	if err := os.Rename(from, to); err != nil {
		return "", err
	}
	return w.verify(to, f)
}

// verify looks at what was moved. A writer may have put a new picture under the name just before: nobody has seen that one yet, so it
// goes back, under another name if its own is taken again.
func (w *Watch) verify(to string, f flight) (string, error) {
	info, err := os.Lstat(to)
	if err != nil || sameFile(f.info, info) {
		return to, err
	}
	back, err := freeName(w.cfg.Dir, f.name, info.ModTime())
	if err != nil {
		return "", err
	}
	return "", os.Rename(to, back)
}

// freeName finds a name in dir that neither a file nor the text beside one has: name itself, then with its time, then with a number too.
func freeName(dir, name string, at time.Time) (string, error) {
	ending := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ending)
	stamped := stem + "." + at.UTC().Format("20060102T150405.000000Z")
	for n := 0; ; n++ {
		switch {
		case n == 1:
			stem = stamped
		case n > 1:
			stem = fmt.Sprintf("%s-%d", stamped, n)
		}
		to := filepath.Join(dir, stem+ending)
		free := true
		for _, path := range []string{to, to + ".txt"} {
			if _, err := os.Lstat(path); err == nil {
				free = false
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		if free {
			return to, nil
		}
	}
}

// Close ends the looking. Shots that are out may still be settled.
func (w *Watch) Close() error {
	w.closed = true
	return nil
}

var (
	_ Source  = (*Watch)(nil)
	_ Settler = (*Watch)(nil)
)
