// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The blocked product over 4-byte groups under gemm_narrow, gemm_integer and convolution_narrow.
#ifndef MARTLET_KERNELS_NARROW_PRODUCT_H
#define MARTLET_KERNELS_NARROW_PRODUCT_H

#include "narrow.h"

/// Where converted rows go: row i's groups start at groups + i * stride, its scale is scales[i].
typedef struct {
    uint32_t *groups;
    int64_t stride;           // in groups
    float *scales;            // 8-bit only
    int32_t *sums;            // [chunk][sums_stride], where the left side asks for them
    int64_t sums_stride;
} martlet_left_rows;

/// The left side, in whatever form it comes.
typedef struct martlet_left {
    /// Fills rows [m0, m1).
    void (*convert)(
        const struct martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to);
    martlet_narrow type;
    int64_t k;
    const void *x;
    int64_t row_stride;                       // elements between two rows of a matrix
    const martlet_conv2d_f32_shape *image;    // rows are the pixels that an output pixel sees
    int64_t value_bytes;                      // of an image's values
    float scale;                              // of 8-bit values, and their zero point; signed
    int32_t zero, is_signed;                  // ones are made unsigned on the way
    int32_t wants_sums;
} martlet_left;

typedef struct {
    int64_t m, n;
    martlet_left left;
    martlet_narrow_b b;
    const int32_t *zeros;     // the columns' zero points, where the left side has sums
    float *c;
    int64_t c_row_stride;
    float alpha;
    martlet_epilogue_f32 epilogue;
    const martlet_requantize *narrow;  // NULL: the answers are f32 in c
} martlet_narrow_product;

size_t martlet_narrow_product_scratch_bytes(
    martlet_narrow type, int64_t m, int64_t k, int32_t sums, int32_t narrow, int32_t threads);
void martlet_narrow_product_run(
    const martlet_narrow_product *product, void *scratch, int32_t threads);

/// The ways to convert.
void martlet_left_floats(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to);
void martlet_left_bytes(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to);
void martlet_left_pixels(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to);

#endif
