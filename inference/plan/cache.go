package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// format is the version of the files. It changes with what they hold and with how it is measured.
const format = 1

// believed is for how long figures are that were measured beside other programs.
const believed = 24 * time.Hour

// file is a plan on disk.
type file struct {
	Format int `json:"format"`
	Plan
}

// Lookup returns the plan that was kept for key. A file that cannot be read, or is not this key's, is logged and passed
// over: measuring again costs seconds, a wrong plan costs all day.
func (p *Planner) Lookup(key Key) (Plan, bool) {
	if p.config.Dir == "" {
		return Plan{}, false
	}
	path := p.path(key)
	found, err := read(path, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Plan{}, false
	case err != nil:
		p.log.Warn("kept plan is passed over; the model is measured anew", "file", path, "error", err)
		return Plan{}, false
	case found.Contended && time.Since(found.Measured) > believed:
		p.log.Info("kept plan was measured while other programs had the processor; the model is measured anew", "measured", found.Measured)
		return Plan{}, false
	}
	return found, true
}

func read(path string, key Key) (Plan, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the name is a hash of our own in our own directory
	if err != nil {
		return Plan{}, err
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return Plan{}, fmt.Errorf("not a plan: %w", err)
	}
	switch t := f.Choice.Throughput; {
	case f.Format != format:
		return Plan{}, fmt.Errorf("format %d, this program writes %d", f.Format, format)
	case f.Key != key:
		return Plan{}, fmt.Errorf("it is for %+v, wanted is %+v", f.Key, key)
	case t.Runs < 1 || t.Median <= 0 || t.Batch < 1 || t.Threads < 1 || t.Callers < 1:
		return Plan{}, errors.New("it chooses nothing")
	}
	f.Complete, f.Cached = true, true
	return f.Plan, nil
}

// keep writes a plan so that a reader sees all of it or none. No fsync: a plan that a power cut takes is measured again.
func (p *Planner) keep(plan Plan) error {
	if err := os.MkdirAll(p.config.Dir, 0o750); err != nil {
		return err
	}
	b, err := json.MarshalIndent(file{Format: format, Plan: plan}, "", "  ")
	if err != nil {
		return err
	}
	path := p.path(plan.Key)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o640); err != nil { //nolint:gosec // figures, nothing secret
		return err
	}
	return os.Rename(path+".new", path)
}

func (p *Planner) path(key Key) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %+q", format, []string{key.Model, key.Device, key.CPU, fmt.Sprint(key.Cores), fmt.Sprint(key.Threads), key.Library}))
	return filepath.Join(p.config.Dir, hex.EncodeToString(sum[:16])+".json")
}

// CPUName returns the processor's name as Linux gives it, or "" where it does not.
func CPUName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ProcessorTime returns the processor time that this process has used, 0 where the system does not say.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
