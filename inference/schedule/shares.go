package schedule

import "time"

// weights are the classes' shares of the executors' time while all of them have work.
var weights = [classes]float64{64, 8, 1}

// shares divides the executors' time among classes by weight (stride scheduling): each class has a clock that runs by the
// time it was given over its weight, and the class goes next whose clock would be the earliest after one more batch. A
// class without work saves nothing up: when it has some again its clock starts where the others are.
type shares struct {
	clocks [classes]float64
	now    float64 // the clock of the class that was served last, before it was
	last   int     // the class that was served last
}

// join is called when a class has work again.
func (s *shares) join(class int) { s.clocks[class] = max(s.clocks[class], s.now) }

// next returns the class among those that wait, the heaviest first, that is served next; a batch takes about so long. A
// lighter class goes at most once before a heavier one that waits, however short its batches are.
func (s *shares) next(waiting []int, batch time.Duration) int {
	best := waiting[0]
	if s.last > best {
		return best
	}
	after := func(class int) float64 { return s.clocks[class] + float64(batch)/weights[class] }
	for _, class := range waiting[1:] {
		if after(class) < after(best) {
			best = class
		}
	}
	return best
}

// serve gives a class a time.
func (s *shares) serve(class int, served time.Duration) {
	s.now = max(s.now, s.clocks[class])
	s.clocks[class] += float64(max(served, time.Microsecond)) / weights[class]
	s.last = class
}

// correct adds to the time that a class was given, or takes from it.
func (s *shares) correct(class int, by time.Duration) {
	s.clocks[class] += float64(by) / weights[class]
}
