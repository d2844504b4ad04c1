// A product as llama.cpp evaluates it, some times over, for scripts/count-neon.sh: one MUL_MAT in a graph of ggml's on
// one thread, with the weights where llama.cpp loads them to, repacked if ggml has such kernels for their type.
//
//     count_ggml q4_K 64 32 2 product.bin     # 64 rows times 32 tokens, twice; writes weights, activations and results
//
// The product is the same in every run: random numbers from a fixed seed, quantised by ggml. The file has seven numbers
// (type, rows, tokens, values in a row, bytes of a row, bytes of a token's activations, whether weights were repacked),
// then weights, activations in the type that they are multiplied in, and results.
//
//     count_ggml encode q8_0 2 row.bin     # a row of activations, converted twice
//
// That file has three numbers (type, values, bytes), then the values, and what became of them.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

constexpr int64_t values = 2048;

[[noreturn]] void fail(const std::string &what) {
    fprintf(stderr, "count_ggml: %s\n", what.c_str());
    exit(1);
}

/// Numbers between -1 and 1 (xorshift64*).
std::vector<float> numbers(size_t count, uint64_t state) {
    std::vector<float> all(count);
    for (float &number : all) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        number = std::ldexp(float(int32_t(state * 2685821657736338717u >> 32)), -31);
    }
    return all;
}

ggml_type type_named(const std::string &name) {
    for (int type = 0; type < GGML_TYPE_COUNT; type++) {
        const char *known = ggml_type_name(ggml_type(type));
        if (known && name == known) return ggml_type(type);
    }
    fail("ggml has no type " + name);
}

ggml_context *descriptions() {
    return ggml_init({/* size */ 16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, /* no data */ true});
}

/// A graph of one product.
struct product {
    ggml_context *of_weights = descriptions(), *of_others = descriptions();
    ggml_tensor *weights, *activations, *result;

    product(ggml_type type, int64_t rows, int64_t tokens) {
        weights = ggml_new_tensor_2d(of_weights, type, values, rows);
        activations = ggml_new_tensor_2d(of_others, GGML_TYPE_F32, values, tokens);
        result = ggml_mul_mat(of_others, weights, activations);
    }

    /// Puts the weights into memory of this kind, if the processor's backend multiplies them there.
    bool is_held_by(ggml_backend_buffer_type_t kind, ggml_backend_dev_t processor) {
        ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors_from_buft(of_weights, kind);
        return buffer && ggml_backend_dev_supports_op(processor, result);
    }
};

/// The product with the weights in the first kind of memory that takes them, as llama.cpp chooses when it loads models.
product placed(ggml_type type, int64_t rows, int64_t tokens, ggml_backend_dev_t processor, bool *is_repacked) {
    const ggml_backend_reg_t backend = ggml_backend_dev_backend_reg(processor);
    const auto others = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(backend, "ggml_backend_dev_get_extra_bufts"));
    if (!others) fail("this ggml has no other kinds of memory");
    *is_repacked = true;
    for (ggml_backend_buffer_type_t *kind = others(processor); *kind; kind++) {
        product one(type, rows, tokens);
        if (one.is_held_by(*kind, processor)) return one;
    }
    *is_repacked = false;
    product one(type, rows, tokens);
    if (!one.is_held_by(ggml_backend_cpu_buffer_type(), processor)) fail("the processor cannot multiply this type");
    return one;
}

/// The activations as the weights' product wants them.
std::vector<uint8_t> encoded(const std::vector<float> &activations, ggml_type type, int64_t tokens) {
    const size_t bytes = ggml_row_size(type, values);
    std::vector<uint8_t> all(bytes * size_t(tokens));
    for (int64_t token = 0; token < tokens; token++) {
        const float *from = &activations[size_t(token * values)];
        ggml_get_type_traits_cpu(type)->from_float(from, &all[size_t(token) * bytes], values);
    }
    return all;
}

void put(FILE *file, const void *bytes, size_t count) {
    if (fwrite(bytes, 1, count, file) != count) fail("cannot write");
}

/// Converts a row of activations and writes it.
int encode(ggml_type type, int64_t repetitions, const char *name) {
    ggml_cpu_init();
    const std::vector<float> activations = numbers(values, 2);
    std::vector<uint8_t> codes(ggml_row_size(type, values));
    const ggml_from_float_t convert = ggml_get_type_traits_cpu(type)->from_float;
    for (int64_t i = 0; i < repetitions; i++) convert(activations.data(), codes.data(), values);
    const uint32_t header[] = {uint32_t(type), uint32_t(values), uint32_t(codes.size())};
    FILE *file = fopen(name, "wb");
    if (!file) fail(std::string("cannot open ") + name);
    put(file, header, sizeof header), put(file, activations.data(), activations.size() * sizeof(float));
    put(file, codes.data(), codes.size());
    if (fclose(file)) fail("cannot write");
    return 0;
}

}  // namespace

int main(int count, char **arguments) {
    if (count == 5 && arguments[1] == std::string("encode")) {
        return encode(type_named(arguments[2]), atol(arguments[3]), arguments[4]);
    }
    if (count != 6) fail("needs a type, rows, tokens, repetitions and a file");
    const ggml_type type = type_named(arguments[1]);
    const int64_t rows = atol(arguments[2]), tokens = atol(arguments[3]), repetitions = atol(arguments[4]);

    ggml_backend_t backend = ggml_backend_cpu_init();
    ggml_backend_cpu_set_n_threads(backend, 1);
    bool is_repacked;
    product one = placed(type, rows, tokens, ggml_backend_get_device(backend), &is_repacked);
    if (!ggml_backend_alloc_ctx_tensors(one.of_others, backend)) fail("no memory");

    const std::vector<float> plain = numbers(size_t(rows * values), 1);
    const std::vector<float> activations = numbers(size_t(tokens * values), 2);
    std::vector<uint8_t> weights(size_t(rows) * ggml_row_size(type, values));
    ggml_quantize_chunk(type, plain.data(), weights.data(), 0, rows, values, nullptr);
    ggml_backend_tensor_set(one.weights, weights.data(), 0, weights.size());
    ggml_backend_tensor_set(one.activations, activations.data(), 0, activations.size() * sizeof(float));

    ggml_cgraph *graph = ggml_new_graph_custom(one.of_others, 8, false);
    ggml_build_forward_expand(graph, one.result);
    for (int64_t i = 0; i < repetitions; i++) {
        if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) fail("the product failed");
    }

    std::vector<float> results(size_t(rows * tokens));
    ggml_backend_tensor_get(one.result, results.data(), 0, results.size() * sizeof(float));
    const ggml_type met = ggml_get_type_traits_cpu(type)->vec_dot_type;
    const std::vector<uint8_t> codes = encoded(activations, met, tokens);
    const uint32_t header[] = {
        uint32_t(type), uint32_t(rows), uint32_t(tokens), uint32_t(values), uint32_t(ggml_row_size(type, values)),
        uint32_t(ggml_row_size(met, values)), is_repacked,
    };
    FILE *file = fopen(arguments[5], "wb");
    if (!file) fail(std::string("cannot open ") + arguments[5]);
    put(file, header, sizeof header), put(file, weights.data(), weights.size());
    put(file, codes.data(), codes.size());
    put(file, results.data(), results.size() * sizeof(float));
    if (fclose(file)) fail("cannot write");
    return 0;
}
