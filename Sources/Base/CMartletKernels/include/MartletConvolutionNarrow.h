// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Convolutions with weights of fewer bits, one group, images as [batch, height, width, channels].
#ifndef MARTLET_CONVOLUTION_NARROW_H
#define MARTLET_CONVOLUTION_NARROW_H

#include "MartletConvolution.h"
#include "MartletGemmNarrow.h"

/// Whether a shape can be done so: one group, input pixels without gaps.
int32_t martlet_conv2d_narrow_can(const martlet_conv2d_f32_shape *shape);

size_t martlet_conv2d_narrow_packed_bytes(
    martlet_narrow type, const martlet_conv2d_f32_shape *shape);
void martlet_conv2d_narrow_pack(
    martlet_narrow type, const martlet_conv2d_f32_shape *shape, const float *weights,
    void *packed, int32_t threads);
size_t martlet_conv2d_narrow_scratch_bytes(
    martlet_narrow type, const martlet_conv2d_f32_shape *shape, int32_t threads);

/// As martlet_conv2d_f32. int8: pixels of a 1x1 kernel are quantised each with a scale of its own,
/// those of larger kernels with one scale and zero point an image.
void martlet_conv2d_narrow(
    martlet_narrow type, const martlet_conv2d_f32_shape *shape, const float *x,
    const void *packed, float *y, const martlet_epilogue_f32 *epilogue, void *scratch,
    int32_t threads);

#endif
