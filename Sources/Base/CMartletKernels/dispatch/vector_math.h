// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Elementary functions without branches, for a vector of floats. Coefficients: minimax fits of our
// own (weighted least squares on Chebyshev nodes). Errors below are the largest relative ones over
// all of the function's range.
// Included with T (float or a vector of floats), I (the integers of its width) and V(name); every
// function of a level carries TARGET.
#include "internal.h"

typedef union {
    T f;
    I i;
} V(bits);

// e^r for |r| <= ln(2)/2, given the reduced argument: 7e-9 and rounding.
TARGET MARTLET_INLINE T V(exp_core)(T r) {
    T p = r * 1.375289506e-03f + 8.366157565e-03f;
    p = p * r + 4.166921109e-02f;
    p = p * r + 1.666654247e-01f;
    p = p * r + 4.999999103e-01f;
    p = p * r + 1.0f;
    return p * r + 1.0f;
}

// Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
#define ROUNDER 12582912.0f

// e^x: 2e-7; infinity above 88.7, subnormal results down to 2^-149.
TARGET MARTLET_INLINE T V(exp)(T x) {
    x = x > (T)(89.0f) ? (T)(89.0f) : x;
    x = x < (T)(-104.0f) ? (T)(-104.0f) : x;
    V(bits) t, first, second;
    t.f = x * 1.44269504f + ROUNDER;
    T n = t.f - ROUNDER;
    T r = n * -0.693359375f + x;
    r = n * 2.12194440e-4f + r;
    I whole = t.i - 0x4b400000, half = whole >> 1;
    first.i = (half + 127) << 23;
    second.i = (whole - half + 127) << 23;
    return V(exp_core)(r) * first.f * second.f;
}

// e^x for x <= 0: 2e-7; 0 below -87.3 (and for -infinity).
TARGET MARTLET_INLINE T V(exp_negative)(T x) {
    T bounded = x < (T)(-87.3f) ? (T)(-87.3f) : x;
    V(bits) t;
    t.f = bounded * 1.44269504f + ROUNDER;
    T n = t.f - ROUNDER;
    T r = n * -0.693359375f + bounded;
    r = n * 2.12194440e-4f + r;
    t.i = (t.i - 0x4b400000 + 127) << 23;
    T y = V(exp_core)(r) * t.f;
    return x < (T)(-87.3f) ? (T)(0.0f) : y;
}

// e^x for x <= 0, no less than e^-87: 8e-5, for results that bf16 will hold.
TARGET MARTLET_INLINE T V(exp_rough)(T x) {
    T bounded = x < (T)(-87.0f) ? (T)(-87.0f) : x;
    V(bits) t, y;
    t.f = bounded * 1.44269504f + ROUNDER;
    T f = bounded * 1.44269504f - (t.f - ROUNDER);
    T p = f * 5.517166722e-02f + 2.426111221e-01f;
    p = p * f + 6.932609858e-01f;
    y.f = p * f + 9.999280736e-01f;
    // The rounder's own bits leave with the shift.
    y.i += t.i << 23;
    return y.f;
}

TARGET MARTLET_INLINE T V(clamp)(T x, float low, float high) {
    x = x < (T)(low) ? (T)(low) : x;
    return x > (T)(high) ? (T)(high) : x;
}

// y held to -1 ... 1, and exactly there where x has reached the bound.
TARGET MARTLET_INLINE T V(saturate)(T x, T y, float bound) {
    y = V(clamp)(y, -1.0f, 1.0f);
    y = x >= (T)(bound) ? (T)(1.0f) : y;
    return x <= (T)(-bound) ? (T)(-1.0f) : y;
}

// 4e-7; exactly 1 from 3.925 on.
TARGET MARTLET_INLINE T V(erf)(T x) {
    T c = V(clamp)(x, -3.925f, 3.925f), t = c * c;
    T p = t * 2.045960454e-06f + 2.848248140e-04f;
    p = p * t + 3.772155622e-03f;
    p = p * t + 5.276804836e-02f;
    p = p * t + 1.905859801e-01f;
    p = p * t + 1.128379146e+00f;
    T q = t * 3.804609505e-05f + 1.163743656e-03f;
    q = q * t + 1.498241556e-02f;
    q = q * t + 1.141793078e-01f;
    q = q * t + 5.022351602e-01f;
    q = q * t + 1.0f;
    return V(saturate)(x, c * p / q, 3.925f);
}

// 4e-7; exactly 1 from 9.02 on.
TARGET MARTLET_INLINE T V(tanh)(T x) {
    T c = V(clamp)(x, -9.02f, 9.02f), t = c * c;
    T p = t * 1.331777930e-08f + 2.058255079e-05f;
    p = p * t + 3.493978979e-03f;
    p = p * t + 1.337967180e-01f;
    p = p * t + 9.999999792e-01f;
    T q = t * 7.761489809e-07f + 3.283001070e-04f;
    q = q * t + 2.587086358e-02f;
    q = q * t + 4.671298711e-01f;
    q = q * t + 1.0f;
    return V(saturate)(x, c * p / q, 9.02f);
}

TARGET MARTLET_INLINE T V(sigmoid)(T x) { return 1.0f / (1.0f + V(exp)(-x)); }
TARGET MARTLET_INLINE T V(silu)(T x) { return x / (1.0f + V(exp)(-x)); }
TARGET MARTLET_INLINE T V(gelu_erf)(T x) {
    T h = 0.5f * x;
    return h * V(erf)(x * 0.70710678f) + h;
}
// 0.5 (1 + tanh(u)) is sigmoid(2u), which keeps its accuracy far below zero.
TARGET MARTLET_INLINE T V(gelu_tanh)(T x) {
    T u = 1.5957691216f * x * (1.0f + 0.044715f * x * x);
    return x / (1.0f + V(exp)(-u));
}
#undef ROUNDER
