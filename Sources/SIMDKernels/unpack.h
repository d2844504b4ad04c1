// Blocks taken apart: codes as signed bytes in the order of the values, scales and minima as numbers.
//
// Plain C, to be included by one file per instruction set: the loops have fixed lengths, and the compiler vectorises
// them for the set of the file that includes them. Layouts: see the pictures in the formats' Swift files.
#ifndef QUIPU_UNPACK_H
#define QUIPU_UNPACK_H

#include "blocks.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/// The float equal to an F16, infinities, NaN and subnormals included.
///
/// A file whose instruction set has F16C says so by defining HAS_F16C, one for ARM by HAS_NEON; else the same steps as
/// the reference's `Half`.
ALWAYS_INLINE float float16(packed16 p) {
#if defined(HAS_NEON)
    __fp16 value;
    memcpy(&value, &p, sizeof value);
    return (float)value;
#elif defined(HAS_F16C)
    // Through a general register: else the compiler inserts the bits into a vector that may be a running sum, and
    // every step waits for the one before.
    uint32_t bits = bits16(p);
    __asm__("" : "+r"(bits));
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128((int)bits)));
#else
    uint32_t bits = bits16(p);
    uint32_t sign = (bits & 0x8000) << 16, magnitude = (bits & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
    if (exponent == 0) {
        float value = float_of_bits(magnitude >> 13 | 0x3f000000) - 0.5f;
        return sign ? -value : value;
    }
    return float_of_bits((magnitude + (exponent == 0x0f800000 ? 0x70000000u : 0x38000000u)) | sign);
#endif
}

// 32 weights: codes only; the scale and the minimum before them are converted where they are used.

/// What is before a block's codes.
typedef enum {
    /// An F16 scale; then an F16 minimum: the block meets Q8_1 rather than Q8_0; or a power of two in a byte.
    SCALE,
    SCALE_AND_MINIMUM,
    POWER,
} block_header;

ALWAYS_INLINE void unpack_nibbles(const uint8_t *packed, int8_t *codes, int offset) {
    for (int j = 0; j < 16; j++) {
        codes[j] = (int8_t)((packed[j] & 15) - offset);
        codes[j + 16] = (int8_t)((packed[j] >> 4) - offset);
    }
}

/// Nibbles and a fifth bit from a word of 32.
ALWAYS_INLINE void unpack_fives(const uint8_t *packed, uint32_t high, int8_t *codes, int offset) {
    for (int j = 0; j < 16; j++) {
        codes[j] = (int8_t)(((packed[j] & 15) | (high >> j & 1) << 4) - offset);
        codes[j + 16] = (int8_t)(((packed[j] >> 4) | (high >> (j + 16) & 1) << 4) - offset);
    }
}

