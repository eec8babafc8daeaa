package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Config is a node's whole configuration. Default is what we would deploy; Load lays a file, the environment and --set
// over it. The doc tags are the reference: `assayd config` prints them beside the effective values.
type Config struct {
	Node      NodeConfig      `koanf:"node" doc:"Who this node is and where it keeps what it records."`
	Listen    ListenConfig    `koanf:"listen" doc:"Where it listens."`
	Limits    LimitsConfig    `koanf:"limits" doc:"What one client, and all of them together, may ask for."`
	Models    ModelsConfig    `koanf:"models" doc:"The model repository and what runs it."`
	Recipes   RecipesConfig   `koanf:"recipes" doc:"The products' settings."`
	Inference InferenceConfig `koanf:"inference" doc:"How frames are judged on this node."`
	Custody   CustodyConfig   `koanf:"custody" doc:"How answers are kept in time and recorded."`
	Images    ImagesConfig    `koanf:"images" doc:"Which images are kept, and for how long."`
	Log       LogConfig       `koanf:"log" doc:"What is written to standard error."`
}

// NodeConfig names the node.
type NodeConfig struct {
	Name    string `koanf:"name" doc:"Name in results, logs and status. Empty: the host's name."`
	DataDir string `koanf:"data_dir" doc:"Directory of the database and the images, made when missing. A local disk, never a network share."`
}

// ListenConfig says where the node listens.
type ListenConfig struct {
	GRPC     string `koanf:"grpc" doc:"host:port for cameras, MES and the command line. Port 0: any free one."`
	Socket   string `koanf:"socket" doc:"Path of a Unix socket on which gRPC is served too: the cheapest way for cameras on the same host (address unix:///path). Empty: none."`
	HTTP     string `koanf:"http" doc:"host:port for /healthz, /readyz, /metrics and images. Port 0: any free one."`
	Hosts    string `koanf:"hosts" doc:"Names beside localhost by which the HTTP side may be asked for, separated by commas: node1, node1.plant. A request for another name is refused (421), because a web page could let its own name point to this node; one for an address is served. Empty: none."`
	Pprof    bool   `koanf:"pprof" doc:"Serve Go's profiles of the running node under /debug/pprof/ of the HTTP side (go tool pprof reads them). false: not."`
	Insecure bool   `koanf:"insecure" doc:"Allow addresses other than loopback although there is no authentication yet. false: refused."`
}

// LimitsConfig bounds what clients may ask for.
type LimitsConfig struct {
	FrameBytes    Bytes `koanf:"frame_bytes" doc:"Largest message of a camera's stream, in bytes (KiB, MiB and GiB are understood). Announced to the camera, which does not send more."`
	FramePixels   int   `koanf:"frame_pixels" doc:"Most pixels of one image, checked from its header before decoding."`
	StreamCredits int   `koanf:"stream_credits" doc:"Frames that one stream may have in flight."`
	InFlightBytes Bytes `koanf:"in_flight_bytes" doc:"Image bytes in flight over all streams; beyond it reading waits and cameras feel back-pressure. A frame counts from when it is whole: each stream may hold up to frame_bytes more of one that is still arriving."`
	Streams       int   `koanf:"streams" doc:"Streams that one connection may open."`
}

// ModelsConfig says where models come from and what runs them.
type ModelsConfig struct {
	Dir               string `koanf:"dir" doc:"Model repository: <dir>/<name>/<version>/model.onnx and model.yaml. Looked at before the models that ship inside the program. What is pushed is kept here. Empty: models in the data directory."`
	UploadBytes       Bytes  `koanf:"upload_bytes" doc:"Largest model version that may be pushed, all its files together."`
	OnMissingProvider string `koanf:"on_missing_provider" doc:"What to do when a model's execution provider (cuda, tensorrt, openvino) cannot be used here: fallback takes the next one, at last the CPU, and warns; refuse leaves the model out."`
	OnnxRuntime       string `koanf:"onnxruntime" doc:"Path of libonnxruntime. Empty: $ASSAY_ONNXRUNTIME_LIB, then beside the program, then the system's loader."`
}

// RecipesConfig says where recipes come from.
type RecipesConfig struct {
	Dir       string        `koanf:"dir" doc:"Directory of recipe files (*.yaml). Empty: none."`
	ScanEvery time.Duration `koanf:"scan_every" doc:"How often the directory is looked at for changes. 0: only at start."`
}

