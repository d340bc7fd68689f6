// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#if defined(MARTLET_X86)
#include <immintrin.h>
#define TARGET MARTLET_AVX2
#define NAME(X) X##_avx2
#define HALVES(P) halves_avx2(P)
typedef float halves_of_avx2 __attribute__((ext_vector_type(16)));

MARTLET_AVX2 MARTLET_INLINE halves_of_avx2 halves_avx2(const uint16_t *x) {
    __m256 parts[2] = {
        _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x)),
        _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + 8)))};
    halves_of_avx2 y;
    memcpy(&y, parts, 64);
    return y;
}

#include "../dispatch/paged_tile.h"
#endif
