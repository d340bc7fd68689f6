// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Element by element: unary, binary with broadcasting, selection, casts.
#ifndef MARTLET_ELEMENTWISE_H
#define MARTLET_ELEMENTWISE_H

#include "MartletKernelTypes.h"

typedef enum martlet_unary {
    MARTLET_NEG, MARTLET_ABS, MARTLET_SIGN, MARTLET_NOT,
    MARTLET_SQRT, MARTLET_RSQRT, MARTLET_RECIPROCAL, MARTLET_SQUARE,
    MARTLET_EXP, MARTLET_EXPM1, MARTLET_LOG, MARTLET_LOG1P, MARTLET_ERF,
    MARTLET_TANH, MARTLET_SIGMOID, MARTLET_RELU,
    MARTLET_LEAKY_RELU,        // x < 0 ? alpha x : x
    MARTLET_ELU,               // x < 0 ? alpha (e^x - 1) : x
    MARTLET_CELU,              // max(0, x) + min(0, alpha (e^(x / alpha) - 1))
    MARTLET_SELU,              // beta * (x <= 0 ? alpha (e^x - 1) : x); beta is gamma
    MARTLET_GELU_ERF, MARTLET_GELU_TANH, MARTLET_SILU, MARTLET_MISH,
    MARTLET_SOFTPLUS, MARTLET_SOFTSIGN,
    MARTLET_HARD_SIGMOID,      // clip(alpha x + beta, 0, 1)
    MARTLET_HARD_SWISH,
    MARTLET_THRESHOLDED_RELU,  // x > alpha ? x : 0
    MARTLET_CLIP,              // min(max(x, alpha), beta); a NaN stays
    MARTLET_FLOOR, MARTLET_CEIL, MARTLET_ROUND, MARTLET_TRUNCATE,  // round: halves to even
    MARTLET_SIN, MARTLET_COS, MARTLET_TAN, MARTLET_ASIN, MARTLET_ACOS, MARTLET_ATAN,
    MARTLET_SINH, MARTLET_COSH, MARTLET_ASINH, MARTLET_ACOSH, MARTLET_ATANH,
    MARTLET_BIT_NOT,
    MARTLET_IS_NAN,            // result is a boolean
    MARTLET_IS_INF,            // boolean; alpha != 0: positive ones count, beta != 0: negative ones
    MARTLET_UNARY_COUNT
} martlet_unary;

/// y[i] = op(x[i]) for n values; y may be x (except where the result is a boolean).
/// f32 exp, erf, tanh, sigmoid, gelu, silu are within 1e-6 relative of the exact value (erf and
/// tanh within 1e-6 of it near 0 as well); exp below -87.3 is flushed to 0.
void martlet_unary_f32(
    martlet_unary op, const float *x, void *y, int64_t n, float alpha, float beta,
    int32_t threads);
void martlet_unary_f32_reference(
    martlet_unary op, const float *x, void *y, int64_t n, float alpha, float beta);

/// Any type: floating ones know all operations (f16 and bf16 compute in f32), integers NEG, ABS,
/// SIGN, SQUARE, RELU, CLIP, BIT_NOT, and the roundings as copies; BOOL knows NOT.
int32_t martlet_unary_any(
    martlet_dtype type, martlet_unary op, const void *x, void *y, int64_t n, double alpha,
    double beta, int32_t threads);

typedef enum martlet_binary {
    MARTLET_ADD, MARTLET_SUB, MARTLET_MUL, MARTLET_DIV, MARTLET_POW, MARTLET_MIN, MARTLET_MAX,
    MARTLET_MOD,          // sign of the divisor (Python); integers by zero give 0
    MARTLET_FMOD,         // sign of the dividend (C)
    MARTLET_PRELU,        // a < 0 ? b a : a
    MARTLET_EQUAL, MARTLET_NOT_EQUAL, MARTLET_LESS, MARTLET_LESS_EQUAL, MARTLET_GREATER,
    MARTLET_GREATER_EQUAL,                                   // results are booleans
    MARTLET_AND, MARTLET_OR, MARTLET_XOR,                    // BOOL
    MARTLET_BIT_AND, MARTLET_BIT_OR, MARTLET_BIT_XOR,        // integers
    MARTLET_SHIFT_LEFT, MARTLET_SHIFT_RIGHT,                 // integers
    MARTLET_BINARY_COUNT
} martlet_binary;

/// y = op(a, b) over shape, y dense and row-major; a stride of 0 broadcasts. MIN and MAX propagate
/// NaN. y may be a or b where that one is dense and the result is not a boolean. Integer division
/// by zero gives 0, and all integers wrap. Rank at most MARTLET_MAX_RANK.
int32_t martlet_binary_any(
    martlet_dtype type, martlet_binary op, const void *a, const void *b, void *y, int32_t rank,
    const int64_t *shape, const int64_t *a_strides, const int64_t *b_strides, int32_t threads);

/// The plain loop, any type.
int32_t martlet_binary_any_reference(
    martlet_dtype type, martlet_binary op, const void *a, const void *b, void *y, int32_t rank,
    const int64_t *shape, const int64_t *a_strides, const int64_t *b_strides);

/// y = condition ? a : b with broadcasting; elements of 1, 2, 4 or 8 bytes.
int32_t martlet_where(
    int32_t element_bytes, const uint8_t *condition, const void *a, const void *b, void *y,
    int32_t rank, const int64_t *shape, const int64_t *condition_strides,
    const int64_t *a_strides, const int64_t *b_strides, int32_t threads);

/// y[i] = x[i] in another type. To an integer: towards zero, saturating, NaN gives 0; between
/// integers: wraps. To BOOL: x != 0. To f16 and bf16: nearest even.
int32_t martlet_cast(
    martlet_dtype from, martlet_dtype to, const void *x, void *y, int64_t n, int32_t threads);

#endif
