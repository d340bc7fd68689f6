// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The 8 x 8 register tile, run over the four quarters of a panel: sixteen sums, and of four steps
// of K at a time a vector of each row, whose lanes multiply.
#include "tile.h"

#if defined(MARTLET_ARM)
#include "finish.h"

#define STEP(LANE)                                                                             \
    {                                                                                          \
        float32x4_t b0 = vld1q_f32(b), b1 = vld1q_f32(b + 4);                                  \
        b += MARTLET_PANEL;                                                                    \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++) {                    \
            x[i] = vfmaq_laneq_f32(x[i], b0, v[i], LANE);                                      \
            y[i] = vfmaq_laneq_f32(y[i], b1, v[i], LANE);                                      \
        }                                                                                      \
    }

MARTLET_NEON MARTLET_INLINE void tile(const int rows, const martlet_tile_f32 *t) {
    int64_t stride = t->a_row_stride;
    for (int column = 0; column < t->columns; column += 8) {
        float32x4_t x[8], y[8];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) x[i] = y[i] = vdupq_n_f32(0);
        const float *b = t->b + column;
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
            int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k, p = 0;
            for (; p + 4 <= k; p += 4) {
                float32x4_t v[8];
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++) v[i] = vld1q_f32(a + i * stride + p);
                __builtin_prefetch(b + 16 * MARTLET_PANEL);
                STEP(0) STEP(1) STEP(2) STEP(3)
            }
            for (; p < k; p++) {
                float32x4_t v[8];
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++) v[i] = vdupq_n_f32(a[i * stride + p]);
                STEP(0)
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) finish_row(t, i, column, x[i], y[i]);
    }
}

#define ROWS(N)                                                                                \
    MARTLET_NEON void martlet_tile_f32_neon_##N(const martlet_tile_f32 *t) { tile(N, t); }
MARTLET_TILES_NEON(ROWS)
#endif
