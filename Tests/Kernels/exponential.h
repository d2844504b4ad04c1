// The exponential that Quipu's vector code has, one value at a time: ggml's `ggml_v_expf`.
#ifndef KERNEL_EXPONENTIAL_H
#define KERNEL_EXPONENTIAL_H

#include <math.h>

static inline float exponential(float x) {
    const float shifter = 0x1.8p23f, n = fmaf(x, 0x1.715476p+0f, shifter) - shifter;
    if (isnan(x)) return x;
    if (!(fabsf(n) <= 192)) return n > 0 ? INFINITY : 0;
    const float b = fmaf(-n, 0x1.7f7d1cp-20f, fmaf(-n, 0x1.62e4p-1f, x)), u = b * b;
    const float j = fmaf(
        fmaf(fmaf(0x1.0e4020p-7f, b, 0x1.573e2ep-5f), u, fmaf(0x1.555e66p-3f, b, 0x1.fffdb6p-2f)), u,
        fmaf(0x1.ffffecp-1f, b, 1));
    return (float)ldexp((double)j, (int)n);
}

#endif
