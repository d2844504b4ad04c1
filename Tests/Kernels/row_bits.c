// The kernels for rows of floats, of every set that this processor runs, against plain definitions, bit for bit:
// ordinary, huge, tiny, vanishing and infinite numbers, ties, zeros of both signs and NaN (any NaN for NaN), in memory
// whose edges are watched. Prints a hash of what the definitions give: scripts/kernels-on-arm.sh compares those of two
// processors.
#pragma STDC FP_CONTRACT OFF
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "SIMDKernels.h"
#include "driver.h"
#include "exponential.h"
#include "memory.h"

static size_t wrong = 0;
static uint64_t hash = 14695981039346656037u;

// MARK: numbers

/// From -8 to 8.
static float number(void) { return (float)((int32_t)next() >> 4) * 0x1p-24f; }
static float either(float v) { return next() & 1 ? v : -v; }

typedef enum { ORDINARY, LARGE, TINY, BORDER, SPREAD, TIES, ZEROS, OPPOSITE, HALVES, NOT_FINITE, KINDS } kind;

/// Value i of a row; `shift` is the row's.
static float value_of(kind kind, size_t i, int shift) {
    switch (kind) {
        case LARGE: return ldexpf(number(), 124 - shift % 4);
        case TINY: return ldexpf(number(), -118 - shift);
        // Around the largest magnitude whose scale overflows.
        case BORDER:
            if (i % 32) return number() * 0x1p-126f;
            return either(127 / 0x1.fffffep127f * (1 + (float)(shift - 8) * 0x1p-23f));
        case SPREAD: return either(ldexpf(1 + (float)(next() >> 9) * 0x1p-23f, (int)(next() % 277) - 149));
        // Scaled by 1, if the row begins with the largest: half way between two codes.
        case TIES: return i % 32 ? (float)((int)(next() % 254) - 127) + 0.5f : either(127);
        case ZEROS: return either(i % 256 == 255 && shift % 2 ? 1 : 0);
        case OPPOSITE: return next() % 16 ? number() / 4 : either(3);
        // Half way between two F16 numbers, or next to that.
        case HALVES: {
            const float middle = ldexpf((float)(2049 + 2 * (next() % 1024)), (int)(next() % 44) - 38);
            return either(next() % 3 ? middle : nextafterf(middle, next() & 1 ? 0 : INFINITY));
        }
        default: return number();
    }
}

static void fill(float *x, size_t count, kind kind) {
    const int shift = (int)(next() % 16);
    for (size_t i = 0; i < count; i++) x[i] = value_of(kind, i, shift);
    if (kind == NOT_FINITE) x[next() % count] = shift % 3 ? either(INFINITY) : NAN;
}

// MARK: comparison

/// Floats, whose NaNs are all the same.
static void compare_floats(
    const char *set, const char *what, size_t count, kind kind, const float *found, const float *expected, size_t floats
) {
    for (size_t i = 0; i < floats; i++) {
        if (!memcmp(found + i, expected + i, 4) || (isnan(found[i]) && isnan(expected[i]))) continue;
        if (!wrong++) {
            printf("%s %s of %zu values, kind %d: %a, not %a\n", set, what, count, (int)kind, (double)found[i],
                (double)expected[i]);
        }
    }
}

static void compare_doubles(
    const char *set, const char *what, size_t count, const double *found, const double *expected
) {
    for (size_t i = 0; i < 8; i++) {
        if (!memcmp(found + i, expected + i, 8) || (isnan(found[i]) && isnan(expected[i]))) continue;
        if (!wrong++) printf("%s %s of %zu values: %a, not %a\n", set, what, count, found[i], expected[i]);
    }
}

static void add_to_hash(const void *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}
static void add_floats_to_hash(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float value = isnan(values[i]) ? 0 : values[i];
        add_to_hash(&value, 4);
    }
}
static void end_hash(const char *what) {
    printf("%-12s %016" PRIx64 "\n", what, hash);
    hash = 14695981039346656037u;
}

