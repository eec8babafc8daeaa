package eval

// regions tells the connected parts of a mask apart, pixels that touch at an edge or a corner being of one part. It returns
// the part of each pixel (meaningless where the mask is false) and the size of each part in pixels.
func regions(mask []bool, width int) (of []int32, sizes []int) {
	of = make([]int32, len(mask))
	for i := range of {
		of[i] = -1
	}
	var stack []int
	for start, set := range mask {
		if !set || of[start] >= 0 {
			continue
		}
		id := int32(len(sizes))
		sizes = append(sizes, 0)
		of[start], stack = id, append(stack[:0], start)
		for len(stack) > 0 {
			p := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			sizes[id]++
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					x, q := p%width+dx, p+dy*width+dx
					if x >= 0 && x < width && q >= 0 && q < len(mask) && mask[q] && of[q] < 0 {
						of[q], stack = id, append(stack, q)
					}
				}
			}
		}
	}
	return of, sizes
}
