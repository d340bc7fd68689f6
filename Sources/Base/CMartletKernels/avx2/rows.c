// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

#define TARGET MARTLET_AVX2
#define NAME(X) X##_avx2
#define FMA(A, B, C) __builtin_elementwise_fma(A, B, C)
#define DOT(SUM, QUADS, QUAD) dot_avx2(SUM, QUADS, QUAD)

typedef int32_t sums_avx2 __attribute__((ext_vector_type(16)));
typedef uint32_t quads_avx2 __attribute__((ext_vector_type(16)));

// Even and odd bytes apart, so that no sum of two products can overflow.
TARGET MARTLET_INLINE sums_avx2 dot_avx2(sums_avx2 sum, quads_avx2 quads, int32_t quad) {
    const __m256i low = _mm256_set1_epi16(255);
    __m256i even = _mm256_set1_epi32(
        (int32_t)((uint16_t)(int8_t)quad | (uint32_t)(uint16_t)(int8_t)(quad >> 16) << 16));
    __m256i odd = _mm256_set1_epi32(
        (int32_t)((uint16_t)(int8_t)(quad >> 8) | (uint32_t)(uint16_t)(quad >> 24) << 16));
    __m256i w[2], s[2];
    memcpy(w, &quads, 64);
    memcpy(s, &sum, 64);
    for (int i = 0; i < 2; i++) {
        __m256i a = _mm256_madd_epi16(_mm256_and_si256(w[i], low), even);
        __m256i b = _mm256_madd_epi16(_mm256_srli_epi16(w[i], 8), odd);
        s[i] = _mm256_add_epi32(s[i], _mm256_add_epi32(a, b));
    }
    memcpy(&sum, s, 64);
    return sum;
}

#include "../dispatch/rows_plain.h"
#endif
