// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The end of a register tile's row of eight columns: scaled, added to, clipped and stored.
#ifndef MARTLET_KERNELS_NEON_FINISH_H
#define MARTLET_KERNELS_NEON_FINISH_H

#include <arm_neon.h>

#include "../dispatch/table.h"

MARTLET_NEON MARTLET_INLINE void finish_four(
    const martlet_tile_f32 *t, int i, int column, float32x4_t x) {
    float *c = t->c + i * t->c_row_stride + column;
    x = vmulq_n_f32(x, t->alpha);
    if (t->accumulate) x = vaddq_f32(x, vld1q_f32(c));
    if (t->bias) x = vaddq_f32(x, vld1q_f32(t->bias + column));
    if (t->residual)
        x = vaddq_f32(x, vld1q_f32(t->residual + i * t->residual_stride + column));
    // FMIN and FMAX give a NaN for a NaN.
    if (t->clip)
        x = vminq_f32(vdupq_n_f32(t->high), vmaxq_f32(vdupq_n_f32(t->low), x));
    vst1q_f32(c, x);
}

/// Columns [column, column + 8) as far as they exist.
MARTLET_NEON MARTLET_INLINE void finish_row(
    const martlet_tile_f32 *t, int i, int column, float32x4_t x, float32x4_t y) {
    if (column + 8 <= t->columns) {
        finish_four(t, i, column, x);
        finish_four(t, i, column + 4, y);
        return;
    }
    float values[8];
    vst1q_f32(values, x);
    vst1q_f32(values + 4, y);
    float *c = t->c + i * t->c_row_stride;
    for (int j = column; j < t->columns; j++) {
        float v = values[j - column] * t->alpha;
        if (t->accumulate) v += c[j];
        if (t->bias) v += t->bias[j];
        if (t->residual) v += t->residual[i * t->residual_stride + j];
        if (t->clip) v = v < t->low ? t->low : v > t->high ? t->high : v;
        c[j] = v;
    }
}

#endif
