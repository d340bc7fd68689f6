// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_REDUCTION_H
#define MARTLET_KERNELS_REDUCTION_H

#include "internal.h"

int32_t martlet_reduce_knows(martlet_dtype type, martlet_reduction op);

/// y [inner] = reduction of x [n, inner], plain C.
void martlet_reduce_block(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t n, int64_t inner);

#endif
