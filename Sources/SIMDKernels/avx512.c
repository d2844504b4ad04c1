// Kernels for AVX-512 with VNNI: Intel since 2019, AMD since Zen 4.
//
// One token (decoding): two or four rows at a time, as fast as memory delivers them. Several tokens (a prompt): sixteen rows
// of blocks of 32, or eight of super-blocks, are taken apart once into a tile that stays in the cache, and multiplied with
// two tokens at a time.
//
// Sums keep the eight lanes of the reference. For a single token a register of sixteen lanes holds two rows, one in each
// half, or half of four rows, one in each quarter. In a tile it holds one lane of sixteen rows, or two rows a and b that are
// interleaved, lane by lane:
// a0 b0 a4 b4  a1 b1 a5 b5  a2 b2 a6 b6  a3 b3 a7 b7
// so that two scales (one a row), four (two halves of a row), or sums over eight rows are cheap to load or to form.
#include "sets.h"
#if QUIPU_X86
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#define HAS_F16C
#include "row_stream.h"

ALWAYS_INLINE __m128i load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
ALWAYS_INLINE __m256i load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
/// 32 bytes of each of two rows.
ALWAYS_INLINE __m512i two_rows(const void *a, const void *b) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(load32(a)), load32(b), 1);
}

/// (high + low), then (0 + 2) + (1 + 3).
ALWAYS_INLINE float total8(__m256 v) {
    const __m128 quads = _mm_add_ps(_mm256_extractf128_ps(v, 1), _mm256_castps256_ps128(v));
    const __m128 pairs = _mm_add_ps(quads, _mm_movehl_ps(quads, quads));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)));
}

/// Has the compiler load what was stored, which is free, instead of shuffling it out of registers, which takes the
/// multipliers' ports.
#define KEEP_IN_MEMORY(array) __asm__("" : "+m"(array))

/// Bytes of rows from which a tile will be made.
typedef struct {
    size_t row, rows, offset, bytes;
} tile_source;

/// Fetches the share of tokens `t` to `t + n` in a tile's source, so that memory works while the tile before is multiplied:
/// rows are too short for the processor to see what comes next.
ALWAYS_INLINE void fetch_ahead(const quipu_product *p, tile_source next, size_t t, size_t n, size_t tokens) {
    const size_t left = next.row < p->rows ? p->rows - next.row : 0, rows = left < next.rows ? left : next.rows;
    const size_t lines = (next.bytes + 63) / 64, all = rows * lines;
    for (size_t i = all * t / tokens; i < all * (t + n) / tokens; i++) {
        const char *row = (const char *)p->weights + (next.row + i / lines) * p->weight_stride;
        _mm_prefetch(row + next.offset + i % lines * 64, _MM_HINT_T1);
    }
}

#include "avx512_block_rows.inc"
#include "avx512_super_rows.inc"
#include "avx512_tiles.inc"
#include "avx512_block_tiles.inc"
#include "avx512_super_unpack.inc"
#include "avx512_super_tiles.inc"
#include "avx512_floats.inc"
#include "avx512_activations.inc"
#include "avx512_functions.inc"
#include "avx512_attention.inc"

#define BLOCK_KERNEL(name) \
    static void multiply_##name(const quipu_product *p) { multiply_blocks(p, format_##name); } \
    static size_t name##_prepared_bytes(size_t count, size_t tokens) { \
        return prepared_block_bytes(count, tokens, format_##name); \
    } \
    static void prepare_##name(const void *activations, size_t stride, size_t tokens, size_t count, void *prepared) { \
        prepare_blocks(activations, stride, tokens, count, format_##name, prepared); \
    }
BLOCK_KERNEL(q4_0)
BLOCK_KERNEL(q4_1)
BLOCK_KERNEL(q5_0)
BLOCK_KERNEL(q5_1)
BLOCK_KERNEL(q8_0)
BLOCK_KERNEL(iq4_nl)
BLOCK_KERNEL(mxfp4)

#define SUPER_BLOCK_KERNEL(name) \
    static void multiply_##name(const quipu_product *p) { multiply_super_blocks(p, format_##name); } \
    static size_t name##_prepared_bytes(size_t count, size_t tokens) { \
        return prepared_super_block_bytes(count, tokens, format_##name); \
    } \
    static void prepare_##name(const void *activations, size_t stride, size_t tokens, size_t count, void *prepared) { \
        prepare_super_block_tokens(activations, stride, tokens, count, format_##name, prepared); \
    }
SUPER_BLOCK_KERNEL(q2_k)
SUPER_BLOCK_KERNEL(q3_k)
SUPER_BLOCK_KERNEL(q4_k)
SUPER_BLOCK_KERNEL(q5_k)
SUPER_BLOCK_KERNEL(q6_k)
SUPER_BLOCK_KERNEL(iq4_xs)

const quipu_product_kernel *quipu_avx512_product_kernel(int type) {
#define KERNEL(type, name, tokens) \
    case type: { \
        static const quipu_product_kernel kernel = {multiply_##name, tokens, name##_prepared_bytes, prepare_##name}; \
        return &kernel; \
    }
    switch (type) {
        KERNEL(TYPE_F32, f32, FLOAT_TOKENS)
        KERNEL(TYPE_F16, f16, FLOAT_TOKENS)
        KERNEL(TYPE_Q4_0, q4_0, GROUP_TOKENS)
        KERNEL(TYPE_Q4_1, q4_1, GROUP_TOKENS)
        KERNEL(TYPE_Q5_0, q5_0, GROUP_TOKENS)
        KERNEL(TYPE_Q5_1, q5_1, GROUP_TOKENS)
        KERNEL(TYPE_Q8_0, q8_0, GROUP_TOKENS)
        KERNEL(TYPE_IQ4_NL, iq4_nl, GROUP_TOKENS)
        KERNEL(TYPE_MXFP4, mxfp4, GROUP_TOKENS)
        KERNEL(TYPE_Q2_K, q2_k, SUPER_TOKENS)
        KERNEL(TYPE_Q3_K, q3_k, SUPER_TOKENS)
        KERNEL(TYPE_Q4_K, q4_k, SUPER_TOKENS)
        KERNEL(TYPE_Q5_K, q5_k, SUPER_TOKENS)
        KERNEL(TYPE_Q6_K, q6_k, SUPER_TOKENS)
        KERNEL(TYPE_IQ4_XS, iq4_xs, SUPER_TOKENS)
        case TYPE_BF16: {
            static const quipu_product_kernel kernel = {multiply_bf16, 1, 0, 0};
            return &kernel;
        }
        default: return 0;
    }
#undef KERNEL
}
static const quipu_row_kernels row_kernels = {
    encode_q8_0, encode_q8_1, encode_q8_k, encode_f16, exponentials, swiglu, rotate, statistics, entropy,
};
const quipu_row_kernels *quipu_avx512_row_kernels(void) { return &row_kernels; }
const quipu_attention_kernels *quipu_avx512_attention_kernels(void) { return &attention_kernels; }
#pragma clang attribute pop
#endif
