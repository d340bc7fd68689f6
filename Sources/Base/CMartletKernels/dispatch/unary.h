// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_UNARY_H
#define MARTLET_KERNELS_UNARY_H

#include "internal.h"

/// Whether the operation exists for the type.
int32_t martlet_unary_knows(martlet_dtype type, martlet_unary op);

/// n values in plain C.
void martlet_unary_block(
    martlet_dtype type, martlet_unary op, const void *x, void *y, int64_t n, double alpha,
    double beta);

#endif
