// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

#if defined(MARTLET_X86)
#include "finish.h"

#define NARROW                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,avx512bf16")))
#define NAME(X) X##_bf16_avx512
#define SUM __m512
#define ZERO _mm512_setzero_ps()
#define START(HALF) ZERO
#define DOT(S, A, B) _mm512_dpbf16_ps(S, (__m512bh)(A), (__m512bh)(B))
#define ADD(A, B) _mm512_add_ps(A, B)
#define VALUE(S, ROW, HALF) (S)
#include "narrow_tile.h"
#endif
