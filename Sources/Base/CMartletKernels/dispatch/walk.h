// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Walking several strided operands over one shape, row by row.
#ifndef MARTLET_KERNELS_WALK_H
#define MARTLET_KERNELS_WALK_H

#include "internal.h"

enum { MARTLET_WALK_OPERANDS = 4 };

typedef struct {
    int32_t rank, operands;  // rank is at least 1
    int64_t shape[MARTLET_MAX_RANK];
    int64_t strides[MARTLET_WALK_OPERANDS][MARTLET_MAX_RANK];
} martlet_walk;

/// One row: count elements of each operand from its offset, at strides[operand][rank - 1].
typedef void (*martlet_row)(void *context, const int64_t *offsets, int64_t count);

/// Drops dimensions of size 1 and merges neighbours that every operand walks as one. A NULL in
/// strides stands for dense row-major. 0, or -1 when the rank is too high.
int32_t martlet_walk_make(
    martlet_walk *walk, int32_t rank, const int64_t *shape, int32_t operands,
    const int64_t *const *strides);

void martlet_walk_run(
    const martlet_walk *walk, int32_t threads, martlet_row function, void *context);

#endif
