// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Normalisation and softmax. y may be x (same address) in all of them.
#ifndef MARTLET_NORM_H
#define MARTLET_NORM_H

#include "MartletKernelTypes.h"

/// Rows of n contiguous values. With z = x + residual (if given): y = (z - mean) / sqrt(variance +
/// epsilon) * gamma + beta. For RMS norm: y = z / sqrt(mean of squares + epsilon) * gamma (+ beta).
typedef struct martlet_norm_f32_args {
    const float *x, *residual;   // residual or NULL
    const float *gamma, *beta;   // n each, or NULL
    float *y;
    float *sum;                  // receives z, or NULL; may be x or residual
    float *mean, *inverse;       // one per row each, or NULL: mean (0 for RMS) and 1/sqrt(...)
    int64_t rows, n;
    int64_t x_row_stride, residual_row_stride, y_row_stride, sum_row_stride;
    float epsilon;
} martlet_norm_f32_args;

void martlet_layer_norm_f32(const martlet_norm_f32_args *args, int32_t threads);
void martlet_layer_norm_f32_reference(const martlet_norm_f32_args *args);
void martlet_rms_norm_f32(const martlet_norm_f32_args *args, int32_t threads);
void martlet_rms_norm_f32_reference(const martlet_norm_f32_args *args);

/// Softmax, or its logarithm, over the middle dimension of [outer, n, inner].
void martlet_softmax_f32(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int32_t logarithm,
    int32_t threads);
void martlet_softmax_f32_reference(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int32_t logarithm);

/// y = activation(x * scale[c] + shift[c]) over [outer, channels, inner] (inner 1: channels last).
/// The activation and its limits are those of an epilogue. Batch normalisation folds into this.
void martlet_scale_shift_f32(
    const float *x, float *y, const float *scale, const float *shift, int64_t outer,
    int64_t channels, int64_t inner, martlet_activation activation, float minimum, float maximum,
    int32_t threads);

/// Mean 0 and variance 1 per row of n values, then scale and shift per channel: instance
/// normalisation has rows = batch * channels; group normalisation rows = batch * groups.
/// gamma and beta have one value per channel; a row holds channels_per_row channels of
/// n / channels_per_row values each, channels continuing from row to row and starting anew each
/// channels values.
void martlet_group_norm_f32(
    const float *x, float *y, const float *gamma, const float *beta, int64_t rows, int64_t n,
    int64_t channels_per_row, int64_t channels, float epsilon, int32_t threads);

#endif