#define FOR_SETS(kernels, ...) \
    for (quipu_instructions set = QUIPU_AVX2; set <= QUIPU_NEONDOT; set++) { \
        const quipu_row_kernels *kernels = quipu_can_run(set) ? quipu_row_kernels_of(set) : 0; \
        if (!kernels) continue; \
        const char *name = set_names[set]; \
        __VA_ARGS__ \
    }

// MARK: activations

static void put16(uint8_t *p, uint32_t bits) { p[0] = (uint8_t)bits, p[1] = (uint8_t)(bits >> 8); }

/// The bits of the nearest F16, ties to even, of what is no NaN.
static uint32_t half_of(float value) {
    const uint32_t sign = signbit(value) ? 0x8000 : 0;
    const double size = fabs((double)value);
    if (size >= 65520) return sign | 0x7c00;
    const int exponent = size < 0x1p-14 ? -14 : ilogb(size);
    // In units of the last place; a carry becomes the next exponent.
    const uint32_t units = (uint32_t)nearbyint(ldexp(size, 10 - exponent));
    return sign | (units < 1024 ? units : (uint32_t)(exponent + 14) * 1024 + units);
}

/// A block of Q8_0 (head of 2 bytes) or Q8_1 (4). False if a kernel has to leave it to the reference.
static bool define_q8(const float *x, uint8_t *block, size_t head) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
        if (!isfinite(x[i])) return false;
        if (fabsf(x[i]) > largest) largest = fabsf(x[i]);
    }
    const float inverse = largest == 0 ? 0 : 127 / largest, d = largest / 127;
    if (!isfinite(inverse)) return false;
    int sum = 0;
    for (int i = 0; i < 32; i++) {
        const int code = (int)nearbyintf(x[i] * inverse);
        block[head + (size_t)i] = (uint8_t)code;
        sum += code;
    }
    put16(block, half_of(d));
    if (head == 4) put16(block + 2, half_of(d * (float)sum));
    return true;
}
static bool define_q8_0(const float *x, uint8_t *block) { return define_q8(x, block, 2); }
static bool define_q8_1(const float *x, uint8_t *block) { return define_q8(x, block, 4); }

static bool define_q8_k(const float *x, uint8_t *block) {
    float largest = 0;
    for (int i = 0; i < 256; i++) {
        if (!isfinite(x[i])) return false;
        if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    }
    memset(block, 0, 292);
    if (largest == 0) return true;
    const float inverse = -127 / largest, d = 1 / inverse;
    if (!isfinite(inverse)) return false;
    memcpy(block, &d, 4);
    for (size_t group = 0; group < 16; group++) {
        int sum = 0;
        for (size_t i = 16 * group; i < 16 * group + 16; i++) {
            const int nearest = (int)nearbyintf(inverse * x[i]), code = nearest > 127 ? 127 : nearest;
            block[4 + i] = (uint8_t)code;
            sum += code;
        }
        put16(block + 260 + 2 * group, (uint32_t)sum);
    }
    return true;
}

static bool define_f16(const float *x, uint8_t *number) {
    if (isnan(*x)) return false;
    put16(number, half_of(*x));
    return true;
}

typedef bool (*encoder)(const float *x, size_t count, void *output);
typedef bool (*definition)(const float *x, uint8_t *block);
typedef struct {
    const char *name;
    definition define;
    size_t block, bytes, field;
} encoding;

static void encode(const encoding *e, size_t count, kind kind) {
    const size_t bytes = count / e->block * e->bytes;
    float *x = memory(count * 4);
    uint8_t *expected = memory(bytes), *found = memory(bytes);
    fill(x, count, kind);
    bool is_due = true;
    for (size_t b = 0; is_due && b < count / e->block; b++) {
        is_due = e->define(x + b * e->block, expected + b * e->bytes);
    }
    if (is_due) add_to_hash(expected, bytes);
    add_to_hash(&is_due, sizeof is_due);
    FOR_SETS(kernels, {
        encoder kernel;
        memcpy(&kernel, (const char *)kernels + e->field, sizeof kernel);
        memset(found, 0xaa, bytes);
        const bool is_done = kernel(x, count, found);
        if (is_done == is_due && (!is_due || !memcmp(found, expected, bytes))) continue;
        size_t i = 0;
        while (i < bytes && found[i] == expected[i]) i++;
        if (!wrong++) {
            printf("%s %s of %zu values, kind %d: %s, byte %zu is %d, not %d\n", name, e->name, count, (int)kind,
                is_done ? "done" : "not done", i, i < bytes ? found[i] : 0, i < bytes ? expected[i] : 0);
        }
    })
    release(x, count * 4), release(expected, bytes), release(found, bytes);
}

