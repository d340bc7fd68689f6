// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

#if defined(MARTLET_X86)
#include "finish.h"

#define NARROW                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,avx512vnni")))
#define NAME(X) X##_int8_avx512
#define SUM __m512i
#define ZERO _mm512_setzero_si512()
#define START(HALF) _mm512_loadu_si512(t->starts + 16 * (HALF))
#define DOT(S, A, B) _mm512_dpbusd_epi32(S, A, B)
#define ADD(A, B) _mm512_add_epi32(A, B)
#define VALUE(S, ROW, HALF) value(t, S, ROW, HALF)

NARROW MARTLET_INLINE __m512 value(const martlet_tile_narrow *t, __m512i sum, int i, int half) {
    if (t->row_sums)
        sum = _mm512_add_epi32(
            sum, _mm512_mullo_epi32(
                     _mm512_set1_epi32(t->row_sums[i]),
                     _mm512_loadu_si512(t->column_zeros + 16 * half)));
    return _mm512_mul_ps(
        _mm512_cvtepi32_ps(sum),
        _mm512_mul_ps(
            _mm512_set1_ps(t->row_scales[i]), _mm512_loadu_ps(t->column_scales + 16 * half)));
}
#include "narrow_tile.h"
#endif
