// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "MartletKernelTypes.h"
#include "MartletPeak.h"

static volatile float sink;

// Sixteen independent sums hide the latency of a multiply-add on every core this runs on; the empty
// assembly keeps the compiler from folding the loop.
#define PEAK(NAME, LANES, TARGET, CONSTRAINT)                                                 \
    typedef float NAME##_vector __attribute__((ext_vector_type(LANES)));                      \
    TARGET static double NAME(int64_t rounds) {                                               \
        NAME##_vector sums[16], factor = 0.999f, addend = 0.001f;                             \
        for (int i = 0; i < 16; i++) sums[i] = (NAME##_vector)((float)i);                     \
        for (int64_t round = 0; round < rounds; round++) {                                    \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) {                 \
                sums[i] = sums[i] * factor + addend;                                          \
                __asm__ volatile("" : CONSTRAINT(sums[i]));                                   \
            }                                                                                 \
        }                                                                                     \
        float total = 0;                                                                      \
        for (int i = 0; i < 16; i++) total += sums[i][0];                                     \
        sink = total;                                                                         \
        return (double)rounds * 16 * LANES * 2;                                               \
    }

#if defined(__x86_64__)
PEAK(peak_avx512, 16, __attribute__((target("avx512f,avx512vl,fma"), noinline)), "+v")
PEAK(peak_avx2, 8, __attribute__((target("avx2,fma"), noinline)), "+x")
PEAK(peak_plain, 4, __attribute__((noinline)), "+x")
#elif defined(__aarch64__)
PEAK(peak_plain, 4, __attribute__((noinline)), "+w")
#endif

double martlet_peak_f32(int64_t rounds) {
#if defined(__x86_64__)
    switch (martlet_kernels_level()) {
    case MARTLET_LEVEL_AVX512: return peak_avx512(rounds);
    case MARTLET_LEVEL_AVX2: return peak_avx2(rounds);
    default: return peak_plain(rounds);
    }
#elif defined(__aarch64__)
    return peak_plain(rounds);
#else
    (void)rounds;
    return 0;
#endif
}
