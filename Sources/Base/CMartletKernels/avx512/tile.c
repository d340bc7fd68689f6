// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The 14 x 32 register tile: 28 accumulators, two registers of B, one broadcast of A.
#include "tile.h"

#if defined(MARTLET_X86)
#include "finish.h"

MARTLET_AVX512 MARTLET_INLINE void tile(const int rows, const martlet_tile_f32 *t) {
    __m512 x[14], y[14];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) x[i] = y[i] = _mm512_setzero_ps();
    // The misses on C and the residual overlap the products instead of stalling the end.
    for (int i = 0; i < rows; i++) {
        const float *c = t->c + i * t->c_row_stride;
        __builtin_prefetch(c, 1);
        __builtin_prefetch(c + 16, 1);
        if (!t->residual) continue;
        const float *r = t->residual + i * t->residual_stride;
        __builtin_prefetch(r);
        __builtin_prefetch(r + 16);
    }
    const float *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        for (int64_t p = 0; p < k; p++) {
            __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
            __builtin_prefetch(b + 16 * MARTLET_PANEL);
            __builtin_prefetch(b + 16 * MARTLET_PANEL + 16);
            b += MARTLET_PANEL;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                __m512 v = _mm512_set1_ps(a[i * stride + p]);
                x[i] = _mm512_fmadd_ps(v, b0, x[i]);
                y[i] = _mm512_fmadd_ps(v, b1, y[i]);
            }
        }
    }
    __mmask16 mx = lanes(t->columns), my = lanes(t->columns - 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) finish_row(t, i, x[i], y[i], mx, my);
}

// Few rows leave too few chains to hide the latency of a multiply-add: four of them per half row.
MARTLET_AVX512 MARTLET_INLINE void short_tile(const int rows, const martlet_tile_f32 *t) {
    __m512 x[3][4], y[3][4];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int u = 0; u < 4; u++) x[i][u] = y[i][u] = _mm512_setzero_ps();
    const float *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        int64_t p = 0;
        for (; p + 4 <= k; p += 4) {
#pragma clang loop unroll(full)
            for (int u = 0; u < 4; u++) {
                __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
                __builtin_prefetch(b + 32 * MARTLET_PANEL);
                __builtin_prefetch(b + 32 * MARTLET_PANEL + 16);
                b += MARTLET_PANEL;
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++) {
                    __m512 v = _mm512_set1_ps(a[i * stride + p + u]);
                    x[i][u] = _mm512_fmadd_ps(v, b0, x[i][u]);
                    y[i][u] = _mm512_fmadd_ps(v, b1, y[i][u]);
                }
            }
        }
        for (; p < k; p++, b += MARTLET_PANEL) {
            __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                __m512 v = _mm512_set1_ps(a[i * stride + p]);
                x[i][0] = _mm512_fmadd_ps(v, b0, x[i][0]);
                y[i][0] = _mm512_fmadd_ps(v, b1, y[i][0]);
            }
        }
    }
    __mmask16 mx = lanes(t->columns), my = lanes(t->columns - 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        finish_row(
            t, i,
            _mm512_add_ps(_mm512_add_ps(x[i][0], x[i][1]), _mm512_add_ps(x[i][2], x[i][3])),
            _mm512_add_ps(_mm512_add_ps(y[i][0], y[i][1]), _mm512_add_ps(y[i][2], y[i][3])), mx,
            my);
}

// The same for up to 16 columns.
MARTLET_AVX512 MARTLET_INLINE void short_narrow_tile(const int rows, const martlet_tile_f32 *t) {
    __m512 x[3][4];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int u = 0; u < 4; u++) x[i][u] = _mm512_setzero_ps();
    const float *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        int64_t p = 0;
        for (; p + 4 <= k; p += 4, b += 4 * MARTLET_PANEL) {
#pragma clang loop unroll(full)
            for (int u = 0; u < 4; u++) {
                __m512 b0 = _mm512_loadu_ps(b + u * MARTLET_PANEL);
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++)
                    x[i][u] = _mm512_fmadd_ps(_mm512_set1_ps(a[i * stride + p + u]), b0, x[i][u]);
            }
        }
        for (; p < k; p++, b += MARTLET_PANEL)
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
                x[i][0] = _mm512_fmadd_ps(
                    _mm512_set1_ps(a[i * stride + p]), _mm512_loadu_ps(b), x[i][0]);
    }
    __mmask16 mx = lanes(t->columns);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        finish_half(
            t, i, _mm512_add_ps(_mm512_add_ps(x[i][0], x[i][1]), _mm512_add_ps(x[i][2], x[i][3])),
            mx);
}

// Up to 16 columns, or 8: the rest of the panel is padding, which would cost as much again.
MARTLET_AVX512 MARTLET_INLINE void narrow_tile(const int rows, const martlet_tile_f32 *t) {
    __m512 x[14];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) x[i] = _mm512_setzero_ps();
    const float *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        for (int64_t p = 0; p < k; p++, b += MARTLET_PANEL) {
            __m512 b0 = _mm512_loadu_ps(b);
            __builtin_prefetch(b + 16 * MARTLET_PANEL);
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
                x[i] = _mm512_fmadd_ps(_mm512_set1_ps(a[i * stride + p]), b0, x[i]);
        }
    }
    __mmask16 mx = lanes(t->columns);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) finish_half(t, i, x[i], mx);
}

MARTLET_AVX512 MARTLET_INLINE void slim_tile(const int rows, const martlet_tile_f32 *t) {
    __m256 x[14];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) x[i] = _mm256_setzero_ps();
    const float *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        for (int64_t p = 0; p < k; p++, b += MARTLET_PANEL) {
            __m256 b0 = _mm256_loadu_ps(b);
            __builtin_prefetch(b + 16 * MARTLET_PANEL);
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
                x[i] = _mm256_fmadd_ps(_mm256_set1_ps(a[i * stride + p]), b0, x[i]);
        }
    }
    __mmask16 mx = lanes(t->columns);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        finish_half(t, i, _mm512_zextps256_ps512(x[i]), mx);
}

#define ROWS(N, BODY)                                                                          \
    MARTLET_AVX512 void martlet_tile_f32_avx512_##N(const martlet_tile_f32 *t) {               \
        if (t->columns <= 8 && N > 3)                                                          \
            slim_tile(N, t);                                                                   \
        else if (t->columns <= 16 && N > 3)                                                    \
            narrow_tile(N, t);                                                                 \
        else if (t->columns <= 16)                                                             \
            short_narrow_tile(N, t);                                                           \
        else                                                                                   \
            BODY(N, t);                                                                        \
    }
ROWS(1, short_tile) ROWS(2, short_tile) ROWS(3, short_tile)
ROWS(4, tile) ROWS(5, tile) ROWS(6, tile) ROWS(7, tile) ROWS(8, tile) ROWS(9, tile)
ROWS(10, tile) ROWS(11, tile) ROWS(12, tile) ROWS(13, tile) ROWS(14, tile)
#endif
