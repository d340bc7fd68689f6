// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_BINARY_H
#define MARTLET_KERNELS_BINARY_H

#include "internal.h"

/// Whether the operation exists for the type.
int32_t martlet_binary_knows(martlet_dtype type, martlet_binary op);

/// Whether the result is a boolean rather than of the operands' type.
MARTLET_INLINE int martlet_binary_compares(martlet_binary op) {
    return op >= MARTLET_EQUAL && op <= MARTLET_GREATER_EQUAL;
}

/// n values in plain C: y[i] = op(a[i * a_stride], b[i * b_stride]).
void martlet_binary_row(
    martlet_dtype type, martlet_binary op, const void *a, int64_t a_stride, const void *b,
    int64_t b_stride, void *y, int64_t n);

#endif
