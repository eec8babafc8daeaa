package custody

import (
	"sync"

	"github.com/assay-vision/assay/inspection"
)

// maxCameras bounds the counters of PASS images; beyond it they start anew.
const maxCameras = 4096

// keeper decides which images are kept: every one that is not PASS, and PASS as the recipe says, counted per camera.
type keeper struct {
	simulated bool

	mu   sync.Mutex
	pass map[camera]int // PASS frames seen since the last one kept
}

type camera struct{ line, station, camera string }

func newKeeper(simulated bool) *keeper {
	return &keeper{simulated: simulated, pass: map[camera]int{}}
}

// image describes a frame's image as it is recorded, with the decision in its state: pending or shed.
func (k *keeper) image(f *flight, effect inspection.Effect, reason inspection.Reason) inspection.ImageInfo {
	im := f.job.Frame.Image
	info := inspection.ImageInfo{
		Format: im.Format, PixelFormat: im.PixelFormat, Width: im.Width, Height: im.Height, Stride: im.Stride,
		Size: int64(f.size), XXH128: f.xxh128, State: inspection.ImageShed,
	}
	if f.image.Len() > 0 && k.keep(f.job, effect.Verdict, reason) {
		info.State = inspection.ImagePending
	}
	return info
}

func (k *keeper) keep(job inspection.Job, v inspection.Verdict, reason inspection.Reason) bool {
	switch {
	case reason == inspection.ReasonPoison:
		return true // what may have brought a node down must be there to be looked at
	case job.Frame.Simulated && !k.simulated:
		return false
	case v != inspection.Pass:
		return true
	}
	every := job.Recipe.Keep.PassEvery // only a model says PASS, and it had a recipe
	if every <= 0 {
		return false
	}
	key := camera{job.Frame.Key.Line, job.Frame.Key.Station, job.Frame.Key.Camera}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.pass[key]; !known && len(k.pass) >= maxCameras {
		clear(k.pass)
	}
	n := k.pass[key]
	k.pass[key] = (n + 1) % every
	return n == 0
}
