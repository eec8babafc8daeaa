package tiling

import (
	"fmt"
	"image"

	"github.com/assay-vision/assay/inspection"
)

// MaxTiles bounds the tiles of one picture: one of 128 Mpx in tiles of 640 px that share 128 has about 500.
const MaxTiles = 4096

// Grid is a picture cut into tiles.
type Grid struct {
	Width, Height int               // of the picture, px
	Tiles         []image.Rectangle // row by row; they cover the picture, and none leaves it
}

// Fits reports whether a picture of w x h px needs no cutting.
func Fits(t inspection.Tiling, w, h int) bool {
	return t == (inspection.Tiling{}) || w <= t.Width && h <= t.Height
}

// Cut lays tiles over a picture of w x h px, as few as there can be where neighbours share t.Overlap px. They are spread
// evenly, so that what is to spare widens the overlaps instead of crowding the last two tiles. A side on which the
// picture is shorter than a tile has one, as long as the picture. The error wraps inspection.ErrImageTooLarge: more than
// MaxTiles.
func Cut(t inspection.Tiling, w, h int) (Grid, error) {
	across, down := count(w, t.Width, t.Overlap), count(h, t.Height, t.Overlap)
	if across > MaxTiles/down {
		return Grid{}, fmt.Errorf("%w: %d x %d px in tiles of %d x %d that share %d px make %d x %d of them, at most %d are taken: enlarge tiling.size in the recipe",
			inspection.ErrImageTooLarge, w, h, t.Width, t.Height, t.Overlap, across, down, MaxTiles)
	}
	g := Grid{Width: w, Height: h, Tiles: make([]image.Rectangle, 0, across*down)}
	for j := range down {
		y0, y1 := interval(j, down, h, t.Height)
		for i := range across {
			x0, x1 := interval(i, across, w, t.Width)
			g.Tiles = append(g.Tiles, image.Rect(x0, y0, x1, y1))
		}
	}
	return g, nil
}

// count returns how many tiles of a size cover a length.
func count(length, size, overlap int) int {
	if length <= size {
		return 1
	}
	return (length - overlap + size - overlap - 1) / (size - overlap)
}

// interval returns where the i-th of n tiles lies. Whole pixels cost no overlap: the distance between two tiles is at most
// the even one rounded up, and that is no more than size less overlap, which is whole.
func interval(i, n, length, size int) (from, to int) {
	if n == 1 {
		return 0, length
	}
	from = i * (length - size) / (n - 1)
	return from, from + size
}
