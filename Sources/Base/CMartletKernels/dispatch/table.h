// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// What a level provides; the drivers in this folder are the same for all levels.
#ifndef MARTLET_KERNELS_TABLE_H
#define MARTLET_KERNELS_TABLE_H

#include "internal.h"

enum { MARTLET_PANEL = 32, MARTLET_MOST_TILE_ROWS = 16 };

/// One register tile: c[rows][columns] = a * b, b a panel of 32 columns, then the epilogue.
typedef struct martlet_tile_f32 {
    const float *a;             // row i of the left side starts at a + i * a_row_stride
    int64_t a_row_stride;
    const float *b;             // [taps * k][32]
    int64_t k;                  // contiguous values of a row, per tap
    int64_t taps;
    const int64_t *tap_offsets; // added to a for each tap; NULL means one tap at 0
    const int64_t *tap_lengths; // values of each tap; NULL means k
    float *c;
    int64_t c_row_stride;
    const float *bias;          // of the first column, or NULL
    const float *residual;      // of the first element, or NULL; may be c
    int64_t residual_stride;
    float alpha;
    int32_t columns;            // 1 ... 32
    int32_t accumulate;         // adds c before bias and residual
    int32_t clip;               // ends with min(max(x, low), high)
    float low, high;
} martlet_tile_f32;

/// Depthwise convolution of neighbouring output pixels whose taps are all inside the image.
typedef struct martlet_depthwise_run {
    const float *const *pixels;   // by tap, of the first output pixel
    const float *const *weights;  // by tap
    int64_t taps;
    int64_t count;                // output pixels
    int64_t x_step;               // between the tap's pixels of two outputs
    float *y;
    int64_t y_step;
    const float *bias;            // or NULL
    const float *residual;        // or NULL
    int64_t residual_step;
    int64_t channels;
    float low, high;              // the result is held between these
} martlet_depthwise_run;

/// Neighbouring output pixels of a pool: the maximum of their taps, or their sum times factor.
typedef struct martlet_pool_run {
    const float *const *pixels;   // by tap, of the first output pixel
    int64_t taps;
    int64_t count, x_step;        // output pixels, and how far the taps of two lie apart
    float *y;
    int64_t y_step, channels;
    int32_t average;
    float factor;
} martlet_pool_run;

typedef void (*martlet_tile_function)(const martlet_tile_f32 *tile);

