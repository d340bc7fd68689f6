// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Reductions, scans and selection over the middle dimension of [outer, n, inner].
#ifndef MARTLET_REDUCTION_H
#define MARTLET_REDUCTION_H

#include "MartletKernelTypes.h"

typedef enum martlet_reduction {
    MARTLET_REDUCE_SUM, MARTLET_REDUCE_MEAN, MARTLET_REDUCE_MAX, MARTLET_REDUCE_MIN,
    MARTLET_REDUCE_PROD, MARTLET_REDUCE_L1, MARTLET_REDUCE_L2, MARTLET_REDUCE_LOG_SUM,
    MARTLET_REDUCE_LOG_SUM_EXP, MARTLET_REDUCE_SUM_SQUARE
} martlet_reduction;

/// y [outer, inner]. Types: F32, F64, I8 ... I64, U8 ... U64, BOOL (MAX and MIN only). n = 0 gives
/// the neutral value (0, 1 for PROD; for MAX, MIN and the logarithms the infinity or the type's
/// lowest or highest value).
int32_t martlet_reduce(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t outer, int64_t n,
    int64_t inner, int32_t threads);
int32_t martlet_reduce_reference(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t outer, int64_t n,
    int64_t inner);

/// The index of the largest (or smallest) value, the first of equals or the last. n is not 0.
/// Types as above.
int32_t martlet_arg_reduce(
    martlet_dtype type, int32_t smallest, int32_t last, const void *x, int64_t *y, int64_t outer,
    int64_t n, int64_t inner, int32_t threads);

/// Running sum (or product); y may be x. F32, F64, integers.
int32_t martlet_cumulate(
    martlet_dtype type, int32_t product, int32_t exclusive, int32_t reverse, const void *x,
    void *y, int64_t outer, int64_t n, int64_t inner, int32_t threads);

/// The k largest (or smallest) in order, values [outer, k, inner] and their indices; the lower
/// index wins a tie. k <= n. Types as above.
int32_t martlet_top_k(
    martlet_dtype type, int32_t smallest, int64_t k, const void *x, void *values,
    int64_t *indices, int64_t outer, int64_t n, int64_t inner, int32_t threads);

#endif
