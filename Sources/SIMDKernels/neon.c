// Kernels for 64-bit ARM, with the instructions that all of them have.
#include "sets.h"
#if QUIPU_ARM64
#include <arm_neon.h>
#include <math.h>
#pragma STDC FP_CONTRACT OFF
#define HAS_DOT_PRODUCTS 0
#include "neon_kernels.inc"

const quipu_product_kernel *quipu_neon_product_kernel(int type) { return row_kernel_for(type); }
const quipu_row_kernels *quipu_neon_row_kernels(void) { return &row_kernels; }
const quipu_attention_kernels *quipu_neon_attention_kernels(void) { return &attention_kernels; }
#endif
