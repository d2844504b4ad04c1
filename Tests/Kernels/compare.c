// The kernels of every set that this processor runs against those in plain C, bit for bit, and a hash of what plain C
// gives: on a processor where Swift's reference runs, KernelTests hold plain C against it; on another, equal hashes say
// that plain C does the same there. scripts/kernels-on-arm.sh compares the two.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "SIMDKernels.h"
#include "driver.h"
#include "exponential.h"
#include "memory.h"
#include "product.h"

enum { F32 = 0, F16 = 1, Q8_0 = 8, Q8_1 = 9, Q8_K = 15, BF16 = 30, MXFP4 = 39 };

typedef struct {
    const char *name;
    int type, elements, bytes;
    /// Where a block has F16 numbers, which random bytes would often make infinite; -1: none.
    int halves[2];
    int activations;
} format;

// Layouts: ggml-common.h.
static const format formats[] = {
    {"F32", F32, 1, 4, {-1, -1}, F32},         {"F16", F16, 1, 2, {0, -1}, F16},
    {"BF16", BF16, 1, 2, {-1, -1}, BF16},      {"Q4_0", 2, 32, 18, {0, -1}, Q8_0},
    {"Q4_1", 3, 32, 20, {0, 2}, Q8_1},         {"Q5_0", 6, 32, 22, {0, -1}, Q8_0},
    {"Q5_1", 7, 32, 24, {0, 2}, Q8_1},         {"Q8_0", Q8_0, 32, 34, {0, -1}, Q8_0},
    {"Q2_K", 10, 256, 84, {80, 82}, Q8_K},     {"Q3_K", 11, 256, 110, {108, -1}, Q8_K},
    {"Q4_K", 12, 256, 144, {0, 2}, Q8_K},      {"Q5_K", 13, 256, 176, {0, 2}, Q8_K},
    {"Q6_K", 14, 256, 210, {208, -1}, Q8_K},   {"IQ4_NL", 20, 32, 18, {0, -1}, Q8_0},
    {"IQ4_XS", 23, 256, 136, {0, -1}, Q8_K},   {"MXFP4", MXFP4, 32, 17, {-1, -1}, Q8_0},
};

static void put16(uint8_t *p, uint32_t bits) { p[0] = (uint8_t)bits, p[1] = (uint8_t)(bits >> 8); }
static void put_float(uint8_t *p, float value) { memcpy(p, &value, 4); }
/// An F16 of either sign between 2^-9 and 2^3.
static void put_half(uint8_t *p) { put16(p, (next() & 0x83ff) | (6 + next() % 12) << 10); }
static float small_float(void) { return ldexpf((float)(next() >> 8) - 8388608, -20 - (int)(next() % 6)); }

static void fill_plain(uint8_t *p, int type, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value = small_float();
        uint32_t bits;
        memcpy(&bits, &value, 4);
        if (type == F32) put_float(p + 4 * i, value);
        if (type == BF16) put16(p + 2 * i, bits >> 16);
        if (type == F16) put_half(p + 2 * i);
    }
}

static void fill_weights(uint8_t *p, const format *f, size_t count) {
    if (f->elements == 1) return fill_plain(p, f->type, count);
    for (size_t block = 0; block < count / f->elements; block++, p += f->bytes) {
        for (int i = 0; i < f->bytes; i++) p[i] = (uint8_t)next();
        for (int i = 0; i < 2; i++) if (f->halves[i] >= 0) put_half(p + f->halves[i]);
        // The power of two: sums stay finite.
        if (f->type == MXFP4) p[0] = (uint8_t)(116 + next() % 12);
    }
}

/// Never -128, which no quantised activation is.
static int8_t code(void) { return (int8_t)((int)(next() % 255) - 127); }

static size_t activation_bytes(int type, size_t count) {
    switch (type) {
        case Q8_0: return count / 32 * 34;
        case Q8_1: return count / 32 * 36;
        case Q8_K: return count / 256 * 292;
        default: return count * (type == F32 ? 4 : 2);
    }
}

