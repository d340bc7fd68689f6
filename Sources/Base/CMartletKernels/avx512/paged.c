// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#if defined(MARTLET_X86)
#include <immintrin.h>
#define TARGET MARTLET_AVX512
#define NAME(X) X##_avx512
#define SIZED
#define HALVES(P) (floats_avx512)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(P)))
#include "../dispatch/paged_tile.h"
#endif
