// One product by one kernel, prepared as the kernel wants it: what Sources/Quantization/ProductKernel.swift does.
#ifndef KERNEL_PRODUCT_H
#define KERNEL_PRODUCT_H

#include "SIMDKernels.h"
#include "memory.h"

static inline void multiply(const quipu_product_kernel *kernel, quipu_product product) {
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

#endif
