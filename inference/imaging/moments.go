//go:build gocv_specific_modules

package imaging

/*
#cgo CFLAGS: -O3
#include "pixels.h"

// moments are sums over a grey picture and over its Laplacian (4-neighbour, border reflected without the edge pixel).
typedef struct { uint64_t sum, sumsq; int64_t lap; uint64_t lapsq; } moments;

// row_plain adds the columns from..to, which are no border.
static void row_plain(const uint8_t *restrict up, const uint8_t *restrict row, const uint8_t *restrict down, int from, int to, moments *m) {
	for (; from < to; from += 2048) { // in pieces that 32 bits hold: 2048 * 1020^2 < 2^31
		int end = from + 2048 < to ? from + 2048 : to;
		uint32_t sum = 0, sumsq = 0, lapsq = 0;
		int32_t lap = 0;
		for (int x = from; x < end; x++) {
			uint32_t v = row[x];
			int32_t l = (int32_t)up[x] + down[x] + row[x - 1] + row[x + 1] - 4 * (int32_t)row[x];
			sum += v;
			sumsq += v * v;
			lap += l;
			lapsq += (uint32_t)(l * l);
		}
		m->sum += sum;
		m->sumsq += sumsq;
		m->lap += lap;
		m->lapsq += lapsq;
	}
}

#ifdef ASSAY_AVX2

ASSAY_AVX2 static uint64_t total_u32(__m256i v) {
	uint32_t a[8];
	uint64_t sum = 0;
	memcpy(a, &v, sizeof a);
	for (int i = 0; i < 8; i++) sum += a[i];
	return sum;
}

// row_avx2 adds the columns from 1 on, 32 at a time, as long as they and their neighbours lie in the row, and returns
// the first that it left. A pair of neighbours is one widening multiply-add of bytes, a pair of squares one of 16 bits.
ASSAY_AVX2 static int row_avx2(const uint8_t *restrict up, const uint8_t *restrict row, const uint8_t *restrict down, int w, moments *m) {
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
	const __m256i zero = _mm256_setzero_si256(), bytes = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
	int x = 1;
	while (x + 32 < w) {
		// What 32 bits hold: 512 times 4 squares of 1020. And 16 bits, without their sign: 16 times 2 of 1020.
		__m256i sum = zero, sumsq = zero, lap = zero, lapsq = zero;
		for (int k = 0; k < 32 && x + 32 < w; k++) {
			__m256i laps = zero;
			for (int j = 0; j < 16 && x + 32 < w; j++, x += 32) {
				__m256i u = LOAD(up + x), d = LOAD(down + x), l = LOAD(row + x - 1), r = LOAD(row + x + 1), c = LOAD(row + x);
				__m256i c0 = _mm256_unpacklo_epi8(c, zero), c1 = _mm256_unpackhi_epi8(c, zero);
				__m256i n0 = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_unpacklo_epi8(u, d), bytes), _mm256_maddubs_epi16(_mm256_unpacklo_epi8(l, r), bytes));
				__m256i n1 = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_unpackhi_epi8(u, d), bytes), _mm256_maddubs_epi16(_mm256_unpackhi_epi8(l, r), bytes));
				__m256i l0 = _mm256_sub_epi16(n0, _mm256_slli_epi16(c0, 2)), l1 = _mm256_sub_epi16(n1, _mm256_slli_epi16(c1, 2));
				sum = _mm256_add_epi32(sum, _mm256_sad_epu8(c, zero));
				sumsq = _mm256_add_epi32(sumsq, _mm256_add_epi32(_mm256_madd_epi16(c0, c0), _mm256_madd_epi16(c1, c1)));
				lapsq = _mm256_add_epi32(lapsq, _mm256_add_epi32(_mm256_madd_epi16(l0, l0), _mm256_madd_epi16(l1, l1)));
				laps = _mm256_add_epi16(laps, _mm256_add_epi16(l0, l1));
			}
			lap = _mm256_add_epi32(lap, _mm256_madd_epi16(laps, words));
		}
		m->sum += total_u32(sum);
		m->sumsq += total_u32(sumsq);
		m->lapsq += total_u32(lapsq);
		int32_t a[8];
		memcpy(a, &lap, sizeof a);
		for (int i = 0; i < 8; i++) m->lap += a[i];
	}
	return x;
#undef LOAD
}

#endif

static void row_moments(const uint8_t *restrict up, const uint8_t *restrict row, const uint8_t *restrict down, int w, int wide, moments *m) {
	int x = 1;
#ifdef ASSAY_AVX2
	if (wide) x = row_avx2(up, row, down, w, m);
#endif
	row_plain(up, row, down, x, w - 1, m);
	for (int side = 0; side < (w > 1 ? 2 : 1); side++) { // both border pixels
		int x = side ? w - 1 : 0, in = w > 1 ? (side ? w - 2 : 1) : 0;
		int32_t v = row[x], l = (int32_t)up[x] + down[x] + 2 * (int32_t)row[in] - 4 * v;
		m->sum += v;
		m->sumsq += v * v;
		m->lap += l;
		m->lapsq += l * l;
	}
}

// grey_row returns row y of a picture, as grey. scratch holds three rows, so that the neighbours of one that were made
// grey for it are still there for the next.
static const uint8_t *grey_row(const uint8_t *pix, int w, int c, int rgb, int y, uint8_t *scratch, int *held, int wide) {
	const uint8_t *row = pix + (size_t)y * w * c;
	if (c == 1) return row;
	uint8_t *grey = scratch + (size_t)(y % 3) * w;
	if (held[y % 3] != y) luma_u8(grey, row, w, rgb, wide);
	held[y % 3] = y;
	return grey;
}

// picture_moments sums over n rows: those listed, or the first n where rows is NULL.
static moments picture_moments(const uint8_t *pix, int w, int h, int c, int rgb, const int32_t *rows, int n, uint8_t *scratch, int wide) {
	moments m = {0, 0, 0, 0};
	int held[3] = {-1, -1, -1};
	for (int i = 0; i < n; i++) {
		int y = rows ? rows[i] : i;
		int above = y > 0 ? y - 1 : (h > 1 ? 1 : 0), below = y < h - 1 ? y + 1 : (h > 1 ? h - 2 : 0);
		const uint8_t *up = grey_row(pix, w, c, rgb, above, scratch, held, wide);
		const uint8_t *row = grey_row(pix, w, c, rgb, y, scratch, held, wide);
		const uint8_t *down = grey_row(pix, w, c, rgb, below, scratch, held, wide);
		row_moments(up, row, down, w, wide, &m);
	}
	return m;
}
*/
import "C"

import "unsafe"

// moments returns mean and variance of a picture's grey form and the variance of its Laplacian: over the rows listed, or
// all where rows is nil. scratch holds three rows of grey, for a picture in colour. plain: without vector instructions,
// to the same result.
func moments(p *Picture, rows []int32, scratch []byte, plain bool) (mean, variance, sharpness float64) {
	n := len(rows)
	if rows == nil {
		n = p.h
	}
	m := C.picture_moments(cBytes(p.buf), C.int(p.w), C.int(p.h), C.int(p.c), cBool(p.rgb),
		(*C.int32_t)(unsafe.SliceData(rows)), C.int(n), cBytes(scratch), wideUnless(plain))
	px := float64(p.w) * float64(n)
	mean = float64(m.sum) / px
	lap := float64(m.lap) / px
	return mean, max(float64(m.sumsq)/px-mean*mean, 0), max(float64(m.lapsq)/px-lap*lap, 0)
}

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
