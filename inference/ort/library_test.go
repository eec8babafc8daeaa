package ort

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-vision/assay/inspection"
)

// fakeLibrary compiles a shared library from C.
func fakeLibrary(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	src, out := filepath.Join(dir, "fake.c"), filepath.Join(dir, "libonnxruntime.so")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("cc", "-shared", "-fPIC", "-o", out, src).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v: %s", err, b)
	}
	return out
}

func TestFindLibrarySaysWhatIsWrong(t *testing.T) {
	old := fakeLibrary(t, `
		static const char *version(void) { return "1.23.2"; }
		static const void *api(unsigned v) { return 0; }
		static struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};
		void *OrtGetApiBase(void) { return &base; }`)
	for _, c := range []struct{ name, path, want string }{
		{"missing", "/nowhere/libonnxruntime.so", "/nowhere/libonnxruntime.so"},
		{"another library", fakeLibrary(t, "int x;"), "it is no ONNX Runtime"},
		{"too old", old, "1.23.2"},
	} {
		_, _, err := findLibrary(c.path)
		if !errors.Is(err, inspection.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "make setup") {
			t.Errorf("%s: got %v, want ErrUnavailable that names %q and `make setup`", c.name, err, c.want)
		}
		t.Setenv(LibraryEnv, c.path)
		if _, _, again := findLibrary(""); again == nil || again.Error() != err.Error() {
			t.Errorf("%s, named by %s: got %v, want %v", c.name, LibraryEnv, again, err)
		}
	}
}

func TestNewEnough(t *testing.T) {
	for v, want := range map[string]bool{"1.24.3": true, "1.30.0": true, "2.0.0": true, "1.23.2": false, "0.99.0": false, "1.9.1": false, "": false, "x.y": false} {
		if got := newEnough(v); got != want {
			t.Errorf("%q: got %v, want %v", v, got, want)
		}
	}
}

func TestOneLibraryPerProcess(t *testing.T) {
	first, second := newRuntime(t, Config{}), newRuntime(t, Config{})
	if first.Version() != second.Version() || !newEnough(first.Version()) || first.Library() == "" {
		t.Errorf("got versions %q and %q from %q", first.Version(), second.Version(), first.Library())
	}
	_ = first.Close()
	open(t, second, shipped(t)) // the first one's end is not the second one's
	if _, err := New(Config{Library: "/other/libonnxruntime.so"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); !errors.Is(err, inspection.ErrUnavailable) || !strings.Contains(err.Error(), first.Library()) {
		t.Errorf("another library: got %v, want ErrUnavailable that names the loaded one", err)
	}
}
