//go:build gocv_specific_modules

// The tests of this package start the real program, as an operator does, and kill it, starve it and drain it.
package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// workspace is where the program is built; it goes when the tests have ended.
var workspace string

func TestMain(m *testing.M) {
	var err error
	if workspace, err = os.MkdirTemp("", "assayd-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(workspace); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}))
}

// builtOnce builds assayd, with the failpoint that no shipped program has. Without ASSAY_FAILPOINT it does nothing.
var builtOnce = sync.OnceValues(func() (string, error) {
	program := filepath.Join(workspace, "assayd")
	out, err := exec.Command("go", "build", "-tags", strings.Join(append(goflagsTags(), "assay_failpoint"), ","), "-o", program, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build assayd: %w\n%s", err, out)
	}
	return program, nil
})

// goflagsTags returns the build tags of $GOFLAGS, which a -tags on the command line would override.
func goflagsTags() []string {
	var tags []string
	for flag := range strings.FieldsSeq(os.Getenv("GOFLAGS")) {
		if list, ok := strings.CutPrefix(strings.TrimLeft(flag, "-"), "tags="); ok {
			tags = strings.Split(list, ",")
		}
	}
	if len(tags) == 0 { // this file is compiled with the tag, which then came in by the command line
		tags = []string{"gocv_specific_modules", "gocv_videoio"}
	}
	return tags
}

// built returns the path of the program.
func built(t *testing.T) string {
	t.Helper()
	program, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// exitStatus is a process's, and -1 for one that a signal ended.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -2
}
