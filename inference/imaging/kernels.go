//go:build gocv_specific_modules

package imaging

/*
#cgo CFLAGS: -O3
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// One build for plain and for wide vector units; the loader picks at start.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

// affine_f32 writes dst[i*ds] = a*src[i*ss] + b for n pixels.
WIDE static void affine_f32(float *restrict dst, const uint8_t *restrict src, size_t n, size_t ds, size_t ss, float a, float b) {
	if (ds == 1 && ss == 1) {
		for (size_t i = 0; i < n; i++) dst[i] = a * (float)src[i] + b;
	} else if (ds == 1 && ss == 3) { // a constant that the compiler can shuffle for
		for (size_t i = 0; i < n; i++) dst[i] = a * (float)src[3 * i] + b;
	} else {
		for (size_t i = 0; i < n; i++) dst[i * ds] = a * (float)src[i * ss] + b;
	}
}

// difference_f32 writes dst[i*ds] = a*(p[i*ss] - q[i*ss]) for n pixels.
WIDE static void difference_f32(float *restrict dst, const uint8_t *restrict p, const uint8_t *restrict q, size_t n, size_t ds, size_t ss, float a) {
	if (ds == 1 && ss == 1) {
		for (size_t i = 0; i < n; i++) dst[i] = a * (float)((int)p[i] - (int)q[i]);
	} else {
		for (size_t i = 0; i < n; i++) dst[i * ds] = a * (float)((int)p[i * ss] - (int)q[i * ss]);
	}
}

WIDE static void copy_u8(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, size_t ds, size_t ss) {
	if (ds == 1 && ss == 3) {
		for (size_t i = 0; i < n; i++) dst[i] = src[3 * i];
		return;
	}
	for (size_t i = 0; i < n; i++) dst[i * ds] = src[i * ss];
}

WIDE static uint32_t row_distance(const uint8_t *restrict p, const uint8_t *restrict q, int n) {
	uint32_t d = 0; // n is cut to pieces of 2^15 px: 2^15 * 255^2 < 2^32
	for (int i = 0; i < n; i++) {
		int32_t v = (int32_t)p[i] - q[i];
		d += (uint32_t)(v * v);
	}
	return d;
}

// shifted_distance is the mean squared difference between frame(x, y) and reference(x-dx, y-dy) where both are, over
// every step-th row. It is -1 where they do not overlap.
static double shifted_distance(const uint8_t *frame, const uint8_t *reference, int w, int h, int dx, int dy, int step) {
	int x0 = dx > 0 ? dx : 0, x1 = dx < 0 ? w + dx : w, y0 = dy > 0 ? dy : 0, y1 = dy < 0 ? h + dy : h;
	if (x1 <= x0 || y1 <= y0) return -1;
	uint64_t sum = 0, n = 0;
	for (int y = y0; y < y1; y += step) {
		const uint8_t *p = frame + (size_t)y * w, *q = reference + (size_t)(y - dy) * w - dx;
		for (int x = x0; x < x1; x += 32768) {
			int m = x1 - x < 32768 ? x1 - x : 32768;
			sum += row_distance(p + x, q + x, m);
		}
		n += x1 - x0;
	}
	return (double)sum / (double)n;
}

// shift_u8 writes dst(x, y) = src(x-dx, y-dy), the border repeated outwards, for pixels of c bytes.
static void shift_u8(uint8_t *restrict dst, const uint8_t *restrict src, int w, int h, int c, int dx, int dy) {
	for (int y = 0; y < h; y++) {
		int sy = y - dy;
		sy = sy < 0 ? 0 : sy >= h ? h - 1 : sy;
		const uint8_t *s = src + (size_t)sy * w * c;
		uint8_t *d = dst + (size_t)y * w * c;
		int x0 = dx > 0 ? (dx < w ? dx : w) : 0, x1 = dx < 0 ? (w + dx > 0 ? w + dx : 0) : w;
		for (int x = 0; x < x0; x++) memcpy(d + (size_t)x * c, s, c);
		if (x1 > x0) memcpy(d + (size_t)x0 * c, s + (size_t)(x0 - dx) * c, (size_t)(x1 - x0) * c);
		for (int x = x1 > x0 ? x1 : x0; x < w; x++) memcpy(d + (size_t)x * c, s + (size_t)(w - 1) * c, c);
	}
}

static void *alloc64(size_t n) { void *p = NULL; return posix_memalign(&p, 64, n) == 0 ? p : NULL; }
*/
import "C"

import "unsafe"

func cBytes(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }
func cFloats(b []byte) *C.float  { return (*C.float)(unsafe.Pointer(unsafe.SliceData(b))) }

// affine writes a*src+b into every ds-th float of dst, reading every ss-th byte of src, n times.
func affine(dst, src []byte, n, ds, ss int, a, b float32) {
	C.affine_f32(cFloats(dst), cBytes(src), C.size_t(n), C.size_t(ds), C.size_t(ss), C.float(a), C.float(b))
}

// difference writes a*(p-q), as affine does.
func difference(dst, p, q []byte, n, ds, ss int, a float32) {
	C.difference_f32(cFloats(dst), cBytes(p), cBytes(q), C.size_t(n), C.size_t(ds), C.size_t(ss), C.float(a))
}

// copyStrided copies every ss-th byte of src to every ds-th byte of dst, n times.
func copyStrided(dst, src []byte, n, ds, ss int) {
	C.copy_u8(cBytes(dst), cBytes(src), C.size_t(n), C.size_t(ds), C.size_t(ss))
}

// shiftedDistance returns the mean squared difference of two grey pictures of one size, the frame shifted by dx, dy
// against the reference, over every step-th row; -1 where they do not overlap.
func shiftedDistance(frame, reference *Picture, dx, dy, step int) float64 {
	return float64(C.shifted_distance(cBytes(frame.buf), cBytes(reference.buf), C.int(frame.w), C.int(frame.h), C.int(dx), C.int(dy), C.int(step)))
}

// shiftInto writes src moved by dx, dy px into dst, its border repeated outwards.
func shiftInto(dst, src *Picture, dx, dy int) {
	C.shift_u8(cBytes(dst.buf), cBytes(src.buf), C.int(src.w), C.int(src.h), C.int(src.c), C.int(dx), C.int(dy))
}

func cAlloc(n int) []byte {
	p := C.alloc64(C.size_t(n))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), n)
}

func cFree(b []byte) {
	if cap(b) > 0 {
		C.free(unsafe.Pointer(unsafe.SliceData(b)))
	}
}
