// Kernels for AVX2 with FMA and F16C: processors of 2013 and later.
#include "sets.h"
#if QUIPU_X86
#include <immintrin.h>
#include <math.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#define HAS_VNNI 0
#include "avx2_kernels.inc"

const quipu_product_kernel *quipu_avx2_product_kernel(int type) { return kernel_for(type); }
const quipu_row_kernels *quipu_avx2_row_kernels(void) { return &row_kernels; }
const quipu_attention_kernels *quipu_avx2_attention_kernels(void) { return &attention_kernels; }
#pragma clang attribute pop
#endif
