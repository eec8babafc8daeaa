package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-vision/assay/inspection"
)

func picture(key, data string) inspection.Template {
	sum := sha256.Sum256([]byte(data))
	return inspection.Template{Key: key, Path: "templates/" + key + ".png", Format: inspection.FormatPNG, Data: []byte(data), Digest: hex.EncodeToString(sum[:])}
}

func recipeRevisions(t *testing.T, s Store) {
	first := []inspection.Template{picture("bottom", "same"), picture("top", "old")}
	second := []inspection.Template{picture("bottom", "same"), picture("top", "new")}
	for i, c := range []struct {
		digest    string
		templates []inspection.Template
		want      int
	}{{"d1", first, 1}, {"d1", first, 1}, {"d2", second, 2}, {"d2", second, 2}, {"d1", first, 3}} {
		got, err := s.ImportRecipe(t.Context(), "board", c.digest, []byte("yaml of "+c.digest), c.templates)
		if err != nil || got != c.want {
			t.Fatalf("import %d of digest %s: got revision %d, %v; want %d", i, c.digest, got, err, c.want)
		}
	}
	if got, err := s.ImportRecipe(t.Context(), "other", "d1", []byte("x"), nil); err != nil || got != 1 {
		t.Fatalf("another recipe: got revision %d, %v; want 1", got, err)
	}
	for revision, want := range map[int]struct {
		n         int
		digest    string
		templates []inspection.Template
	}{1: {1, "d1", first}, 2: {2, "d2", second}, 0: {3, "d1", first}} {
		r, err := s.RecipeRevision(t.Context(), "board", revision)
		if err != nil {
			t.Fatalf("revision %d: %v", revision, err)
		}
		if r.Revision != want.n || r.Digest != want.digest || string(r.YAML) != "yaml of "+want.digest || r.ImportedAt.IsZero() {
			t.Errorf("revision %d: got %+v, want revision %d of digest %s", revision, r, want.n, want.digest)
		}
		if d := cmp.Diff(want.templates, r.Templates); d != "" {
			t.Errorf("revision %d: templates (-want +got):\n%s", revision, d)
		}
	}
	recipeLists(t, s)
}

func recipeLists(t *testing.T, s Store) {
	t.Helper()
	list, err := s.RecipeRevisions(t.Context(), "board")
	if err != nil || len(list) != 3 || list[0].Revision != 3 || list[2].Revision != 1 {
		t.Errorf("list: got %+v, %v; want revisions 3, 2, 1", list, err)
	}
	if list, err := s.RecipeRevisions(t.Context(), ""); err != nil || len(list) != 4 {
		t.Errorf("list of all: got %d, %v; want 4", len(list), err)
	}
	if _, err := s.RecipeRevision(t.Context(), "board", 9); !errors.Is(err, inspection.ErrNotFound) {
		t.Errorf("unknown revision: got %v, want ErrNotFound", err)
	}
	wrong := picture("top", "new")
	wrong.Data = []byte("tampered")
	if _, err := s.ImportRecipe(t.Context(), "board", "d9", []byte("x"), []inspection.Template{wrong}); !errors.Is(err, inspection.ErrInvalid) {
		t.Errorf("a picture that is not its digest's: got %v, want ErrInvalid", err)
	}
}
