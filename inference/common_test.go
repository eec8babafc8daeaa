package inference

import (
	"slices"
	"testing"
)

func TestCommonBatches(t *testing.T) {
	for _, c := range []struct{ a, b, want []int }{
		{[]int{1, 2, 4}, []int{1, 2, 4}, []int{1, 2, 4}},
		{[]int{1, 2, 4}, []int{1}, []int{1}},
		{[]int{4}, []int{1}, nil},
	} {
		if got := common(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("%v and %v: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
