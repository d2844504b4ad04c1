// Kernels for 64-bit ARM, with the instructions that all of them have.
#include "sets.h"
#if QUIPU_ARM64
#include <arm_neon.h>
#pragma STDC FP_CONTRACT OFF
#include "unpack.h"

typedef struct { int32x4_t low, high; } ints8;
typedef struct { float32x4_t low, high; } floats8;

ALWAYS_INLINE floats8 zeros8(void) { return (floats8){vdupq_n_f32(0), vdupq_n_f32(0)}; }
ALWAYS_INLINE ints8 zero_ints8(void) { return (ints8){vdupq_n_s32(0), vdupq_n_s32(0)}; }
ALWAYS_INLINE ints8 load_ints8(const int32_t *p) { return (ints8){vld1q_s32(p), vld1q_s32(p + 4)}; }

/// Lane k of four: the products of elements 4k to 4k+3 of 16.
ALWAYS_INLINE int32x4_t quads(int8x16_t w, int8x16_t y) {
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(y)), high = vmull_s8(vget_high_s8(w), vget_high_s8(y));
    return vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
}
ALWAYS_INLINE ints8 products(const int8_t *w, const int8_t *y) {
    return (ints8){quads(vld1q_s8(w), vld1q_s8(y)), quads(vld1q_s8(w + 16), vld1q_s8(y + 16))};
}
ALWAYS_INLINE ints8 add_scaled(ints8 sum, ints8 v, int a, int b) {
    return (ints8){vmlaq_n_s32(sum.low, v.low, a), vmlaq_n_s32(sum.high, v.high, b)};
}
ALWAYS_INLINE floats8 add_fused(floats8 sum, ints8 v, float scale) {
    const float32x4_t factor = vdupq_n_f32(scale);
    return (floats8){
        vfmaq_f32(sum.low, vcvtq_f32_s32(v.low), factor), vfmaq_f32(sum.high, vcvtq_f32_s32(v.high), factor)};
}
ALWAYS_INLINE floats8 multiply_add(floats8 sum, floats8 a, floats8 b) {
    return (floats8){vfmaq_f32(sum.low, a.low, b.low), vfmaq_f32(sum.high, a.high, b.high)};
}
ALWAYS_INLINE floats8 add8(floats8 a, floats8 b) {
    return (floats8){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}
ALWAYS_INLINE float total(floats8 v) {
    const float32x4_t four = vaddq_f32(v.high, v.low);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

ALWAYS_INLINE floats8 load_f16(const void *p) {
    const uint16x8_t words = vreinterpretq_u16_u8(vld1q_u8(p));
    return (floats8){
        vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(words))), vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(words)))};
}
ALWAYS_INLINE floats8 load_bf16(const void *p) {
    const uint16x8_t words = vreinterpretq_u16_u8(vld1q_u8(p));
    return (floats8){
        vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(words), 16)),
        vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(words), 16))};
}
ALWAYS_INLINE floats8 load_f32(const void *p) {
    return (floats8){
        vreinterpretq_f32_u8(vld1q_u8(p)), vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p + 16))};
}

#include "rows.inc"

const quipu_product_kernel *quipu_neon_product_kernel(int type) { return row_kernel_for(type); }
#endif