/// The sixteen values of IQ4_NL and IQ4_XS. Source: ggml `kvalues_iq4nl`.
static const int8_t nonlinear_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// The sixteen values of MXFP4, doubled. Source: ggml `kvalues_mxfp4`.
static const int8_t four_bit_floats[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// How the minima of a super-block meet the sums of the activations: the order of summation differs.
typedef enum {
    NO_MINIMA,
    /// 8 minima; pairs of products in four float lanes of their own (Q4_K).
    MINIMA_IN_FOUR_LANES,
    /// 8 minima; all products added up as integers, then to one float of its own (Q5_K).
    MINIMA_IN_ONE_SUM,
    /// 16 minima; pairs of products in eight lanes, added to the main sum before the codes' (Q2_K).
    MINIMA_IN_EIGHT_LANES,
    /// No minima but an offset of 32, taken off all at once: scales times sums, in eight lanes of integers (Q6_K).
    OFFSET_IN_EIGHT_LANES,
} minima_kind;

/// The offset of Q6_K's codes is `1 << OFFSET_SHIFT`.
enum { OFFSET_SHIFT = 5 };

/// 256 weights, taken apart.
typedef struct {
    int8_t codes[256];
    /// One for each 16 codes.
    int16_t scales[16];
    /// 8 or 16.
    int16_t minima[16];
    packed16 d, dmin;
} super_block;

#ifdef HAS_NEON
#include "neon_unpack.inc"
#else
ALWAYS_INLINE void unpack_values(const uint8_t *packed, const int8_t *values, int8_t *codes) {
    for (int j = 0; j < 16; j++) {
        codes[j] = values[packed[j] & 15];
        codes[j + 16] = values[packed[j] >> 4];
    }
}

/// Eight 6-bit scales and minima in 12 bytes; each scale is written twice. Source: ggml `get_scale_min_k4`.
ALWAYS_INLINE void unpack_scales_6x8(const uint8_t *bytes, super_block *out) {
    for (int j = 0; j < 4; j++) {
        int scale = bytes[j] & 63, later_scale = (bytes[j + 8] & 15) | (bytes[j] >> 6) << 4;
        out->scales[2 * j] = out->scales[2 * j + 1] = (int16_t)scale;
        out->scales[2 * j + 8] = out->scales[2 * j + 9] = (int16_t)later_scale;
        out->minima[j] = bytes[j + 4] & 63;
        out->minima[j + 4] = (int16_t)(bytes[j + 8] >> 4 | (bytes[j + 4] >> 6) << 4);
    }
}

ALWAYS_INLINE void unpack_q4_k(const void *block, super_block *out) {
    const block_q4_k *b = block;
    for (int k = 0; k < 8; k++) {
        for (int j = 0; j < 32; j++) out->codes[32 * k + j] = (int8_t)(b->codes[k / 2 * 32 + j] >> (k % 2 * 4) & 15);
    }
    unpack_scales_6x8(b->scales, out);
    out->d = b->d;
    out->dmin = b->dmin;
}

ALWAYS_INLINE void unpack_q5_k(const void *block, super_block *out) {
    const block_q5_k *b = block;
    for (int k = 0; k < 8; k++) {
        for (int j = 0; j < 32; j++) {
            int low = b->codes[k / 2 * 32 + j] >> (k % 2 * 4) & 15, high = b->high[j] >> k & 1;
            out->codes[32 * k + j] = (int8_t)(low | high << 4);
        }
    }
    unpack_scales_6x8(b->scales, out);
    out->d = b->d;
    out->dmin = b->dmin;
}

ALWAYS_INLINE void unpack_q6_k(const void *block, super_block *out) {
    const block_q6_k *b = block;
    for (int k = 0; k < 8; k++) {
        int part = k / 4, quarter = k % 4;
        for (int j = 0; j < 32; j++) {
            int low = b->low[(2 * part + quarter % 2) * 32 + j] >> (quarter / 2 * 4) & 15;
            int high = b->high[part * 32 + j] >> (quarter * 2) & 3;
            out->codes[32 * k + j] = (int8_t)(low | high << 4);
        }
    }
    for (int s = 0; s < 16; s++) out->scales[s] = b->scales[s];
    out->d = b->d;
}

ALWAYS_INLINE void unpack_iq4_xs(const void *block, super_block *out) {
    const block_iq4_xs *b = block;
    int high = bits16(b->scales_high);
    for (int k = 0; k < 8; k++) {
        unpack_values(b->codes + 16 * k, nonlinear_values, out->codes + 32 * k);
        int scale = (b->scales_low[k / 2] >> (k % 2 * 4) & 15) | (high >> (2 * k) & 3) << 4;
        out->scales[2 * k] = out->scales[2 * k + 1] = (int16_t)(scale - 32);
    }
    out->d = b->d;
}
#endif

/// 2^(e - 128), the scale of MXFP4's doubled values. Source: ggml `ggml_e8m0_to_fp32_half`.
ALWAYS_INLINE float half_power(uint8_t e) { return float_of_bits(e < 2 ? 0x00200000u << e : (e - 1u) << 23); }

ALWAYS_INLINE void unpack_q4_0(const void *block, int8_t *codes) {
    unpack_nibbles(((const block_q4_0 *)block)->codes, codes, 8);
}
ALWAYS_INLINE void unpack_q4_1(const void *block, int8_t *codes) {
    unpack_nibbles(((const block_q4_1 *)block)->codes, codes, 0);
}
ALWAYS_INLINE void unpack_q5_0(const void *block, int8_t *codes) {
    const block_q5_0 *b = block;
    unpack_fives(b->codes, bits32(b->high), codes, 16);
}
ALWAYS_INLINE void unpack_q5_1(const void *block, int8_t *codes) {
    const block_q5_1 *b = block;
    unpack_fives(b->codes, bits32(b->high), codes, 0);
}
ALWAYS_INLINE void unpack_q8_0(const void *block, int8_t *codes) {
    memcpy(codes, ((const block_q8_0 *)block)->codes, 32);
}
ALWAYS_INLINE void unpack_iq4_nl(const void *block, int8_t *codes) {
    unpack_values(((const block_iq4_nl *)block)->codes, nonlinear_values, codes);
}
ALWAYS_INLINE void unpack_mxfp4(const void *block, int8_t *codes) {
    unpack_values(((const block_mxfp4 *)block)->codes, four_bit_floats, codes);
}

ALWAYS_INLINE void unpack_q2_k(const void *block, super_block *out) {
    const block_q2_k *b = block;
    for (int k = 0; k < 8; k++) {
        for (int j = 0; j < 32; j++) {
            out->codes[32 * k + j] = (int8_t)(b->codes[k / 4 * 32 + j] >> (k % 4 * 2) & 3);
        }
    }
    for (int s = 0; s < 16; s++) {
        out->scales[s] = b->scales[s] & 15;
        out->minima[s] = b->scales[s] >> 4;
    }
    out->d = b->d;
    out->dmin = b->dmin;
}

ALWAYS_INLINE void unpack_q3_k(const void *block, super_block *out) {
    const block_q3_k *b = block;
    for (int k = 0; k < 8; k++) {
        for (int j = 0; j < 32; j++) {
            int low = b->codes[k / 4 * 32 + j] >> (k % 4 * 2) & 3, high = b->high[j] >> k & 1;
            out->codes[32 * k + j] = (int8_t)((low | high << 2) - 4);
        }
    }
    for (int j = 0; j < 4; j++) {
        int high = b->scales[8 + j];
        out->scales[j] = (int16_t)(((b->scales[j] & 15) | (high & 3) << 4) - 32);
        out->scales[j + 4] = (int16_t)(((b->scales[j + 4] & 15) | (high >> 2 & 3) << 4) - 32);
        out->scales[j + 8] = (int16_t)((b->scales[j] >> 4 | (high >> 4 & 3) << 4) - 32);
        out->scales[j + 12] = (int16_t)((b->scales[j + 4] >> 4 | (high >> 6) << 4) - 32);
    }
    out->d = b->d;
}

#endif
