package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// ImagesConfig says how image files are written and which stay. The zero value keeps everything until the disk is full.
type ImagesConfig struct {
	QueueBytes  int64         // bytes of pictures that may wait for the disk; 0 means 64 MiB
	SyncEvery   time.Duration // how long a picture may wait for its group to be synced; 0 means 50 ms
	PassDays    int           // days to keep images of PASS and of simulated frames; 0 means no limit
	Days        int           // days to keep all other images; 0 means no limit
	Budget      int64         // bytes that images may take; 0 means no limit
	MinFree     int64         // bytes to leave free on the disk, so that the database can go on; 0 means none
	Ballast     int64         // bytes of a file that is given up when the disk is so full that no image can be; 0 means 8 MiB
	RetainEvery time.Duration // how often retention looks; 0 means a minute
}

func (c ImagesConfig) withDefaults() ImagesConfig {
	if c.QueueBytes == 0 {
		c.QueueBytes = 64 << 20
	}
	if c.SyncEvery == 0 {
		c.SyncEvery = 50 * time.Millisecond
	}
	if c.Ballast == 0 {
		c.Ballast = 8 << 20
	}
	if c.RetainEvery == 0 {
		c.RetainEvery = time.Minute
	}
	return c
}

// Validate names the field that is wrong.
func (c ImagesConfig) Validate() error {
	for name, v := range map[string]int64{
		"queue bytes": c.QueueBytes, "sync interval": int64(c.SyncEvery), "pass days": int64(c.PassDays), "days": int64(c.Days),
		"budget": c.Budget, "ballast": c.Ballast, "min free": c.MinFree, "retention interval": int64(c.RetainEvery),
	} {
		if v < 0 {
			return fmt.Errorf("%w: images: %s is %d: use 0 for the default or a positive number", inspection.ErrInvalid, name, v)
		}
	}
	return nil
}

// Picture is an image that is to be kept, after its result was recorded with ImagePending.
type Picture struct {
	ID        inspection.ResultID
	Key       inspection.FrameKey
	Received  time.Time // wall clock, as in the result
	Verdict   inspection.Verdict
	Simulated bool
	Info      inspection.ImageInfo // Size and XXH128 are what the bytes must have
	Data      *inspection.Buffer
}

// must reports whether the picture goes before those of good and simulated frames when there is no room for all.
func (p Picture) must() bool { return p.Verdict != inspection.Pass && !p.Simulated }

// Images keeps frames' bytes as files, exactly as they came, behind the line's back: what Keep takes is written, synced in
// groups and then marked kept in the result's row, with their SHA-256. A row says kept only of bytes that are on disk under
// it. It is safe for concurrent use.
type Images struct {
	cfg     ImagesConfig
	store   *Store
	log     *slog.Logger
	m       *imageMetrics
	root    *os.Root // the images folder
	ballast *ballast
	dir     string

	mu     sync.Mutex
	queue  queue
	closed bool

	work chan struct{} // one token: there is something in the queue
	shed chan struct{} // one token: retention should look now

	retaining chan struct{} // holds a token while Retain runs
	clock     clock         // guarded by retaining
	room      room
	growth    growth

	serial    atomic.Uint64 // of temporary files
	keptBytes atomic.Int64  // written and marked since the start
	budgetEnd atomic.Int64  // the budget is passed when keptBytes is beyond it

	stop context.CancelFunc // ends retention and the check of old files
	done chan struct{}      // closed: no more pictures come
	wg   sync.WaitGroup
}

// tmpDir holds files that are being written, inside the images folder and so on the same file system.
const tmpDir = "tmp"

// NewImages takes the image files of s's data directory into use. It brings what was pending when the node stopped to
// kept or lost before it returns, and checks the other files behind the scenes. Close stops it; it must be closed before s.
func NewImages(ctx context.Context, cfg ImagesConfig, s *Store, log *slog.Logger, reg prometheus.Registerer) (*Images, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	im := &Images{
		cfg: cfg.withDefaults(), store: s, log: log, dir: filepath.Join(s.cfg.Dir, imagesDir),
		work: make(chan struct{}, 1), shed: make(chan struct{}, 1),
		retaining: make(chan struct{}, 1), done: make(chan struct{}), clock: newClock(s.cfg.Now()),
	}
	im.budgetEnd.Store(math.MaxInt64) // until retention has looked, which it does first
	var err error
	if im.root, err = os.OpenRoot(im.dir); err != nil {
		return nil, fmt.Errorf("images: open folder: %w", err)
	}
	im.ballast = newBallast(s.cfg.Dir, im.cfg.Ballast)
	started := time.Now()
	if err := im.reconcilePending(ctx); err != nil {
		_ = im.root.Close()
		return nil, fmt.Errorf("images: reconcile: %w", err)
	}
	im.restoreBallast()
	im.m = newImageMetrics(reg, im)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	im.stop = stop
	im.wg.Go(im.write)
	im.wg.Go(func() { im.retain(background) })
	im.wg.Go(func() { im.checkFiles(background, started) })
	return im, nil
}

