package server

import (
	"slices"
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// connected knows the camera streams that said Hello, to tell when two clients go by one camera's name.
type connected struct {
	mu      sync.Mutex
	streams map[inspection.FrameKey][]*stream // by line, station and camera
}

// add notes a stream, and returns one of another session under the same name, or nil.
func (c *connected) add(st *stream) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams == nil {
		c.streams = map[inspection.FrameKey][]*stream{}
	}
	name := cameraName(st.key)
	there := c.streams[name]
	c.streams[name] = append(there, st)
	i := slices.IndexFunc(there, func(other *stream) bool { return other.key.Session != st.key.Session })
	if i < 0 {
		return nil
	}
	return there[i]
}

// remove forgets a stream that ended.
func (c *connected) remove(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := cameraName(st.key)
	left := slices.DeleteFunc(c.streams[name], func(other *stream) bool { return other == st })
	if len(left) == 0 {
		delete(c.streams, name)
		return
	}
	c.streams[name] = left
}

// cameraName is the part of a frame's key that names its camera.
func cameraName(k inspection.FrameKey) inspection.FrameKey {
	k.Session, k.Seq = "", 0
	return k
}
