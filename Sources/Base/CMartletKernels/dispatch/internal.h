// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Shared by the kernels' sources; not part of the module.
#ifndef MARTLET_KERNELS_INTERNAL_H
#define MARTLET_KERNELS_INTERNAL_H

#include <math.h>
#include <string.h>

#include "CMartletKernels.h"

#define MARTLET_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define MARTLET_X86 1
#define MARTLET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c")))
#define MARTLET_AVX2 __attribute__((target("avx2,fma,f16c")))
#elif defined(__aarch64__)
#define MARTLET_ARM 1
#define MARTLET_NEON __attribute__((target("dotprod")))
#endif

MARTLET_INLINE int64_t martlet_min(int64_t a, int64_t b) { return a < b ? a : b; }
MARTLET_INLINE int64_t martlet_max(int64_t a, int64_t b) { return a > b ? a : b; }
MARTLET_INLINE float martlet_least(float a, float b) { return a < b ? a : b; }
MARTLET_INLINE int64_t martlet_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
MARTLET_INLINE int64_t martlet_round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

/// The share [*from, *to) of total that belongs to a part.
MARTLET_INLINE void martlet_share(
    int64_t total, int32_t part, int32_t parts, int64_t *from, int64_t *to) {
    int64_t each = total / parts, more = total % parts;
    *from = each * part + martlet_min(part, more);
    *to = *from + each + (part < more);
}

/// How many parts work of this size (in elements touched, or equal effort) deserves: one below
/// about 20 microseconds' worth, else up to four a thread so that a busy core is tolerated.
MARTLET_INLINE int32_t martlet_parts(int64_t effort, int64_t items, int32_t threads) {
    enum { GRAIN = 32768 };
    if (effort < 2 * GRAIN || threads == 1 || items < 2) return 1;
    int64_t most = (int64_t)martlet_pool_threads(threads) * 4;
    if (most == 4) return 1;
    return (int32_t)martlet_min(martlet_min(most, items), effort / GRAIN);
}

// Scalar conversions.
MARTLET_INLINE uint16_t martlet_bf16_of(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
MARTLET_INLINE float martlet_of_bf16(uint16_t x) {
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
MARTLET_INLINE uint16_t martlet_f16_of(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) {  // below the smallest normal: let the float unit round at 2^-24
        float f, magic = 0.5f;
        memcpy(&f, &a, 4);
        f += magic;
        memcpy(&a, &f, 4);
        return (uint16_t)(sign | (a - 0x3f000000));
    }
    a += 0xc8000fff + (a >> 13 & 1);
    return (uint16_t)(sign | a >> 13);
}
MARTLET_INLINE float martlet_of_f16(uint16_t x) {
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, e = x >> 10 & 31, m = x & 0x3ff, u;
    float f;
    if (e == 0) {
        f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    u = sign | (e == 31 ? 0x7f800000 : (e + 112) << 23) | m << 13;
    memcpy(&f, &u, 4);
    return f;
}

float martlet_activate(martlet_activation activation, float x, float minimum, float maximum);

MARTLET_INLINE float martlet_finish(
    const martlet_epilogue_f32 *e, float x, int64_t row, int64_t column) {
    if (e->bias) x += e->bias[column];
    if (e->residual) x += e->residual[row * e->residual_stride + column];
    return martlet_activate(e->activation, x, e->minimum, e->maximum);
}

#endif
