// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Two-dimensional convolution, images as [batch, height, width, channels].
// A one-dimensional convolution is one of height 1.
#ifndef MARTLET_CONVOLUTION_H
#define MARTLET_CONVOLUTION_H

#include "MartletKernelTypes.h"

/// Pixel strides are elements between neighbouring pixels, at least the channel count: a larger one
/// reads or writes some channels of a wider tensor, which makes concatenation free. Rows and images
/// follow each other without gaps of their own.
typedef struct martlet_conv2d_f32_shape {
    int64_t batch, in_height, in_width, in_channels;
    int64_t out_height, out_width, out_channels;
    int64_t groups;
    int64_t kernel_height, kernel_width;
    int64_t stride_height, stride_width;
    int64_t dilation_height, dilation_width;
    int64_t pad_top, pad_left;       // bottom and right follow from the output's size
    int64_t in_pixel_stride, out_pixel_stride;
    // Above 1: the convolution reads the channel shuffle of x from this many groups, that is,
    // channel j * in_shuffle + g is x's channel g * (in_channels / in_shuffle) + j. Only pointwise
    // convolutions of stride 1 can (algorithm GEMM), for at most 64 groups that divide the
    // channels.
    int64_t in_shuffle;
} martlet_conv2d_f32_shape;

typedef enum martlet_conv_algorithm {
    MARTLET_CONV_AUTOMATIC,
    MARTLET_CONV_GEMM,       // 1x1, stride 1, no padding: a matrix product for each group
    MARTLET_CONV_DIRECT,     // any kernel and groups
    MARTLET_CONV_DEPTHWISE,  // groups = in channels = out channels
    MARTLET_CONV_WINOGRAD,   // F(4x4, 3x3): 3x3, stride 1, dilation 1, one group
    MARTLET_CONV_WINOGRAD_LATE  // the same, its weights transformed at each use
} martlet_conv_algorithm;

typedef struct martlet_conv2d_f32_plan {
    martlet_conv_algorithm algorithm;
    size_t packed_bytes;   // depends on the algorithm and the weight's shape only
    size_t scratch_bytes;  // depends on the whole shape and the threads
    int32_t threads;       // the most the scratch is for
} martlet_conv2d_f32_plan;

/// Chooses an algorithm, or takes the given one if it can do the shape (else chooses). Winograd is
/// chosen for channels in multiples of 16 on both sides and an output of at least 12x12 pixels
/// (measured: below, the tiles' waste and the 36 weight planes eat the gain); its late form for
/// small images with many weights, whose planes would take four times their memory. Weights
/// packed for an algorithm serve every image size: pass that algorithm when only the size
/// changes.
martlet_conv2d_f32_plan martlet_conv2d_f32_make_plan(
    const martlet_conv2d_f32_shape *shape, martlet_conv_algorithm algorithm, int32_t threads);

/// Packs weights [out_channels, in_channels / groups, kernel_height, kernel_width].
void martlet_conv2d_f32_pack(
    const martlet_conv2d_f32_shape *shape, martlet_conv_algorithm algorithm, const float *weights,
    void *packed);

/// y = activation(convolution(x) + bias + residual). The residual has y's shape and its own pixel
/// stride. y does not overlap x.
void martlet_conv2d_f32(
    const martlet_conv2d_f32_shape *shape, const martlet_conv2d_f32_plan *plan, const float *x,
    const void *packed, float *y, const martlet_epilogue_f32 *epilogue, void *scratch,
    int32_t threads);

/// The oracle; takes the weights unpacked.
void martlet_conv2d_f32_reference(
    const martlet_conv2d_f32_shape *shape, const float *x, const float *weights, float *y,
    const martlet_epilogue_f32 *epilogue);

#endif
