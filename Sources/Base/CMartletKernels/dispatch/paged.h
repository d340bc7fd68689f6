// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_PAGED_H
#define MARTLET_KERNELS_PAGED_H

#include "table.h"

enum { MARTLET_PAGED_ROWS = 12, MARTLET_PAGED_CHUNK = 256 };

/// Up to 12 query rows (position after position, head after head) of one head of keys and values.
typedef struct {
    const martlet_paged_args *args;
    int64_t kv_head;
    const int32_t *blocks;      // of the slice
    int32_t size, count;        // rows that the tile computes, and those that exist
    const float *q[MARTLET_PAGED_ROWS];
    float *o[MARTLET_PAGED_ROWS];
    int64_t from[MARTLET_PAGED_ROWS], to[MARTLET_PAGED_ROWS];  // positions that a row sees
} martlet_paged_tile;

typedef void (*martlet_paged_function)(const martlet_paged_tile *tile);

extern const martlet_paged_function martlet_paged_plain, martlet_paged_avx2, martlet_paged_avx512;
extern const martlet_paged_function martlet_paged_neon;

#endif
