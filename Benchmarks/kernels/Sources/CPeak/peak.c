// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "CPeak.h"

static volatile float sink;

#if defined(__x86_64__)
typedef float wide __attribute__((ext_vector_type(16)));
typedef float narrow __attribute__((ext_vector_type(8)));

#define PEAK(NAME, TYPE, TARGET)                                                               \
    __attribute__((target(TARGET), noinline)) static void NAME(int64_t n) {                    \
        TYPE a[16], x = 0.999f, y = 0.001f;                                                    \
        for (int i = 0; i < 16; i++) a[i] = (TYPE)((float)i);                                  \
        for (int64_t s = 0; s < n; s++) {                                                      \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) {                  \
                a[i] = a[i] * x + y;                                                           \
                __asm__ volatile("" : "+v"(a[i]));                                             \
            }                                                                                  \
        }                                                                                      \
        float total = 0;                                                                       \
        for (int i = 0; i < 16; i++) total += a[i][0];                                         \
        sink = total;                                                                          \
    }
PEAK(peak_512, wide, "avx512f,avx512vl,fma")
PEAK(peak_256, narrow, "avx2,fma")

double martlet_peak_run(int32_t is_wide, int64_t n) {
    __builtin_cpu_init();
    if (is_wide ? !__builtin_cpu_supports("avx512f") : !__builtin_cpu_supports("avx2")) return 0;
    if (is_wide) peak_512(n);
    else peak_256(n);
    return (double)n * 16 * (is_wide ? 16 : 8) * 2;
}
#else
double martlet_peak_run(int32_t is_wide, int64_t n) {
    (void)is_wide, (void)n;
    return 0;
}
#endif
