// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Moving elements without looking at them: elements of 1, 2, 4, 8 or 16 bytes.
#ifndef MARTLET_LAYOUT_H
#define MARTLET_LAYOUT_H

#include "MartletKernelTypes.h"

/// to[i * to_strides] = from[i * from_strides] over shape. Slices, pads, concatenations, expands
/// and flips are this with the right base pointers and strides (negative and, for from, 0 allowed).
/// Rank at most MARTLET_MAX_RANK.
int32_t martlet_copy_strided(
    int32_t element_bytes, void *to, const void *from, int32_t rank, const int64_t *shape,
    const int64_t *to_strides, const int64_t *from_strides, int32_t threads);

/// Dense y with y.shape[i] = shape[permutation[i]], from dense x of shape.
int32_t martlet_transpose(
    int32_t element_bytes, const void *x, void *y, int32_t rank, const int64_t *shape,
    const int64_t *permutation, int32_t threads);

/// n copies of one element.
int32_t martlet_fill(int32_t element_bytes, void *y, const void *value, int64_t n);

/// y [outer, count, inner] = x [outer, n, inner] at indices along the middle; negative ones count
/// from the end. -1 if an index is out of range: y is then unspecified.
int32_t martlet_gather(
    int32_t element_bytes, const void *x, void *y, const int64_t *indices, int64_t count,
    int64_t outer, int64_t n, int64_t inner, int32_t threads);

#endif
