// What each instruction set's file offers; `dispatch.c` chooses.
#ifndef QUIPU_SETS_H
#define QUIPU_SETS_H

#include "include/SIMDKernels.h"

#if defined(__x86_64__)
#define QUIPU_X86 1
#endif
#if defined(__aarch64__)
#define QUIPU_ARM64 1
#endif

const quipu_product_kernel *quipu_portable_product_kernel(int type);
#if QUIPU_X86
const quipu_product_kernel *quipu_avx2_product_kernel(int type);
const quipu_product_kernel *quipu_avxvnni_product_kernel(int type);
const quipu_product_kernel *quipu_avx512_product_kernel(int type);
const quipu_row_kernels *quipu_avx2_row_kernels(void);
const quipu_row_kernels *quipu_avxvnni_row_kernels(void);
const quipu_row_kernels *quipu_avx512_row_kernels(void);
const quipu_attention_kernels *quipu_avx2_attention_kernels(void);
const quipu_attention_kernels *quipu_avxvnni_attention_kernels(void);
const quipu_attention_kernels *quipu_avx512_attention_kernels(void);
#endif
#if QUIPU_ARM64
const quipu_product_kernel *quipu_neon_product_kernel(int type);
const quipu_product_kernel *quipu_neondot_product_kernel(int type);
const quipu_row_kernels *quipu_neon_row_kernels(void);
const quipu_row_kernels *quipu_neondot_row_kernels(void);
const quipu_attention_kernels *quipu_neon_attention_kernels(void);
const quipu_attention_kernels *quipu_neondot_attention_kernels(void);
#endif

#endif
