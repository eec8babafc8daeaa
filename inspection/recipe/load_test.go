package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
)

// put writes a file under dir, with its folders.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	png  = "\x89PNG\r\n\x1a\n"
	jpeg = "\xff\xd8\xff\xe0"
)

func referring(folder string) string { return minimal + "reference: {folder: " + folder + "}\n" }

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "board.yaml", referring("pictures/board"))
	put(t, dir, "pictures/board/top.png", png+"1")
	put(t, dir, "pictures/board/board.rev2.JPG", jpeg+"2")
	put(t, dir, "pictures/board/side.jpeg", jpeg+"3")
	put(t, dir, "pictures/board/notes.txt", "x")
	put(t, dir, "pictures/board/._top.png", "not a picture")
	put(t, dir, "pictures/board/old/gone.png", png)
	put(t, dir, "shared.png", png+"4")
	if err := os.Symlink("../../shared.png", filepath.Join(dir, "pictures/board/linked.png")); err != nil {
		t.Fatal(err)
	}
	r, data, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != referring("pictures/board") {
		t.Errorf("got other YAML: %q", data)
	}
	var got []string
	for _, p := range Templates(r) {
		got = append(got, p.Key+" "+p.Format.String()+" "+string(p.Data[len(p.Data)-1:]))
	}
	want := []string{"board.rev2 jpeg 2", "linked png 4", "side jpeg 3", "top png 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if again, err := Parse("x", data, Templates(r)); err != nil || again.Digest != r.Digest {
		t.Errorf("parsed from what is kept: got %v, %v, want digest %s", again, err, r.Digest)
	}
}

func TestLoadFaults(t *testing.T) {
	outside := t.TempDir()
	put(t, outside, "secret.png", png)
	tests := []struct {
		name, folder string
		prepare      func(t *testing.T, dir string)
		want         string
	}{
		{"no folder", "missing", nil, "missing: no such file"},
		{"a file instead", "a.png", func(t *testing.T, dir string) { put(t, dir, "a.png", png) }, "not a directory"},
		{"an empty folder", "t", func(t *testing.T, dir string) { put(t, dir, "t/readme", "x") }, "there is no template picture"},
		{"up and out", "../" + filepath.Base(outside), nil, "escapes"},
		{"absolute", outside, nil, "escapes"},
		{"a link out", "t", func(t *testing.T, dir string) { link(t, outside, filepath.Join(dir, "t")) }, "escapes"},
		{"a picture that is a link out", "t", func(t *testing.T, dir string) {
			put(t, dir, "t/a.png", png)
			link(t, filepath.Join(outside, "secret.png"), filepath.Join(dir, "t/b.png"))
		}, "escapes"},
		{"one key twice", "t", func(t *testing.T, dir string) { put(t, dir, "t/a.png", png); put(t, dir, "t/a.jpg", jpeg) }, `both have the key "a"`},
		{"another format than its ending", "t", func(t *testing.T, dir string) { put(t, dir, "t/a.jpg", png) }, "is no jpeg file by its first bytes"},
		{"an empty picture", "t", func(t *testing.T, dir string) { put(t, dir, "t/a.png", "") }, "is no png file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := put(t, dir, "board.yaml", referring(tt.folder))
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			r, data, err := Load(path)
			if r != nil || !errors.Is(err, inspection.ErrInvalid) {
				t.Fatalf("got %v, %v, want an ErrInvalid", r, err)
			}
			if want := "board.yaml:6:21: reference.folder: "; !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q and %q", err, want, tt.want)
			}
			if string(data) != referring(tt.folder) {
				t.Errorf("got YAML %q", data)
			}
		})
	}
}

func link(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

func TestLoadMissing(t *testing.T) {
	if _, _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want it not to exist", err)
	}
	if _, _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: got %v", err)
	}
}
