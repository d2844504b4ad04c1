// ggml's block layouts, in bytes only: rows may start at any address. The pictures are in the Swift files of the formats.
#ifndef QUIPU_BLOCKS_H
#define QUIPU_BLOCKS_H

#include <stdint.h>
#include <string.h>

enum {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    TYPE_Q4_0 = 2,
    TYPE_Q4_1 = 3,
    TYPE_Q5_0 = 6,
    TYPE_Q5_1 = 7,
    TYPE_Q8_0 = 8,
    TYPE_Q2_K = 10,
    TYPE_Q3_K = 11,
    TYPE_Q4_K = 12,
    TYPE_Q5_K = 13,
    TYPE_Q6_K = 14,
    TYPE_IQ4_NL = 20,
    TYPE_IQ4_XS = 23,
    TYPE_BF16 = 30,
    TYPE_MXFP4 = 39,
};

typedef struct { uint8_t b[2]; } packed16;
typedef struct { uint8_t b[4]; } packed32;

typedef struct { packed16 d; uint8_t codes[16]; } block_q4_0;
typedef struct { packed16 d, m; uint8_t codes[16]; } block_q4_1;
typedef struct { packed16 d; packed32 high; uint8_t codes[16]; } block_q5_0;
typedef struct { packed16 d, m; packed32 high; uint8_t codes[16]; } block_q5_1;
typedef struct { packed16 d; int8_t codes[32]; } block_q8_0;
typedef struct { packed16 d, s; int8_t codes[32]; } block_q8_1;
typedef struct { packed32 d; int8_t codes[256]; packed16 sums[16]; } block_q8_k;
typedef struct { uint8_t scales[16]; uint8_t codes[64]; packed16 d, dmin; } block_q2_k;
typedef struct { uint8_t high[32]; uint8_t codes[64]; uint8_t scales[12]; packed16 d; } block_q3_k;
typedef struct { packed16 d, dmin; uint8_t scales[12]; uint8_t codes[128]; } block_q4_k;
typedef struct { packed16 d, dmin; uint8_t scales[12]; uint8_t high[32]; uint8_t codes[128]; } block_q5_k;
typedef struct { uint8_t low[128]; uint8_t high[64]; int8_t scales[16]; packed16 d; } block_q6_k;
typedef block_q4_0 block_iq4_nl;
typedef struct { uint8_t e; uint8_t codes[16]; } block_mxfp4;
typedef struct { packed16 d, scales_high; uint8_t scales_low[4]; uint8_t codes[128]; } block_iq4_xs;

_Static_assert(sizeof(block_q4_0) == 18 && sizeof(block_q4_1) == 20 && sizeof(block_mxfp4) == 17, "Q4, MXFP4");
_Static_assert(sizeof(block_q5_0) == 22 && sizeof(block_q5_1) == 24, "Q5");
_Static_assert(sizeof(block_q8_0) == 34 && sizeof(block_q8_1) == 36 && sizeof(block_q8_k) == 292, "Q8");
_Static_assert(sizeof(block_q2_k) == 84 && sizeof(block_q3_k) == 110 && sizeof(block_q4_k) == 144, "Q2_K to Q4_K");
_Static_assert(sizeof(block_q5_k) == 176 && sizeof(block_q6_k) == 210 && sizeof(block_iq4_xs) == 136, "Q5_K, Q6_K, IQ4_XS");

static inline uint16_t bits16(packed16 p) { return (uint16_t)(p.b[0] | p.b[1] << 8); }
static inline uint32_t bits32(packed32 p) {
    return p.b[0] | (uint32_t)p.b[1] << 8 | (uint32_t)p.b[2] << 16 | (uint32_t)p.b[3] << 24;
}
static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline float float32(packed32 p) { return float_of_bits(bits32(p)); }

#endif
