// Kernels in plain C, for any processor.
//
// A product may not be fused with the sum it is added to unless the reference says so.
#pragma STDC FP_CONTRACT OFF
#include "sets.h"
#include "unpack.h"

// Vectors of the compiler's, which it takes apart for a processor that has none. Functions that take them are part of
// their callers, so that how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
typedef int8_t bytes32 __attribute__((vector_size(32)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef int16_t words32 __attribute__((vector_size(64)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef uint32_t bits8 __attribute__((vector_size(32)));
typedef int32_t ints16 __attribute__((vector_size(64)));
typedef int32_t ints32 __attribute__((vector_size(128)));
typedef float floats8 __attribute__((vector_size(32)));
typedef double doubles8 __attribute__((vector_size(64)));

ALWAYS_INLINE floats8 zeros8(void) { return (floats8){0}; }
ALWAYS_INLINE ints8 zero_ints8(void) { return (ints8){0}; }
ALWAYS_INLINE ints8 load_ints8(const int32_t *p) {
    ints8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/// Products of 16 bits, the sums of two neighbours, and of two of these.
ALWAYS_INLINE ints8 products(const int8_t *w, const int8_t *y) {
    bytes32 a, b;
    memcpy(&a, w, sizeof a);
    memcpy(&b, y, sizeof b);
    const ints32 all = __builtin_convertvector(__builtin_convertvector(a, words32), ints32)
        * __builtin_convertvector(__builtin_convertvector(b, words32), ints32);
    const ints16 pairs =
        __builtin_shufflevector(all, all, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
        + __builtin_shufflevector(all, all, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return __builtin_shufflevector(pairs, pairs, 0, 2, 4, 6, 8, 10, 12, 14)
        + __builtin_shufflevector(pairs, pairs, 1, 3, 5, 7, 9, 11, 13, 15);
}

ALWAYS_INLINE ints8 add_scaled(ints8 sum, ints8 v, int a, int b) { return sum + v * (ints8){a, a, a, a, b, b, b, b}; }

/// In double the product is exact; the sum is rounded to double, then to float. Source: the reference's `fused`.
ALWAYS_INLINE floats8 multiply_add(floats8 sum, floats8 a, floats8 b) {
    const doubles8 product = __builtin_convertvector(a, doubles8) * __builtin_convertvector(b, doubles8);
    return __builtin_convertvector(__builtin_convertvector(sum, doubles8) + product, floats8);
}
ALWAYS_INLINE floats8 add_fused(floats8 sum, ints8 v, float scale) {
    const doubles8 product = __builtin_convertvector(__builtin_convertvector(v, floats8), doubles8) * (double)scale;
    return __builtin_convertvector(__builtin_convertvector(sum, doubles8) + product, floats8);
}

ALWAYS_INLINE floats8 add8(floats8 a, floats8 b) { return a + b; }

ALWAYS_INLINE float total(floats8 l) { return ((l[4] + l[0]) + (l[6] + l[2])) + ((l[5] + l[1]) + (l[7] + l[3])); }

ALWAYS_INLINE floats8 load_f32(const void *p) {
    floats8 v;
    memcpy(&v, p, sizeof v);
    return v;
}
/// Eight numbers of 16 bits, each in the upper half of a lane.
ALWAYS_INLINE bits8 load_upper(const void *p) {
    halves8 v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, bits8) << 16;
}
ALWAYS_INLINE floats8 load_bf16(const void *p) { return (floats8)load_upper(p); }
/// As `float16`: a product with a power of two is exact, of subnormals too.
ALWAYS_INLINE floats8 load_f16(const void *p) {
    const bits8 shifted = (bits8)((ints8)load_upper(p) >> 3) & 0x8fffe000;
    const bits8 not_finite = (bits8)((shifted & 0x0f800000) == 0x0f800000) & 0x7f800000;
    return (floats8)((bits8)((floats8)shifted * 0x1p112f) | not_finite);
}

#include "rows.inc"

const quipu_product_kernel *quipu_portable_product_kernel(int type) { return row_kernel_for(type); }