/// Plain loops compiled for a level (dispatch/vector_kernels.h).
typedef struct martlet_kernel_table {
    int32_t tile_rows;
    martlet_tile_function tiles[MARTLET_MOST_TILE_ROWS + 1];  // by number of rows
    // Applies an activation in place to c[rows][columns].
    void (*activate)(
        martlet_activation activation, float *c, int64_t rows, int64_t columns, int64_t stride,
        float minimum, float maximum);
    // x = exp(x + mask - max) in place; mask may be NULL; gives the sum (0: all were -infinity).
    float (*softmax_scores)(float *x, const float *mask, int64_t n);
    // The same, as bf16 in y.
    float (*softmax_scores_bf16)(float *x, const float *mask, uint16_t *y, int64_t n);
    void (*scale)(float *x, float factor, int64_t n);
    void (*softmax_row)(const float *x, float *y, int64_t n, int32_t logarithm);
    void (*softmax_columns)(
        const float *x, float *y, int64_t n, int64_t inner, int64_t columns, int32_t logarithm);
    // GELU in place, for answers that bf16 or int8 will hold.
    void (*gelu_rough)(float *c, int64_t rows, int64_t columns, int64_t stride);
    void (*layer_norm)(const martlet_norm_f32_args *args);
    void (*rms_norm)(const martlet_norm_f32_args *args);
    // 0 when the operation has no vector form.
    int32_t (*unary)(
        martlet_unary op, const float *x, void *y, int64_t n, float alpha, float beta);
    int32_t (*binary)(
        martlet_binary op, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
        void *y, int64_t n);
    int32_t (*reduce)(
        martlet_reduction op, const float *x, float *y, int64_t n, int64_t inner);
    float (*dot)(const float *a, const float *b, int64_t n);
    float (*distance)(const float *a, const float *b, int64_t n);
    // y[j][i] = x[i][j] for 4-byte elements.
    void (*transpose)(
        const float *x, int64_t x_stride, float *y, int64_t y_stride, int64_t rows,
        int64_t columns);
    void (*f32_to_f16)(const float *x, uint16_t *y, int64_t n);
    void (*f16_to_f32)(const uint16_t *x, float *y, int64_t n);
    void (*f32_to_bf16)(const float *x, uint16_t *y, int64_t n);
    void (*bf16_to_f32)(const uint16_t *x, float *y, int64_t n);
    // Pairs (x[i], other[i]), 0 without other.
    void (*pairs_to_bf16)(const float *x, const float *other, uint32_t *y, int64_t n);
    // y = activation(x + bias + residual) for n columns; bias and residual may be NULL.
    void (*finish)(
        const float *x, const float *bias, const float *residual, float *y, int64_t n,
        martlet_activation activation, float minimum, float maximum);
    // y = activation(x * scale + shift).
    void (*scale_shift)(
        const float *x, const float *scale, const float *shift, float *y, int64_t n,
        martlet_activation activation, float minimum, float maximum);
    // Winograd F(4x4, 3x3) of count (a multiple of 16) channels: 36 input pixels to 36 planes, and
    // 36 planes to 16 output pixels, pixel p at out + p * count.
    void (*winograd_input)(
        const float *const *pixels, float *planes, int64_t plane_stride, int64_t count);
    // A panel's weights [channel][tap][32] to 36 planes of [channel][32].
    void (*winograd_weights)(
        const float *weights, float *planes, int64_t plane_stride, int64_t channels);
    void (*winograd_output)(
        const float *planes, int64_t plane_stride, float *out, int64_t count);
    void (*pool)(const martlet_pool_run *run);
    void (*depthwise)(const martlet_depthwise_run *run);
    // 8 bits (vector_quantize.h): saturate(round(x / scale) + zero) and back, the smallest and
    // largest of values and 0, a row around 128 with its scale, and a sum.
    void (*quantize)(
        const float *x, void *y, int64_t n, float scale, float zero, int32_t is_signed);
    void (*dequantize)(
        const void *x, float *y, int64_t n, float scale, int32_t zero, int32_t is_signed);
    void (*range)(const float *x, int64_t n, float *low, float *high);
    float (*quantize_row)(const float *x, uint8_t *y, int64_t n);
    int32_t (*sum_bytes)(const uint8_t *x, int64_t n);
    void (*unpack_int4)(
        const uint8_t *x, const float *scales, const float *offsets, float *y, int64_t rows);
} martlet_kernel_table;

extern const martlet_kernel_table martlet_table_plain;
extern const martlet_kernel_table martlet_table_avx2;
extern const martlet_kernel_table martlet_table_avx512;
extern const martlet_kernel_table martlet_table_neon;

/// The table of the level in use.
const martlet_kernel_table *martlet_table(void);

/// Rows of the next tile when left remain: full ones, then two even ones.
MARTLET_INLINE int64_t martlet_tile_step(int64_t left, int64_t most) {
    return left >= 2 * most || left == most ? most : left > most ? (left + 1) / 2 : left;
}

/// How an epilogue's activation is done: by the tile (clip), or by a pass over its output (after).
MARTLET_INLINE int martlet_tile_clip(const martlet_epilogue_f32 *e, martlet_tile_f32 *tile) {
    tile->clip = e->activation == MARTLET_ACTIVATION_RELU ||
                 e->activation == MARTLET_ACTIVATION_CLIP;
    tile->low = e->activation == MARTLET_ACTIVATION_CLIP ? e->minimum : 0;
    tile->high = e->activation == MARTLET_ACTIVATION_CLIP ? e->maximum : INFINITY;
    return !tile->clip && e->activation != MARTLET_ACTIVATION_NONE;
}

#endif
