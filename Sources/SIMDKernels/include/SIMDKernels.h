#ifndef QUIPU_SIMD_KERNELS_H
#define QUIPU_SIMD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Instruction sets that the kernels are written for. `portable` is C that any processor runs.
typedef enum {
    QUIPU_PORTABLE = 0,
    QUIPU_AVX2 = 1,
    QUIPU_AVX512 = 2,
    QUIPU_NEON = 3,
    /// AVX2 with AVX-VNNI.
    QUIPU_AVXVNNI = 4,
    /// NEON with dot products of bytes.
    QUIPU_NEONDOT = 5,
} quipu_instructions;

/// Whether this build has kernels for the set and this processor (and its system) can run them.
bool quipu_can_run(quipu_instructions set);

/// Rows of weights times rows of activations: `y[t, r] = sum over k of w[r, k] * x[t, k]`.
///
/// Each y is one sum in one order, whatever the numbers of rows and tokens: the order of the reference in Swift, so that
/// every set gives its bits.
typedef struct {
    /// The first row, and the bytes from one row to the next. Any alignment.
    const void *weights;
    size_t weight_stride;
    /// The first token's activations in the type that weights of this type are multiplied with, and bytes between tokens.
    const void *activations;
    size_t activation_stride;
    /// What `prepare` made of all tokens; bytes between groups of tokens. NULL if there was nothing to prepare.
    const void *prepared;
    size_t prepared_stride;
    /// The first token's outputs, one for each row, and the floats from one token to the next.
    float *output;
    size_t output_stride;
    size_t rows;
    size_t tokens;
    /// Values in a row: a multiple of the block length.
    size_t count;
    /// The order of summation of unquantised rows: see `SummationOrder` of the reference.
    bool is_tile;
    bool is_padded;
} quipu_product;

typedef struct {
    /// Multiplies.
    void (*multiply)(const quipu_product *product);
    /// Tokens that are prepared together.
    size_t prepared_tokens;
    /// Bytes that `prepare` writes for each such group of a product of so many tokens: 0 if `multiply` needs no more than
    /// the activations. NULL if that is always so.
    size_t (*prepared_bytes)(size_t count, size_t tokens);
    /// Writes what products of several tokens would otherwise compute again for each row: of up to `prepared_tokens`
    /// tokens, whose activations are `stride` bytes apart.
    void (*prepare)(const void *activations, size_t stride, size_t tokens, size_t count, void *prepared);
} quipu_product_kernel;

/// The kernel for weights of a ggml type, or NULL if the set has none.
const quipu_product_kernel *quipu_product_kernel_for(quipu_instructions set, int ggml_type);

/// A summary of values: eight sums side by side, of every eighth finite value each, from value 0 on.
typedef struct {
    double sums[8];
    double squares[8];
    /// Of the finite values; infinities the other way round if there is none.
    float low, high;
    size_t zeros, nans, infinities;
} quipu_statistics;

/// Rows of floats. A member is NULL where the set has nothing better than the reference.
typedef struct {
    /// Activations to blocks of 32 (Q8_0, Q8_1) or 256 (Q8_K), or to F16; whole blocks.
    ///
    /// Returns false, with nothing useful written, if a value is not finite or so small that its scale overflows: the
    /// reference knows what is due then.
    bool (*encode_q8_0)(const float *x, size_t count, void *blocks);
    bool (*encode_q8_1)(const float *x, size_t count, void *blocks);
    bool (*encode_q8_k)(const float *x, size_t count, void *blocks);
    bool (*encode_f16)(const float *x, size_t count, void *numbers);
    /// The first half of a soft max: `y = exp(x - max)` with `x = scores * scale + mask`. Returns the sum of y.
    double (*exponentials)(const float *scores, const float *mask, float scale, size_t count, float *y);
    /// `y = gate / (1 + exp(-gate)) * up`; whole groups of sixteen.
    void (*swiglu)(const float *gate, const float *up, size_t count, float *y);
    /// Turns pairs: `y[2j] = x[2j] * c - x[2j+1] * s` and `y[2j+1] = x[2j] * s + x[2j+1] * c`, the first product not
    /// rounded, with c and s of each pair side by side in `rotations`.
    void (*rotate)(const float *x, const float *rotations, size_t count, float *y);
    /// Adds whole groups of eight to the summary of what came before.
    void (*statistics)(const float *x, size_t count, quipu_statistics *result);
    /// Subtracts `w log2(w)` of every eighth weight each from the eight sums, from weight 0 on; whole groups of eight.
    void (*entropy)(const float *weights, size_t count, double *sums);
} quipu_row_kernels;

/// The row kernels of a set; NULL if it has none.
const quipu_row_kernels *quipu_row_kernels_of(quipu_instructions set);

/// Attention of several queries over the keys and values of one KV head, by the query heads that share it: scores, their
/// soft max and the mix of the values, without the scores and shares in memory. A row is the query of one head of one token:
/// token after token, of each its heads.
///
/// Gives the bits of F16 products of several tokens (`is_tile`) and of the soft max.
typedef struct {
    /// F16: a row of `key_size` numbers for each position, and the bytes from one to the next.
    const void *keys;
    size_t key_stride;
    /// F16: a row of positions for each of `value_size` elements, and the bytes from one to the next.
    const void *values;
    size_t value_stride;
    /// The first token's first head's query, and bytes between tokens and between heads.
    const float *queries;
    size_t query_token_stride, query_head_stride;
    /// The first token's first head's mix, and floats between tokens and between heads.
    float *output;
    size_t output_token_stride, output_head_stride;
    /// Multiples of 16.
    size_t key_size, value_size;
    size_t positions;
    /// Query heads that share the keys and values.
    size_t heads;
    /// Of each token, the first position that it sees and the one after the last: at least one.
    const int32_t *visible;
    /// What scores are multiplied by: more than 0.
    float scale;
    /// One for each of the heads, or NULL.
    const float *sinks;
    /// The keys as `pack` writes them: positions, rounded up to whole blocks, times `key_size` numbers.
    uint16_t *packed_keys;
} quipu_attention;

typedef struct {
    /// Writes a block of keys. Returns false if they or the values of the same positions are not finite: what is hidden
    /// from a query is then not without effect on it, and this is not the way to compute it.
    bool (*pack)(const quipu_attention *attention, size_t block);
    /// Keys of a block.
    size_t block_keys;
    /// Bytes that `attend` needs for so many rows.
    size_t (*scratch_bytes)(const quipu_attention *attention, size_t rows);
    /// Writes the mixes of some rows, when all keys are packed. Returns false if a query is not finite as F16.
    bool (*attend)(const quipu_attention *attention, size_t first, size_t rows, void *scratch);
} quipu_attention_kernels;

/// The set's kernels for attention; NULL if it has none.
const quipu_attention_kernels *quipu_attention_kernels_of(quipu_instructions set);

#endif
