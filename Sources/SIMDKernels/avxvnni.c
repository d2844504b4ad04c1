// Kernels for AVX2 with products of bytes added up in 32 bits (AVX-VNNI): Intel since 2021, AMD since Zen 5.
#include "sets.h"
#if QUIPU_X86
#include <immintrin.h>
#include <math.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#define HAS_VNNI 1
#include "avx2_kernels.inc"

const quipu_product_kernel *quipu_avxvnni_product_kernel(int type) { return kernel_for(type); }
const quipu_row_kernels *quipu_avxvnni_row_kernels(void) { return &row_kernels; }
const quipu_attention_kernels *quipu_avxvnni_attention_kernels(void) { return &attention_kernels; }
#pragma clang attribute pop
#endif
