// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "transpose.h"

#include "../dispatch/internal.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

// 16 x 16: pairs of rows, pairs of pairs, then the 128-bit quarters in two steps.
MARTLET_AVX512 MARTLET_INLINE void transpose_16(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows,
    int64_t columns) {
    __m512 r[16], s[16];
    __mmask16 across = columns >= 16 ? 0xffff : (__mmask16)((1u << columns) - 1);
    __mmask16 down = rows >= 16 ? 0xffff : (__mmask16)((1u << rows) - 1);
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_maskz_loadu_ps(i < rows ? across : 0, x + (i < rows ? i : 0) * x_stride);
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        s[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        s[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        s[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        s[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(s[i], s[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(s[i], s[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(s[i + 4], s[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(s[i + 4], s[i + 12], 0xdd);
    }
    for (int j = 0; j < 16; j++)
        if (j < columns) _mm512_mask_storeu_ps(y + j * y_stride, down, r[j]);
}

MARTLET_AVX512 void martlet_transpose_f32_avx512(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows, int64_t columns) {
    for (int64_t j = 0; j < columns; j += 16)
        for (int64_t i = 0; i < rows; i += 16) {
            const float *from = x + i * x_stride + j;
            float *to = y + j * y_stride + i;
            if (rows - i >= 16 && columns - j >= 16)
                transpose_16(from, x_stride, to, y_stride, 16, 16);
            else
                transpose_16(from, x_stride, to, y_stride, rows - i, columns - j);
        }
}
#endif
