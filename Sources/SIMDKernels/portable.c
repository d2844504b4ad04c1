// Kernels in plain C, for any processor.
//
// A product may not be fused with the sum it is added to unless the reference says so.
#pragma STDC FP_CONTRACT OFF
#include "sets.h"
#include "unpack.h"

typedef struct { int32_t lane[8]; } ints8;
typedef struct { float lane[8]; } floats8;

ALWAYS_INLINE floats8 zeros8(void) { return (floats8){{0}}; }
ALWAYS_INLINE ints8 zero_ints8(void) { return (ints8){{0}}; }
ALWAYS_INLINE ints8 load_ints8(const int32_t *p) {
    ints8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

ALWAYS_INLINE ints8 products(const int8_t *w, const int8_t *y) {
    ints8 v;
    for (int k = 0; k < 8; k++) {
        int32_t sum = 0;
        for (int i = 4 * k; i < 4 * k + 4; i++) sum += (int16_t)(w[i] * y[i]);
        v.lane[k] = sum;
    }
    return v;
}

ALWAYS_INLINE ints8 add_scaled(ints8 sum, ints8 v, int a, int b) {
    for (int k = 0; k < 8; k++) sum.lane[k] += v.lane[k] * (k < 4 ? a : b);
    return sum;
}

/// In double the product is exact; the sum is rounded to double, then to float. Source: the reference's `fused`.
ALWAYS_INLINE floats8 add_fused(floats8 sum, ints8 v, float scale) {
    for (int k = 0; k < 8; k++) {
        sum.lane[k] = (float)((double)sum.lane[k] + (double)(float)v.lane[k] * (double)scale);
    }
    return sum;
}

ALWAYS_INLINE floats8 multiply_add(floats8 sum, floats8 a, floats8 b) {
    for (int k = 0; k < 8; k++) {
        sum.lane[k] = (float)((double)sum.lane[k] + (double)a.lane[k] * (double)b.lane[k]);
    }
    return sum;
}

ALWAYS_INLINE floats8 add8(floats8 a, floats8 b) {
    for (int k = 0; k < 8; k++) a.lane[k] += b.lane[k];
    return a;
}

ALWAYS_INLINE float total(floats8 v) {
    const float *l = v.lane;
    return ((l[4] + l[0]) + (l[6] + l[2])) + ((l[5] + l[1]) + (l[7] + l[3]));
}

ALWAYS_INLINE floats8 load_f16(const void *p) {
    floats8 v;
    for (int k = 0; k < 8; k++) v.lane[k] = float16(((const packed16 *)p)[k]);
    return v;
}
ALWAYS_INLINE floats8 load_bf16(const void *p) {
    floats8 v;
    for (int k = 0; k < 8; k++) v.lane[k] = float_of_bits((uint32_t)bits16(((const packed16 *)p)[k]) << 16);
    return v;
}
ALWAYS_INLINE floats8 load_f32(const void *p) {
    floats8 v;
    for (int k = 0; k < 8; k++) v.lane[k] = float32(((const packed32 *)p)[k]);
    return v;
}

#include "rows.inc"

const quipu_product_kernel *quipu_portable_product_kernel(int type) { return row_kernel_for(type); }
