// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Products of rows of activations with packed weights, for any number of rows from one up. Rows are
// prepared once (normalised, gated, quantised) for all the products that read them. What a row
// yields is the same, to the bit, whatever other rows there are.
#ifndef MARTLET_ROWS_H
#define MARTLET_ROWS_H

#include "MartletWeights.h"

/// How rows are prepared. F32 rows meet F32, F16 and BF16 panels; BF16 rows BF16 panels. The others
/// are 8 bits by groups of 32 with a scale each and meet quantised panels: INT8_8 those of Q4_0,
/// INT8_16 of Q5_0, INT8_128 of Q8_0, INT8_32 of Q6_K; any of them Q4_1, Q5_1, Q4_K and Q5_K.
typedef enum martlet_rows {
    MARTLET_ROWS_F32, MARTLET_ROWS_BF16, MARTLET_ROWS_INT8_8, MARTLET_ROWS_INT8_16,
    MARTLET_ROWS_INT8_32, MARTLET_ROWS_INT8_128, MARTLET_ROWS_COUNT
} martlet_rows;

/// Whether such rows can be multiplied with panels of this type.
int32_t martlet_rows_fit(martlet_rows rows, martlet_weights panels);

/// Bytes that n prepared rows of k values take; never less for more rows.
size_t martlet_rows_bytes(martlet_rows type, int64_t n, int64_t k);

/// What becomes of the values before they are stored.
typedef enum martlet_rows_source {
    MARTLET_ROWS_PLAIN,      // x
    MARTLET_ROWS_NORM,       // x / sqrt(mean(x^2) + epsilon) * weight
    MARTLET_ROWS_SILU,       // silu(x[i]) * x[k + i]
    MARTLET_ROWS_GELU_TANH,  // gelu(x[i]) * x[k + i], by tanh
    MARTLET_ROWS_GELU        // gelu(x[i]) * x[k + i], by erf
} martlet_rows_source;

typedef struct martlet_rows_args {
    martlet_rows type;
    martlet_rows_source source;
    int64_t n, k;
    const float *x;          // row i at x + i * x_stride; k values, twice that when gated
    int64_t x_stride;
    const float *weight;     // of NORM
    float epsilon;
} martlet_rows_args;

void martlet_rows_prepare(const martlet_rows_args *args, void *prepared, int32_t threads);

/// c[n][m] = bounded(rows * panels^T + bias) + residual, where bounded is cap * tanh(x / cap) when
/// cap > 0. residual may be c itself.
typedef struct martlet_rows_product {
    martlet_rows type;
    martlet_weights panels;
    int64_t n, m, k;
    const void *rows;        // prepared
    const void *packed;
    float *c;
    int64_t c_stride;
    const float *bias;       // m values, or NULL
    const float *residual;   // or NULL
    int64_t residual_stride;
    float cap;
} martlet_rows_product;

void martlet_rows_multiply(const martlet_rows_product *product, int32_t threads);

/// The oracle: from unpacked weights of a type (w rows row_bytes apart) and rows of floats, with
/// the same roundings in the same order as for panels of that type.
void martlet_rows_multiply_reference(
    const martlet_rows_product *product, const float *x, int64_t x_stride, const void *w,
    int64_t row_bytes);

#endif
