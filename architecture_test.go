// Package assay holds no code: every folder of the project is a room with one job, and the test here keeps the doors
// between the rooms. It reads the import lines of every .go file, whatever its build tags, and compares them with the
// house below.
package assay

import (
	"os"
	"testing"
)

// module is the path that go.mod gives this project.
const module = "github.com/assay-vision/assay"

// A room is a folder with the sub-folders that have no row of their own.
type room struct {
	path string
	// ours lists the rooms that it may import. A sub-folder with a row of its own must be named by itself.
	ours []string
	// outside lists the modules, and the guarded packages of the standard library, that it may import.
	outside []string
}

// house is the table of rooms: change it only together with an ADR that says why. A folder of Go that is in no row fails
// the test. Test code (_test.go files, and folders named ...test such as storetest) may import what it needs, see
// testsOf for the exception.
var house = []room{
	// The words and the rules: the standard library alone, and not even its logger.
	{path: "inspection"},
	{
		path:    "inspection/recipe",
		ours:    []string{"inspection"},
		outside: []string{"go.yaml.in/yaml/v3"},
	},
	// The wire.
	{
		path:    "proto",
		ours:    []string{"inspection"},
		outside: []string{"google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		path:    "models", // and models/onnx, which reads graphs
		ours:    []string{"inspection"},
		outside: []string{"go.yaml.in/yaml/v3"},
	},
	// Judging on this node. It never sees cluster, store or server.
	{
		path: "inference",
		ours: []string{"inspection", "models", "inference/imaging", "inference/plan", "inference/schedule"},
	},
	{
		// How a model runs best on this machine. It knows no session: whoever measures hands one in.
		path: "inference/plan",
		ours: []string{"inspection"},
	},
	{
		// What runs next. Pure: no goroutine, no clock.
		path: "inference/schedule",
		ours: []string{"inspection"},
	},
	{
		// The one place with ONNX Runtime. inspection is for its sentinel errors, models for the manifests it checks, x/sys for
		// the processors that its threads are kept apart on.
		path:    "inference/ort",
		ours:    []string{"inspection", "models", "inference"},
		outside: []string{"github.com/yalue/onnxruntime_go", "C", "golang.org/x/sys"},
	},
	{
		// The one place with OpenCV and libturbojpeg, but for video.
		path:    "inference/imaging",
		ours:    []string{"inspection"},
		outside: []string{"gocv.io/x/gocv", "C"},
	},
	// Who else is alive. It never sees inference.
	{
		path:    "cluster",
		ours:    []string{"inspection", "proto"},
		outside: []string{"github.com/hashicorp/memberlist", "google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		path:    "custody",
		ours:    []string{"inspection"},
		outside: []string{"github.com/zeebo/xxh3"},
	},
	{
		path: "store",
		ours: []string{"inspection"},
		outside: []string{
			"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3",
			"github.com/minio/minio-go/v7", "golang.org/x/sys", "github.com/zeebo/xxh3",
		},
	},
	{
		path:    "delivery",
		ours:    []string{"inspection", "store"},
		outside: []string{"github.com/eclipse/paho.golang", "github.com/simonvetter/modbus", "net/http"},
	},
	{
		path: "server",
		ours: []string{"inspection", "inspection/recipe", "proto", "inference/imaging"},
		outside: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
			"github.com/grpc-ecosystem/grpc-gateway/v2", "net/http",
		},
	},
	// The operator's page talks to server's API like anyone else.
	{
		path:    "review",
		outside: []string{"net/http"},
	},
	{
		path:    "camera",
		ours:    []string{"inspection", "proto"},
		outside: []string{"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/oklog/ulid/v2"},
	},
	{
		path: "camera/synthetic",
		ours: []string{"inspection", "camera"},
	},
	{
		path:    "camera/video",
		ours:    []string{"inspection", "camera"},
		outside: []string{"gocv.io/x/gocv"},
	},
	// One running node: all rooms but the camera's.
	{
		path: "node",
		ours: []string{
			"inspection", "inspection/recipe", "proto", "models", "inference", "inference/ort", "inference/imaging",
			"inference/plan", "cluster", "custody", "store", "delivery", "server", "review",
		},
		outside: []string{
			"github.com/knadh/koanf", "github.com/go-viper/mapstructure/v2", "github.com/dustin/go-humanize",
			"google.golang.org/grpc", "github.com/oklog/ulid/v2", "golang.org/x/sys", "net/http",
			"github.com/prometheus/client_model", // status reads the counters that /metrics shows
		},
	},
	{
		path: "cmd",
		ours: []string{"inspection", "proto", "models", "node", "camera", "camera/synthetic", "camera/video"},
		outside: []string{
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3",
			"github.com/dustin/go-humanize", "golang.org/x/term",
			"google.golang.org/grpc", "google.golang.org/protobuf", "net/http",
		},
	},
	// The guides. There is no code but the tests that keep them true, and those look into every room.
	{path: "docs"},
	{
		path: "benchmarks",
		ours: []string{
			"inspection", "proto", "node", "camera", "camera/synthetic", "camera/video", "inference", "inference/ort",
			"benchmarks/raw",
		},
		outside: []string{"google.golang.org/grpc", "google.golang.org/protobuf", "net/http"},
	},
	{
		// What the benchmarks compare with: the runtime without the engine. The decoders are inference's.
		path:    "benchmarks/raw",
		ours:    []string{"inspection", "models", "inference", "inference/imaging", "inference/ort"},
		outside: []string{"github.com/yalue/onnxruntime_go"},
	},
}

// everywhere lists what each room may import besides, but for the strict ones.
var everywhere = []string{"log/slog", "github.com/prometheus/client_golang", "golang.org/x/sync"}

// strict names the rooms that get nothing from everywhere.
var strict = []string{"inspection"}

// guarded lists packages of the standard library that a room may import only if its row says so: SQL belongs to store,
// C to the two rooms around native libraries, HTTP to the rooms with a port or a sink.
var guarded = []string{"C", "database/sql", "net/http", "log/slog"}

// testsOf names the rooms whose test code is held to a list too: besides the room itself it may import these.
var testsOf = map[string][]string{
	"inspection": {"pgregory.net/rapid"},
}

// nativeTag is the build tag of files that need OpenCV or another C library to compile: nativeModules' importers, and
// cgo files that link. Without the tag the folder's stub takes their place, so that a plain `go build ./...` works.
const nativeTag = "gocv_specific_modules"

// nativeModules lists the modules that compile only where their C library is installed.
var nativeModules = []string{"gocv.io/x/gocv"}

func TestEveryImportIsAllowedByTheHouse(t *testing.T) {
	complaints, err := inspectHouse(os.DirFS("."), house)
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}
