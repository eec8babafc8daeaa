package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Config says where and how results are kept. The zero value of every field but Dir is what we would deploy.
type Config struct {
	Dir         string           // data directory, made when missing; a local disk, never a network share
	Readers     int              // connections that answer queries; 0 means 4
	QueryTime   time.Duration    // how long a query for results may take, the wait for a connection included; 0 means 20 s
	BusyTimeout time.Duration    // how long SQLite waits for a lock that another program holds (a backup); 0 means 5 s
	Now         func() time.Time // wall clock for received and recorded; nil means time.Now
}

func (c Config) withDefaults() Config {
	if c.Readers == 0 {
		c.Readers = 4
	}
	if c.QueryTime == 0 {
		c.QueryTime = 20 * time.Second // less than the 30 s that the command line waits, so that it hears why
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = 5 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate names the field that is wrong and the remedy.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("store: dir is empty: name a directory on a local disk")
	case c.Readers < 0 || c.Readers > 64:
		return fmt.Errorf("%w: store: readers is %d: use 1 to 64, or 0 for 4", inspection.ErrInvalid, c.Readers)
	case c.QueryTime < 0:
		return fmt.Errorf("%w: store: query time %v is negative: use a positive one, or 0 for 20 s", inspection.ErrInvalid, c.QueryTime)
	case c.BusyTimeout < 0:
		return fmt.Errorf("%w: store: busy timeout %v is negative", inspection.ErrInvalid, c.BusyTimeout)
	}
	return nil
}
