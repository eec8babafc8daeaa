package models

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/assay-vision/assay/inspection"
)

// shelf is a repository that can be changed, over one that cannot.
type shelf struct {
	*Repository
	t      *testing.T
	dir    string
	record string
	behind fstest.MapFS
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	dir := t.TempDir()
	s := &shelf{t: t, dir: filepath.Join(dir, "models"), record: filepath.Join(dir, "activations.jsonl"), behind: fstest.MapFS{}}
	version(s.behind, "pair/1", "graph 1")
	s.reopen()
	return s
}

// reopen is a restart.
func (s *shelf) reopen() {
	s.t.Helper()
	var err error
	if s.Repository, err = OpenWritable(Writable{Dir: s.dir, Record: s.record, MaxBytes: 1 << 20}, Root{"(shipped)", s.behind}); err != nil {
		s.t.Fatal(err)
	}
}

// taken is a graph that a node takes; salt makes it another one.
func taken(salt string) []byte {
	return append(append(imports("", 17), message(2, []byte(salt))...), graphOf(1, 4)...)
}

func shaOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// files are what a push brings, in an order of their own.
type files map[string][]byte

func goodFiles(salt string) files {
	return files{GraphFile: taken(salt), ManifestFile: []byte(minimal + oneGolden), "golden/a.png": []byte("picture")}
}

// push uploads files; change may alter what is said of each.
func (s *shelf) push(name, version string, all files, change func(name string, size *int64, sha *string, data *[]byte)) (inspection.ModelRef, bool, error) {
	s.t.Helper()
	u, err := s.Begin(name, version)
	if err != nil {
		return inspection.ModelRef{}, false, err
	}
	defer func() {
		for range 2 {
			if err := u.Close(); err != nil {
				s.t.Errorf("close the upload: %v", err)
			}
		}
	}()
	names := []string{}
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		size, sha, data := int64(len(all[n])), shaOf(all[n]), all[n]
		if change != nil {
			change(n, &size, &sha, &data)
		}
		if err := u.File(n, size, sha); err != nil {
			return inspection.ModelRef{}, false, err
		}
		for len(data) > 0 { // in pieces
			piece := data[:min(7, len(data))]
			if _, err := u.Write(piece); err != nil {
				return inspection.ModelRef{}, false, err
			}
			data = data[len(piece):]
		}
	}
	return u.Commit()
}

