package tiling

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"

	"github.com/assay-vision/assay/inspection"
)

const (
	// sameAbove is from which share of what two boxes cover together in the part that both tiles saw they are one thing.
	sameAbove = 0.4
	// partFrom is which share of what is seen of a cut thing must lie in another for it to be a part of that.
	partFrom = 0.5
	// MaxCandidates bounds what all tiles of one picture may show together, so that merging takes a second at the worst.
	// Beyond, the model is broken or the floor too low.
	MaxCandidates = 20_000
)

// sighting is what one tile says of one thing, in pixels of the frame.
type sighting struct {
	inspection.Candidate
	tile image.Rectangle
	cut  bool // it reaches a border of its tile behind which the picture goes on
	wide bool // it has no mask and is as large as its tile: something is there, and nobody says where
	mask window
}

// Merge makes one list of what the tiles of g say; said[i] is what tile i says, in pixels of that tile. The list is by
// falling score. Only candidates of one class become one:
//
//   - A candidate that ends inside its tile is whole. Of whole ones that tiles beside each other have of one place the one
//     with the highest score stays.
//   - A cut one, half of which lies in a whole one of another tile, is that tile's partial view of it and goes; the whole
//     one keeps its box and takes the higher score.
//   - What is left of the cut ones is united with what continues it across the seam: the boxes are then joined, the masks too, and
//     the highest score stands. The mask of a united one is dropped where any part has none: it would claim that the rest is sound.
//
// What lies in one tile alone is returned as it came. The result does not depend on the order of the tiles. The error
// wraps inspection.ErrModelOutput: more than MaxCandidates, or a mask that is none or of another size than its tile.
func Merge(g Grid, said [][]inspection.Candidate) ([]inspection.Candidate, error) {
	sightings, err := g.sightings(said)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sightings, compare)
	var out []inspection.Candidate
	for from := 0; from < len(sightings); { // class by class
		to := from
		for to < len(sightings) && sightings[to].Class == sightings[from].Class {
			to++
		}
		out = append(out, g.mergeClass(sightings[from:to])...)
		from = to
	}
	slices.SortStableFunc(out, func(a, b inspection.Candidate) int { return cmp.Compare(b.Score, a.Score) })
	return out, nil
}

// sightings brings what the tiles say into pixels of the frame.
func (g Grid) sightings(said [][]inspection.Candidate) ([]sighting, error) {
	var out []sighting
	for i, tile := range g.Tiles {
		for _, c := range said[i] {
			if len(out) == MaxCandidates {
				return nil, fmt.Errorf("%w: the tiles of one picture show more than %d candidates: raise report_at in the recipe, or look at what the model was fed", inspection.ErrModelOutput, MaxCandidates)
			}
			s := sighting{Candidate: c, tile: tile, cut: g.cuts(tile, c.Box), wide: c.Mask == nil && fills(tile, c.Box)}
			if c.Mask != nil {
				var err error
				if s.mask, err = cutOut(c.Mask, tile, c.Box); err != nil {
					return nil, err
				}
			}
			dx, dy := float64(tile.Min.X), float64(tile.Min.Y)
			s.Box = inspection.Box{X1: c.Box.X1 + dx, Y1: c.Box.Y1 + dy, X2: c.Box.X2 + dx, Y2: c.Box.Y2 + dy}
			out = append(out, s)
		}
	}
	return out, nil
}

// cuts reports whether a box, in pixels of the tile, reaches a border of it behind which the picture goes on. Within a
// 64th of the tile is reached: models place the sides of what is cut off no more exactly than that.
func (g Grid) cuts(tile image.Rectangle, b inspection.Box) bool {
	w, h := float64(tile.Dx()), float64(tile.Dy())
	nearX, nearY := w/64, h/64
	return tile.Min.X > 0 && b.X1 <= nearX || tile.Min.Y > 0 && b.Y1 <= nearY ||
		tile.Max.X < g.Width && b.X2 >= w-nearX || tile.Max.Y < g.Height && b.Y2 >= h-nearY
}

// fills reports whether a box, in pixels of the tile, reaches all its borders.
func fills(tile image.Rectangle, b inspection.Box) bool {
	w, h := float64(tile.Dx()), float64(tile.Dy())
	return b.X1 <= w/64 && b.Y1 <= h/64 && b.X2 >= w-w/64 && b.Y2 >= h-h/64
}

// compare is an order of sightings that depends on nothing but themselves: by class, by falling score, by place.
func compare(a, b sighting) int {
	return cmp.Or(
		strings.Compare(a.Class, b.Class), cmp.Compare(b.Score, a.Score),
		cmp.Compare(a.Box.Y1, b.Box.Y1), cmp.Compare(a.Box.X1, b.Box.X1), cmp.Compare(a.Box.Y2, b.Box.Y2), cmp.Compare(a.Box.X2, b.Box.X2),
		cmp.Compare(a.tile.Min.Y, b.tile.Min.Y), cmp.Compare(a.tile.Min.X, b.tile.Min.X),
	)
}

