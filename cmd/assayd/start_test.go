//go:build gocv_specific_modules

package main_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-vision/assay/models"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// TestItSaysWhyItCannotStart: each fault that an operator can make ends the program with status 1 and one message that
// names the thing and the remedy.
func TestItSaysWhyItCannotStart(t *testing.T) {
	file := func(t *testing.T, name, text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		// fault spoils the site and returns further arguments and environment.
		fault func(t *testing.T, s *site) (args, env []string)
		want  []string
	}{
		{"ONNX Runtime is missing", func(*testing.T, *site) (args, env []string) {
			return nil, []string{"ASSAY_ONNXRUNTIME_LIB=/nonexistent/libonnxruntime.so.1"}
		}, []string{"ONNX Runtime was not found", "/nonexistent/libonnxruntime.so.1", "make setup", "ASSAY_ONNXRUNTIME_LIB"}},
		{"ONNX Runtime is no library", func(t *testing.T, _ *site) (args, env []string) {
			return []string{"--set", "models.onnxruntime=" + file(t, "libonnxruntime.so.1", "a text")}, nil
		}, []string{"ONNX Runtime was not found", "libonnxruntime.so.1", "make setup", "models.onnxruntime"}},
		{"ONNX Runtime is too old", func(t *testing.T, _ *site) (args, env []string) {
			return nil, []string{"ASSAY_ONNXRUNTIME_LIB=" + oldRuntime(t)}
		}, []string{"ONNX Runtime 1.10.0", "too old", "1.24 or newer", "make setup"}},
		{"the port of gRPC is in use", func(t *testing.T, s *site) (args, env []string) {
			s.grpc = taken(t)
			return nil, nil
		}, []string{"port is in use", "listen.grpc", "ss -ltnp"}},
		{"the port of HTTP is in use", func(t *testing.T, s *site) (args, env []string) {
			s.http = taken(t)
			return nil, nil
		}, []string{"port is in use", "listen.http", "ss -ltnp"}},
		{"a key is unknown", func(*testing.T, *site) (args, env []string) {
			return []string{"--set", "listen.grcp=127.0.0.1:7070"}, nil
		}, []string{"listen.grcp", "did you mean", "listen.grpc", "assayd config"}},
		{"a key of the file is unknown", func(t *testing.T, _ *site) (args, env []string) {
			return []string{"--config", file(t, "assay.yaml", "images:\n  pass_day: 3\n")}, nil
		}, []string{"images.pass_day", "did you mean", "images.pass_days", "assay.yaml"}},
		{"a variable of the environment is unknown", func(*testing.T, *site) (args, env []string) {
			return nil, []string{"ASSAYD_NODE__NAM=x"}
		}, []string{"node.nam", "did you mean", "node.name", "ASSAYD_"}},
		{"a value does not fit", func(*testing.T, *site) (args, env []string) {
			return []string{"--set", "recipes.scan_every=5"}, nil
		}, []string{"recipes.scan_every", "unit"}},
		{"there is no such file", func(*testing.T, *site) (args, env []string) {
			return []string{"--config", "/nonexistent/assay.yaml"}, nil
		}, []string{"/nonexistent/assay.yaml", "--config"}},
		{"the data is of another version", func(t *testing.T, s *site) (args, env []string) {
			if err := os.MkdirAll(s.data, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(s.data, "FORMAT"), []byte("assay-data 99\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return nil, nil
		}, []string{"assay-data 99", "assay-data 1", "node.data_dir"}},
		{"the data is another node's", func(_ *testing.T, s *site) (args, env []string) {
			other := *s
			other.grpc, other.http = freeAddr(s.t), freeAddr(s.t)
			other.start().ready()
			return nil, nil
		}, []string{"in use by another node", "node.data_dir"}},
		{"the address can be reached by everybody", func(_ *testing.T, s *site) (args, env []string) {
			s.grpc = "0.0.0.0:0"
			return nil, nil
		}, []string{"0.0.0.0", "no authentication", "--insecure", "127.0.0.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "", generous)
			args, env := c.fault(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, built(t), s.args(args...)...)
			cmd.Env = append(os.Environ(), env...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if got := exitStatus(cmd.Run()); got != 1 {
				t.Errorf("exit status %d, want 1", got)
			}
			logged, message, told := strings.Cut("\n"+stderr.String(), "\nassayd: ")
			if !told {
				t.Fatalf("there is no message of the program in %q", logged)
			}
			for _, want := range c.want {
				if !strings.Contains(message, want) {
					t.Errorf("the message does not say %q: %s", want, message)
				}
			}
		})
	}
}

// TestInsecureAllowsEveryAddress: the remedy of the last fault works.
func TestInsecureAllowsEveryAddress(t *testing.T) {
	s := newSite(t, "", generous)
	_, port, err := net.SplitHostPort(s.grpc)
	if err != nil {
		t.Fatal(err)
	}
	open := *s
	open.grpc, open.set = "0.0.0.0:"+port, []string{"listen.insecure=true"}
	node := open.start()
	node.site = s // which dials it by loopback
	node.ready().terminate(drainTime)
}

// taken is an address on which this process listens.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// oldRuntime compiles a library that says it is ONNX Runtime 1.10.
func oldRuntime(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, library := filepath.Join(dir, "old.c"), filepath.Join(dir, "libonnxruntime.so.1")
	const text = `
#include <stdint.h>
static const void *api(uint32_t version) { return 0; }
static const char *version(void) { return "1.10.0"; }
static const struct { const void *(*api)(uint32_t); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }
`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("compile a library: %v: %s", err, out)
	}
	return library
}

// TestRecipesThatCannotJudgeSayWhy: a node with a corrupt model, and one whose recipe names a model that is not there, is
// up, is not ready, and says why; the recipes beside them judge.
func TestRecipesThatCannotJudgeSayWhy(t *testing.T) {
	s := newSite(t, "", generous)
	shipped := filepath.Join("..", "..", "models", "pcb-pair", "1")
	graph, err := os.ReadFile(filepath.Join(shipped, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(shipped, "model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	repository := t.TempDir()
	version := filepath.Join(repository, "cut-off", "1")
	if err := os.MkdirAll(version, 0o750); err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile(filepath.Join(s.recipes, recipeName+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ofModel := func(name, model string) []byte {
		text := strings.Replace(string(recipe), "name: "+recipeName, "name: "+name, 1)
		return []byte(strings.Replace(text, "model: pcb-pair", "model: "+model, 1))
	}
	for path, data := range map[string][]byte{
		filepath.Join(version, "model.onnx"):       graph[:len(graph)/2],
		filepath.Join(version, "model.yaml"):       models.Without(manifest, "golden", "variants"),
		filepath.Join(s.recipes, "corrupt.yaml"):   ofModel("corrupt", "cut-off"),
		filepath.Join(s.recipes, "elsewhere.yaml"): ofModel("elsewhere", "no-such-model"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.set = []string{"models.dir=" + repository}
	node := s.start()
	conn := s.dial()
	want := map[string][]string{"corrupt": {"cut-off@1", "damaged", "copy it again"}, "elsewhere": {"no-such-model", "pcb-pair"}}
	recipes := map[string]*assayv1.Recipe{}
	s.until("every recipe was tried", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		list, err := assayv1.NewRecipeServiceClient(conn).ListRecipes(ctx, &assayv1.ListRecipesRequest{})
		for _, r := range list.GetRecipes() {
			recipes[r.GetRef().GetName()] = r
		}
		return err == nil && len(recipes) == 3 && !strings.Contains(recipes["corrupt"].GetMessage()+recipes["elsewhere"].GetMessage()+recipes[recipeName].GetMessage(), "being loaded")
	})
	status := s.status(conn)
	reasons := strings.Join(status.GetReasons(), "\n")
	if status.GetReady() {
		t.Error("the node is ready with two recipes that cannot judge")
	}
	for name, words := range want {
		if recipes[name].GetReady() {
			t.Errorf("recipe %s is ready", name)
		}
		for _, word := range append(words, name) {
			if !strings.Contains(reasons, word) {
				t.Errorf("the node's reasons do not say %q: %s", word, reasons)
			}
		}
		if got := recipes[name].GetMessage(); !strings.Contains(got, words[0]) {
			t.Errorf("recipe %s says %q, want the model %s", name, got, words[0])
		}
	}
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "cut-off") {
		t.Errorf("/readyz gives %d %s, want 503 and the model", code, body)
	}
	if code, body := s.get("/healthz"); code != 200 {
		t.Errorf("/healthz gives %d %s, want 200: a restart would mend nothing", code, body)
	}
	if !recipes[recipeName].GetReady() {
		t.Errorf("recipe %s is not ready: %s", recipeName, recipes[recipeName].GetMessage())
	}
	t.Log(reasons)
	node.terminate(drainTime)
}

// TestWrongUsageEndsWithTwo: what was typed wrong is told apart from what went wrong.
func TestWrongUsageEndsWithTwo(t *testing.T) {
	for _, arg := range []string{"--frobnicate", "frobnicate"} {
		var stderr strings.Builder
		cmd := exec.CommandContext(t.Context(), built(t), arg)
		cmd.Stderr = &stderr
		if got := exitStatus(cmd.Run()); got != 2 {
			t.Errorf("assayd %s: exit status %d, want 2", arg, got)
		}
		if !strings.Contains(stderr.String(), "frobnicate") || !strings.Contains(stderr.String(), "assayd --help") {
			t.Errorf("assayd %s: got %q, want what was wrong and where to look", arg, stderr.String())
		}
	}
}
