package eval

import (
	"fmt"
	"math"
	"slices"
)

// Confusion counts pictures by their true and their predicted class.
type Confusion struct {
	Classes []string
	// Counts[t][p] are the pictures of Classes[t] that were taken for Classes[p]; Counts[t][len(Classes)] those for which
	// nothing was predicted.
	Counts [][]int
}

// NewConfusion counts pairs of true and predicted class; a prediction of "" is none. classes orders the rows and columns, and
// those that occur neither as truth nor as prediction are left out. A class that it does not list is an error.
func NewConfusion(classes, truths, predictions []string) (Confusion, error) {
	if len(truths) != len(predictions) {
		return Confusion{}, fmt.Errorf("%d truths and %d predictions: give one for each picture", len(truths), len(predictions))
	}
	used := map[string]bool{}
	for i := range truths {
		for _, c := range [...]string{truths[i], predictions[i]} {
			if c != "" && !slices.Contains(classes, c) {
				return Confusion{}, fmt.Errorf("picture %d: class %q is none of %q", i, c, classes)
			}
			used[c] = true
		}
		if truths[i] == "" {
			return Confusion{}, fmt.Errorf("picture %d has no true class", i)
		}
	}
	var c Confusion
	at := map[string]int{}
	for _, name := range classes {
		if used[name] {
			at[name] = len(c.Classes)
			c.Classes = append(c.Classes, name)
		}
	}
	at[""] = len(c.Classes)
	for range c.Classes {
		c.Counts = append(c.Counts, make([]int, len(c.Classes)+1))
	}
	for i := range truths {
		c.Counts[at[truths[i]]][at[predictions[i]]]++
	}
	return c, nil
}

// Pictures is how many pictures a class has.
func (c Confusion) Pictures(class int) int { return sum(c.Counts[class]) }

// Of are a class's outcomes: Wrong are pictures of others that were taken for it.
func (c Confusion) Of(class int) Counts {
	taken := 0
	for t := range c.Counts {
		taken += c.Counts[t][class]
	}
	right := c.Counts[class][class]
	return Counts{Right: right, Wrong: taken - right, Missed: c.Pictures(class) - right}
}

// Accuracy is the share of pictures whose class was predicted, NaN without pictures.
func (c Confusion) Accuracy() float64 {
	right, all := 0, 0
	for i := range c.Classes {
		right, all = right+c.Counts[i][i], all+c.Pictures(i)
	}
	return ratio(right, all)
}

// MacroF1 is the mean F of the classes that have pictures, NaN when none has. A class that is never predicted has F 0.
func (c Confusion) MacroF1() float64 {
	total, n := 0.0, 0
	for i := range c.Classes {
		if c.Pictures(i) > 0 {
			total, n = total+c.Of(i).F(), n+1
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return total / float64(n)
}

func sum(xs []int) int {
	total := 0
	for _, x := range xs {
		total += x
	}
	return total
}
