// A product as Quipu evaluates it, some times over, for scripts/count-neon.sh, and whether it is the one that llama.cpp
// computed from the same bytes.
//
//     count_product product.bin 2     # twice the product in a file that count_ggml wrote
//
// Prints whether llama.cpp repacked the weights, and how far its results are, by the largest one. Ends with 1 if that
// is more than a hundred-thousandth, since sums are added up in another order; of F16 a hundredth, since llama.cpp adds
// products up in F16.
#include <math.h>
#include <stdio.h>

#include "product.h"

enum { F16 = 1 };

typedef struct {
    uint32_t type, rows, tokens, values, row_bytes, token_bytes, is_repacked;
} header;

/// Whether the results are as near as they should be; prints how near.
static int are_near(const header *h, const float *found, const float *expected) {
    double largest = 0, farthest = 0;
    for (size_t i = 0; i < (size_t)h->rows * h->tokens; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        const double distance = fabs((double)found[i] - (double)expected[i]);
        farthest = distance <= farthest ? farthest : distance;
    }
    const double tolerance = h->type == F16 ? 1e-2 : 1e-5;
    const int is_near = largest > 0 && farthest <= tolerance * largest;
    printf("%s %.1e%s\n", h->is_repacked ? "repacked" : "plain", farthest / largest, is_near ? "" : " TOO FAR");
    return is_near;
}

int main(int count, char **arguments) {
    FILE *file = count == 3 ? fopen(arguments[1], "rb") : 0;
    if (!file) {
        fprintf(stderr, "count_product: needs a file that count_ggml wrote, and repetitions\n");
        return 1;
    }
    header *h = read_from(file, sizeof(header));
    const char *weights = read_from(file, (size_t)h->rows * h->row_bytes);
    const char *activations = read_from(file, (size_t)h->tokens * h->token_bytes);
    const float *expected = read_from(file, (size_t)h->rows * h->tokens * 4);
    float *found = memory((size_t)h->rows * h->tokens * 4);
    fclose(file);

    const quipu_product_kernel *kernel =
        quipu_can_run(QUIPU_NEONDOT) ? quipu_product_kernel_for(QUIPU_NEONDOT, (int)h->type) : 0;
    if (!kernel) {
        fprintf(stderr, "count_product: no kernel with dot products for this type and processor\n");
        return 1;
    }
    const quipu_product product = {
        .weights = weights, .weight_stride = h->row_bytes,
        .activations = activations, .activation_stride = h->token_bytes,
        .output = found, .output_stride = h->rows, .rows = h->rows, .tokens = h->tokens, .count = h->values,
        .is_tile = h->tokens > 1,
    };
    for (long i = strtol(arguments[2], 0, 10); i > 0; i--) multiply(kernel, product);
    return !are_near(h, found, expected);
}
