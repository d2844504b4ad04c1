// Activations as Quipu encodes them, some times over, for scripts/count-neon.sh, and whether llama.cpp makes the same
// of the same numbers.
//
//     count_encoding row.bin 2     # twice the row in a file that `count_ggml encode` wrote
//
// Ends with 1 if a code is more than one off, since llama.cpp multiplies by another inverse on ARM; of F16 if a bit is.
#include <stdio.h>

#include "SIMDKernels.h"
#include "memory.h"

enum { F16 = 1, Q8_0 = 8, Q8_1 = 9, Q8_K = 15 };

typedef struct {
    uint32_t type, values, bytes;
} header;

/// Where a block's codes are: scales may differ in the last place, and sums where codes do.
static int is_code(const header *h, size_t byte) {
    switch (h->type) {
        case Q8_0: return byte % 34 >= 2;
        case Q8_1: return byte % 36 >= 4;
        case Q8_K: return byte % 292 >= 4 && byte % 292 < 260;
        default: return 1;
    }
}

static int are_near(const header *h, const int8_t *found, const int8_t *expected) {
    for (size_t i = 0; i < h->bytes; i++) {
        if (is_code(h, i) && abs(found[i] - expected[i]) > (h->type != F16)) {
            fprintf(stderr, "count_encoding: byte %zu is %d, llama.cpp's %d\n", i, found[i], expected[i]);
            return 0;
        }
    }
    return 1;
}

int main(int count, char **arguments) {
    FILE *file = count == 3 ? fopen(arguments[1], "rb") : 0;
    if (!file || !quipu_can_run(QUIPU_NEONDOT)) {
        fprintf(stderr, "count_encoding: needs a file that count_ggml wrote, repetitions, and dot products\n");
        return 1;
    }
    header *h = read_from(file, sizeof(header));
    const float *x = read_from(file, 4 * (size_t)h->values);
    const int8_t *expected = read_from(file, h->bytes);
    int8_t *found = memory(h->bytes);
    fclose(file);

    const quipu_row_kernels *kernels = quipu_row_kernels_of(QUIPU_NEONDOT);
    for (long i = strtol(arguments[2], 0, 10); i > 0; i--) {
        switch (h->type) {
            case Q8_0: kernels->encode_q8_0(x, h->values, found); break;
            case Q8_1: kernels->encode_q8_1(x, h->values, found); break;
            case Q8_K: kernels->encode_q8_k(x, h->values, found); break;
            case F16: kernels->encode_f16(x, h->values, found); break;
            default: return 1;
        }
    }
    return !are_near(h, found, expected);
}
