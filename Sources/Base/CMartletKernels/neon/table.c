// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"
#include "tile.h"

#if defined(MARTLET_ARM)
#include <arm_neon.h>

// Vectors of four that the compiler maps to registers; multiplications and additions are joined.
#define TARGET MARTLET_NEON
#define NAME(X) X##_neon
#define LANES 4
#include "../dispatch/vector_kernels.h"
#include "../dispatch/vector_bf16.h"
#include "../dispatch/vector_images.h"
#include "../dispatch/vector_winograd.h"
#include "../dispatch/vector_quantize.h"

MARTLET_NEON static void f32_to_f16_neon(const float *x, uint16_t *y, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++) y[i] = martlet_f16_of(x[i]);
}
MARTLET_NEON static void f16_to_f32_neon(const uint16_t *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + i))));
    for (; i < n; i++) y[i] = martlet_of_f16(x[i]);
}

// 4 x 4: pairs of rows, then pairs of pairs.
MARTLET_NEON MARTLET_INLINE void transpose_4(
    const float *x, int64_t x_stride, float *y, int64_t y_stride) {
    float32x4_t r[4];
    for (int i = 0; i < 4; i++) r[i] = vld1q_f32(x + i * x_stride);
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
    float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
    float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    vst1q_f32(y, vreinterpretq_f32_f64(vtrn1q_f64(a, c)));
    vst1q_f32(y + y_stride, vreinterpretq_f32_f64(vtrn1q_f64(b, d)));
    vst1q_f32(y + 2 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(a, c)));
    vst1q_f32(y + 3 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(b, d)));
}
MARTLET_NEON static void transpose_neon(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows, int64_t columns) {
    int64_t full_rows = rows & ~3, full_columns = columns & ~3;
    for (int64_t j = 0; j < full_columns; j += 4)
        for (int64_t i = 0; i < full_rows; i += 4)
            transpose_4(x + i * x_stride + j, x_stride, y + j * y_stride + i, y_stride);
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = j < full_columns ? full_rows : 0; i < rows; i++)
            y[j * y_stride + i] = x[i * x_stride + j];
}

#define TILE(N) [N] = martlet_tile_f32_neon_##N,
const martlet_kernel_table martlet_table_neon = {
    .tile_rows = 8, .tiles = {MARTLET_TILES_NEON(TILE)},
    .transpose = transpose_neon, .f32_to_f16 = f32_to_f16_neon, .f16_to_f32 = f16_to_f32_neon,
#include "../dispatch/table_entries.h"
};
#endif
