// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Pooling, local response normalisation and image layout, [batch, height, width, channels].
#ifndef MARTLET_POOLING_H
#define MARTLET_POOLING_H

#include "MartletKernelTypes.h"

/// The output's size is given, so rounding up is the caller's choice. Pixel strides as in conv2d.
typedef struct martlet_pool2d_f32_args {
    const float *x;
    float *y;
    int64_t batch, in_height, in_width, channels, out_height, out_width;
    int64_t kernel_height, kernel_width, stride_height, stride_width;
    int64_t dilation_height, dilation_width;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t in_pixel_stride, out_pixel_stride;
    int32_t count_include_pad;  // average only: padding counts in the divisor
} martlet_pool2d_f32_args;

/// The maximum of each window; padding and NaN never win. An empty window gives the lowest float.
void martlet_max_pool2d_f32(const martlet_pool2d_f32_args *args, int32_t threads);
void martlet_max_pool2d_f32_reference(const martlet_pool2d_f32_args *args);

/// The mean of each window; an empty window gives 0.
void martlet_average_pool2d_f32(const martlet_pool2d_f32_args *args, int32_t threads);
void martlet_average_pool2d_f32_reference(const martlet_pool2d_f32_args *args);

/// Mean over all pixels: x [batch, pixels, channels] to y [batch, channels].
void martlet_global_average_pool_f32(
    const float *x, float *y, int64_t batch, int64_t pixels, int64_t channels,
    int64_t in_pixel_stride, int32_t threads);

/// Across channels: x / (bias + alpha / size * sum of squares of size channels around) ^ beta.
void martlet_lrn_f32(
    const float *x, float *y, int64_t pixels, int64_t channels, int64_t size, float alpha,
    float beta, float bias, int32_t threads);

/// [batch, channels, pixels] to [batch, pixels, channels with a pixel stride], and back.
void martlet_nchw_to_nhwc_f32(
    const float *x, float *y, int64_t batch, int64_t channels, int64_t pixels,
    int64_t out_pixel_stride, int32_t threads);
void martlet_nhwc_to_nchw_f32(
    const float *x, float *y, int64_t batch, int64_t channels, int64_t pixels,
    int64_t in_pixel_stride, int32_t threads);

#endif