static void fill_activations(uint8_t *p, int type, size_t count) {
    switch (type) {
        case Q8_0: case Q8_1: {
            const size_t head = type == Q8_0 ? 2 : 4;
            for (size_t block = 0; block < count / 32; block++, p += head + 32) {
                for (size_t i = 0; i < head; i += 2) put_half(p + i);
                for (int i = 0; i < 32; i++) p[head + i] = (uint8_t)code();
            }
            break;
        }
        case Q8_K:
            for (size_t block = 0; block < count / 256; block++, p += 292) {
                put_float(p, small_float());
                for (int group = 0; group < 16; group++) {
                    int sum = 0;
                    for (int i = 0; i < 16; i++) {
                        const int8_t q = code();
                        p[4 + 16 * group + i] = (uint8_t)q;
                        sum += q;
                    }
                    put16(p + 260 + 2 * group, (uint32_t)sum);
                }
            }
            break;
        default:
            fill_plain(p, type, count);
    }
}

/// Compares one product in all sets and adds plain C's result to the hash. Returns how many values differ.
static size_t compare(const format *f, size_t rows, size_t tokens, size_t count, int order, uint64_t *hash) {
    const size_t row_bytes = count / f->elements * f->bytes, token_bytes = activation_bytes(f->activations, count);
    // Odd strides: rows may start anywhere. Nothing lies behind the last row, token and value.
    const size_t stride = row_bytes + (f->elements > 1 ? 7 : 0);
    const size_t weight_bytes = (rows - 1) * stride + row_bytes;
    uint8_t *weights = memory(weight_bytes), *activations = memory(tokens * token_bytes);
    for (size_t r = 0; r < rows; r++) fill_weights(weights + r * stride, f, count);
    for (size_t t = 0; t < tokens; t++) fill_activations(activations + t * token_bytes, f->activations, count);

    const size_t values = (tokens - 1) * (rows + 1) + rows;
    float *expected = memory(values * 4), *found = memory(values * 4);
    quipu_product product = {
        .weights = weights, .weight_stride = stride, .activations = activations, .activation_stride = token_bytes,
        .output = expected, .output_stride = rows + 1, .rows = rows, .tokens = tokens, .count = count,
        .is_tile = order & 1, .is_padded = order >> 1,
    };
    multiply(quipu_product_kernel_for(QUIPU_PORTABLE, f->type), product);
    for (size_t i = 0; i < values * 4; i++) *hash = (*hash ^ ((uint8_t *)expected)[i]) * 1099511628211u;

    size_t different = 0;
    product.output = found;
    for (quipu_instructions set = QUIPU_AVX2; set <= QUIPU_NEONDOT; set++) {
        const quipu_product_kernel *kernel = quipu_can_run(set) ? quipu_product_kernel_for(set, f->type) : 0;
        if (!kernel) continue;
        memset(found, 0xff, values * 4);
        multiply(kernel, product);
        for (size_t i = 0; i < values; i++) {
            if (!memcmp(found + i, expected + i, 4)) continue;
            if (!different++) {
                printf("%s %s: %zu rows, %zu tokens, %zu values: %a, plain C %a\n", set_names[set], f->name, rows, tokens,
                    count, found[i], expected[i]);
            }
        }
    }
    release(weights, weight_bytes), release(activations, tokens * token_bytes);
    release(expected, values * 4), release(found, values * 4);
    return different;
}

// MARK: attention

typedef struct {
    size_t key_size, value_size, heads, first, tokens, rows;
    /// Positions that a token sees; 0: all up to its own.
    size_t window;
    bool has_sinks;
} attention_case;

/// One row of scores to shares in F16, by the book; positions that are not seen get zeros.
static void share_out(const float *scores, size_t begin, size_t end, size_t count, float scale, const float *sink, uint8_t *y) {
    float most = sink ? *sink : -INFINITY;
    for (size_t i = begin; i < end; i++) if (scores[i] * scale > most) most = scores[i] * scale;
    float *e = memory((count + 16) * sizeof(float));
    for (size_t i = 0; i < count + 16; i++) e[i] = i >= begin && i < end ? exponential(scores[i] * scale - most) : 0;
    double sum = 0;
    for (size_t i = 0; i < count; i += 16) {
        float eight[8], four[4];
        for (int k = 0; k < 8; k++) eight[k] = e[i + k] + e[i + k + 8];
        for (int k = 0; k < 4; k++) four[k] = eight[k] + eight[k + 4];
        sum += (double)((four[0] + four[2]) + (four[1] + four[3]));
    }
    if (sink) sum += (double)expf(*sink - most);
    for (size_t i = 0; i < count; i++) {
        const _Float16 share = (_Float16)(e[i] * (float)(1 / sum));
        memcpy(y + 2 * i, &share, 2);
    }
    release(e, (count + 16) * sizeof(float));
}

