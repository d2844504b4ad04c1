// The kernels for rows of floats, of every set that this processor runs: rows of every length that a kernel takes, in
// memory whose edges are watched, and the results near those of plain C. The bits are held by the tests in Swift.
#include <math.h>
#include <stdio.h>

#include "SIMDKernels.h"
#include "memory.h"

static uint64_t state = 88172645463325252u;
/// From -8 to 8.
static float number(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (float)(int32_t)(state >> 32) * 0x1p-28f;
}

static float *numbers(size_t count) {
    float *p = memory(count * 4);
    for (size_t i = 0; i < count; i++) p[i] = number();
    return p;
}

static size_t wrong = 0;
static void near(double found, double expected, const char *what, size_t count) {
    if (fabs(found - expected) <= 2e-6 * (1 + fabs(expected))) return;
    if (!wrong++) printf("%s of %zu values: %a, plain C %a\n", what, count, found, expected);
}

/// Codes times scale are the numbers again, to half a step.
static void encode(
    bool (*kernel)(const float *, size_t, void *), const char *what, size_t block, size_t bytes, size_t head
) {
    for (size_t count = block; count <= 6 * block; count += block) {
        float *x = numbers(count);
        uint8_t *output = memory(count / block * bytes);
        if (!kernel(x, count, output)) near(0, 1, what, count);
        for (size_t b = 0; b < count / block; b++) {
            float largest = 0, of = 0;
            for (size_t i = 0; i < block; i++) {
                if (fabsf(x[b * block + i]) > largest) largest = fabsf(of = x[b * block + i]);
            }
            // Q8_K divides by -127 of what is largest.
            const float step = block == 256 ? -of / 127 : largest / 127;
            for (size_t i = 0; i < block; i++) {
                const float value = (float)(int8_t)output[b * bytes + head + i] * step;
                if (fabsf(value - x[b * block + i]) > 0.51f * fabsf(step)) near(value, x[b * block + i], what, count);
            }
        }
        release(x, count * 4), release(output, count / block * bytes);
    }
}

static void encode_f16(bool (*kernel)(const float *, size_t, void *)) {
    for (size_t count = 1; count < 70; count++) {
        float *x = numbers(count);
        _Float16 *output = memory(count * 2);
        if (!kernel(x, count, output)) near(0, 1, "encode_f16", count);
        for (size_t i = 0; i < count; i++) near(output[i], (_Float16)x[i], "encode_f16", count);
        release(x, count * 4), release(output, count * 2);
    }
}

static void functions(const quipu_row_kernels *kernels) {
    for (size_t count = 1; count < 150; count++) {
        float *a = numbers(count), *b = numbers(count), *y = memory(count * 4);
        double sum = 0, largest = -INFINITY;
        for (size_t i = 0; i < count; i++) largest = fmax(largest, (double)(a[i] * 0.5f + b[i]));
        for (size_t i = 0; i < count; i++) sum += exp((double)(a[i] * 0.5f + b[i]) - largest);
        near(kernels->exponentials(a, b, 0.5f, count, y), sum, "exponentials", count);
        if (count % 16 == 0) {
            kernels->swiglu(a, b, count, y);
            for (size_t i = 0; i < count; i++) near(y[i], a[i] / (1 + exp(-(double)a[i])) * b[i], "swiglu", count);
        }
        if (count % 2 == 0) {
            kernels->rotate(a, b, count, y);
            for (size_t i = 0; i < count; i += 2) {
                near(y[i], (double)a[i] * b[i] - (double)a[i + 1] * b[i + 1], "rotate", count);
                near(y[i + 1], (double)a[i] * b[i + 1] + (double)a[i + 1] * b[i], "rotate", count);
            }
        }
        release(a, count * 4), release(b, count * 4), release(y, count * 4);
    }
}

static void sums(const quipu_row_kernels *kernels) {
    for (size_t count = 8; count < 200; count += 8) {
        float *x = numbers(count);
        x[count / 2] = 0, x[count / 3] = NAN, x[count - 1] = INFINITY;
        // Of nothing: a kernel adds to what came before.
        quipu_statistics found = {.low = INFINITY, .high = -INFINITY};
        kernels->statistics(x, count, &found);
        double sum = 0, square = 0;
        float low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < count; i++) {
            if (!isfinite(x[i])) continue;
            sum += x[i], square += (double)x[i] * x[i];
            low = fminf(low, x[i]), high = fmaxf(high, x[i]);
        }
        for (int i = 1; i < 8; i++) found.sums[0] += found.sums[i], found.squares[0] += found.squares[i];
        near(found.sums[0], sum, "sums", count), near(found.squares[0], square, "squares", count);
        near(found.low, low, "lowest", count), near(found.high, high, "highest", count);
        near((double)(found.zeros + 10 * found.nans + 100 * found.infinities), 111, "kinds", count);

        double entropy = 0, parts[8] = {0};
        for (size_t i = 0; i < count; i++) {
            x[i] = i % 5 ? fabsf(number()) / 8 : 0;
            if (x[i] > 0) entropy -= x[i] * log2(x[i]);
        }
        kernels->entropy(x, count, parts);
        for (int i = 1; i < 8; i++) parts[0] += parts[i];
        near(parts[0], entropy, "entropy", count);
        release(x, count * 4);
    }
}

int main(void) {
    size_t sets = 0;
    for (quipu_instructions set = QUIPU_PORTABLE; set <= QUIPU_NEONDOT; set++) {
        const quipu_row_kernels *kernels = quipu_can_run(set) ? quipu_row_kernels_of(set) : 0;
        if (!kernels) continue;
        sets++;
        encode(kernels->encode_q8_0, "encode_q8_0", 32, 34, 2);
        encode(kernels->encode_q8_1, "encode_q8_1", 32, 36, 4);
        encode(kernels->encode_q8_k, "encode_q8_k", 256, 292, 4);
        encode_f16(kernels->encode_f16);
        functions(kernels);
        sums(kernels);
    }
    printf("rows: %zu sets with such kernels, %zu values wrong\n", sets, wrong);
    return wrong > 0;
}
