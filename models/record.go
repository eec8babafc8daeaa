package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Act is what was done to make a version the active one.
type Act string

// The acts.
const (
	ActActivate Act = "activate"
	ActRollback Act = "rollback"
	ActKeep     Act = "keep"   // the first push of a model: the version that was active by default stays so
	ActRemove   Act = "remove" // the only version is removed: none is active
)

// Activation is one recorded change of the active version of a model.
type Activation struct {
	Model      string    `json:"model"`
	Act        Act       `json:"act"`
	From       string    `json:"from"`        // the version before; empty: none was active
	To         string    `json:"to"`          // empty: none is active
	Digest     string    `json:"digest"`      // of To; empty: it was broken, or none
	FromDigest string    `json:"from_digest"` // of From; empty: it was not known, or not recorded yet when this was written
	At         time.Time `json:"at"`
	By         string    `json:"by"`   // who, as they say
	Peer       string    `json:"peer"` // the address that asked
	Reason     string    `json:"reason"`
}

// record is the list of all activations, one JSON object a line of a file that only grows. It belongs to Repository.mu; nil
// is one without entries.
type record struct {
	path string
	size int64 // bytes of the file that are whole lines; beyond it lies what a write left that never ended
	list []Activation
}

// openRecord reads the record, which may not exist yet. What a write left at the end that was cut off was never in force and
// is passed over. The error wraps inspection.ErrInvalid where the file was damaged.
func openRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the record of activations: %w", err)
	}
	r := &record{path: path}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return r, nil
		}
		var a Activation
		if err := json.Unmarshal(line, &a); err != nil || a.Model == "" {
			return nil, fmt.Errorf("%w: %s:%d: it is no activation: restore the file from a backup, or remove it and activate again", inspection.ErrInvalid, path, number)
		}
		r.list, r.size, data = append(r.list, a), r.size+int64(len(line))+1, rest
	}
}

// add puts an activation on disk. Without an error it is there to stay.
func (r *record) add(a Activation) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	created := r.size == 0
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return unwritable("record the activation", err)
	}
	err = errors.Join(r.put(f, line), f.Close())
	if err == nil && created {
		err = syncDir(filepath.Dir(r.path))
	}
	if err != nil {
		return unwritable("record the activation", err)
	}
	r.list, r.size = append(r.list, a), r.size+int64(len(line))
	return nil
}

// put writes a line after the whole ones, and takes it back where it cannot be made durable.
func (r *record) put(f *os.File, line []byte) error {
	if err := f.Truncate(r.size); err != nil {
		return err
	}
	_, err := f.WriteAt(line, r.size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(r.size))
	}
	return err
}

// last returns the latest activation of a model.
func (r *record) last(name string) (Activation, bool) {
	if r == nil {
		return Activation{}, false
	}
	for _, a := range slices.Backward(r.list) {
		if a.Model == name {
			return a, true
		}
	}
	return Activation{}, false
}

// before returns the version that was active before the present one, and the digest that it had then; "" where none was, or where
// its digest is not known.
func (r *record) before(name string) (version, digest string) {
	last, _ := r.last(name)
	if r == nil {
		return "", ""
	}
	for _, a := range slices.Backward(r.list) {
		switch {
		case a.Model != name:
		case version != "": // what made it active
			return version, a.Digest
		case a.To == last.To && a.From != a.To:
			if a.From == "" || a.FromDigest != "" {
				return a.From, a.FromDigest
			}
			version = a.From
		}
	}
	return version, ""
}
