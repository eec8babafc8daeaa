package proposal

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		literal string
		want    []string
	}{
		{"{0: 'person', 1: 'dog'}", []string{"person", "dog"}},
		{`{1: "it's", 0: 'say "x"'}`, []string{`say "x"`, "it's"}},
		{`{"0": "a", "1": "b"}`, []string{"a", "b"}},
		{"['a', 'b', ]", []string{"a", "b"}},
		{` [ "a" ,'b\'c' ] `, []string{"a", "b'c"}},
		{`['\u00e9', '划痕', 'a\\b']`, []string{"é", "划痕", `a\b`}},
		{"{}", nil}, {"[]", nil}, {"", nil}, {"a, b", nil}, {"{0: 'a', 2: 'b'}", nil}, {"{0: 'a', 0: 'b'}", nil}, {"{0 'a'}", nil},
		{"['a' 'b']", nil}, {"['a'", nil}, {"['a", nil}, {"{0: a}", nil}, {"['a'] x", nil}, {`['\q']`, nil}, {"{-1: 'a'}", nil}, {"[,'a']", nil}, {"['\xff']", nil}, {"['a', 'b' 'c']", nil},
	} {
		got, ok := names(c.literal)
		if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.literal, got, ok, c.want)
		}
	}
}

// TestNamesComeBack writes lists and dicts as Python does, for texts without escapes.
func TestNamesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`[^\\'"\pC]{0,12}`), 1, 8).Draw(t, "names")
		var list, dict []string
		for i, n := range want {
			list = append(list, "'"+n+"'")
			dict = append(dict, fmt.Sprintf("%d: %q", i, n))
		}
		dict = rapid.Permutation(dict).Draw(t, "order")
		for _, literal := range []string{"[" + strings.Join(list, ", ") + "]", "{" + strings.Join(dict, ", ") + "}"} {
			if got, ok := names(literal); !ok || !slices.Equal(got, want) {
				t.Fatalf("%s: got %q, %v; want %q", literal, got, ok, want)
			}
		}
	})
}

func TestSize(t *testing.T) {
	for literal, want := range map[string][2]int{"[640, 480]": {640, 480}, " [1,2] ": {1, 2}, "640": {}, "[640]": {}, "[0, 1]": {}, "[a, b]": {}, "": {}} {
		a, b, ok := size(literal)
		if ok != (want[0] > 0) || ok && (a != want[0] || b != want[1]) {
			t.Errorf("%q: got %d, %d, %v; want %v", literal, a, b, ok, want)
		}
	}
}

// FuzzNames: whatever the text, there are names, none of which is made up, or there are none.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"{0: 'a', 1: 'b'}", `["a", 'b']`, "{0:'a',}", "['\\x41']", "[", "{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		got, ok := names(literal)
		if ok == (len(got) == 0) {
			t.Fatalf("got %q, %v", got, ok)
		}
		total := 0
		for _, n := range got {
			total += len(n)
		}
		if total > len(literal) {
			t.Fatalf("%d bytes of names from %d: %q", total, len(literal), got)
		}
	})
}
