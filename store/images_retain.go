package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// shedBatch is how many images are given up in one transaction.
const shedBatch = 200

// Ranks of what is shed, as the database computes them: lower goes first.
const (
	rankPass       = 0 // PASS and simulated
	rankReviewed   = 1
	rankUnreviewed = 2
)

// retain is the goroutine that gives images up by age and for room.
func (im *Images) retain(ctx context.Context) {
	tick := time.NewTicker(im.cfg.RetainEvery)
	defer tick.Stop()
	for {
		if err := im.Retain(ctx); err != nil && ctx.Err() == nil {
			im.log.Error("retention of images failed: it is tried again", "error", err, "again_in", im.cfg.RetainEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-im.shed:
			// A full disk asks for every picture, a used budget for every group: once a second is enough.
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// Retain gives up what is older than its days, then what takes more room than the budget or leaves less free than
// MinFree, the ballast and the pictures that had no room need: PASS and simulated images first, then reviewed ones, last what nobody has reviewed, the oldest first in each. It runs by
// itself; calling it is for tests and operators.
func (im *Images) Retain(ctx context.Context) error {
	select { // two at once would both see the same room missing, and give up twice as much
	case im.retaining <- struct{}{}:
		defer func() { <-im.retaining }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now := im.store.cfg.Now()
	aged, jumped := im.clock.aged(now)
	if jumped {
		im.log.Warn("the clock went forward by more than a day: images are given up by age as if it had not, until it is set back or assayd is restarted; restart assayd when the clock is right",
			"clock", now, "images_age_by", aged)
	}
	for rank, days := range [...]int{rankPass: im.cfg.PassDays, rankReviewed: im.cfg.Days, rankUnreviewed: im.cfg.Days} {
		if days == 0 {
			continue
		}
		before := aged.AddDate(0, 0, -days).UnixMicro()
		for {
			rows, err := im.store.readImages(ctx, fmt.Sprintf("image_state = 'kept' AND shed_rank = ?1 AND received < ?2 ORDER BY received, n LIMIT %d", shedBatch), rank, before)
			if err != nil {
				return fmt.Errorf("find images older than %d days: %w", days, err)
			}
			if len(rows) == 0 {
				break
			}
			if err := im.giveUp(ctx, rows, "age"); err != nil {
				return err
			}
		}
	}
	if err := im.makeRoom(ctx); err != nil {
		return err
	}
	im.restoreBallast()
	im.sample(now)
	return nil
}

// makeRoom gives images up until the budget and the free space are met, or nothing is left to give.
func (im *Images) makeRoom(ctx context.Context) error {
	wanted := im.room.wanted(im.cfg.QueueBytes)
	for {
		over, cause, err := im.over(ctx, wanted)
		if err != nil || over <= 0 {
			return err
		}
		rows, err := im.store.readImages(ctx, fmt.Sprintf("image_state = 'kept' ORDER BY shed_rank, received, n LIMIT %d", shedBatch))
		if err != nil {
			return fmt.Errorf("find images to give up: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		enough := 0
		for sum := int64(0); enough < len(rows) && sum < over; enough++ {
			sum += rows[enough].size
		}
		if err := im.giveUp(ctx, rows[:enough], cause); err != nil {
			return err
		}
	}
}

// over returns how many bytes must go, and why. Beyond its reserve the disk must have room for the pictures that had none
// since the last look: where it is down to the reserve, no new one would ever fit.
func (im *Images) over(ctx context.Context, wanted int64) (int64, string, error) {
	if im.cfg.Budget > 0 {
		before := im.keptBytes.Load() // what is marked from here on counts twice at most: a look too many, never one too few
		sums, err := im.store.sums(ctx)
		if err != nil {
			return 0, "", err
		}
		im.budgetEnd.Store(before + im.cfg.Budget - sums.Images[inspection.ImageKept].Bytes)
		if over := sums.Images[inspection.ImageKept].Bytes - im.cfg.Budget; over > 0 {
			return over, "budget", nil
		}
	}
	if reserve := im.reserve(); reserve > 0 {
		free, err := diskFree(im.dir)
		if err != nil {
			return 0, "", fmt.Errorf("read free disk space: %w", err)
		}
		if over := reserve + wanted - free; over > 0 {
			return over, causeMinFree, nil
		}
	}
	return 0, "", nil
}

// clockSlack is how far the wall clock may run ahead of the monotonic one before it is no longer believed.
const clockSlack = 24 * time.Hour

// clock says what time it is for the age of images. An image that is given up does not come back, so a wall clock that
// jumps forward while the node runs (a wrong time server, an RTC that comes to life) makes no image older: time goes on
// from the start at the monotonic clock's pace, a day ahead at most. Where the machine slept, age lags by as much until the
// node is restarted. What the clock says at the start is believed: one that is wrong already looks like a plant that stood
// still for as long, whose images are due.
type clock struct {
	wall   time.Time // at the start, without its monotonic reading
	start  time.Time // the same moment, with it
	warned bool
}

func newClock(wall time.Time) clock { return clock{wall: wall.Round(0), start: time.Now()} }

// aged returns the time by which images age, and whether now is newly not it.
func (c *clock) aged(now time.Time) (_ time.Time, jumped bool) {
	limit := c.wall.Add(time.Since(c.start) + clockSlack)
	if !now.After(limit) {
		c.warned = false
		return now, false
	}
	jumped = !c.warned
	c.warned = true
	return limit, jumped
}

// giveUp marks images shed and then removes their files: a crash in between leaves a file too many, never a row that
// says kept of bytes that are gone. A file that cannot be removed is an error after all others are: who wants room must not
// go on giving images up for none.
func (im *Images) giveUp(ctx context.Context, rows []imageRow, cause string) error {
	marks := make([]mark, len(rows))
	for i, r := range rows {
		marks[i] = mark{id: r.id, from: inspection.ImageKept, to: inspection.ImageShed}
	}
	if err := im.mark(ctx, marks); err != nil {
		return fmt.Errorf("give images up for %s: %w", cause, err)
	}
	im.m.given.WithLabelValues(inspection.ImageShed.String(), cause).Add(float64(len(rows)))
	var left int
	var first error
	for _, r := range rows {
		if err := im.root.Remove(r.ref); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if left++; first == nil {
				first = err
			}
		}
	}
	if left > 0 {
		return fmt.Errorf("%d files of images that were given up for %s are left until the next start, see to the images folder: %w", left, cause, first)
	}
	return nil
}
