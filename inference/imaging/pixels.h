// Conversions between the orders of a pixel's bytes, for packed rows. Each is written twice: for AVX2, with the shuffles
// that no compiler finds, and plainly. Both give the same bytes; the plain ones run where wide is 0 or there is no AVX2.

#ifndef ASSAY_PIXELS_H
#define ASSAY_PIXELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define ASSAY_AVX2 __attribute__((target("avx2")))
static int have_avx2(void) { return __builtin_cpu_supports("avx2") != 0; }
#else
static int have_avx2(void) { return 0; }
#endif

// The weights of a grey value, as OpenCV's: 0.114 B + 0.587 G + 0.299 R in 15 bits, rounded.
enum { LUMA_B = 3735, LUMA_G = 19235, LUMA_R = 9798, LUMA_SHIFT = 15 };

static size_t luma_plain(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, int first, int third) {
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)((src[3 * i] * first + src[3 * i + 1] * LUMA_G + src[3 * i + 2] * third + (1 << (LUMA_SHIFT - 1))) >> LUMA_SHIFT);
	return n;
}

static size_t swap3_plain(uint8_t *restrict dst, const uint8_t *restrict src, size_t n) {
	for (size_t i = 0; i < n; i++) {
		dst[3 * i] = src[3 * i + 2];
		dst[3 * i + 1] = src[3 * i + 1];
		dst[3 * i + 2] = src[3 * i];
	}
	return n;
}

#ifdef ASSAY_AVX2

// luma_avx2 does as many pixels as it can without reading past src, and returns how many. A lane takes 4 px of 12 bytes:
// one shuffle makes (first, second) pairs of 16 bits for a widening multiply-add, another (third, 0).
ASSAY_AVX2 static size_t luma_avx2(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, int first, int third) {
	const __m256i pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
	const __m256i thirds = _mm256_broadcastsi128_si256(_mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
	const __m256i a = _mm256_set1_epi32(first | LUMA_G << 16), b = _mm256_set1_epi32(third), half = _mm256_set1_epi32(1 << (LUMA_SHIFT - 1));
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); // packing works by lanes
	size_t i = 0;
	for (; i + 34 <= n; i += 32) { // the last load reads 4 bytes beyond the 32 px
		__m256i y[4];
		for (int k = 0; k < 4; k++) {
			const uint8_t *s = src + 3 * i + 24 * k;
			__m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)s)), _mm_loadu_si128((const __m128i *)(s + 12)), 1);
			__m256i sum = _mm256_add_epi32(_mm256_madd_epi16(_mm256_shuffle_epi8(v, pairs), a), _mm256_madd_epi16(_mm256_shuffle_epi8(v, thirds), b));
			y[k] = _mm256_srli_epi32(_mm256_add_epi32(sum, half), LUMA_SHIFT);
		}
		__m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(y[0], y[1]), _mm256_packus_epi32(y[2], y[3]));
		_mm256_storeu_si256((__m256i *)(dst + i), _mm256_permutevar8x32_epi32(bytes, order));
	}
	return i;
}

// swap3_avx2 is for as many pixels as it can do without touching a byte past the ends, and returns how many. Each store's
// sixteenth byte is written again by the next, or by who does the rest.
ASSAY_AVX2 static size_t swap3_avx2(uint8_t *restrict dst, const uint8_t *restrict src, size_t n) {
	const __m128i order = _mm_setr_epi8(2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 15);
	size_t i = 0;
	for (; 3 * i + 16 <= 3 * n; i += 5)
		_mm_storeu_si128((__m128i *)(dst + 3 * i), _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(src + 3 * i)), order));
	return i;
}

// spread3_avx2 does 16 px at a time, and returns how many.
ASSAY_AVX2 static size_t spread3_avx2(uint8_t *restrict dst, const uint8_t *restrict src, size_t n) {
	const __m128i a = _mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
	const __m128i b = _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10);
	const __m128i c = _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
	size_t i = 0;
	for (; i + 16 <= n; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(src + i));
		__m128i *d = (__m128i *)(dst + 3 * i);
		_mm_storeu_si128(d, _mm_shuffle_epi8(v, a));
		_mm_storeu_si128(d + 1, _mm_shuffle_epi8(v, b));
		_mm_storeu_si128(d + 2, _mm_shuffle_epi8(v, c));
	}
	return i;
}

#endif

// luma_u8 writes the grey values of n px of three bytes, of the order BGR, or RGB where rgb is set.
static void luma_u8(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, int rgb, int wide) {
	int first = rgb ? LUMA_R : LUMA_B, third = rgb ? LUMA_B : LUMA_R;
	size_t i = 0;
#ifdef ASSAY_AVX2
	if (wide) i = luma_avx2(dst, src, n, first, third);
#endif
	luma_plain(dst + i, src + 3 * i, n - i, first, third);
}

// swap3_u8 copies n px of three bytes, the first and the third exchanged.
static void swap3_u8(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, int wide) {
	size_t i = 0;
#ifdef ASSAY_AVX2
	if (wide) i = swap3_avx2(dst, src, n);
#endif
	swap3_plain(dst + 3 * i, src + 3 * i, n - i);
}

// spread3_u8 copies n grey px into three bytes each.
static void spread3_u8(uint8_t *restrict dst, const uint8_t *restrict src, size_t n, int wide) {
	size_t i = 0;
#ifdef ASSAY_AVX2
	if (wide) i = spread3_avx2(dst, src, n);
#endif
	for (; i < n; i++) dst[3 * i] = dst[3 * i + 1] = dst[3 * i + 2] = src[i];
}

#endif