func (s *shelf) mustPush(name, version, salt string) inspection.ModelRef {
	s.t.Helper()
	ref, _, err := s.push(name, version, goodFiles(salt), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

func (s *shelf) activate(name, version string) {
	s.t.Helper()
	if _, _, err := s.Activate(Activation{Model: name, Act: ActActivate, To: version, By: "ann"}); err != nil {
		s.t.Fatal(err)
	}
}

// active is the version that a recipe without one gets; "" for none.
func (s *shelf) active(name string) string {
	m, err := s.Get(name, "")
	if err != nil {
		return ""
	}
	return m.Ref.Version
}

// tree is what lies in the folder of models.
func (s *shelf) tree() []string {
	s.t.Helper()
	var out []string
	err := filepath.WalkDir(s.dir, func(p string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(s.dir, p); err == nil && rel != "." {
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestAPushedVersionIsThereAndNotActive(t *testing.T) {
	s := newShelf(t)
	ref := s.mustPush("pair", "2", "two")
	for range 2 {
		if got := s.active("pair"); got != "1" {
			t.Errorf("active: got %q, want 1: a push activates nothing", got)
		}
		m, err := s.Get("pair", "2")
		if err != nil || m.Ref != ref {
			t.Fatalf("got %v, %v; want %v", m, err, ref)
		}
		if g, err := m.Graph(); err != nil || string(g) != string(taken("two")) {
			t.Errorf("graph: got %q, %v", g, err)
		}
		s.reopen() // where the highest version would be active by default
	}
	if again, existed, err := s.push("pair", "2", goodFiles("two"), nil); err != nil || !existed || again != ref {
		t.Errorf("pushed again: got %v, %v, %v; want the same, and that it existed", again, existed, err)
	}
	before, _ := os.ReadFile(filepath.Join(s.dir, "pair", "2", GraphFile))
	if _, _, err := s.push("pair", "2", goodFiles("other"), nil); !errors.Is(err, inspection.ErrExists) {
		t.Errorf("another one of that name: got %v, want ErrExists", err)
	}
	if _, _, err := s.push("pair", "1", goodFiles("mine"), nil); !errors.Is(err, inspection.ErrExists) {
		t.Errorf("another one of a name that ships: got %v, want ErrExists", err)
	}
	if after, _ := os.ReadFile(filepath.Join(s.dir, "pair", "2", GraphFile)); string(after) != string(before) {
		t.Error("the version that was there was changed")
	}
	s.mustPush("fresh", "7", "seven")
	for range 2 {
		if _, err := s.Get("fresh", ""); !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), "no version is active: activate one of 7") {
			t.Errorf("a new model: got %v, want that none is active", err)
		}
		s.reopen()
	}
}

func TestABadUploadIsRefusedAndLeavesNothing(t *testing.T) {
	s := newShelf(t)
	with := func(name string, data []byte) files {
		f := goodFiles("x")
		f[name] = data
		return f
	}
	without := func(name string) files {
		f := goodFiles("x")
		delete(f, name)
		return f
	}
	for _, c := range []struct {
		what, name, version string
		files               files
		change              func(name string, size *int64, sha *string, data *[]byte)
		want                string
	}{
		{what: "no name", name: "../up", version: "1", files: goodFiles("x"), want: `name "../up"`},
		{what: "no version", name: "pair", version: "01", files: goodFiles("x"), want: `version "01"`},
		{what: "no graph", name: "pair", version: "3", files: without(GraphFile), want: "model.onnx was not sent"},
		{what: "no manifest", name: "pair", version: "3", files: without(ManifestFile), want: "model.yaml was not sent"},
		{what: "no golden picture", name: "pair", version: "3", files: without("golden/a.png"), want: "golden/a.png was not sent"},
		{what: "a file too many", name: "pair", version: "3", files: with("notes.txt", []byte("hi")), want: "does not list notes.txt"},
		{what: "a way out", name: "pair", version: "3", files: with("../../evil", []byte("hi")), want: `file "../../evil"`},
		{what: "an absolute path", name: "pair", version: "3", files: with("/tmp/evil", []byte("hi")), want: `file "/tmp/evil"`},
		{what: "no manifest inside", name: "pair", version: "3", files: with(ManifestFile, []byte("task: guess")), want: "model.yaml:1: task"},
		{what: "a damaged graph", name: "pair", version: "3", files: with(GraphFile, []byte("hello")), want: "no ONNX graph"},
		{what: "data elsewhere", name: "pair", version: "3", files: with(GraphFile, append(imports("", 17), graphOf(1, 4, message(5, message(8, []byte("w")), varint(14, 1)))...)), want: "other files"},
		{what: "a custom operator", name: "pair", version: "3", files: with(GraphFile, append(imports("", 17), graphOf(1, 4, operator("mmdeploy", "NMSRotated"))...)), want: "mmdeploy.NMSRotated"},
		{what: "a flipped bit", name: "pair", version: "3", files: goodFiles("x"), want: "SHA-256", change: func(name string, _ *int64, _ *string, data *[]byte) {
			if name == GraphFile {
				*data = append([]byte{(*data)[0] ^ 1}, (*data)[1:]...)
			}
		}},
		{what: "bytes missing", name: "pair", version: "3", files: goodFiles("x"), want: "1 bytes are missing", change: func(_ string, _ *int64, _ *string, data *[]byte) { *data = (*data)[:len(*data)-1] }},
		{what: "bytes too many", name: "pair", version: "3", files: goodFiles("x"), want: "more bytes came", change: func(_ string, size *int64, _ *string, _ *[]byte) { *size-- }},
		{what: "too large", name: "pair", version: "3", files: goodFiles("x"), want: "models.upload_bytes", change: func(_ string, size *int64, _ *string, _ *[]byte) { *size = 1<<20 + 1 }},
		{what: "too large together", name: "pair", version: "3", files: with("golden/a.png", make([]byte, 1<<20-10)), want: "models.upload_bytes"},
	} {
		before := s.tree()
		_, _, err := s.push(c.name, c.version, c.files, c.change)
		if !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ErrInvalid with %s", c.what, err, c.want)
		}
		if after := s.tree(); !slices.Equal(before, after) || len(s.List()) != 1 || len(s.History("")) != 0 {
			t.Errorf("%s: it left %q, versions %v, record %v", c.what, after, s.List(), s.History(""))
		}
	}
}

// What a node was killed over is gone at the next start, whether the upload was whole or not.
func TestAnUploadThatWasCutOffIsGoneAfterAStart(t *testing.T) {
	s := newShelf(t)
	u, err := s.Begin("pair", "2")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range goodFiles("two") {
		if err := u.File(name, int64(len(data)), shaOf(data)); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.finish(); err != nil { // between the last byte and the rename
		t.Fatal(err)
	}
	if _, err := u.check(); err != nil {
		t.Fatal(err)
	}
	if len(s.tree()) == 0 {
		t.Fatal("nothing of the upload is on disk")
	}
	if err := os.MkdirAll(filepath.Join(s.dir, removedPrefix+"x", "1"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	if left := s.tree(); len(left) != 0 || len(s.List()) != 1 || s.active("pair") != "1" {
		t.Errorf("left %q, versions %v", left, s.List())
	}
}

func TestUploadsAreBounded(t *testing.T) {
	s := newShelf(t)
	var open []*Upload
	for i := range maxUploads {
		u, err := s.Begin("pair", fmt.Sprint(i+2))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, u)
	}
	if _, err := s.Begin("pair", "99"); !errors.Is(err, inspection.ErrOverloaded) {
		t.Errorf("one too many: got %v, want ErrOverloaded", err)
	}
	for _, u := range open {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	s.mustPush("pair", "99", "x")
}

func TestActivationIsRecordedAndOutlivesAStart(t *testing.T) {
	s := newShelf(t)
	two := s.mustPush("pair", "2", "two")
	a, changed, err := s.Activate(Activation{Model: "pair", Act: ActActivate, To: "2", By: "ann", Peer: "10.0.0.1:5", Reason: "new lot"})
	if err != nil || !changed || a.From != "1" || a.To != "2" || a.Digest != two.Digest || a.At.IsZero() {
		t.Fatalf("got %+v, %v, %v", a, changed, err)
	}
	if again, changed, err := s.Activate(Activation{Model: "pair", Act: ActActivate, To: "2", By: "bob"}); err != nil || changed || again != a {
		t.Errorf("again: got %+v, %v, %v; want what ann did, unchanged", again, changed, err)
	}
	for range 2 {
		h := s.History("pair")
		if s.active("pair") != "2" || len(h) != 2 || h[0] != a || h[1].Act != ActKeep || h[1].To != "1" {
			t.Errorf("active %q, record %+v; want 2, activated by ann after the push kept 1", s.active("pair"), h)
		}
		s.reopen()
	}
	if _, _, err := s.Activate(Activation{Model: "pair", To: "9"}); !errors.Is(err, inspection.ErrUnknownModel) || s.active("pair") != "2" {
		t.Errorf("a version that there is not: got %v, active %q", err, s.active("pair"))
	}
	s.behind["pair/5/"+GraphFile] = &fstest.MapFile{Data: []byte("g")}
	s.behind["pair/5/"+ManifestFile] = &fstest.MapFile{Data: []byte("task: guess")}
	s.behind["pair/active"] = &fstest.MapFile{Data: []byte("1")}
	s.reopen()
	if _, _, err := s.Activate(Activation{Model: "pair", To: "5"}); !errors.Is(err, inspection.ErrUnknownModel) || !strings.Contains(err.Error(), "broken") || s.active("pair") != "2" {
		t.Errorf("a broken version: got %v, active %q", err, s.active("pair"))
	}
	i := slices.IndexFunc(s.List(), func(e Entry) bool { return e.Active })
	if e := s.List()[i]; e.Version != "2" || !strings.Contains(e.Note, `(shipped)/pair/active says "1" and is not looked at`) {
		t.Errorf("got %+v, want a note that the file is not looked at", e)
	}
}

func TestBeforeIsTheVersionThatWasActiveBefore(t *testing.T) {
	s := newShelf(t)
	for _, v := range []string{"2", "3"} {
		s.mustPush("pair", v, v)
	}
	if v, err := s.Before("pair"); !errors.Is(err, inspection.ErrRefused) {
		t.Errorf("nothing was activated: got %q, %v; want ErrRefused", v, err)
	}
	for _, step := range []struct{ to, before string }{{"2", "1"}, {"3", "2"}, {"2", "3"}, {"1", "2"}} {
		s.activate("pair", step.to)
		s.reopen()
		if v, err := s.Before("pair"); err != nil || v != step.before {
			t.Errorf("after %s: got %q, %v; want %s", step.to, v, err, step.before)
		}
	}
	if _, err := s.Before("pear"); !errors.Is(err, inspection.ErrUnknownModel) {
		t.Errorf("an unknown model: got %v", err)
	}
}

// What came to lie under the number of the version that was active before is another version.
func TestRollbackRefusesOtherFilesOfThatNumber(t *testing.T) {
	for _, recorded := range []bool{true, false} { // false: by a program that did not write down the digest of the version before
		s := newShelf(t)
		one := s.mustPush("det", "1", "one")
		s.mustPush("det", "2", "two")
		s.activate("det", "1")
		s.activate("det", "2")
		if !recorded {
			s.forgetDigests(t)
		}
		if err := s.Remove("det", "1"); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Before("det"); !errors.Is(err, inspection.ErrUnknownModel) {
			t.Errorf("removed: got %q, %v; want ErrUnknownModel", v, err)
		}
		other := s.mustPush("det", "1", "other")
		for range 2 {
			v, err := s.Before("det")
			if !errors.Is(err, inspection.ErrRefused) || !holdsAll(err.Error(), one.Digest[:12], other.Digest[:12], "activate det@1 if that shall judge, or remove it and push") {
				t.Errorf("other files: got %q, %v; want ErrRefused with both digests and what to do", v, err)
			}
			s.reopen()
		}
		if err := s.Remove("det", "1"); err != nil {
			t.Fatal(err)
		}
		s.mustPush("det", "1", "one")
		if v, err := s.Before("det"); err != nil || v != "1" {
			t.Errorf("the recorded files again: got %q, %v; want 1", v, err)
		}
	}
}

// forgetDigests takes the digests of the versions before out of the record.
func (s *shelf) forgetDigests(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(s.record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.record, regexp.MustCompile(`"from_digest":"[^"]*",`).ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	s.reopen()
}

func holdsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}

// Files that were put under the number of the active version while the node was down do not judge.
func TestAStartRefusesOtherFilesOfTheActivatedNumber(t *testing.T) {
	s := newShelf(t)
	one := s.mustPush("det", "1", "one")
	s.mustPush("det", "2", "two")
	s.activate("det", "1")
	at := filepath.Join(s.dir, "det", "1", GraphFile)
	if err := os.WriteFile(at, taken("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	other, err := s.Get("det", "1")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Get("det", ""); !errors.Is(err, inspection.ErrUnknownModel) || !holdsAll(err.Error(), one.Digest[:12], other.Ref.Digest[:12], "by ann", "activate det@1 if that shall judge") {
		t.Errorf("got %v, %v; want ErrUnknownModel with both digests and what to do", m, err)
	}
	i := slices.IndexFunc(s.List(), func(e Entry) bool { return e.Name == "det" && e.Version == "1" })
	if e := s.List()[i]; e.Active || !strings.Contains(e.Note, one.Digest[:12]) {
		t.Errorf("got %+v, want it not active and a note of that", e)
	}
	if err := os.WriteFile(at, taken("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.reopen(); s.active("det") != "1" {
		t.Errorf("the recorded files again: %q is active, want 1", s.active("det"))
	}
	if err := os.WriteFile(at, taken("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	s.activate("det", "1")
	if s.reopen(); s.active("det") != "1" {
		t.Errorf("activated as it is: %q is active, want 1", s.active("det"))
	}
}

func TestRemoveTakesOnlyWhatNobodyNeeds(t *testing.T) {
	s := newShelf(t)
	s.mustPush("pair", "2", "two")
	s.mustPush("pair", "3", "three")
	s.activate("pair", "3")
	for _, c := range []struct {
		name, version string
		want          error
	}{{"pair", "3", inspection.ErrRefused}, {"pair", "1", inspection.ErrRefused}, {"pair", "9", inspection.ErrUnknownModel}, {"pear", "1", inspection.ErrUnknownModel}} {
		if err := s.Remove(c.name, c.version); !errors.Is(err, c.want) {
			t.Errorf("remove %s@%s: got %v, want %v", c.name, c.version, err, c.want)
		}
	}
	if err := s.Remove("pair", "2"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Get("pair", "2"); !errors.Is(err, inspection.ErrUnknownModel) || s.active("pair") != "3" {
			t.Errorf("got %v, active %q; want it gone and 3 active", err, s.active("pair"))
		}
		if left := s.tree(); slices.ContainsFunc(left, func(p string) bool { return strings.Contains(p, "2") || strings.HasPrefix(p, ".") }) {
			t.Errorf("left %q", left)
		}
		s.reopen()
	}
	s.mustPush("pair", "2", "another two") // the number is free again
	if _, err := open(t, Root{"here", s.behind}).Begin("pair", "5"); !errors.Is(err, inspection.ErrRefused) {
		t.Errorf("a read-only repository: got %v, want ErrRefused", err)
	}
}

// The only version can go although it is active. What is pushed under its number later is not active by that, not even the same files.
func TestRemoveTakesTheOnlyVersion(t *testing.T) {
	s := newShelf(t)
	one := s.mustPush("det", "1", "one")
	s.activate("det", "1")
	s.mustPush("det", "2", "two")
	if err := s.Remove("det", "1"); !errors.Is(err, inspection.ErrRefused) || !strings.Contains(err.Error(), "activate another one first") {
		t.Errorf("with another one: got %v, want ErrRefused", err)
	}
	if err := errors.Join(s.Remove("det", "2"), s.Remove("det", "1")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Get("det", ""); !errors.Is(err, inspection.ErrUnknownModel) || slices.Contains(s.Names(), "det") || len(s.tree()) != 0 {
			t.Errorf("got %v, models %q, left %q; want det gone", err, s.Names(), s.tree())
		}
		if a := s.History("det")[0]; a.Act != ActRemove || a.From != "1" || a.To != "" || a.FromDigest != one.Digest {
			t.Errorf("got %+v, want the removal of 1 on record", a)
		}
		s.reopen()
	}
	s.mustPush("det", "1", "one")
	for range 2 {
		if _, err := s.Get("det", ""); err == nil || !strings.Contains(err.Error(), "no version is active: activate one of 1") {
			t.Errorf("pushed again: got %v, want that none is active", err)
		}
		s.reopen()
	}
	if v, err := s.Before("det"); err != nil || v != "1" {
		t.Errorf("before: got %q, %v; want 1", v, err)
	}
	if s.activate("det", "1"); s.active("det") != "1" {
		t.Errorf("activated again: %q is active", s.active("det"))
	}
}

// Behind the only version that was pushed lies one that ships: it comes up, and judges only when it is activated.
func TestRemoveOfTheOnlyVersionUncoversWhatShips(t *testing.T) {
	s := newShelf(t)
	version(s.behind, "det/1", "shipped")
	if err := os.MkdirAll(filepath.Join(s.dir, "det", "1"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{GraphFile: taken("mine"), ManifestFile: []byte(minimal)} {
		if err := os.WriteFile(filepath.Join(s.dir, "det", "1", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.reopen()
	if err := s.Remove("det", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("det", ""); err == nil || !strings.Contains(err.Error(), "no version is active: activate one of 1") {
		t.Errorf("got %v, want that none is active", err)
	}
}

// A line that was cut off was never in force; a damaged one is said, for a wrong version could judge otherwise.
func TestARecordThatWasCutOffIsReadToItsLastWholeLine(t *testing.T) {
	s := newShelf(t)
	s.mustPush("pair", "2", "two")
	s.activate("pair", "2")
	whole, err := os.ReadFile(s.record)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(s.record, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s.reopen()
		lines := strings.Count(string(whole[:cut]), "\n")
		if got := len(s.History("pair")); got != lines {
			t.Fatalf("cut at %d: got %d activations, want %d", cut, got, lines)
		}
	}
	f, err := os.OpenFile(s.record, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Repeat("x", 1000) + "\n"); err != nil { // of a write that failed and could not be taken back
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.activate("pair", "1") // over both
	s.reopen()
	if h := s.History("pair"); len(h) != 2 || h[0].To != "1" || s.active("pair") != "1" {
		t.Errorf("after a cut: got %+v, active %q", h, s.active("pair"))
	}
	if err := os.WriteFile(s.record, append([]byte("{\n"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWritable(Writable{Dir: s.dir, Record: s.record, MaxBytes: 1}); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "activations.jsonl:1") {
		t.Errorf("a damaged line: got %v, want ErrInvalid that names it", err)
	}
}

// Nothing is in force that could not be recorded.
func TestWhatCannotBeRecordedIsNotInForce(t *testing.T) {
	s := newShelf(t)
	s.mustPush("pair", "2", "two")
	if err := os.Remove(s.record); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.record, 0o750); err != nil { // for root may write where others may not
		t.Fatal(err)
	}
	if _, _, err := s.Activate(Activation{Model: "pair", To: "2"}); err == nil || s.active("pair") != "1" || len(s.History("pair")) != 1 {
		t.Errorf("got %v, active %q, record %v; want an error and 1", err, s.active("pair"), s.History("pair"))
	}
}

// Readers see one version active, whatever is pushed and activated meanwhile.
func TestReadersAndWritersMeet(t *testing.T) {
	s := newShelf(t)
	s.mustPush("pair", "2", "two")
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Get("pair", ""); err != nil {
					t.Error(err)
				}
				active := 0
				for _, e := range s.List() {
					if e.Active && e.Name == "pair" {
						active++
					}
				}
				if active != 1 {
					t.Errorf("%d versions are active, want 1", active)
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range 10 {
				if _, _, err := s.Activate(Activation{Model: "pair", To: fmt.Sprint(1 + (i+w)%2), By: "w"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		s.mustPush("pair", fmt.Sprint(10+i), fmt.Sprint(i))
	}
	writers.Wait()
	close(stop)
	work.Wait()
	h := s.History("pair")
	for i := range h[:len(h)-1] {
		if h[i].From != h[i+1].To {
			t.Errorf("activation %d came from %s, and %s was active", i, h[i].From, h[i+1].To)
		}
	}
}
