// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "transpose.h"

#include "../dispatch/internal.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

// 8 x 8: pairs of rows, then pairs of pairs, then the 128-bit halves.
MARTLET_AVX2 MARTLET_INLINE void transpose_8(
    const float *x, int64_t x_stride, float *y, int64_t y_stride) {
    __m256 r[8], s[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(x + i * x_stride);
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(y + i * y_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(y + (i + 4) * y_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

MARTLET_AVX2 void martlet_transpose_f32_avx2(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows, int64_t columns) {
    int64_t full_rows = rows & ~7, full_columns = columns & ~7;
    for (int64_t j = 0; j < full_columns; j += 8)
        for (int64_t i = 0; i < full_rows; i += 8)
            transpose_8(x + i * x_stride + j, x_stride, y + j * y_stride + i, y_stride);
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = j < full_columns ? full_rows : 0; i < rows; i++)
            y[j * y_stride + i] = x[i * x_stride + j];
}
#endif
