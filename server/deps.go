package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// Desk takes frames into custody. The ctx of each call is the stream's: its end stops the waiting, never an accepted job.
type Desk interface {
	// Inspect answers in time whatever happens to the job. A nil job.Recipe means that the node has none of that name, and
	// an image may have failed Validate: both have an identity and are recorded as UNDETERMINED. An error means that there
	// is no answer and nothing was recorded. The image bytes are lent for the call; whoever needs them longer takes a
	// reference.
	Inspect(ctx context.Context, job inspection.Job) (inspection.Answer, error)
	// Announce records what the camera itself told the gate; nil means that it is on disk.
	Announce(ctx context.Context, key inspection.FrameKey, a inspection.Announcement, simulated bool) error
	// Drop records frames that the camera gave up; nil means that it is on disk.
	Drop(ctx context.Context, d inspection.Drop) error
}

// Catalog knows the node's recipes and models. What it returns is read-only.
type Catalog interface {
	// Resolve returns a recipe's current revision and the model version that it names now. ErrUnknownRecipe comes with a nil
	// recipe. Any other error (ErrUnknownModel, ErrNotReady) comes with the recipe, whose fallback then answers.
	Resolve(recipe string) (*inspection.Recipe, inspection.ModelRef, error)
	// Recipes returns every recipe at its current revision, by name.
	Recipes() []RecipeStatus
	// Problems returns what stands in the directory of recipes and is not taken, each with the reason.
	Problems() []string
	// Recipe returns one revision and its text as imported; revision 0 is the current one. ErrNotFound or ErrUnknownRecipe.
	Recipe(ctx context.Context, name string, revision int) (RecipeStatus, string, error)
	// Models returns every version of every model, by name and version.
	Models() []ModelStatus
	// Model returns one version and its manifest's text; an empty version is the active one. ErrNotFound or ErrUnknownModel.
	Model(name, version string) (ModelStatus, string, error)
	// ProfileModel returns how a version was measured here; an empty version is the active one. What was not measured yet,
	// or with again anything, is measured now. ErrNotFound, ErrUnknownModel, or ErrOverloaded where others need the node.
	ProfileModel(ctx context.Context, name, version string, again bool) (ModelProfile, error)
}

// Versions brings model versions in, into force and out. by.Model names the model, and by.To the version where there is one to
// name; By, Peer and Reason go into the record. Errors are those of the calls on the wire, see proto/assay/v1/models.proto.
type Versions interface {
	// BeginUpload begins to bring in a version.
	BeginUpload(name, version string) (Upload, error)
	// Activate makes by.To the active version; changed is false where it was by record already. ctx ends the attempt.
	Activate(ctx context.Context, by Activation) (done Activation, changed bool, err error)
	// Rollback activates the version that was active before.
	Rollback(ctx context.Context, by Activation) (Activation, error)
	// RemoveModel removes a version that nobody needs.
	RemoveModel(ctx context.Context, name, version string) error
	// Activations returns the record of a model, or with "" of all, the latest first.
	Activations(name string) []Activation
}

// Upload is a version that is being brought in: its files one after another, each begun by File. Close must be called, and
// leaves nothing of what was not committed.
type Upload interface {
	io.Writer
	File(name string, size int64, sha256 string) error
	Commit() (ref inspection.ModelRef, existed bool, err error)
	Close() error
}

// Activation is one recorded change of the active version of a model.
type Activation struct {
	Model, Act, From, To, Digest string
	At                           time.Time
	By, Peer, Reason             string
}

// ModelProfile is how a model version was measured on this node, and how it runs.
type ModelProfile struct {
	Model      inspection.ModelRef
	Device     string
	Surface    []ProfilePoint
	Throughput ProfilePoint
	Idle       *ProfilePoint // nil: a frame that comes alone runs as any other
	Measured   time.Time
	Took       time.Duration
	Cached     bool // from an earlier start
	Complete   bool
	Loaded     bool // by a plan; the fields below are known
	Waits      bool // until it is loaded next, it runs in another way than was chosen
	DriftRatio float64
	Drifted    bool
	Narrow     RunEstimate // runs by one thread
	Wide       RunEstimate // runs by all threads
}

// ProfilePoint is one way to run a model, and how long a run took.
type ProfilePoint struct {
	Variant                 string
	Threads, Callers, Batch int
	Median, P99             time.Duration
	Rate                    float64 // samples per second of all callers
	Runs                    int
}

