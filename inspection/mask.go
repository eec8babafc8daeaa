package inspection

import "fmt"

// Mask says which pixels of the frame belong to a candidate: run lengths as pycocotools reads and writes them (COCO's
// compressed RLE: columns from left to right, each from top to bottom, beginning with what does not belong). It is read-only.
type Mask struct {
	Width  int    `json:"width"` // of the frame, px
	Height int    `json:"height"`
	Counts string `json:"counts"`
}

// maxMaskPixels bounds the frame that a mask is decoded for, and with it what a few hostile bytes can ask for. It is twice
// the pixels of the largest frame that a node takes by default.
const maxMaskPixels = 1 << 28

// EncodeMask makes the mask of a frame of width x height pixels out of a window of it: bits holds the window's w*h pixels
// row by row, true where they belong, and its corner lies at x, y. What of the window lies outside the frame is left out.
// The work grows with the window, not with the frame. bits must have w*h values, and the frame a pixel or more.
func EncodeMask(width, height, x, y, w, h int, bits []bool) *Mask {
	var e runs
	for column := max(x, 0); column < min(x+w, width); column++ {
		for row := max(y, 0); row < min(y+h, height); row++ {
			if bits[(row-y)*w+column-x] {
				e.add(column*height + row)
			}
		}
	}
	return &Mask{Width: width, Height: height, Counts: e.counts(width * height)}
}

// runs collects a mask's run lengths. The zero value has none.
type runs struct {
	text    []byte
	n       int    // runs written
	before  [2]int // lengths of the last run written and of the one before it
	start   int    // where the run of ones that is not written yet begins
	end     int    // and ends; equal to start where there is none
	written int    // pixels that the runs written cover
}

// add takes the next pixel that belongs, by rising place.
func (e *runs) add(at int) {
	if at != e.end || e.start == e.end {
		e.flush()
		e.start = at
	}
	e.end = at + 1
}

// flush writes the run of zeros before the open run of ones, and that run.
func (e *runs) flush() {
	if e.start < e.end {
		e.write(e.start - e.written)
		e.write(e.end - e.start)
		e.written = e.end
		e.start = e.end
	}
}

// counts ends the mask of size pixels and returns its text.
func (e *runs) counts(size int) string {
	e.flush()
	if size > e.written || e.n == 0 {
		e.write(size - e.written)
	}
	return string(e.text)
}

// write appends one run length. From the fourth on, COCO writes how much longer a run is than the one two before it; the
// number goes out in groups of five bits, the low ones first, each with a bit that says whether more follow. The top bit of
// the last group is the sign.
func (e *runs) write(length int) {
	v := length
	if e.n > 2 {
		v -= e.before[1]
	}
	e.before, e.n = [2]int{length, e.before[0]}, e.n+1
	for more := true; more; {
		group := byte(v & 0x1f)
		v >>= 5
		more = group&0x10 != 0 && v != -1 || group&0x10 == 0 && v != 0
		if more {
			group |= 0x20
		}
		e.text = append(e.text, group+'0')
	}
}

// Decode returns whether each pixel of the frame belongs, row by row. The error wraps ErrInvalid: Counts is no run lengths,
// they do not cover the frame exactly, or the frame has no pixel or too many. Only then is memory taken for it.
func (m *Mask) Decode() ([]bool, error) {
	if m.Width < 1 || m.Height < 1 || m.Height > maxMaskPixels/m.Width {
		return nil, fmt.Errorf("%w: mask: size %dx%d: want 1 to %d pixels", ErrInvalid, m.Width, m.Height, maxMaskPixels)
	}
	lengths, err := m.lengths()
	if err != nil {
		return nil, err
	}
	bits := make([]bool, m.Width*m.Height)
	at := 0
	for i, n := range lengths {
		if i%2 == 1 {
			for p := at; p < at+n; p++ {
				bits[p%m.Height*m.Width+p/m.Height] = true
			}
		}
		at += n
	}
	return bits, nil
}

// lengths reads the run lengths and checks that they cover the frame.
func (m *Mask) lengths() ([]int, error) {
	size := m.Width * m.Height
	var lengths []int
	covered := 0
	for at := 0; at < len(m.Counts); {
		v, used, ok := readRun(m.Counts[at:])
		if !ok {
			return nil, fmt.Errorf("%w: mask: counts: no run length at byte %d of %d", ErrInvalid, at, len(m.Counts))
		}
		at += used
		if n := len(lengths); n > 2 {
			v += lengths[n-2]
		}
		if v < 0 || v > size-covered {
			return nil, fmt.Errorf("%w: mask: counts: run %d is %d long after %d of %d pixels", ErrInvalid, len(lengths), v, covered, size)
		}
		covered += v
		lengths = append(lengths, v)
	}
	if covered != size {
		return nil, fmt.Errorf("%w: mask: counts: %d of %d pixels are covered: send all runs", ErrInvalid, covered, size)
	}
	return lengths, nil
}

// readRun reads one number as write wrote it, and how many bytes it took. Numbers have at most 35 bits.
func readRun(s string) (v, used int, ok bool) {
	for used < 7 && used < len(s) {
		c := int(s[used]) - '0'
		if c < 0 || c > 0x3f {
			return 0, 0, false
		}
		v |= (c & 0x1f) << (5 * used)
		used++
		if c&0x20 == 0 {
			if c&0x10 != 0 {
				v |= -1 << (5 * used)
			}
			return v, used, true
		}
	}
	return 0, 0, false
}

// Heatmap says how anomalous each place of an area of the frame is. Grey value g of its pixels, 0..255, stands for the
// raw score Low + g/255*(High-Low). It is read-only.
type Heatmap struct {
	PNG  []byte  `json:"png"`  // 8-bit grey; its size is that of the model's map, not of the frame
	Area Box     `json:"area"` // what of the frame it covers, in pixels of the frame
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}
