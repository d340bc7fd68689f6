// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_CONVOLUTION_H
#define MARTLET_KERNELS_CONVOLUTION_H

#include "table.h"

/// A running convolution.
typedef struct {
    const martlet_conv2d_f32_shape *s;
    const float *x;
    const float *packed;
    float *y;
    const martlet_epilogue_f32 *epilogue;
    char *scratch;
    int32_t threads;
    int32_t planned;  // threads the scratch was laid out for
} martlet_conv;

size_t martlet_conv_direct_packed_bytes(const martlet_conv2d_f32_shape *s);
size_t martlet_conv_direct_scratch_bytes(const martlet_conv2d_f32_shape *s, int32_t threads);
void martlet_conv_direct_pack(
    const martlet_conv2d_f32_shape *s, const float *weights, float *packed);
void martlet_conv_direct(const martlet_conv *conv);

size_t martlet_conv_depthwise_scratch_bytes(const martlet_conv2d_f32_shape *s, int32_t threads);
void martlet_conv_depthwise(const martlet_conv *conv);

/// The most groups whose shuffle is taken in.
enum { MARTLET_MOST_SHUFFLE = 64 };

size_t martlet_conv_grouped_packed_bytes(const martlet_conv2d_f32_shape *s);
void martlet_conv_grouped_pack(
    const martlet_conv2d_f32_shape *s, const float *weights, float *packed);
void martlet_conv_grouped(const martlet_conv *conv);

// late: the weights are transformed as they are used.
size_t martlet_conv_winograd_packed_bytes(const martlet_conv2d_f32_shape *s, int32_t late);
size_t martlet_conv_winograd_scratch_bytes(
    const martlet_conv2d_f32_shape *s, int32_t late, int32_t threads);
void martlet_conv_winograd_pack(
    const martlet_conv2d_f32_shape *s, int32_t late, const float *weights, float *packed);
void martlet_conv_winograd(const martlet_conv *conv, int32_t late);

#endif