static void activations(void) {
    static const encoding all[] = {
        {"encode_q8_0", define_q8_0, 32, 34, offsetof(quipu_row_kernels, encode_q8_0)},
        {"encode_q8_1", define_q8_1, 32, 36, offsetof(quipu_row_kernels, encode_q8_1)},
        {"encode_q8_k", define_q8_k, 256, 292, offsetof(quipu_row_kernels, encode_q8_k)},
        {"encode_f16", define_f16, 1, 2, offsetof(quipu_row_kernels, encode_f16)},
    };
    for (size_t e = 0; e < sizeof all / sizeof *all; e++) {
        for (kind kind = 0; kind < KINDS; kind++) {
            for (size_t blocks = 1; blocks < (all[e].block == 1 ? 70 : 14); blocks++) {
                encode(all + e, blocks * all[e].block, kind);
            }
        }
        end_hash(all[e].name);
    }
}

// MARK: functions

static double define_exponentials(const float *scores, const float *mask, float scale, size_t count, float *y) {
    float most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        y[i] = scores[i] * scale + mask[i];
        if (y[i] > most) most = y[i];
    }
    double sum = 0;
    for (size_t i = 0; i < count; i += 16) {
        float e[16] = {0};
        for (size_t k = 0; k < 16 && i + k < count; k++) {
            e[k] = y[i + k] = y[i + k] == -INFINITY ? 0 : exponential(y[i + k] - most);
        }
        for (int half = 8; half > 1; half /= 2) for (int k = 0; k < half; k++) e[k] += e[k + half];
        sum += (double)(e[0] + e[1]);
    }
    return sum;
}

static void functions_of(size_t count, kind kind) {
    float *a = memory(count * 4), *b = memory(count * 4), *y = memory(count * 4), *expected = memory(count * 4);
    fill(a, count, kind), fill(b, count, kind == NOT_FINITE ? ORDINARY : kind);
    if (count % 16 == 0) {
        for (size_t i = 0; i < count; i++) expected[i] = a[i] / (1 + exponential(-a[i])) * b[i];
        add_floats_to_hash(expected, count);
        FOR_SETS(kernels, {
            kernels->swiglu(a, b, count, y);
            compare_floats(name, "swiglu", count, kind, y, expected, count);
        })
    }
    if (count % 2 == 0) {
        for (size_t i = 0; i < count; i += 2) {
            expected[i] = fmaf(a[i], b[i], -(a[i + 1] * b[i + 1]));
            expected[i + 1] = fmaf(a[i], b[i + 1], a[i + 1] * b[i]);
        }
        add_floats_to_hash(expected, count);
        FOR_SETS(kernels, {
            kernels->rotate(a, b, count, y);
            compare_floats(name, "rotate", count, kind, y, expected, count);
        })
    }
    // Some are masked, or all.
    for (size_t i = 0; i < count; i++) if (next() % 4 == 0 || count % 7 == 0) b[i] = -INFINITY;
    double sums[8] = {define_exponentials(a, b, 0.5f, count, expected)};
    add_floats_to_hash(expected, count);
    FOR_SETS(kernels, {
        const double found[8] = {kernels->exponentials(a, b, 0.5f, count, y)};
        compare_floats(name, "exponentials", count, kind, y, expected, count);
        compare_doubles(name, "their sum", count, found, sums);
    })
    release(a, count * 4), release(b, count * 4), release(y, count * 4), release(expected, count * 4);
}