// Keep takes a picture to be written and returns at once. The bytes are lent for the call: Keep takes its own reference.
// When more wait than the queue may hold, pictures of PASS and simulated frames are shed first, then the new one itself.
// After Close nothing is taken; such a picture is reconciled at the next start.
func (im *Images) Keep(p Picture) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.closed {
		return
	}
	im.queue.add(p, im.cfg.QueueBytes)
	select {
	case im.work <- struct{}{}:
	default:
	}
}

// Close writes what is queued, then stops. It may be called twice.
func (im *Images) Close() error {
	im.mu.Lock()
	first := !im.closed
	im.closed = true
	im.mu.Unlock()
	if first {
		im.stop()
		close(im.done)
	}
	im.wg.Wait()
	if !first {
		return nil
	}
	return im.root.Close()
}

// Open opens a result's image, to be closed by the caller. ErrNotFound when there is no such result or its bytes are not
// kept; the ImageInfo then says why.
func (im *Images) Open(ctx context.Context, id inspection.ResultID) (io.ReadSeekCloser, inspection.ImageInfo, error) {
	info, err := im.kept(ctx, id)
	if err != nil {
		return nil, info, err
	}
	return im.openKept(ctx, id, info)
}

// kept returns what a result says of its image, with an error unless that is kept.
func (im *Images) kept(ctx context.Context, id inspection.ResultID) (inspection.ImageInfo, error) {
	r, err := im.store.get(ctx, im.store.asks, id)
	if err != nil {
		return inspection.ImageInfo{}, fmt.Errorf("image of result %s: %w", id, err)
	}
	if r.Image.State != inspection.ImageKept {
		return r.Image, fmt.Errorf("image of result %s is %s: %w", id, r.imageState, inspection.ErrNotFound)
	}
	return r.Image, nil
}

// openKept opens an image that was kept when its row was read. Where its file is gone the row is read again, for the image
// may have been given up meanwhile.
func (im *Images) openKept(ctx context.Context, id inspection.ResultID, info inspection.ImageInfo) (io.ReadSeekCloser, inspection.ImageInfo, error) {
	f, err := im.root.Open(info.Ref)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = im.kept(ctx, id); err != nil {
			return nil, info, err
		}
		im.log.Error("an image that was kept is gone: somebody removed it from the data directory", "result", id, "file", info.Ref)
		if err := im.mark(ctx, []mark{{id: id, from: inspection.ImageKept, to: inspection.ImageLost}}); err != nil {
			im.log.Warn("an image could not be marked lost", "result", id, "error", err)
		}
		info.State = inspection.ImageLost
		return nil, info, fmt.Errorf("image of result %s is lost: %w", id, inspection.ErrNotFound)
	}
	if err != nil {
		return nil, info, fmt.Errorf("open image of result %s: %w", id, err)
	}
	return f, info, nil
}

// imagePath is where a picture lies below the images folder: by the day of its receipt, UTC.
func imagePath(id inspection.ResultID, received time.Time, format inspection.ImageFormat) string {
	return path.Join(received.UTC().Format("2006/01/02"), string(id)+"."+format.String())
}

// queue holds pictures that wait for the disk, those that must be kept apart from the others.
type queue struct {
	must, other []Picture
	bytes       int64
	shed        []Picture // without their bytes: no room for them
}

// add takes a picture, and the room for it from those that matter less.
func (q *queue) add(p Picture, limit int64) {
	size := int64(p.Data.Len())
	room := func() bool { return q.bytes == 0 || q.bytes+size <= limit }
	for p.must() && !room() && len(q.other) > 0 {
		q.drop(q.other[0])
		q.other = q.other[1:]
	}
	if !room() {
		p.Data = nil
		q.shed = append(q.shed, p)
		return
	}
	p.Data = p.Data.Ref()
	q.bytes += size
	if p.must() {
		q.must = append(q.must, p)
	} else {
		q.other = append(q.other, p)
	}
}

func (q *queue) drop(p Picture) {
	q.bytes -= int64(p.Data.Len())
	p.Data.Release()
	p.Data = nil
	q.shed = append(q.shed, p)
}

// take hands out the next picture, which stays on the account until it is settled, and what was shed.
func (q *queue) take() (p Picture, ok bool, shed []Picture) {
	shed, q.shed = q.shed, nil
	for _, from := range []*[]Picture{&q.must, &q.other} {
		if len(*from) > 0 {
			p, *from = (*from)[0], (*from)[1:]
			return p, true, shed
		}
	}
	return Picture{}, false, shed
}