// InferenceConfig says how this node judges.
type InferenceConfig struct {
	Threads       int           `koanf:"threads" doc:"Native threads that decode or infer at the same time. 0: one for each core that the process may use."`
	Queue         int           `koanf:"queue" doc:"Frames that may wait for a thread; beyond it a frame is answered at once with reason OVERLOADED."`
	MaxBatchDelay time.Duration `koanf:"max_batch_delay" doc:"How long a batch may wait to be filled. 0: never, a batch is what is queued."`
	Measure       time.Duration `koanf:"measure" doc:"How long a model that was not measured on this machine yet may be measured when it is loaded, so that it runs in the way that is fastest here. 0: it is not, and runs by one thread a frame."`
}

// CustodyConfig bounds the desk.
type CustodyConfig struct {
	InFlight       int `koanf:"in_flight" doc:"Frames that may be at the desk at the same time; beyond it a frame is answered at once with reason OVERLOADED."`
	PoisonAttempts int `koanf:"poison_attempts" doc:"The delivery, counted from 1, from which on a frame that never got an answer is not judged any more (reason POISON)."`
	CommitGroup    int `koanf:"commit_group" doc:"Most frames recorded by one commit."`
}

// ImagesConfig says which images stay.
type ImagesConfig struct {
	Budget        Bytes `koanf:"budget" doc:"Bytes that images may take. Beyond it PASS images go first, then reviewed ones, last what nobody has reviewed. 0: no limit but min_free."`
	MinFree       Bytes `koanf:"min_free" doc:"Free bytes to leave on the data disk for the database. Below it images go, and new ones are not written. 0: none."`
	PassDays      int   `koanf:"pass_days" doc:"Days to keep images of PASS frames (recipes say which are kept at all). 0: until the budget is used."`
	Days          int   `koanf:"days" doc:"Days to keep all other images. 0: until the budget is used."`
	KeepSimulated bool  `koanf:"keep_simulated" doc:"Keep images of simulated frames as if they were real. false: none of them."`
}

// LogConfig says what is logged.
type LogConfig struct {
	Level  string `koanf:"level" doc:"debug, info, warn or error."`
	Format string `koanf:"format" doc:"text: one line for people; json: one object an entry, for collectors."`
}

// Default returns the configuration that we would deploy on one machine.
func Default() Config {
	return Config{
		Node:      NodeConfig{DataDir: "assay-data"},
		Listen:    ListenConfig{GRPC: "127.0.0.1:7070", HTTP: "127.0.0.1:7071"},
		Limits:    LimitsConfig{FrameBytes: 64 << 20, FramePixels: 128 << 20, StreamCredits: 8, InFlightBytes: 256 << 20, Streams: 1024},
		Models:    ModelsConfig{OnMissingProvider: "fallback", UploadBytes: 512 << 20},
		Recipes:   RecipesConfig{ScanEvery: 2 * time.Second},
		Inference: InferenceConfig{Queue: 1024, Measure: 3 * time.Second},
		Custody:   CustodyConfig{InFlight: 4096, PoisonAttempts: 3, CommitGroup: 256},
		Images:    ImagesConfig{Budget: 50 << 30, MinFree: 512 << 20, PassDays: 7, Days: 90},
		Log:       LogConfig{Level: "info", Format: "text"},
	}
}

