package inference

import (
	"context"

	"github.com/assay-vision/assay/inference/decode"
	"github.com/assay-vision/assay/models"
)

// Runtime loads models onto devices.
type Runtime interface {
	// Open loads m onto the first of its execution providers that works here and runs it once for every batch size, so
	// that the session is as fast at its first frame as later. Errors wrap inspection.ErrUnavailable (no library, or no
	// provider while falling back is refused) or inspection.ErrInvalid (a graph is damaged or disagrees with its manifest).
	Open(ctx context.Context, m *models.Model, o Opening) (Session, error)
}

// Opening says how a model is opened.
type Opening struct {
	// Variant is the graph, by its name in the manifest. Empty: models.DefaultVariant.
	Variant string
	// Leases is how many batches of a size will be held at the same time: so much tensor memory is made ready.
	Leases int
	// Wide is the number of native threads of a run by all of them. The session's batches are then WideBatches, at the
	// price of a second copy of the weights. Below 2, or on another device than the CPU: there is no such run.
	Wide int
	// Warm makes a warm-up run of so many threads (1 or Wide) when it is its turn, and returns what the run did. nil: at once.
	Warm func(ctx context.Context, threads int, run func() error) error
}

// CPU is the device of a session that the caller's own thread runs.
const CPU = "cpu"

// Session is one loaded and warmed model. It may be shared by goroutines.
type Session interface {
	// BatchSizes returns the batch sizes that were warmed, ascending: those of the manifest, or [1] where the graph takes no
	// batches. The caller must not change it.
	BatchSizes() []int
	// Lease returns the tensors of one batch of a warmed size, the holder's alone until Release. It never waits.
	Lease(size int) (Batch, error)
	// Device says what runs the network: CPU, cuda:0, tensorrt:0, openvino:GPU.
	Device() string
	// Fallbacks says, for each execution provider that was preferred and could not be used, which one and why, and for batches
	// that the graph does not take.
	Fallbacks() []string
	// Close frees the session when its last lease has been released. It may be called twice.
	Close() error
}

// Batch is the tensors of one run.
type Batch interface {
	// Inputs returns the memory of each of the manifest's inputs, in their order: the batch's samples one after another,
	// at addresses that are multiples of 64. It is C memory, good until Release.
	Inputs() [][]byte
	// Run runs the network over the whole batch and returns the outputs that the manifest names. They are good until the
	// next Run or Release.
	Run() ([]decode.Output, error)
	// Release gives the tensors back; the holder must not touch them any more.
	Release()
}

// WideBatch is a Batch that several native threads can compute together. Whoever runs it so must know that they are free.
type WideBatch interface {
	Batch
	// RunWide is Run by Opening.Wide threads.
	RunWide() ([]decode.Output, error)
}
