package recipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-vision/assay/inspection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory keeps revisions as the store does.
type memory struct {
	mu      sync.Mutex
	digests map[string][]string // by name, the revisions' digests
	imports int
	err     error
}

func (m *memory) Import(_ context.Context, name, digest string, yaml []byte, templates []inspection.Template) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return 0, m.err
	}
	m.imports++
	if again, err := Parse("store", yaml, templates); err != nil || again.Digest != digest || again.Name != name {
		return 0, fmt.Errorf("what is imported is not the recipe: %+v: %w", again, err)
	}
	revisions := m.digests[name]
	if n := len(revisions); n > 0 && revisions[n-1] == digest {
		return n, nil
	}
	m.digests[name] = append(revisions, digest)
	return len(revisions) + 1, nil
}

// bench is a folder under test, its store and its log.
type bench struct {
	*testing.T
	dir    string
	store  *memory
	log    *bytes.Buffer
	folder *Folder
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, dir: t.TempDir(), store: &memory{digests: map[string][]string{}}, log: &bytes.Buffer{}}
	f, err := OpenFolder(b.dir, b.store, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	b.folder = f
	return b
}

func (b *bench) put(name, content string) { b.Helper(); put(b.T, b.dir, name, content) }

func (b *bench) remove(name string) {
	b.Helper()
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.Fatal(err)
	}
}

// scan wants these changes, each "file name@revision".
func (b *bench) scan(want ...string) {
	b.Helper()
	changes, err := b.folder.Scan(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %s@%d", c.File, c.Recipe.Name, c.Recipe.Revision))
		if held, ok := b.folder.Recipe(c.Recipe.Name); !ok || held != c.Recipe {
			b.Errorf("%s was yielded and is not in force", c.Recipe.Name)
		}
	}
	if !slices.Equal(got, want) {
		b.Errorf("scan: got changes %q, want %q", got, want)
	}
}

// status wants these rows, each "file name@revision[ removed][ !part of the error]".
func (b *bench) status(want ...string) {
	b.Helper()
	rows := b.folder.Status()
	ok := len(rows) == len(want)
	for i := 0; ok && i < len(rows); i++ {
		head, part, fault := strings.Cut(want[i], " !")
		got := fmt.Sprintf("%s %s@%d", rows[i].File, rows[i].Name, rows[i].Revision)
		if rows[i].Removed {
			got += " removed"
		}
		ok = got == head && fault == (rows[i].Error != "") && strings.Contains(rows[i].Error, part)
	}
	if !ok {
		b.Errorf("status: got %+v, want %q", rows, want)
	}
}

func named(name string, more ...string) string {
	return strings.Replace(minimal, "name: board", "name: "+name, 1) + strings.Join(more, "\n") + "\n"
}

func TestFolderLoadsAtFirstScan(t *testing.T) {
	b := newBench(t)
	b.put("b.yml", named("bee"))
	b.put("a.yaml", named("ay"))
	b.put("t/top.png", png)
	b.put("notes.txt", "not a recipe")
	b.put(".a.yaml.swp.yaml", "an editor's")
	b.scan("a.yaml ay@1", "b.yml bee@1")
	b.scan()
	b.scan()
	if b.store.imports != 2 {
		t.Errorf("got %d imports, want 2", b.store.imports)
	}
	var names []string
	for _, r := range b.folder.Recipes() {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"ay", "bee"}) {
		t.Errorf("got recipes %q", names)
	}
	b.status("a.yaml ay@1", "b.yml bee@1")
}

