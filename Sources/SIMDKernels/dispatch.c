// Which instruction sets this processor runs, and the kernels of each.
#include "sets.h"

#if QUIPU_X86
#include <cpuid.h>

static bool has_avxvnni;

/// The processor's own word for it, which the compiler's runtime does not pass on. Asked once: a virtual machine stops
/// to answer, for longer than a small product takes.
__attribute__((constructor)) static void ask_for_avxvnni(void) {
    unsigned a, b, c, d;
    has_avxvnni = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
#endif

#if QUIPU_ARM64
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static bool has_dot_products(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
#else
// Every Mac of this architecture has them; of other systems nothing is known.
static bool has_dot_products(void) {
#if defined(__APPLE__)
    return true;
#else
    return false;
#endif
}
#endif
#endif

bool quipu_can_run(quipu_instructions set) {
    switch (set) {
        case QUIPU_PORTABLE: return true;
#if QUIPU_X86
        // The compiler's runtime asks the processor, and whether the system saves the registers.
        case QUIPU_AVX2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
        case QUIPU_AVXVNNI: return quipu_can_run(QUIPU_AVX2) && has_avxvnni;
        case QUIPU_AVX512:
            return quipu_can_run(QUIPU_AVX2) && __builtin_cpu_supports("avx512f")
                && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
                && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#endif
#if QUIPU_ARM64
        case QUIPU_NEON: return true;
        case QUIPU_NEONDOT: return has_dot_products();
#endif
        default: return false;
    }
}

const quipu_product_kernel *quipu_product_kernel_for(quipu_instructions set, int type) {
    switch (set) {
        case QUIPU_PORTABLE: return quipu_portable_product_kernel(type);
#if QUIPU_X86
        case QUIPU_AVX2: return quipu_avx2_product_kernel(type);
        case QUIPU_AVXVNNI: return quipu_avxvnni_product_kernel(type);
        case QUIPU_AVX512: return quipu_avx512_product_kernel(type);
#endif
#if QUIPU_ARM64
        case QUIPU_NEON: return quipu_neon_product_kernel(type);
        case QUIPU_NEONDOT: return quipu_neondot_product_kernel(type);
#endif
        default: return 0;
    }
}

const quipu_row_kernels *quipu_row_kernels_of(quipu_instructions set) {
    switch (set) {
#if QUIPU_X86
        case QUIPU_AVX2: return quipu_avx2_row_kernels();
        case QUIPU_AVXVNNI: return quipu_avxvnni_row_kernels();
        case QUIPU_AVX512: return quipu_avx512_row_kernels();
#endif
#if QUIPU_ARM64
        case QUIPU_NEON: return quipu_neon_row_kernels();
        case QUIPU_NEONDOT: return quipu_neondot_row_kernels();
#endif
        default: return 0;
    }
}

const quipu_attention_kernels *quipu_attention_kernels_of(quipu_instructions set) {
    switch (set) {
#if QUIPU_X86
        case QUIPU_AVX2: return quipu_avx2_attention_kernels();
        case QUIPU_AVXVNNI: return quipu_avxvnni_attention_kernels();
        case QUIPU_AVX512: return quipu_avx512_attention_kernels();
#endif
#if QUIPU_ARM64
        case QUIPU_NEON: return quipu_neon_attention_kernels();
        case QUIPU_NEONDOT: return quipu_neondot_attention_kernels();
#endif
        default: return 0;
    }
}
