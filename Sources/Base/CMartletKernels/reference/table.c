// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Every loop as plain C, without a target of its own.
#define TARGET
#define NAME(X) X##_plain
#define LANES 4
#include "../dispatch/vector_kernels.h"
#include "../dispatch/vector_bf16.h"
#include "../dispatch/vector_images.h"
#include "../dispatch/vector_winograd.h"
#include "../dispatch/vector_quantize.h"
#include "tile.h"

static void f32_to_f16_plain(const float *x, uint16_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = martlet_f16_of(x[i]);
}
static void f16_to_f32_plain(const uint16_t *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = martlet_of_f16(x[i]);
}
static void transpose_plain(
    const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows, int64_t columns) {
    enum { BLOCK = 16 };
    for (int64_t j0 = 0; j0 < columns; j0 += BLOCK)
        for (int64_t i0 = 0; i0 < rows; i0 += BLOCK)
            for (int64_t j = j0; j < martlet_min(j0 + BLOCK, columns); j++)
                for (int64_t i = i0; i < martlet_min(i0 + BLOCK, rows); i++)
                    y[j * y_stride + i] = x[i * x_stride + j];
}

#define TILE(N) [N] = martlet_tile_f32_plain_##N,
const martlet_kernel_table martlet_table_plain = {
    .tile_rows = 4, .tiles = {MARTLET_TILES_PLAIN(TILE)},
    .transpose = transpose_plain, .f32_to_f16 = f32_to_f16_plain,
    .f16_to_f32 = f16_to_f32_plain,
#include "../dispatch/table_entries.h"
};