// Validate names every field that cannot work, with the remedy.
func (c Config) Validate() error {
	var p problems
	p.require(c.Node.DataDir != "", "node.data_dir", "is empty: name a directory on a local disk")
	p.require(isHostPort(c.Listen.GRPC), "listen.grpc", "%q is not host:port: write it like 127.0.0.1:7070", c.Listen.GRPC)
	p.require(isHostPort(c.Listen.HTTP), "listen.http", "%q is not host:port: write it like 127.0.0.1:7071", c.Listen.HTTP)
	p.require(c.Limits.FrameBytes >= 1<<10 && c.Limits.FrameBytes <= 1<<30, "limits.frame_bytes", "%v: give 1KiB to 1GiB", c.Limits.FrameBytes)
	p.require(c.Limits.FramePixels > 0, "limits.frame_pixels", "%d: give at least 1", c.Limits.FramePixels)
	p.require(c.Limits.StreamCredits > 0 && c.Limits.StreamCredits <= 1<<16, "limits.stream_credits", "%d: give 1 to 65536", c.Limits.StreamCredits)
	p.require(c.Limits.InFlightBytes >= c.Limits.FrameBytes, "limits.in_flight_bytes", "%v is less than limits.frame_bytes %v: one frame must fit", c.Limits.InFlightBytes, c.Limits.FrameBytes)
	p.require(c.Limits.Streams > 0, "limits.streams", "%d: give at least 1", c.Limits.Streams)
	p.require(c.Models.OnMissingProvider == "fallback" || c.Models.OnMissingProvider == "refuse", "models.on_missing_provider", "%q: give fallback or refuse", c.Models.OnMissingProvider)
	p.require(c.Models.UploadBytes >= 1<<10, "models.upload_bytes", "%v: give at least 1KiB", c.Models.UploadBytes)
	p.require(c.Recipes.ScanEvery >= 0, "recipes.scan_every", "%v is negative: give 0 or more", c.Recipes.ScanEvery)
	p.require(c.Inference.Threads >= 0, "inference.threads", "%d is negative: give 0 or more", c.Inference.Threads)
	p.require(c.Inference.Queue > 0, "inference.queue", "%d: give at least 1", c.Inference.Queue)
	p.require(c.Inference.MaxBatchDelay >= 0, "inference.max_batch_delay", "%v is negative: give 0 or more", c.Inference.MaxBatchDelay)
	p.require(c.Inference.Measure >= 0, "inference.measure", "%v is negative: give 0 or more", c.Inference.Measure)
	p.require(c.Custody.InFlight > 0, "custody.in_flight", "%d: give at least 1", c.Custody.InFlight)
	p.require(c.Custody.PoisonAttempts > 1, "custody.poison_attempts", "%d: give at least 2, or a frame would never be judged", c.Custody.PoisonAttempts)
	p.require(c.Custody.CommitGroup > 0, "custody.commit_group", "%d: give at least 1", c.Custody.CommitGroup)
	p.require(c.Images.Budget >= 0 && c.Images.MinFree >= 0, "images.budget", "and min_free must not be negative")
	p.require(c.Images.PassDays >= 0 && c.Images.Days >= 0, "images.days", "and pass_days must not be negative")
	p.require(logLevels[c.Log.Level] != nil, "log.level", "%q: give debug, info, warn or error", c.Log.Level)
	p.require(c.Log.Format == "text" || c.Log.Format == "json", "log.format", "%q: give text or json", c.Log.Format)
	return p.err()
}

// hosts returns the names of Hosts.
func (c ListenConfig) hosts() []string {
	var names []string
	for name := range strings.SplitSeq(c.Hosts, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// checkDirs names each directory that is configured and not there. They are looked at before anything is opened, so that
// a slip of the pen leaves no data directory behind.
func (c Config) checkDirs() error {
	var p problems
	for _, d := range [...]struct{ key, dir, remedy string }{
		{"models.dir", c.Models.Dir, "name the model repository, or leave the key out to use the models that ship"},
		{"recipes.dir", c.Recipes.Dir, "make it, or name the directory that holds the recipe files"},
	} {
		if d.dir == "" {
			continue
		}
		info, err := os.Stat(d.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p.require(false, d.key, "%s does not exist: %s", d.dir, d.remedy)
		case err != nil:
			p.require(false, d.key, "cannot be looked at: %v: %s", err, d.remedy)
		default:
			p.require(info.IsDir(), d.key, "%s is no directory: %s", d.dir, d.remedy)
		}
	}
	return p.err()
}

// Name returns the node's name: the configured one, or the host's.
func (c Config) Name() string {
	if c.Node.Name != "" {
		return c.Node.Name
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		return h
	}
	return "assay"
}

// problems collects what is wrong with a configuration, so that all of it is told at once.
type problems []string

func (p *problems) require(ok bool, field, format string, args ...any) {
	if !ok {
		*p = append(*p, field+" "+fmt.Sprintf(format, args...))
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("configuration: %s", strings.Join(p, "; "))
}

// Bytes is a number of bytes that reads and writes as 64MiB, 50GiB or a plain number.
type Bytes int64

// String writes whole binary units where they fit, and the plain number otherwise.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if b != 0 && b%u.size == 0 {
			return fmt.Sprintf("%d%s", b/u.size, u.name)
		}
	}
	return fmt.Sprint(int64(b))
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is no size: write a number of bytes, or one with KiB, MiB or GiB", text)
	}
	*b = Bytes(n)
	return nil
}