// RunEstimate is what runs take now.
type RunEstimate struct {
	Runs      int
	Mean, P99 time.Duration
}

// RecipeStatus is a recipe and how it stands on this node.
type RecipeStatus struct {
	Recipe   *inspection.Recipe
	Model    inspection.ModelRef // what its selector names now
	Ready    bool                // its model is warm: frames are judged
	Message  string              // why not ready, or what is wrong with a newer file that was not taken
	Imported time.Time
}

// ModelState says where a model version stands. The zero value is not stated.
type ModelState uint8

// The states, with the numbers of the wire.
const (
	ModelUnspecified ModelState = iota
	ModelUnloaded
	ModelLoading
	ModelReady
	ModelFailed
)

// ModelStatus is a model version and how it stands on this node.
type ModelStatus struct {
	Ref             inspection.ModelRef
	Task            string // detect, classify, anomaly, segment
	Description     string
	Labels          []string
	Inputs          []ModelInput
	Decoder         string
	BatchSizes      []int
	Active          bool
	State           ModelState
	Message         string   // why it failed, or which execution provider fell back and why
	Provider        string   // what it runs on: cpu, cuda:0, ...
	ProvidersWanted []string // what the manifest asked for, in order
}

// ModelInput is one input tensor of a model.
type ModelInput struct {
	Name, Layout, Type      string // Layout: NCHW or NHWC; Type: float32 or uint8
	Width, Height, Channels int
}

// Results reads what was recorded.
type Results interface {
	// Get returns one result, or ErrNotFound.
	Get(ctx context.Context, id inspection.ResultID) (inspection.Result, error)
	// List returns a page. A cursor that is not of this query is ErrInvalid.
	List(ctx context.Context, q inspection.Query) (inspection.Page, error)
	// Watch calls send for every change after a cursor ("": from now on, "0": from the beginning) until ctx ends or send
	// fails. A watcher that lags too far ends with ErrOverloaded, a cursor that cannot be read with ErrInvalid. The query's
	// page and order do not matter.
	Watch(ctx context.Context, after string, q inspection.Query, send func(r inspection.Result, cursor string) error) error
}

// Images opens the images of results.
type Images interface {
	// Open returns the bytes as received. ErrNotFound when there are none: then the info's State says whether they are
	// still to come or gone, where the result is known.
	Open(ctx context.Context, id inspection.ResultID) (io.ReadSeekCloser, inspection.ImageInfo, error)
}

// Status tells how the node is.
type Status interface {
	Status(ctx context.Context) NodeStatus
}

// NodeStatus is how the node is now. The server adds what it knows itself: name, uptime, streams, frames in flight.
type NodeStatus struct {
	Version        string
	Ready          bool     // frames that are taken are judged and recorded
	Reasons        []string // why not ready
	Warnings       []string // each thing that is not as it was configured, with the next step
	Storage        Storage
	Frames         map[string]uint64 // since start, by outcome: pass, fail, review, undetermined
	DeadlineMisses uint64
	Libraries      map[string]string // version by name
}

// Storage is how the data directory is. Sizes are in bytes.
type Storage struct {
	Directory   string
	Free, Used  uint64
	ImageBudget uint64
	ImageBytes  uint64
	Images      map[string]uint64 // by image state
	Results     uint64
	DaysLeft    *float64 // until the budget is used; nil when that cannot be told yet
	Full        bool     // nothing can be recorded now
}

// Deps are the rooms behind the door. All are required but Log, Registerer and Gatherer: without them there is no log,
// and no metrics.
type Deps struct {
	Desk       Desk
	Catalog    Catalog
	Versions   Versions
	Results    Results
	Images     Images
	Status     Status
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer // what /metrics shows
}

func (d *Deps) complete() error {
	for _, dep := range [...]struct {
		name    string
		missing bool
	}{
		{"Desk", d.Desk == nil}, {"Catalog", d.Catalog == nil}, {"Versions", d.Versions == nil}, {"Results", d.Results == nil}, {"Images", d.Images == nil}, {"Status", d.Status == nil},
	} {
		if dep.missing {
			return fmt.Errorf("%w: server.Deps.%s is nil: fill it in", inspection.ErrInvalid, dep.name)
		}
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Registerer == nil {
		d.Registerer = prometheus.NewRegistry()
	}
	if d.Gatherer == nil {
		d.Gatherer = prometheus.NewRegistry()
	}
	return nil
}