// mergeClass merges the sightings of one class, which are in order.
func (g Grid) mergeClass(all []sighting) []inspection.Candidate {
	near := neighbours(all)
	gone, score := make([]bool, len(all)), make([]float64, len(all))
	for i, s := range all { // of the whole ones in one place the first stays
		score[i] = s.Score
		gone[i] = !s.cut && slices.ContainsFunc(near[i], func(j int) bool {
			return j < i && !gone[j] && !all[j].cut && overUnion(s.Box, all[j].Box) >= sameAbove
		})
	}
	for i, s := range all { // partial views go to the whole
		if !s.cut {
			continue
		}
		for _, j := range near[i] {
			if !all[j].cut && !gone[j] && shared(s.Box, all[j].Box) >= partFrom*area(s.Box) {
				gone[i] = true
				score[j] = max(score[j], s.Score)
			}
		}
	}
	groups := newGroups(len(all))
	for i := range all {
		for _, j := range near[i] {
			if j < i && !gone[i] && !gone[j] && continues(all[i], all[j]) {
				groups.join(i, j)
			}
		}
	}
	return g.unite(all, gone, score, groups)
}

// continues reports whether two sightings of tiles that share a part of the picture go on in each other: what both tiles
// saw of them is the same. What has a mask does not go on in what only says that a tile holds something, as an anomaly
// model does of a tile without a region: its place would be lost.
func continues(a, b sighting) bool {
	if a.wide && b.Mask != nil || b.wide && a.Mask != nil {
		return false
	}
	seen := box(a.tile.Intersect(b.tile))
	x, y := intersect(a.Box, seen), intersect(b.Box, seen)
	switch {
	case a.cut && b.cut:
		return shared(x, y) > 0 && shared(x, y) >= partFrom*min(area(x), area(y))
	case a.cut || b.cut:
		return overUnion(x, y) >= partFrom
	default:
		return false
	}
}

// unite makes one candidate of each group.
func (g Grid) unite(all []sighting, gone []bool, score []float64, groups groups) []inspection.Candidate {
	members := map[int][]int{}
	var firsts []int // of each group, in order
	for i := range all {
		if gone[i] {
			continue
		}
		first := groups.of(i)
		if members[first] == nil {
			firsts = append(firsts, first)
		}
		members[first] = append(members[first], i)
	}
	out := make([]inspection.Candidate, 0, len(firsts))
	for _, first := range firsts {
		c := all[members[first][0]].Candidate
		var masks []window
		for _, i := range members[first] {
			c.Score = max(c.Score, score[i])
			c.Box = inspection.Box{X1: min(c.Box.X1, all[i].Box.X1), Y1: min(c.Box.Y1, all[i].Box.Y1), X2: max(c.Box.X2, all[i].Box.X2), Y2: max(c.Box.Y2, all[i].Box.Y2)}
			if all[i].Mask != nil {
				masks = append(masks, all[i].mask)
			}
		}
		c.Mask = nil
		if len(masks) == len(members[first]) {
			c.Mask = g.join(masks)
		}
		out = append(out, c)
	}
	return out
}

// neighbours lists for each sighting those of other tiles whose boxes share a part with its own.
func neighbours(all []sighting) [][]int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(all[a].Box.X1, all[b].Box.X1) })
	out := make([][]int, len(all))
	for from, i := range order {
		for _, j := range order[from+1:] {
			if all[j].Box.X1 >= all[i].Box.X2 {
				break // and so do all behind it
			}
			if all[i].tile != all[j].tile && shared(all[i].Box, all[j].Box) > 0 {
				out[i], out[j] = append(out[i], j), append(out[j], i)
			}
		}
	}
	return out
}

// groups are sets of sightings; each is known by its least member.
type groups []int

func newGroups(n int) groups {
	g := make(groups, n)
	for i := range g {
		g[i] = i
	}
	return g
}

func (g groups) of(i int) int {
	for g[i] != i {
		g[i] = g[g[i]]
		i = g[i]
	}
	return i
}

func (g groups) join(i, j int) {
	i, j = g.of(i), g.of(j)
	g[max(i, j)] = min(i, j)
}

func box(r image.Rectangle) inspection.Box {
	return inspection.Box{X1: float64(r.Min.X), Y1: float64(r.Min.Y), X2: float64(r.Max.X), Y2: float64(r.Max.Y)}
}

// intersect returns what two boxes share; its sides are of no length where that is nothing.
func intersect(a, b inspection.Box) inspection.Box {
	out := inspection.Box{X1: max(a.X1, b.X1), Y1: max(a.Y1, b.Y1), X2: min(a.X2, b.X2), Y2: min(a.Y2, b.Y2)}
	out.X2, out.Y2 = max(out.X1, out.X2), max(out.Y1, out.Y2)
	return out
}

func area(b inspection.Box) float64 { return b.W() * b.H() }

// shared is the area that two boxes share.
func shared(a, b inspection.Box) float64 { return area(intersect(a, b)) }

// overUnion is that over the area that they cover together.
func overUnion(a, b inspection.Box) float64 {
	s := shared(a, b)
	return s / math.Max(area(a)+area(b)-s, math.SmallestNonzeroFloat64)
}
