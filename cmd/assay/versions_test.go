package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shippedVersion is a copy of the model that ships, as version 2.
func shippedVersion(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pcb-pair", "2")
	if err := os.CopyFS(dir, os.DirFS("../../models/pcb-pair/1")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A version's life by the programs: its golden set is recorded, it is pushed, judges, is rolled back and removed.
func TestAVersionsLifeByCommands(t *testing.T) {
	dir := shippedVersion(t)
	record := exec.CommandContext(t.Context(), filepath.Join(bin, "assayd"), "golden", dir, "--rendered", "1", "--write")
	if out, err := record.CombinedOutput(); err != nil {
		t.Fatalf("record the golden set: %v\n%s", err, out)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(manifest); strings.Count(text, "golden:") != 1 || strings.Count(text, "- image: golden/board-1.png") != 1 || strings.Contains(text, "board-2") || !strings.Contains(text, "{class:") {
		t.Errorf("the manifest has this golden set:\n%s", text)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "golden", "*")); err != nil || len(left) != 2 {
		t.Errorf("golden/ holds %q, want the one picture and its template", left)
	}
	n := node(t)
	for _, step := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"activate", "pcb-pair@2"}, 1, []string{`no version "2"`, "version 1 stays active"}},
		{[]string{"push", dir}, 0, []string{"pcb-pair@2 pushed: digest ", "assay models activate pcb-pair@2"}},
		{[]string{"push", dir}, 0, []string{"pcb-pair@2 was there already"}},
		{[]string{"push", "../../models/pcb-pair/1", "--as", "pcb-pair@2"}, 1, []string{"exists already", "a number of its own"}},
		{[]string{"push", "../../models"}, 1, []string{"no folder of a model version"}},
		{[]string{"rollback", "pcb-pair"}, 1, []string{"no version of pcb-pair was active before"}},
		{[]string{"activate", "pcb-pair@2", "--by", "ann", "--reason", "new lot"}, 0, []string{"version 2 is active, 1 was before"}},
		{[]string{"activate", "pcb-pair@2"}, 0, []string{"is active already"}},
		{[]string{"rm", "pcb-pair@2"}, 1, []string{"is the active version"}},
		{[]string{"rollback", "pcb-pair", "--by", "bob"}, 0, []string{"version 1 is active, 2 was before"}},
		{[]string{"history", "pcb-pair"}, 0, []string{"rollback", "bob", "activate", "ann", "new lot", "keep"}},
		{[]string{"history", "nobody"}, 0, []string{"Nothing was activated yet."}},
		{[]string{"activate", "pcb-pair"}, 2, []string{"write name@version"}},
	} {
		out, errs, status := assay(t, nil, append([]string{"--addr", n.grpc, "models"}, step.args...)...)
		if status != step.status {
			t.Errorf("%v: exit status %d, want %d\n%s%s", step.args, status, step.status, out, errs)
		}
		contains(t, out+errs, step.says...)
	}
}
