// Kernels for AVX2 with FMA and F16C: processors of 2013 and later.
#include "sets.h"
#if QUIPU_X86
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#define HAS_F16C
#include "unpack.h"

typedef __m256i ints8;
typedef __m256 floats8;

ALWAYS_INLINE floats8 zeros8(void) { return _mm256_setzero_ps(); }
ALWAYS_INLINE ints8 zero_ints8(void) { return _mm256_setzero_si256(); }
ALWAYS_INLINE ints8 load_ints8(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

/// The instruction multiplies bytes without and with sign: the sign of w moves to y.
ALWAYS_INLINE ints8 products(const int8_t *w, const int8_t *y) {
    const __m256i codes = _mm256_loadu_si256((const __m256i *)w);
    const __m256i values = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)y), codes);
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(codes), values), _mm256_set1_epi16(1));
}

ALWAYS_INLINE ints8 add_scaled(ints8 sum, ints8 v, int a, int b) {
    const __m256i scales = _mm256_set_m128i(_mm_set1_epi32(b), _mm_set1_epi32(a));
    return _mm256_add_epi32(sum, _mm256_mullo_epi32(v, scales));
}

ALWAYS_INLINE floats8 add_fused(floats8 sum, ints8 v, float scale) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps(scale), sum);
}

ALWAYS_INLINE floats8 multiply_add(floats8 sum, floats8 a, floats8 b) { return _mm256_fmadd_ps(a, b, sum); }
ALWAYS_INLINE floats8 add8(floats8 a, floats8 b) { return _mm256_add_ps(a, b); }

ALWAYS_INLINE float total(floats8 v) {
    const __m128 quads = _mm_add_ps(_mm256_extractf128_ps(v, 1), _mm256_castps256_ps128(v));
    const __m128 pairs = _mm_add_ps(quads, _mm_movehl_ps(quads, quads));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)));
}

ALWAYS_INLINE floats8 load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
ALWAYS_INLINE floats8 load_bf16(const void *p) {
    const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}
ALWAYS_INLINE floats8 load_f32(const void *p) { return _mm256_loadu_ps((const float *)p); }

#include "rows.inc"

const quipu_product_kernel *quipu_avx2_product_kernel(int type) { return row_kernel_for(type); }
#pragma clang attribute pop
#endif
