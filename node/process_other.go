//go:build !linux

package node

import (
	"errors"
	"time"
)

func slowMonitor(time.Duration) error { return errors.ErrUnsupported }