func TestFolderTakesAChangeOnceItIsQuiet(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	b.scan("a.yaml ay@1")
	b.scan()
	b.put("a.yaml", named("ay", "max_defects: 3")) // half of what is being written, and valid
	b.scan()
	b.put("a.yaml", named("ay", "max_defects: 3", "report_at: 0.2"))
	b.scan()
	if r, _ := b.folder.Recipe("ay"); r.MaxDefects != 0 {
		t.Error("half a file came into force")
	}
	b.scan("a.yaml ay@2")
	if r, _ := b.folder.Recipe("ay"); r.ReportAt != 0.2 || r.Revision != 2 {
		t.Errorf("got %+v", r)
	}
	b.put("a.yaml", named("ay", "max_defects: 3", "report_at: 0.2")) // touched, not changed
	touch(t, filepath.Join(b.dir, "a.yaml"))
	b.scan()
	b.scan()
	if b.store.imports != 2 {
		t.Errorf("got %d imports, want 2", b.store.imports)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

func TestFolderReadsAgainWhatItReadAtOnce(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay", "max_defects: 3"))
	path := filepath.Join(b.dir, "a.yaml")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b.scan("a.yaml ay@1")
	b.put("a.yaml", named("ay", "max_defects: 4")) // within one tick of the file system's clock
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	b.scan("a.yaml ay@2")
	b.put("a.yaml", named("ay", "max_defects: 55")) // from now on the size or the time has to tell
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	b.scan()
	b.scan("a.yaml ay@3")
}

func TestFolderKeepsTheOldWhenAFileBreaks(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	b.put("b.yaml", "name: [")
	b.scan("a.yaml ay@1")
	b.status("a.yaml ay@1", "b.yaml @0 !mend the YAML")
	b.put("a.yaml", named("ay", "fallback: PASS"))
	b.scan()
	b.scan()
	b.scan()
	b.status("a.yaml ay@1 !a.yaml:6:11: fallback: PASS is refused", "b.yaml @0 !mend the YAML")
	if r, ok := b.folder.Recipe("ay"); !ok || r.Revision != 1 {
		t.Errorf("got %+v, want revision 1 in force", r)
	}
	if n := strings.Count(b.log.String(), "PASS is refused"); n != 1 {
		t.Errorf("the fault was logged %d times, want 1:\n%s", n, b.log)
	}
	b.put("a.yaml", named("ay", "fallback: FAIL"))
	b.scan()
	b.scan("a.yaml ay@2")
	b.status("a.yaml ay@2", "b.yaml @0 !mend the YAML")
}

func TestFolderFollowsTemplates(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay", "reference: {folder: t}"))
	b.put("t/top.png", png)
	b.scan("a.yaml ay@1")
	b.scan()
	b.scan()
	b.put("t/top.png", png+"retouched")
	b.scan()
	b.scan("a.yaml ay@2")
	b.put("t/side.png", png)
	b.scan()
	b.scan("a.yaml ay@3")
	b.remove("t/side.png")
	b.remove("t/top.png")
	b.scan()
	b.scan()
	b.status("a.yaml ay@3 !there is no template picture")
	b.put("a.yaml", named("ay", "reference: {folder: other}"))
	b.put("other/top.png", png)
	b.scan() // the file changed
	b.scan() // it is quiet, and names a folder at which nobody looked yet
	b.scan()
	b.scan("a.yaml ay@4")
	b.scan()
	b.put("other/top.png", png+"x")
	b.scan()
	b.scan("a.yaml ay@5")
}

func TestFolderKeepsARemovedRecipe(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	b.scan("a.yaml ay@1")
	b.remove("a.yaml")
	b.scan()
	b.status("a.yaml ay@1 removed")
	if _, ok := b.folder.Recipe("ay"); !ok {
		t.Error("a removed file took its recipe along")
	}
	if !strings.Contains(b.log.String(), "stays in force") {
		t.Errorf("nothing was logged:\n%s", b.log)
	}
	b.put("renamed.yaml", named("ay"))
	b.scan()
	b.scan()
	b.status("renamed.yaml ay@1")
	b.put("renamed.yaml", named("ay2"))
	b.scan()
	b.scan("renamed.yaml ay2@1")
	b.status("renamed.yaml ay@1 removed", "renamed.yaml ay2@1")
}

func TestFolderRefusesANameOfAnotherFile(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	b.put("b.yaml", named("ay", "max_defects: 3"))
	b.scan("a.yaml ay@1")
	b.status("a.yaml ay@1", `b.yaml @0 !a.yaml states the recipe "ay" already`)
	b.scan()
	b.remove("a.yaml")
	b.scan("b.yaml ay@2")
	b.status("b.yaml ay@2")
}

func TestFolderTriesAFailedImportAgain(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	b.store.err = inspection.ErrDiskFull
	b.scan()
	b.scan()
	b.status("a.yaml @0 !import recipe ay: disk full")
	if n := strings.Count(b.log.String(), "disk full"); n != 1 {
		t.Errorf("logged %d times, want 1", n)
	}
	b.store.err = nil
	b.scan("a.yaml ay@1")
	b.status("a.yaml ay@1")
}

func TestFolderErrors(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if _, err := OpenFolder(filepath.Join(t.TempDir(), "none"), &memory{}, log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: got %v", err)
	}
	if _, err := OpenFolder(put(t, t.TempDir(), "f", ""), &memory{}, log); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a file: got %v", err)
	}
	if _, err := OpenFolder(t.TempDir(), nil, log); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("no revisions: got %v", err)
	}
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.folder.Scan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	b.scan("a.yaml ay@1")
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.folder.Scan(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is gone: got %v", err)
	}
	b.status("a.yaml ay@1")
}

func TestFolderWatch(t *testing.T) {
	b := newBench(t)
	b.put("a.yaml", named("ay"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for changes := range b.folder.Watch(ctx, time.Second) {
				for _, c := range changes {
					got = append(got, fmt.Sprintf("%s@%d", c.Recipe.Name, c.Recipe.Revision))
				}
			}
		}()
		synctest.Wait()
		put(t, b.dir, "a.yaml", named("ay", "max_defects: 3"))
		time.Sleep(2500 * time.Millisecond) // the bubble's clock
		if err := os.Rename(b.dir, b.dir+".away"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := os.Rename(b.dir+".away", b.dir); err != nil {
			t.Fatal(err)
		}
		put(t, b.dir, "c.yaml", named("sea"))
		time.Sleep(2 * time.Second)
		cancel()
		<-ended
		if want := []string{"ay@1", "ay@2", "sea@1"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := strings.Count(b.log.String(), "cannot be read"); n != 1 {
			t.Errorf("the missing directory was logged %d times, want 1:\n%s", n, b.log)
		}
	})
}
