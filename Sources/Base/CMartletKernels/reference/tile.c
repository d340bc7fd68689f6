// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The tile in plain C, the fallback on machines without a kernel of their own.
#include "tile.h"

MARTLET_INLINE void tile(const int rows, const martlet_tile_f32 *t) {
    float sums[4][MARTLET_PANEL] = {{0}};
    const float *b = t->b;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *a = t->a + (t->tap_offsets ? t->tap_offsets[tap] : 0);
        int64_t k = t->tap_lengths ? t->tap_lengths[tap] : t->k;
        for (int64_t p = 0; p < k; p++, b += MARTLET_PANEL)
            for (int i = 0; i < rows; i++) {
                float v = a[i * t->a_row_stride + p];
                for (int j = 0; j < MARTLET_PANEL; j++) sums[i][j] += v * b[j];
            }
    }
    for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_row_stride;
        for (int j = 0; j < t->columns; j++) {
            float x = sums[i][j] * t->alpha;
            if (t->accumulate) x += c[j];
            if (t->bias) x += t->bias[j];
            if (t->residual) x += t->residual[i * t->residual_stride + j];
            if (t->clip) x = x < t->low ? t->low : x > t->high ? t->high : x;
            c[j] = x;
        }
    }
}

#define ROWS(N)                                                                                \
    void martlet_tile_f32_plain_##N(const martlet_tile_f32 *t) { tile(N, t); }
MARTLET_TILES_PLAIN(ROWS)
