package recipe

import (
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Bounds of a tile's sides and of the overlap, px. Below minOverlap two tiles share too little to tell by it that what
// both of them see is one thing.
const (
	minTile, maxTile = 64, 16384
	minOverlap       = 8
)

// tiling reads how large pictures are cut. Overlaps of more than half a tile are refused: every place would be looked at
// three times and more in each direction.
func (d *draft) tiling() {
	n := d.root.fields["tiling"]
	if n == nil {
		return
	}
	o := d.object(n, "tiling", "size", "overlap")
	t := &d.recipe.Tiling
	if o.require("size", "state a tile's side in pixels of the frame, as in size: 640, or both sides, as in size: [1280, 960]") {
		t.Width, t.Height = d.tileSize(o.at("size"))
	}
	if !o.require("overlap", "state how many pixels tiles beside each other share: more than the longest defect, where that can be") {
		return
	}
	t.Overlap = o.integer("overlap", minOverlap, maxTile/2, 0, "write the pixels that tiles beside each other share, "+strconv.Itoa(minOverlap)+" or more")
	if short := min(t.Width, t.Height); short > 0 && t.Overlap > short/2 {
		d.fail(o.at("overlap"), "tiling.overlap", "lower it, or enlarge size", "%d is more than half of a tile's shorter side, %d", t.Overlap, short)
	}
}

// tileSize reads one side for both, or [width, height]; zeros where it was refused.
func (d *draft) tileSize(n *yaml.Node) (w, h int) {
	nodes := []*yaml.Node{n, n}
	if n.Kind == yaml.SequenceNode {
		nodes = d.elements(n, "tiling.size")
		if len(nodes) != 2 {
			d.fail(n, "tiling.size", "write [width, height], or one number for both", "it has %d numbers", len(nodes))
			return 0, 0
		}
	}
	var sides [2]int
	for i, side := range nodes {
		x, ok := d.value(side, "tiling.size", minTile, maxTile)
		if ok && x != math.Trunc(x) {
			d.fail(side, "tiling.size", "write whole pixels", "%g is no whole number", x)
			ok = false
		}
		if !ok {
			return 0, 0
		}
		sides[i] = int(x)
	}
	return sides[0], sides[1]
}
