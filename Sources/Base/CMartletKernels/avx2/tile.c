// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The 6 x 16 register tile, run over the two halves of a panel.
#include "tile.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

MARTLET_AVX2 MARTLET_INLINE __m256i lanes(int32_t n) {
    return _mm256_cmpgt_epi32(
        _mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

MARTLET_AVX2 MARTLET_INLINE void finish(
    const martlet_tile_f32 *t, int i, int column, __m256 x, __m256i mask) {
    float *c = t->c + i * t->c_row_stride + column;
    x = _mm256_mul_ps(x, _mm256_set1_ps(t->alpha));
    if (t->accumulate) x = _mm256_add_ps(x, _mm256_maskload_ps(c, mask));
    if (t->bias) x = _mm256_add_ps(x, _mm256_maskload_ps(t->bias + column, mask));
    if (t->residual)
        x = _mm256_add_ps(
            x, _mm256_maskload_ps(t->residual + i * t->residual_stride + column, mask));
    if (t->clip)
        // The value comes second so that a NaN stays one.
        x = _mm256_min_ps(
            _mm256_set1_ps(t->high), _mm256_max_ps(_mm256_set1_ps(t->low), x));
    _mm256_maskstore_ps(c, mask, x);
}

MARTLET_AVX2 MARTLET_INLINE void tile(const int rows, const martlet_tile_f32 *t) {
    int64_t stride = t->a_row_stride;
    for (int column = 0; column < t->columns; column += 16) {
        __m256 x[6], y[6];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            x[i] = y[i] = _mm256_setzero_ps();
            __builtin_prefetch(t->c + i * t->c_row_stride + column, 1);
            if (t->residual)
                __builtin_prefetch(t->residual + i * t->residual_stride + column);
        }
        const float *b = t->b + column;
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
            int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
            for (int64_t p = 0; p < k; p++, b += MARTLET_PANEL) {
                __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
                __builtin_prefetch(b + 16 * MARTLET_PANEL);
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++) {
                    __m256 v = _mm256_set1_ps(a[i * stride + p]);
                    x[i] = _mm256_fmadd_ps(v, b0, x[i]);
                    y[i] = _mm256_fmadd_ps(v, b1, y[i]);
                }
            }
        }
        __m256i mx = lanes(t->columns - column), my = lanes(t->columns - column - 8);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            finish(t, i, column, x[i], mx);
            finish(t, i, column + 8, y[i], my);
        }
    }
}

#define ROWS(N)                                                                                \
    MARTLET_AVX2 void martlet_tile_f32_avx2_##N(const martlet_tile_f32 *t) { tile(N, t); }
MARTLET_TILES_AVX2(ROWS)
#endif
