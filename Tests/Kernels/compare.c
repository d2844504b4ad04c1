// The kernels of every set that this processor runs against those in plain C, bit for bit, and a hash of what plain C
// gives: on a processor where Swift's reference runs, KernelTests hold plain C against it; on another, equal hashes say
// that plain C does the same there. scripts/kernels-on-arm.sh compares the two.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "SIMDKernels.h"
#include "memory.h"

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

static const char *const set_names[] = {"portable", "avx2", "avx512", "neon", "avxvnni", "neondot"};

// xorshift64*, the same everywhere.
static uint64_t state = 88172645463325252u;
static uint32_t next(void) {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 2685821657736338717u >> 32);
}

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

static void multiply(const quipu_product_kernel *kernel, quipu_product product) {
    void *prepared = 0;
    size_t all = 0;
    const size_t bytes = kernel->prepared_bytes ? kernel->prepared_bytes(product.count, product.tokens) : 0;
    if (bytes > 0) {
        const size_t group = kernel->prepared_tokens, groups = (product.tokens + group - 1) / group;
        product.prepared = prepared = memory(all = bytes * groups);
        product.prepared_stride = bytes;
        for (size_t g = 0; g < groups; g++) {
            const size_t rest = product.tokens - g * group;
            kernel->prepare(
                (const char *)product.activations + g * group * product.activation_stride, product.activation_stride,
                rest < group ? rest : group, product.count, (char *)prepared + g * bytes);
        }
    }
    kernel->multiply(&product);
    if (prepared) release(prepared, all);
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

int main(void) {
    static const size_t shapes[][2] = {{1, 1}, {18, 1}, {5, 2}, {8, 4}, {9, 6}, {11, 7}, {3, 133}};
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
    return different > 0;
}
