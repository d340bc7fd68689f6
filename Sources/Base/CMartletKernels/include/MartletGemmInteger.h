// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Products and convolutions of 8-bit values with zero points, exact in 32 bits (K up to 2 048 at a
// time, those partial sums added in f32).
#ifndef MARTLET_GEMM_INTEGER_H
#define MARTLET_GEMM_INTEGER_H

#include "MartletConvolution.h"

/// Answers as 8-bit values: saturate(round(answer / scale) + zero).
typedef struct martlet_requantize {
    void *y;
    int64_t row_stride;
    float scale, zero;
    int32_t is_signed;
} martlet_requantize;

/// Bytes of B[k,n] packed.
size_t martlet_gemm_int8_pack_b_bytes(int64_t k, int64_t n);

/// Packs 8-bit B, whose element (row, column) is at b[row * row_stride + column * column_stride].
/// Column j's zero point is zeros[j * zero_stride] (a stride of 0: one for all); NULL means 0.
void martlet_gemm_int8_pack_b(
    const void *b, int32_t is_signed, int64_t row_stride, int64_t column_stride, int64_t k,
    int64_t n, const int32_t *zeros, int64_t zero_stride, void *packed, int32_t threads);

/// Packs a convolution's weights, [out channels, in channels, kernel], one group.
void martlet_conv2d_int8_pack(
    const martlet_conv2d_f32_shape *shape, const void *weights, int32_t is_signed,
    const int32_t *zeros, int64_t zero_stride, void *packed, int32_t threads);

/// answer[i][j] = activation(sum over p of (A[i][p] - a_zero) * (B[p][j] - zero j)
///                           * a_scale * b_scales[j * b_scale_stride] + bias[j] + residual).
typedef struct martlet_gemm_int8_args {
    int64_t m, n, k;               // of a convolution they follow from the image
    const void *a;
    int64_t a_row_stride;
    /// NULL, or a convolution with one group: A is the image, [batch, height, width, channels].
    const martlet_conv2d_f32_shape *image;
    int32_t a_is_signed, a_zero;
    float a_scale;
    const void *packed_b;
    const float *b_scales;
    int64_t b_scale_stride;
    float *c;
    int64_t c_row_stride;
    const martlet_requantize *narrow;  // NULL: answers go to c, else there
    martlet_epilogue_f32 epilogue;
} martlet_gemm_int8_args;

/// Bytes of scratch; narrow says whether answers are 8-bit values.
size_t martlet_gemm_int8_scratch_bytes(
    int64_t m, int64_t n, int64_t k, int32_t narrow, int32_t threads);
void martlet_gemm_int8(const martlet_gemm_int8_args *args, void *scratch, int32_t threads);

/// The oracle: exact integers; takes B as it came, with strides as to the packing (for a
/// convolution, [out channels, in channels, kernel]).
void martlet_gemm_int8_reference(
    const martlet_gemm_int8_args *args, const void *b, int32_t is_signed, int64_t row_stride,
    int64_t column_stride, const int32_t *zeros, int64_t zero_stride);

#endif
