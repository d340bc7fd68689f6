// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The end of a register tile's row: scaled, added to, clipped and stored.
#ifndef MARTLET_KERNELS_AVX512_FINISH_H
#define MARTLET_KERNELS_AVX512_FINISH_H

#include <immintrin.h>

#include "../dispatch/table.h"

MARTLET_INLINE __mmask16 lanes(int32_t n) {
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

/// The first half alone.
MARTLET_AVX512 MARTLET_INLINE void finish_half(
    const martlet_tile_f32 *t, int i, __m512 x, __mmask16 mask) {
    float *c = t->c + i * t->c_row_stride;
    x = _mm512_mul_ps(x, _mm512_set1_ps(t->alpha));
    if (t->accumulate) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, c));
    if (t->bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, t->bias));
    if (t->residual)
        x = _mm512_add_ps(
            x, _mm512_maskz_loadu_ps(mask, t->residual + i * t->residual_stride));
    if (t->clip)
        x = _mm512_min_ps(
            _mm512_set1_ps(t->high), _mm512_max_ps(_mm512_set1_ps(t->low), x));
    _mm512_mask_storeu_ps(c, mask, x);
}

MARTLET_AVX512 MARTLET_INLINE void finish_row(
    const martlet_tile_f32 *t, int i, __m512 x, __m512 y, __mmask16 mx, __mmask16 my) {
    float *c = t->c + i * t->c_row_stride;
    __m512 alpha = _mm512_set1_ps(t->alpha);
    x = _mm512_mul_ps(x, alpha);
    y = _mm512_mul_ps(y, alpha);
    if (t->accumulate) {
        x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mx, c));
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(my, c + 16));
    }
    if (t->bias) {
        x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mx, t->bias));
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(my, t->bias + 16));
    }
    if (t->residual) {
        const float *r = t->residual + i * t->residual_stride;
        x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mx, r));
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(my, r + 16));
    }
    if (t->clip) {
        // The value comes second so that a NaN stays one.
        __m512 low = _mm512_set1_ps(t->low), high = _mm512_set1_ps(t->high);
        x = _mm512_min_ps(high, _mm512_max_ps(low, x));
        y = _mm512_min_ps(high, _mm512_max_ps(low, y));
    }
    _mm512_mask_storeu_ps(c, mx, x);
    _mm512_mask_storeu_ps(c + 16, my, y);
}

#endif