// MARK: sums

static quipu_statistics define_statistics(const float *x, size_t count) {
    quipu_statistics s = {.low = INFINITY, .high = -INFINITY};
    for (size_t i = 0; i < count; i++) {
        s.nans += isnan(x[i]) != 0, s.infinities += isinf(x[i]) != 0, s.zeros += x[i] == 0;
        if (!isfinite(x[i])) continue;
        s.low = x[i] < s.low ? x[i] : s.low, s.high = x[i] > s.high ? x[i] : s.high;
        s.sums[i % 8] += (double)x[i], s.squares[i % 8] += (double)x[i] * (double)x[i];
    }
    return s;
}

/// The logarithm of `AttentionSummary`, which is the same everywhere.
static double define_weighted_logarithm(float weight) {
    // 2 / (ln 2 (2k + 1)), from k = 9 down to 0, each rounded once.
    static const double terms[] = {
        0x1.3703c1f4d0ffep-3, 0x1.5b9ac9b743f0dp-3, 0x1.89f3b1694cffep-3, 0x1.c68f568d31760p-3, 0x1.0c9a84994022dp-2,
        0x1.484b13d7c02a9p-2, 0x1.a61762a7aded9p-2, 0x1.2776c50ef9bfep-1, 0x1.ec709dc3a03fdp-1, 0x1.71547652b82fep+1,
    };
    if (weight <= 0) return 0;
    int k = 0;
    // From 0.75 to 1.5.
    double m = frexp((double)weight, &k), series = 0;
    if (m < 0.75) m *= 2, k--;
    const double s = (m - 1) / (m + 1);
    for (int term = 0; term < 10; term++) series = series * (s * s) + terms[term];
    return (double)weight * (k + s * series);
}

static void sums_of(size_t count, kind kind) {
    float *x = memory(count * 4);
    fill(x, count, kind);
    const quipu_statistics expected = define_statistics(x, count);
    add_to_hash(expected.sums, sizeof expected.sums), add_to_hash(expected.squares, sizeof expected.squares);
    FOR_SETS(kernels, {
        // In two parts: a kernel adds to what came before.
        quipu_statistics found = {.low = INFINITY, .high = -INFINITY};
        const size_t first = count / 16 * 8;
        kernels->statistics(x, first, &found), kernels->statistics(x + first, count - first, &found);
        compare_doubles(name, "sums", count, found.sums, expected.sums);
        compare_doubles(name, "squares", count, found.squares, expected.squares);
        // A zero of either sign.
        if (found.low == expected.low && found.high == expected.high && found.zeros == expected.zeros
            && found.nans == expected.nans && found.infinities == expected.infinities) continue;
        if (!wrong++) printf("%s statistics of %zu values, kind %d: extremes or counts\n", name, count, (int)kind);
    })
    // Weights: shares, zeros, what counts as zero, NaN if there is one.
    double entropies[8] = {0};
    for (size_t i = 0; i < count; i++) {
        if (isinf(x[i]) || i % 5 == 0) x[i] = 0;
        x[i] = i % 7 ? fabsf(x[i]) / 8 : x[i];
    }
    for (size_t i = 0; i < count; i++) entropies[i % 8] -= isnan(x[i]) ? NAN : define_weighted_logarithm(x[i]);
    FOR_SETS(kernels, {
        double found[8] = {0};
        kernels->entropy(x, count, found);
        compare_doubles(name, "entropy", count, found, entropies);
    })
    release(x, count * 4);
}

int main(void) {
    activations();
    for (kind kind = 0; kind < KINDS; kind++) {
        for (size_t count = 1; count < 100; count++) functions_of(count, kind);
    }
    end_hash("functions");
    for (kind kind = 0; kind < KINDS; kind++) {
        for (size_t count = 8; count < 200; count += 8) sums_of(count, kind);
    }
    end_hash("sums");
    size_t sets = 0;
    FOR_SETS(kernels, sets++; fprintf(stderr, "rows: %s\n", name);)
    return wrong > 0 || sets == 0;
}
