package camera

import (
	"cmp"
	"slices"
	"testing"
)

func TestNaturalCompare(t *testing.T) {
	sorted := []string{
		"", "1", "01", "1a", "2", "9", "10", "99999999999999999999998", "99999999999999999999999", "a", "a-1", "a0", "a1", "a01", "a1b", "a1b2", "a1b10",
		"a2", "a10", "ab", "b007x", "b7y",
	}
	// "01" before "1" by bytes, as documented for equal numbers.
	slices.SortFunc(sorted[1:3], func(a, b string) int { return cmp.Compare(a, b) })
	slices.SortFunc(sorted[12:14], func(a, b string) int { return cmp.Compare(a, b) })
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := naturalCompare(a, b), cmp.Compare(i, j); got != want {
				t.Errorf("compare %q with %q: %d, want %d", a, b, got, want)
			}
		}
	}
}