/// What products in plain C and the soft max by the book make of one head.
static void attend_in_plain_c(const quipu_attention *a, size_t tokens, size_t head, float *output) {
    const quipu_product_kernel *kernel = quipu_product_kernel_for(QUIPU_PORTABLE, F16);
    const size_t query_bytes = tokens * a->key_size * 2, score_bytes = tokens * a->positions * 4;
    uint8_t *queries = memory(query_bytes), *shares = memory(score_bytes / 2);
    float *scores = memory(score_bytes);
    for (size_t t = 0; t < tokens; t++) {
        const char *x = (const char *)a->queries + t * a->query_token_stride + head * a->query_head_stride;
        for (size_t i = 0; i < a->key_size; i++) {
            float value;
            memcpy(&value, x + 4 * i, 4);
            const _Float16 rounded = (_Float16)value;
            memcpy(queries + 2 * (t * a->key_size + i), &rounded, 2);
        }
    }
    multiply(kernel, (quipu_product){
        .weights = a->keys, .weight_stride = a->key_stride, .activations = queries,
        .activation_stride = 2 * a->key_size, .output = scores, .output_stride = a->positions, .rows = a->positions,
        .tokens = tokens, .count = a->key_size, .is_tile = true,
    });
    for (size_t t = 0; t < tokens; t++) {
        share_out(scores + t * a->positions, (size_t)a->visible[2 * t], (size_t)a->visible[2 * t + 1], a->positions,
            a->scale, a->sinks ? a->sinks + head : 0, shares + 2 * t * a->positions);
    }
    multiply(kernel, (quipu_product){
        .weights = a->values, .weight_stride = a->value_stride, .activations = shares,
        .activation_stride = 2 * a->positions, .output = output, .output_stride = a->value_size,
        .rows = a->value_size, .tokens = tokens, .count = a->positions, .is_tile = true, .is_padded = true,
    });
    release(queries, query_bytes), release(shares, score_bytes / 2), release(scores, score_bytes);
}

static bool attend(const quipu_attention_kernels *kernels, quipu_attention a, size_t tokens, size_t rows) {
    const size_t blocks = (a.positions + kernels->block_keys - 1) / kernels->block_keys;
    const size_t packed = blocks * kernels->block_keys * a.key_size * 2, scratch_bytes = kernels->scratch_bytes(&a, rows);
    a.packed_keys = memory(packed);
    void *scratch = memory(scratch_bytes);
    bool is_done = true;
    for (size_t b = 0; b < blocks; b++) is_done &= kernels->pack(&a, b);
    for (size_t r = 0; is_done && r < tokens * a.heads; r += rows) {
        const size_t rest = tokens * a.heads - r;
        is_done &= kernels->attend(&a, r, rest < rows ? rest : rows, scratch);
    }
    release(a.packed_keys, packed), release(scratch, scratch_bytes);
    return is_done;
}

