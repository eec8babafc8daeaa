package plan

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

var someKey = Key{Model: "abc", Device: "cpu", CPU: "Some CPU @ 3 GHz", Cores: 2, Threads: 2, Library: "onnxruntime 1.24.3"}

// keepOne measures a made-up model into dir.
func keepOne(t *testing.T, dir string) (p Plan) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if p, err = planner(t, dir).Measure(t.Context(), someKey, twoCores(), &bench{law: perSample(20*ms, 11*ms)}); err != nil {
			t.Fatal(err)
		}
	})
	return p
}

func TestAPlanIsFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plans")
	want := keepOne(t, dir)
	got, ok := planner(t, dir).Lookup(someKey)
	if !ok || !got.Cached || want.Cached {
		t.Fatalf("found %v, cached %v; want it found, and cached only now", ok, got.Cached)
	}
	got.Cached = false
	if !got.Measured.Equal(want.Measured) {
		t.Errorf("measured %v, want %v", got.Measured, want.Measured)
	}
	got.Measured = want.Measured
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	for name, change := range map[string]func(*Key){
		"model":   func(k *Key) { k.Model = "abd" },
		"device":  func(k *Key) { k.Device = "cuda:0" },
		"cpu":     func(k *Key) { k.CPU = "Another" },
		"cores":   func(k *Key) { k.Cores = 4 },
		"threads": func(k *Key) { k.Threads = 1 },
		"library": func(k *Key) { k.Library = "onnxruntime 1.25.0" },
	} {
		k := someKey
		change(&k)
		if _, ok := planner(t, dir).Lookup(k); ok {
			t.Errorf("the plan was found for another %s", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestABadFileIsPassedOverAndReplaced(t *testing.T) {
	dir := t.TempDir()
	keepOne(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got files %v, %v; want one", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty":             {},
		"cut off":           good[:len(good)/2],
		"noise":             []byte("\x00\xff noise"),
		"another format":    bytes.Replace(good, []byte(`"format": 1`), []byte(`"format": 99`), 1),
		"another model's":   bytes.Replace(good, []byte(`"model": "abc"`), []byte(`"model": "xyz"`), 1),
		"chooses nothing":   []byte(`{"format":1,"key":{"model":"abc","device":"cpu","cpu":"Some CPU @ 3 GHz","cores":2,"threads":2,"library":"onnxruntime 1.24.3"}}`),
		"of another shape":  []byte(`[1, 2]`),
		"null":              []byte(`null`),
		"a number for text": bytes.Replace(good, []byte(`"device": "cpu"`), []byte(`"device": 7`), 1),
	} {
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: the file was not changed", name)
		}
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		p, err := New(Config{Dir: dir}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Lookup(someKey); ok {
			t.Errorf("%s: got the plan %+v, want none", name, got)
		}
		if n := strings.Count(log.String(), "passed over"); n != 1 {
			t.Errorf("%s: logged %q, want one line that it is passed over", name, &log)
		}
	}
	keepOne(t, dir)
	if _, ok := planner(t, dir).Lookup(someKey); !ok {
		t.Error("a bad file was not replaced by the next measurement")
	}
}

func TestNoDirectoryKeepsNothing(t *testing.T) {
	keepOne(t, "")
	if _, ok := planner(t, "").Lookup(someKey); ok {
		t.Error("found a plan though there is no directory")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := keepOne(t, file); p.Choice.Throughput.Runs == 0 { // cannot be kept there, but is a plan
		t.Errorf("got %+v, want a plan", p)
	}
}
