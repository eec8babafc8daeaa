package inspection

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestDropValidate(t *testing.T) {
	key := FrameKey{Line: "l", Station: "s", Camera: "c", Session: "x"} // Seq is not used
	for name, c := range map[string]struct {
		drop Drop
		want string // of the error; empty: none
	}{
		"one frame":       {Drop{Key: key, First: 7, Last: 7}, ""},
		"as many as may":  {Drop{Key: key, First: 2, Last: MaxDrop + 1}, ""},
		"the last frames": {Drop{Key: key, First: math.MaxUint64 - 1, Last: math.MaxUint64}, ""},
		"one too many":    {Drop{Key: key, First: 1, Last: MaxDrop + 1}, "split it"},
		"all there are":   {Drop{Key: key, First: 1, Last: math.MaxUint64}, "split it"},
		"from 0":          {Drop{Key: key, First: 0, Last: 3}, "seq is 0"},
		"backwards":       {Drop{Key: key, First: 5, Last: 4}, "last_seq must not be less"},
		"of nobody":       {Drop{First: 1, Last: 1}, "line is empty"},
	} {
		err := c.drop.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v, want no error", name, err)
		case c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want ErrInvalid with %q", name, err, c.want)
		}
	}
}
