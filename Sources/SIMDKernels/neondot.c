// Kernels for 64-bit ARM with dot products of bytes: most processors since 2018.
#include "sets.h"
#if QUIPU_ARM64
#include <arm_neon.h>
#include <math.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#define HAS_DOT_PRODUCTS 1
#include "neon_kernels.inc"

const quipu_product_kernel *quipu_neondot_product_kernel(int type) { return row_kernel_for(type); }
const quipu_row_kernels *quipu_neondot_row_kernels(void) { return &row_kernels; }
const quipu_attention_kernels *quipu_neondot_attention_kernels(void) { return &attention_kernels; }
#pragma clang attribute pop
#endif
