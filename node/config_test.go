package node

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadLaysFileEnvironmentAndSetOverDefaults(t *testing.T) {
	path := write(t, "listen:\n  grpc: 127.0.0.1:1111\n  http: 127.0.0.1:2222\nlimits:\n  frame_bytes: 8MiB\nrecipes:\n  scan_every: 150ms\nimages:\n  budget: 1048576\n")
	cfg, err := Load(path, []string{"ASSAYD_LISTEN__HTTP=127.0.0.1:3333", "ASSAYD_INFERENCE__THREADS=7", "HOME=/x"}, []string{"inference.threads=1", "images.keep_simulated=true"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen.GRPC, want.Listen.HTTP = "127.0.0.1:1111", "127.0.0.1:3333"
	want.Limits.FrameBytes, want.Recipes.ScanEvery, want.Inference.Threads = 8<<20, 150*time.Millisecond, 1
	want.Images.Budget, want.Images.KeepSimulated = 1<<20, true
	if cfg != want {
		t.Errorf("Load = %+v\nwant   %+v", cfg, want)
	}
}

func TestLoadErrorsNameFieldAndRemedy(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		env, set   []string
		want       []string
	}{
		{"unknown key in the file", "listen:\n  gprc: 127.0.0.1:1\n", nil, nil, []string{`"listen.gprc"`, `did you mean "listen.grpc"`, "assayd config"}},
		{"unknown section", "listne:\n  grpc: 127.0.0.1:1\n", nil, nil, []string{`"listne.grpc"`, `"listen.grpc"`}},
		{"unknown key in the environment", "", []string{"ASSAYD_IMAGES__BUGDET=1"}, nil, []string{`"images.bugdet"`, `"images.budget"`}},
		{"unknown key in --set", "", nil, []string{"log.levle=debug"}, []string{`"log.levle"`, `"log.level"`}},
		{"no key=value", "", nil, []string{"log.level"}, []string{"--set", "key=value"}},
		{"a duration without a unit", "recipes:\n  scan_every: 5\n", nil, nil, []string{"scan_every", "unit"}},
		{"a size that is none", "images:\n  budget: lots\n", nil, nil, []string{"budget", "GiB"}},
		{"a word for a number", "custody:\n  in_flight: many\n", nil, nil, []string{"in_flight", "assayd config"}},
		{"out of range", "custody:\n  poison_attempts: 1\nlog:\n  level: loud\n", nil, nil, []string{"custody.poison_attempts", "at least 2", "log.level", "debug"}},
		{"no YAML", "listen: [", nil, nil, []string{"assay.yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(write(t, tc.file), tc.env, tc.set)
			if err == nil {
				t.Fatal("Load took it")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q has several lines", err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
	if _, err := Load("/no/such/assay.yaml", nil, nil); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("missing file: %v", err)
	}
}

func TestPrintedConfigurationLoadsBack(t *testing.T) {
	cfg := Default()
	cfg.Node.Name, cfg.Limits.FrameBytes, cfg.Images.Budget = "press 3: \"left\"", 12345, 3<<40
	var b bytes.Buffer
	if err := cfg.Print(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Load(write(t, b.String()), nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if got != cfg {
		t.Errorf("got  %+v\nwant %+v", got, cfg)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	var check func(reflect.Type, string)
	check = func(typ reflect.Type, prefix string) {
		for f := range fields(typ) {
			key := prefix + f.Tag.Get("koanf")
			if len(f.Tag.Get("doc")) < 15 || f.Tag.Get("koanf") == "" {
				t.Errorf("%s (%s) has no doc or no key", key, f.Name)
			}
			if f.Type.Kind() == reflect.Struct {
				check(f.Type, key+".")
			}
		}
	}
	check(reflect.TypeFor[Config](), "")
}

func TestAnEmptySectionMeansItsDefaults(t *testing.T) {
	cfg, err := Load(write(t, "listen:\nlog:\n  # level: debug\n"), nil, nil)
	if err != nil || cfg != Default() {
		t.Errorf("Load = %+v, %v", cfg, err)
	}
}
