// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_AVX512_TRANSPOSE_H
#define MARTLET_KERNELS_AVX512_TRANSPOSE_H

#include <stdint.h>

/// y[j][i] = x[i][j].
void martlet_transpose_f32_avx512(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows, int64_t columns);

#endif
