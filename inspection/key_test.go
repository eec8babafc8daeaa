package inspection

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestKeyID pins ids that are in every store and on every wire; they were computed by another program.
func TestKeyID(t *testing.T) {
	tests := []struct {
		key  FrameKey
		want ResultID
	}{
		{FrameKey{"line-1", "aoi-2", "cam-top", "01JABCDEFGHJKMNPQRSTVWXYZ0", 42}, "41c48e0486feaa2c000000000000002a"},
		{FrameKey{"线", "站", "机", "s", 1}, "3453104ed80b89700000000000000001"},
	}
	for _, tt := range tests {
		if got := tt.key.ID(); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.key, got, tt.want)
		}
	}
}

func TestKeyIDDiffersWithEveryField(t *testing.T) {
	ids := map[ResultID]FrameKey{}
	for _, k := range []FrameKey{
		{"a", "b", "c", "d", 1}, {"ab", "", "c", "d", 1}, {"", "ab", "c", "d", 1}, {"a", "bc", "", "d", 1}, {"a", "b", "cd", "", 1},
		{"a", "b", "c", "d", 2}, {"a/b", "", "c", "d", 1}, {"a", "b", "d", "c", 1}, {"b", "a", "c", "d", 1}, {"a", "b", "c", "d1", 1},
	} {
		if other, ok := ids[k.ID()]; ok {
			t.Errorf("%v and %v have the same id", k, other)
		}
		ids[k.ID()] = k
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.Custom(func(t *rapid.T) FrameKey {
			s := rapid.StringMatching(`[ab\x00/]{0,3}`)
			return FrameKey{s.Draw(t, "line"), s.Draw(t, "station"), s.Draw(t, "camera"), s.Draw(t, "session"), rapid.Uint64Range(1, 3).Draw(t, "seq")}
		})
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if (a.ID() == b.ID()) != (a == b) {
			t.Fatalf("%q and %q: ids %s and %s", a, b, a.ID(), b.ID())
		}
	})
}

func TestKeyValidate(t *testing.T) {
	good := FrameKey{"line", "station", "camera", "session", 1}
	tests := []struct {
		name   string
		change func(*FrameKey)
		want   string // in the message; empty: valid
	}{
		{"good", func(*FrameKey) {}, ""},
		{"no line", func(k *FrameKey) { k.Line = "" }, "line is empty"},
		{"no station", func(k *FrameKey) { k.Station = "" }, "station is empty"},
		{"no camera", func(k *FrameKey) { k.Camera = "" }, "camera is empty"},
		{"no session", func(k *FrameKey) { k.Session = "" }, "session is empty"},
		{"seq 0", func(k *FrameKey) { k.Seq = 0 }, "number frames from 1"},
		{"longest", func(k *FrameKey) { k.Line = strings.Repeat("x", MaxName) }, ""},
		{"too long", func(k *FrameKey) { k.Line = strings.Repeat("x", MaxName+1) }, "line has 129 bytes"},
		{"not UTF-8", func(k *FrameKey) { k.Camera = "\xff" }, "camera is not valid UTF-8"},
		{"control character", func(k *FrameKey) { k.Station = "a\nb" }, "station \"a\\nb\" holds a control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := good
			tt.change(&k)
			wantError(t, k.Validate(), ErrInvalid, tt.want)
		})
	}
}

// wantError checks for no error when part is empty, else for an error of a kind whose message holds part.
func wantError(t *testing.T, err, kind error, part string) {
	t.Helper()
	if part == "" {
		if err != nil {
			t.Errorf("got error %v, want none", err)
		}
		return
	}
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want a %v with %q", err, kind, part)
	}
}
