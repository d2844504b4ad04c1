// What the drivers that compare sets of kernels share: the sets' names, and random numbers.
#ifndef KERNEL_DRIVER_H
#define KERNEL_DRIVER_H

#include <stdint.h>

/// By `quipu_instructions`.
static const char *const set_names[] = {"portable", "avx2", "avx512", "neon", "avxvnni", "neondot"};

/// xorshift64*, the same everywhere.
static inline uint32_t next(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 2685821657736338717u >> 32);
}

#endif
