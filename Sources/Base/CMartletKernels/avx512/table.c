// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"
#include "tile.h"
#include "transpose.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

#define TARGET MARTLET_AVX512
#define NAME(X) X##_avx512
#define LANES 16
#define SOME(N) ((__mmask16)((1u << (N)) - 1))
#define LOAD_REST(P, N, FILLER) _mm512_mask_loadu_ps(_mm512_set1_ps(FILLER), SOME(N), P)
#define STORE_REST(P, N, V) _mm512_mask_storeu_ps(P, SOME(N), V)
#include "../dispatch/vector_kernels.h"
#include "../dispatch/vector_bf16.h"
#include "../dispatch/vector_images.h"
#include "../dispatch/vector_winograd.h"
#include "../dispatch/vector_quantize.h"

MARTLET_AVX512 static void f32_to_f16_avx512(const float *x, uint16_t *y, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(
            (__m128i *)(y + i),
            _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) y[i] = martlet_f16_of(x[i]);
}
MARTLET_AVX512 static void f16_to_f32_avx512(const uint16_t *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    for (; i < n; i++) y[i] = martlet_of_f16(x[i]);
}

#define TILE(N) [N] = martlet_tile_f32_avx512_##N,
const martlet_kernel_table martlet_table_avx512 = {
    .tile_rows = 14, .tiles = {MARTLET_TILES_AVX512(TILE)},
    .transpose = martlet_transpose_f32_avx512, .f32_to_f16 = f32_to_f16_avx512,
    .f16_to_f32 = f16_to_f32_avx512,
#include "../dispatch/table_entries.h"
};
#endif
