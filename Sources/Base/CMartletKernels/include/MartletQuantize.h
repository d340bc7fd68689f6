// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Floats to 8 bits and back.
#ifndef MARTLET_QUANTIZE_H
#define MARTLET_QUANTIZE_H

#include "MartletKernelTypes.h"

/// Values as [outer][channels][inner]; a channel has a scale and a zero point each.
typedef struct martlet_quantize_args {
    int64_t outer, channels, inner;
    const float *scales;
    const int32_t *zeros;          // NULL means 0
    int32_t is_signed;
} martlet_quantize_args;

/// saturate(round(x / scale) + zero), halves to even; a NaN becomes the lowest value.
void martlet_quantize_linear(
    const martlet_quantize_args *args, const float *x, void *y, int32_t threads);

/// (x - zero) * scale.
void martlet_dequantize_linear(
    const martlet_quantize_args *args, const void *x, float *y, int32_t threads);

/// To unsigned 8 bits by the range of the values and 0, with the scale and zero point chosen.
/// - Returns: 0, or -1 for values that are not finite (nothing is written then).
int32_t martlet_dynamic_quantize(
    const float *x, uint8_t *y, int64_t n, float *scale, int32_t *zero, int32_t threads);

/// saturate(round(((a - a_zero) * a_scale + (b - b_zero) * b_scale) / scale) + zero): a sum (or,
/// with products, the product) of 8-bit values.
typedef struct martlet_binary_int8_args {
    const void *a, *b;
    int32_t a_is_signed, b_is_signed, a_zero, b_zero;
    float a_scale, b_scale;
    void *y;
    int32_t y_is_signed;
    float y_scale, y_zero;
    int32_t multiplies;
    int64_t n;
} martlet_binary_int8_args;
void martlet_binary_int8(const martlet_binary_int8_args *args, int32_t threads);

#endif
