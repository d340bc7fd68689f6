// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Elementary functions without branches, so that a loop over them becomes vector code of whatever
// level it is compiled for. Coefficients: minimax fits of our own (weighted least squares on
// Chebyshev nodes). Errors below are the largest relative ones over all of the function's range.
#ifndef MARTLET_KERNELS_VECTOR_MATH_H
#define MARTLET_KERNELS_VECTOR_MATH_H

#include "internal.h"

typedef union {
    float f;
    int32_t i;
    uint32_t u;
} martlet_bits;

// e^r for |r| <= ln(2)/2, given the reduced argument: 7e-9 and rounding.
MARTLET_INLINE float martlet_v_exp_core(float r) {
    float p = 1.375289506e-03f;
    p = p * r + 8.366157565e-03f;
    p = p * r + 4.166921109e-02f;
    p = p * r + 1.666654247e-01f;
    p = p * r + 4.999999103e-01f;
    p = p * r + 1.0f;
    return p * r + 1.0f;
}

// Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
#define MARTLET_ROUNDER 12582912.0f

// e^x: 2e-7; infinity above 88.7, subnormal results down to 2^-149.
MARTLET_INLINE float martlet_v_exp(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    martlet_bits t = {x * 1.44269504f + MARTLET_ROUNDER};
    float n = t.f - MARTLET_ROUNDER;
    float r = n * -0.693359375f + x;
    r = n * 2.12194440e-4f + r;
    int32_t whole = t.i - 0x4b400000, half = whole >> 1;
    martlet_bits first = {.i = (half + 127) << 23}, second = {.i = (whole - half + 127) << 23};
    return martlet_v_exp_core(r) * first.f * second.f;
}

// e^x for x <= 0: 2e-7; 0 below -87.3 (and for -infinity).
MARTLET_INLINE float martlet_v_exp_negative(float x) {
    float bounded = x < -87.3f ? -87.3f : x;
    martlet_bits t = {bounded * 1.44269504f + MARTLET_ROUNDER};
    float n = t.f - MARTLET_ROUNDER;
    float r = n * -0.693359375f + bounded;
    r = n * 2.12194440e-4f + r;
    martlet_bits scale = {.u = (t.u << 23) + 0x3f800000u};
    float y = martlet_v_exp_core(r) * scale.f;
    return x < -87.3f ? 0.0f : y;
}

// 4e-7; exactly 1 from 3.925 on.
MARTLET_INLINE float martlet_v_erf(float x) {
    float c = x > 3.925f ? 3.925f : x;
    c = c < -3.925f ? -3.925f : c;
    float t = c * c;
    float p = 2.045960454e-06f;
    p = p * t + 2.848248140e-04f;
    p = p * t + 3.772155622e-03f;
    p = p * t + 5.276804836e-02f;
    p = p * t + 1.905859801e-01f;
    p = p * t + 1.128379146e+00f;
    float q = 3.804609505e-05f;
    q = q * t + 1.163743656e-03f;
    q = q * t + 1.498241556e-02f;
    q = q * t + 1.141793078e-01f;
    q = q * t + 5.022351602e-01f;
    q = q * t + 1.0f;
    float y = c * p / q;
    y = y > 1.0f ? 1.0f : y;
    return y < -1.0f ? -1.0f : y;
}

// 4e-7; 1 from 9.02 on.
MARTLET_INLINE float martlet_v_tanh(float x) {
    float c = x > 9.02f ? 9.02f : x;
    c = c < -9.02f ? -9.02f : c;
    float t = c * c;
    float p = 1.331777930e-08f;
    p = p * t + 2.058255079e-05f;
    p = p * t + 3.493978979e-03f;
    p = p * t + 1.337967180e-01f;
    p = p * t + 9.999999792e-01f;
    float q = 7.761489809e-07f;
    q = q * t + 3.283001070e-04f;
    q = q * t + 2.587086358e-02f;
    q = q * t + 4.671298711e-01f;
    q = q * t + 1.0f;
    float y = c * p / q;
    y = y > 1.0f ? 1.0f : y;
    return y < -1.0f ? -1.0f : y;
}

MARTLET_INLINE float martlet_v_sigmoid(float x) { return 1.0f / (1.0f + martlet_v_exp(-x)); }
MARTLET_INLINE float martlet_v_silu(float x) { return x / (1.0f + martlet_v_exp(-x)); }
MARTLET_INLINE float martlet_v_gelu_erf(float x) {
    float h = 0.5f * x;
    return h * martlet_v_erf(x * 0.70710678f) + h;
}
// 0.5 (1 + tanh(u)) is sigmoid(2u), which keeps its accuracy far below zero.
MARTLET_INLINE float martlet_v_gelu_tanh(float x) {
    float u = 1.5957691216f * x * (1.0f + 0.044715f * x * x);
    return x / (1.0f + martlet_v_exp(-u));
}
MARTLET_INLINE float martlet_v_clamp(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

#endif