/// Compares attention in all sets with plain C, and adds plain C's result to the hash. Returns how many values differ.
static size_t compare_attention(const attention_case *c, uint64_t *hash) {
    const size_t positions = c->first + c->tokens, key_bytes = positions * c->key_size * 2;
    const size_t value_bytes = c->value_size * positions * 2, queries = c->tokens * c->heads * c->key_size;
    const size_t mixes = c->tokens * c->heads * c->value_size;
    uint8_t *keys = memory(key_bytes), *values = memory(value_bytes);
    float *query = memory(queries * 4), *found = memory(mixes * 4), *expected = memory(mixes * 4);
    float *sinks = memory(c->heads * 4);
    int32_t *visible = memory(c->tokens * 8);
    fill_plain(keys, F16, positions * c->key_size), fill_plain(values, F16, c->value_size * positions);
    for (size_t i = 0; i < queries; i++) query[i] = small_float() / 4;
    for (size_t h = 0; h < c->heads; h++) sinks[h] = small_float();
    for (size_t t = 0; t < c->tokens; t++) {
        const size_t end = c->first + t + 1;
        visible[2 * t] = c->window && end > c->window ? (int32_t)(end - c->window) : 0;
        visible[2 * t + 1] = (int32_t)end;
    }
    // Token after token, of each its heads; plain C's are head after head.
    quipu_attention a = {
        .keys = keys, .key_stride = c->key_size * 2, .values = values, .value_stride = positions * 2, .queries = query,
        .query_token_stride = c->heads * c->key_size * 4, .query_head_stride = c->key_size * 4, .output = found,
        .output_token_stride = c->value_size, .output_head_stride = c->tokens * c->value_size,
        .key_size = c->key_size, .value_size = c->value_size, .positions = positions, .heads = c->heads,
        .visible = visible, .scale = 0.125f, .sinks = c->has_sinks ? sinks : 0,
    };
    for (size_t h = 0; h < c->heads; h++) attend_in_plain_c(&a, c->tokens, h, expected + h * c->tokens * c->value_size);
    for (size_t i = 0; i < mixes * 4; i++) *hash = (*hash ^ ((uint8_t *)expected)[i]) * 1099511628211u;
    size_t different = 0;
    for (quipu_instructions set = QUIPU_AVX2; set <= QUIPU_NEONDOT; set++) {
        const quipu_attention_kernels *kernels = quipu_can_run(set) ? quipu_attention_kernels_of(set) : 0;
        if (!kernels) continue;
        memset(found, 0xff, mixes * 4);
        if (!attend(kernels, a, c->tokens, c->rows)) different++, printf("%s attention: not finite\n", set_names[set]);
        for (size_t i = 0; i < mixes; i++) {
            if (!memcmp(found + i, expected + i, 4)) continue;
            if (!different++) {
                printf("%s attention: %zu tokens, %zu heads of %zu: %a, plain C %a\n", set_names[set], c->tokens, c->heads,
                    c->key_size, found[i], expected[i]);
            }
        }
        // The last key is hidden from all but the last token, and not without effect on them if it is not finite.
        const uint8_t last = keys[key_bytes - 1];
        keys[key_bytes - 1] |= 0x7c;
        if (attend(kernels, a, c->tokens, c->rows)) different++, printf("%s attention: finite\n", set_names[set]);
        keys[key_bytes - 1] = last;
    }
    release(keys, key_bytes), release(values, value_bytes), release(query, queries * 4), release(found, mixes * 4);
    release(expected, mixes * 4), release(sinks, c->heads * 4), release(visible, c->tokens * 8);
    return different;
}

int main(void) {
    static const attention_case cases[] = {
        {64, 64, 3, 0, 40, 24, 0, false}, {64, 64, 1, 7, 33, 12, 0, true}, {128, 128, 4, 0, 70, 48, 0, false},
        {80, 48, 5, 90, 40, 36, 17, true}, {16, 16, 2, 0, 2, 12, 0, false}, {48, 32, 16, 3, 20, 60, 0, false},
    };
    static const size_t shapes[][2] = {{1, 1}, {18, 1}, {5, 2}, {8, 4}, {9, 6}, {35, 5}, {11, 7}, {3, 133}};
    size_t different = 0;
    fprintf(stderr, "sets:");
    for (quipu_instructions set = QUIPU_PORTABLE; set <= QUIPU_NEONDOT; set++) {
        if (quipu_can_run(set)) fprintf(stderr, " %s", set_names[set]);
    }
    fprintf(stderr, "\n");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = formats + i;
        const size_t plain[] = {1, 7, 16, 40, 64, 100, 1100};
        const size_t blocks[] = {f->elements, 3 * f->elements, 2048 + 2 * f->elements};
        uint64_t hash = 14695981039346656037u;
        for (size_t c = 0; c < (f->elements == 1 ? 7 : 3); c++) {
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
                for (int order = 0; order < (f->elements == 1 ? 4 : 1); order++) {
                    different += compare(
                        f, shapes[s][0], shapes[s][1], f->elements == 1 ? plain[c] : blocks[c], order, &hash);
                }
            }
        }
        printf("%-6s %016" PRIx64 "\n", f->name, hash);
    }
    uint64_t hash = 14695981039346656037u;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) different += compare_attention(cases + c, &hash);
    printf("%-6s %016" PRIx64 "\n", "ATTEND", hash);
    return different > 0;
}
