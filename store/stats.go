package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Amount is a number of images and their bytes.
type Amount struct {
	Count int64
	Bytes int64
}

// Stats are sums over the data directory. Simulated results are in none but Simulated; their images are counted where they
// take room, or should.
type Stats struct {
	Results   map[inspection.Verdict]int64 // by effective verdict, without simulated ones
	Simulated int64
	Images    map[inspection.ImageState]Amount

	QueueBytes    int64    // waiting to be written
	DatabaseBytes int64    // database and its write-ahead log
	FreeBytes     int64    // on the data disk
	NotKept       string   // what to do so that images are kept again; empty while they are
	GrowthPerDay  *int64   // bytes, images and database; nil until ten minutes are known
	DaysLeft      *float64 // until the budget is used or the disk is down to MinFree; nil when unknown or not growing
}

// sums reads what the database counts.
func (s *Store) sums(ctx context.Context) (Stats, error) {
	st := Stats{Results: map[inspection.Verdict]int64{}, Images: map[inspection.ImageState]Amount{}}
	err := s.snapshot(ctx, s.own, func(q querier) error {
		rows, err := q.QueryContext(ctx, "SELECT simulated, verdict, image_state, results, bytes FROM tallies")
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var simulated bool
			var v inspection.Verdict
			var name string
			var n, bytes int64
			if err := rows.Scan(&simulated, textColumn{&v}, &name, &n, &bytes); err != nil {
				return err
			}
			if simulated {
				st.Simulated += n
			} else {
				st.Results[v] += n
			}
			if name == stateNone {
				return nil
			}
			state, err := inspection.ParseImageState(name)
			if err != nil {
				return err
			}
			if simulated && state == inspection.ImageShed {
				return nil // never meant to be kept: among the line's it would look like a loss
			}
			a := st.Images[state]
			st.Images[state] = Amount{a.Count + n, a.Bytes + bytes}
			return nil
		})
	})
	if err != nil {
		return Stats{}, fmt.Errorf("store: read sums: %w", err)
	}
	return st, nil
}

// databaseBytes is the size of the database's files.
func (s *Store) databaseBytes() int64 {
	var n int64
	for _, name := range [...]string{databaseFile, databaseFile + "-wal"} {
		if info, err := os.Stat(filepath.Join(s.cfg.Dir, name)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// Stats sums the data directory up. It reads a handful of rows, however many results there are.
func (im *Images) Stats(ctx context.Context) (Stats, error) {
	st, err := im.store.sums(ctx)
	if err != nil {
		return Stats{}, err
	}
	im.mu.Lock()
	st.QueueBytes = im.queue.bytes
	im.mu.Unlock()
	st.DatabaseBytes = im.store.databaseBytes()
	if st.FreeBytes, err = diskFree(im.dir); err != nil {
		return Stats{}, fmt.Errorf("images: read free disk space: %w", err)
	}
	st.NotKept = im.notKept(st.FreeBytes)
	if perDay, ok := im.growth.perDay(); ok {
		st.GrowthPerDay = &perDay
		if perDay > 0 {
			room := st.FreeBytes - im.cfg.MinFree
			if im.cfg.Budget > 0 {
				room = min(room, im.cfg.Budget-st.Images[inspection.ImageKept].Bytes)
			}
			days := float64(max(room, 0)) / float64(perDay)
			st.DaysLeft = &days
		}
	}
	return st, nil
}

// sample notes how much there is now, for the growth: all bytes that came, whatever retention gave up since.
func (im *Images) sample(now time.Time) {
	im.growth.add(now, im.keptBytes.Load()+im.store.databaseBytes())
}

const (
	growthSpan  = 24 * time.Hour
	growthLeast = 10 * time.Minute
	growthStep  = time.Minute
)

// growth estimates how fast a size grows from samples of the last day. Where it shrank (a write-ahead log that was cut),
// only what came after counts.
type growth struct {
	mu      sync.Mutex
	samples []growthSample // at most one a growthStep, oldest first
}

type growthSample struct {
	at    time.Time
	size  int64
	total int64 // all that came since the first sample
}

func (g *growth) add(at time.Time, size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.samples); n > 0 {
		last := g.samples[n-1]
		if at.Sub(last.at) < growthStep {
			return
		}
		g.samples = append(g.samples, growthSample{at, size, last.total + max(0, size-last.size)})
	} else {
		g.samples = append(g.samples, growthSample{at: at, size: size})
	}
	for at.Sub(g.samples[0].at) > growthSpan {
		g.samples = g.samples[1:]
	}
}

// perDay returns bytes a day, and false while too little is known.
func (g *growth) perDay() (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.samples) == 0 {
		return 0, false
	}
	first, last := g.samples[0], g.samples[len(g.samples)-1]
	span := last.at.Sub(first.at)
	if span < growthLeast {
		return 0, false
	}
	return int64(float64(last.total-first.total) / span.Hours() * 24), true
}
